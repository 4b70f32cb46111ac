"""One snapshot on screen: its balance, its rules, its leaks."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st

from core.datasets.freeze import export_snapshot
from core.datasets.records import Snapshot, list_numbers, noun_of_cases, snapshot_counts
from core.projects.records import Project
from core.projects.schema import Classification, Regression, Segmentation
from core.store.audit import Actor
from core.tasks import trainable_schema
from dashboard import charts, painted_view, places, quantity_charts, session, wording
from dashboard.downloads import note_export
from dashboard.quantity_choice import choose_quantity
from dashboard.snapshot_form import draw_leak_table


def draw_snapshot(project: Project, snapshot: Snapshot) -> None:
    """Images, patients and answers of each split; what the split stands on; leaks that were allowed."""
    schema = trainable_schema(snapshot.schema)  # as frozen: classes may be renamed since
    left, right = st.columns([3, 2], gap="large")
    with left:
        if isinstance(schema, Regression):
            _draw_spread(snapshot, schema)
        elif isinstance(schema, Segmentation):
            _draw_painted(snapshot, schema)
        else:
            _draw_balance(snapshot, schema)
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
        actor = session.actor()
        st.download_button(
            "Export",
            lambda: _export(project, snapshot, actor),
            file_name=f"{snapshot.name}.json",
            mime="application/json",
            icon=":material/download:",
            on_click="ignore",
            key="export_snapshot",
        )


def _draw_balance(snapshot: Snapshot, schema: Classification) -> None:
    counts = snapshot_counts(session.db(), snapshot)
    names = {label.name: label.colour for label in schema.classes}
    told = {split: [f"{part['classes'].get(name, 0):,}" for name in names] for split, part in counts.items()}
    _draw_table(snapshot, counts, list(names), told)
    st.plotly_chart(
        charts.draw_balance({split: part["classes"] for split, part in counts.items()}, names),
        config=charts.NO_TOOLBAR,
        key="balance",
        alt="Cases of each class in each split",
    )


def _draw_spread(snapshot: Snapshot, schema: Regression) -> None:
    counts, shown, of = snapshot_counts(session.db(), snapshot), schema.quantities[0], ""
    if schema.further:
        shown = choose_quantity(schema, "spread_of")
        of = shown.target
        counts = {split: {**part, **part.get("targets", {}).get(of, {})} for split, part in counts.items()}
    columns = ("lowest", "median", "highest")
    told = {split: [wording.given(part.get(name)) for name in columns] for split, part in counts.items()}
    _draw_table(snapshot, counts, [f"{name}, {shown.unit}" for name in columns], told)
    st.plotly_chart(
        quantity_charts.draw_spread(list_numbers(session.db(), snapshot.id, of), f"{shown.target}, {shown.unit}"),
        config=charts.NO_TOOLBAR,
        key="spread",
        alt=f"How {shown.target} is spread in each split",
    )


def _draw_painted(snapshot: Snapshot, schema: Segmentation) -> None:
    counts = snapshot_counts(session.db(), snapshot)
    told = {
        split: [painted_view.describe_painted(part["structures"][name]) for name in schema.names]
        for split, part in counts.items()
    }
    _draw_table(snapshot, counts, schema.names, told)


def _draw_table(
    snapshot: Snapshot,
    counts: Mapping[str, Mapping[str, Any]],
    columns: Sequence[str],
    told: Mapping[str, list[str]],
) -> None:
    """A row for each split: images or volumes, patients, and what is told of its answers, as HTML."""
    noun = noun_of_cases(session.db(), snapshot.id)
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    rows = "".join(
        f"<tr><td>{split}</td><td>{part['images']:,}</td><td>{part['patients']:,}</td>"
        + "".join(f"<td>{cell}</td>" for cell in told[split])
        + "</tr>"
        for split, part in counts.items()
    )
    st.html(f'<table class="rr-numbers"><tr><th>split</th><th>{noun}</th><th>patients</th>{head}</tr>{rows}</table>')


def _export(project: Project, snapshot: Snapshot, actor: Actor) -> str:
    note_export(project, "snapshot", actor=actor, name=snapshot.name)
    return export_snapshot(session.db(), session.files(), snapshot)


def _say_split(snapshot: Snapshot) -> str:
    rule = snapshot.split_rule
    if rule.get("kind") == "column":
        carved = f"; validation is {rule['validation']}" if rule.get("validation") else ""
        return f"from the table's column {rule['column']}{carved}"
    if rule.get("kind") == "as before":
        return f"as in {rule['snapshot']}"
    return "by patient, " + " : ".join(wording.percent(share) for share in rule.get("ratios") or ())


def _say_reference(snapshot: Snapshot) -> str:
    rule = snapshot.reference_rule
    if rule.kind == "reader":
        return f"newest answer of {rule.reader}"
    return {"median": "median of readers", "only": "the only answer"}.get(rule.kind, "majority of readers")
