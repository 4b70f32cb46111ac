"""The evaluation of numbers and of painted structures below its headline: a tab for each question asked of it."""

from collections.abc import Callable

import streamlit as st

from core.datasets.records import Snapshot
from core.evaluation.pairs import list_pairs
from core.evaluation.records import Evaluation
from core.projects.records import Project
from core.projects.schema import Regression
from core.training.records import Model
from dashboard import (
    comparison_view,
    doubtful_errors_view,
    error_groups_view,
    places,
    quantity_view,
    session,
)

OF_NUMBERS = ("Agreement", "Subgroups", "Cases to check", comparison_view.COMPARE)


def draw_number_tabs(
    project: Project,
    schema: Regression,
    model: Model,
    snapshot: Snapshot,
    evaluation: Evaluation,
    at: int,
    *,
    part: quantity_view.Part,
    view: dict[str, places.Query],
    open_case: Callable[[int], None],
) -> None:
    """Only the tab that is open is drawn; `part` is what the evaluation tells of the quantity at a place."""
    comparison_view.open_if_asked(comparison_view.TABS_KEY, comparison_view.COMPARE)
    tabs = dict(zip(OF_NUMBERS, st.tabs(OF_NUMBERS, key=comparison_view.TABS_KEY, on_change="rerun"), strict=True))
    if tabs["Agreement"].open:
        with tabs["Agreement"]:
            fold = evaluation.result.get("fold")
            pairs = list_pairs(session.db(), model, snapshot, schema, evaluation.split, fold, at)
            quantity_view.draw_agreement(part, pairs, open_case=open_case, key=f"evaluation_{evaluation.id}_{at}")
            places.link("review", "Largest errors first", result="all", **view)
    if tabs["Subgroups"].open:
        with tabs["Subgroups"]:
            error_groups_view.draw_number_groups(project, model, snapshot, evaluation, at, view)
    if tabs["Cases to check"].open:
        with tabs["Cases to check"]:
            doubtful_errors_view.draw_doubtful_numbers(project, model, snapshot, evaluation, at, view)
    if tabs[comparison_view.COMPARE].open:
        with tabs[comparison_view.COMPARE]:
            comparison_view.draw_comparison(project, model, view)
