"""One snapshot on screen: its balance, its rules, its leaks."""

from html import escape
from typing import Any

import streamlit as st

from core.datasets.freeze import export_snapshot
from core.datasets.records import Snapshot, snapshot_counts
from core.projects.records import Project
from core.projects.schema import Classification, Segmentation
from dashboard import charts, painted_view, places, session, wording
from dashboard.downloads import note_export
from dashboard.snapshot_form import draw_leak_table


def draw_snapshot(project: Project, snapshot: Snapshot, schema: Classification | Segmentation) -> None:
    """Images, patients and classes of each split; what the split stands on; leaks that were allowed."""
    counts = snapshot_counts(session.db(), snapshot)
    left, right = st.columns([3, 2], gap="large")
    if isinstance(schema, Segmentation):
        left.html(painted_view.painted_table(counts, snapshot.schema))
    else:
        with left:
            _draw_classes(counts, schema)
    right.html(
        f'<dl class="rr-facts"><dt>Frozen</dt><dd>{wording.moment(snapshot.created_at)} '
        f"by {escape(snapshot.created_by)}</dd>"
        f"<dt>Split</dt><dd>{escape(_say_split(snapshot))}</dd><dt>Seed</dt><dd>{snapshot.seed}</dd>"
        f"<dt>Folds</dt><dd>{snapshot.folds or 'none'}</dd>"
        f"<dt>Reference</dt><dd>{escape(_say_reference(snapshot))}</dd>"
        f"<dt>Hash</dt><dd><code>{snapshot.hash}</code></dd></dl>"
    )
    for note in snapshot.notes:
        right.info(note, icon=":material/info:")
    if snapshot.leaks_allowed_because:
        right.warning(f"Frozen with leaks, because: {snapshot.leaks_allowed_because}", icon=":material/water_drop:")
        draw_leak_table(snapshot.leaks)
    if snapshot.loss:
        right.warning(
            f"{snapshot.loss} It can no longer be trained on or exported, and its hash stands for what was frozen. "
            f"Freeze a new snapshot to go on; evaluating this one measures what is left.",
            icon=":material/delete_sweep:",
        )
        return
    with right.container(horizontal=True):
        if session.may_open("train", project):
            places.link("train", "Train on this", project=snapshot.project, snapshot=snapshot.id)
        if not session.may("export", project):
            return
        st.download_button(
            "Export",
            lambda: _export(project, snapshot),
            file_name=f"{snapshot.name}.json",
            mime="application/json",
            icon=":material/download:",
            on_click="ignore",
            key="export_snapshot",
        )


def _draw_classes(counts: dict[str, dict[str, Any]], schema: Classification) -> None:
    names = {label.name: label.colour for label in schema.classes}
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = "".join(
        f"<tr><td>{split}</td><td>{part['images']:,}</td><td>{part['patients']:,}</td>"
        + "".join(f"<td>{part['classes'].get(name, 0):,}</td>" for name in names)
        + "</tr>"
        for split, part in counts.items()
    )
    st.html(f'<table class="rr-numbers"><tr><th>split</th><th>images</th><th>patients</th>{head}</tr>{rows}</table>')
    st.plotly_chart(
        charts.draw_balance({split: part["classes"] for split, part in counts.items()}, names),
        config=charts.NO_TOOLBAR,
        key="balance",
        alt="Cases of each class in each split",
    )


def _export(project: Project, snapshot: Snapshot) -> str:
    note_export(project, "snapshot", name=snapshot.name)
    return export_snapshot(session.db(), session.files(), snapshot)


def _say_split(snapshot: Snapshot) -> str:
    rule = snapshot.split_rule
    if rule.get("kind") == "column":
        carved = f"; validation is {rule['validation']}" if rule.get("validation") else ""
        return f"from the table's column {rule['column']}{carved}"
    return "by patient, " + " : ".join(f"{100 * share:.0f} %" for share in rule.get("ratios") or ())


def _say_reference(snapshot: Snapshot) -> str:
    rule = snapshot.reference_rule
    if rule.kind == "only":
        return "the only answer"
    return f"newest answer of {rule.reader}" if rule.kind == "reader" else "majority of readers"
