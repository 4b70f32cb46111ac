"""The evaluation of a classifier below its headline: one tab for each question a team asks of it."""

from collections.abc import Callable

import streamlit as st

from core.datasets.records import Snapshot
from core.evaluation.records import Evaluation
from core.projects.records import Project
from core.projects.schema import Classification
from core.training.records import Model
from dashboard import (
    abstention_view,
    comparison_view,
    doubtful_view,
    evaluation_view,
    numbers_view,
    places,
    shortcut_view,
    subgroup_view,
    threshold_view,
    wording,
)

OpenCell = Callable[[str, str, str | None], None]
TABS = (
    "Confusion matrix and classes",
    "Curves",
    "All numbers",
    "Threshold",
    "Subgroups",
    "Cases to check",
    "Shortcuts",
    comparison_view.COMPARE,
)


def draw_tabs(
    project: Project,
    schema: Classification,
    model: Model,
    snapshot: Snapshot,
    evaluation: Evaluation,
    *,
    view: dict[str, places.Query],
    open_cell: OpenCell,
) -> None:
    result = evaluation.result
    tabs = comparison_view.draw_tabs(TABS)
    if tabs[TABS[0]].open:
        with tabs[TABS[0]]:
            left, right = st.columns([4, 7], gap="medium")
        with left:
            evaluation_view.draw_matrix(
                result, multi_label=schema.multi_label, open_cell=open_cell, key=f"evaluation_{evaluation.id}"
            )
            places.link("review", "Most confident mistakes", result="wrong", **view)
        with right:
            evaluation_view.draw_class_table(result)
            evaluation_view.draw_class_intervals(result)
    if tabs["Curves"].open:
        with tabs["Curves"]:
            evaluation_view.draw_curves(result, multi_label=schema.multi_label)
            measured = f"Measured {wording.moment(evaluation.created_at)} by {evaluation.created_by}."
            st.caption(f"{evaluation_view.describe_bands(result)} {measured}")
    if tabs["All numbers"].open:
        with tabs["All numbers"]:
            numbers_view.draw_numbers(result, multi_label=schema.multi_label)
    if tabs["Threshold"].open:
        with tabs["Threshold"]:
            threshold_view.draw_threshold(project, schema, model, snapshot, view)
            if told := result.get("abstention"):
                st.markdown(f"It keeps answers back. {abstention_view.describe_tested(told)}")
    if tabs["Subgroups"].open:
        with tabs["Subgroups"]:
            subgroup_view.draw_subgroups(project, schema, model, snapshot, view)
    if tabs["Cases to check"].open:
        with tabs["Cases to check"]:
            doubtful_view.draw_doubtful(project, schema, model, snapshot, view)
    if tabs["Shortcuts"].open:
        with tabs["Shortcuts"]:
            shortcut_view.draw_shortcuts(schema, model, snapshot, view)
    if tabs[comparison_view.COMPARE].open:
        with tabs[comparison_view.COMPARE]:
            comparison_view.draw_comparison(project, model, view)
