"""Label: one case at a time; the answers travel from the browser, this page only learns of them."""

from typing import get_args

import streamlit as st

from core.labels.worklist import Worklist, WorklistKind, label_progress, list_case_ids
from dashboard import frame, messages, places, session
from dashboard.viewer import Navigated, label_viewer

KINDS = {
    "unlabelled": "Not answered by me",
    "all": "All cases",
    "mine": "Answered by me",
    "flagged": "Flagged",
    "disagreements": "Readers disagree",
}
AT_ONCE = 1000  # cases that the browser gets as one list; the next list begins where this one ends
assert set(KINDS) <= set(get_args(WorklistKind))


def go_on(event: Navigated) -> None:
    places.remember(case=event.case_id)


def settle_list() -> list[int]:
    """The cases to read, fixed when the list is opened: "unlabelled" would shift under the reader at every answer."""
    held = st.session_state.get("label:list")
    case = places.asked_number("case")
    fresh = held is None or held[0] != (project.id, kind) or (case is not None and case not in held[1])
    if fresh:
        ids = list_case_ids(session.db(), project, Worklist(kind), user.name, sight=session.sight(project))
        if case is not None and case not in ids:
            ids = [case, *ids]
        start = ids.index(case) // AT_ONCE * AT_ONCE if case is not None else 0
        held = st.session_state["label:list"] = ((project.id, kind), ids[start : start + AT_ONCE])
    return held[1]


def open_anew() -> None:
    st.session_state.pop("label:list", None)
    places.remember(case=None)


project = frame.need_project()
if project.task == "generation":
    messages.end_empty(
        "Nothing is labelled here",
        "In a project of generation images are drawn, not read.",
        step="Open another project",
        to="projects",
    )
user = session.current_user()
progress = label_progress(session.db(), project, user.name)
if not progress.total:
    messages.end_empty(
        "No image to label",
        "This project has no cases yet.",
        step="Import images",
        to="import_images",
        project=project.id,
    )

asked = places.asked("worklist")
left, right = st.columns([6, 1], vertical_alignment="center")
kind = left.segmented_control(
    "Worklist",
    list(KINDS),
    default=asked if asked in KINDS else "unlabelled",
    required=True,
    key="worklist",
    format_func=KINDS.__getitem__,
    label_visibility="collapsed",
    on_change=open_anew,
)
right.button(
    "New list",
    icon=":material/refresh:",
    on_click=open_anew,
    key="label_refresh",
    width="stretch",
    type="tertiary",
    help="A list stays as it was when it was opened, so that nothing shifts while you read.",
)
places.remember(worklist=kind)
case_ids = settle_list()
if not case_ids:
    messages.end_empty(
        "This list is empty",
        f"You have answered {progress.mine:,} of {progress.total:,} cases."
        if kind == "unlabelled"
        else "No case is in it.",
        step="See all cases",
        to="cases",
        project=project.id,
    )
case = places.asked_number("case")
label_viewer(
    project,
    user,
    case_ids,
    index=case_ids.index(case) if case in case_ids else 0,
    progress=progress,
    on_navigated=go_on,
    key=f"label_viewer_{project.id}_{kind}",
)
