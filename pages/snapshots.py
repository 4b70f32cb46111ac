"""Snapshots: freeze the labelled cases with a split by patient, and look at what was frozen."""

import streamlit as st

from core.datasets.freeze import import_snapshot
from core.datasets.records import get_snapshot, list_snapshots
from core.labels.worklist import label_progress
from dashboard import frame, messages, places, session, wording
from dashboard.case_filter import split_columns
from dashboard.snapshot_form import draw_snapshot_form
from dashboard.snapshot_view import draw_snapshot


def bring_back() -> None:
    upload = st.session_state["snapshot_file"]
    if upload is not None:
        with messages.refusals_told():
            text = upload.getvalue().decode("utf-8", "replace")
            made = import_snapshot(session.db(), session.files(), project, text, session.actor())
            messages.say(f"Snapshot {made.name} has come back with the same hash.")
            places.remember(snapshot=made.id)


project = frame.need_project()
frame.draw_heading(
    "Snapshots", "Frozen cases with their reference, split by patient: what models learn from.", project=project
)
frame.need_trainable(project, "freezing snapshots")
snapshots = list_snapshots(session.db(), project.id)
progress = label_progress(session.db(), project, session.current_user().name)
if not snapshots and not progress.referenced:
    messages.end_empty(
        "Nothing to freeze yet",
        "A snapshot holds cases with a reference answer, and no case of this project has one.",
        step="Label some cases" if progress.total else "Import images",
        to="label" if progress.total else "import_images",
        project=project.id,
    )
if snapshots:
    wanted = places.asked_number("snapshot")
    ids = [snapshot.id for snapshot in snapshots]
    if wanted is not None and wanted not in ids:
        st.warning(f"There is no snapshot {wanted} in this project; this is the newest one.")
    shown = st.segmented_control(
        "Snapshot",
        ids,
        default=wanted if wanted in ids else ids[0],
        required=True,
        label_visibility="collapsed",
        format_func={snapshot.id: snapshot.name for snapshot in snapshots}.__getitem__,
        key=f"shown_{wanted}",
    )
    places.remember(snapshot=shown)
    draw_snapshot(project, get_snapshot(session.db(), project.id, shown))
if session.may("freeze", project):
    with st.expander(
        "New snapshot", expanded=not snapshots or "snapshot_form:leaks" in st.session_state, icon=":material/add:"
    ):
        st.caption(
            f"{wording.count(progress.referenced, 'case')} of {progress.total:,} have a reference answer and go in."
        )
        draw_snapshot_form(project, split_columns(project))
    with st.expander("Bring back an exported snapshot", icon=":material/upload:"):
        st.file_uploader("Exported snapshot (JSON)", type="json", key="snapshot_file", on_change=bring_back)
else:
    st.caption("To freeze a snapshot you need another role in this project; ask an administrator.")
