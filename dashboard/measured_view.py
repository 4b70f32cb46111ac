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
    abstention_view,
    comparison_view,
    doubtful_errors_view,
    error_groups_view,
    painted_view,
    places,
    quantity_view,
    session,
    wording,
)

OF_NUMBERS = ("Agreement", "Subgroups", "Cases to check", comparison_view.COMPARE)
OF_STRUCTURES = ("Structures", "Subgroups", "Cases to check", comparison_view.COMPARE)


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
    tabs = comparison_view.draw_tabs(OF_NUMBERS)
    if tabs["Agreement"].open:
        with tabs["Agreement"]:
            fold = evaluation.result.get("fold")
            pairs = list_pairs(session.db(), model, snapshot, schema, evaluation.split, fold, at)
            quantity_view.draw_agreement(
                part,
                pairs,
                open_case=open_case,
                key=f"evaluation_{evaluation.id}_{at}",
                draw_way=lambda: places.link("review", "Largest errors first", result="all", **view),
            )
            _tell_rule(evaluation)
    if tabs["Subgroups"].open:
        with tabs["Subgroups"]:
            error_groups_view.draw_number_groups(project, model, snapshot, evaluation, at, view)
    if tabs["Cases to check"].open:
        with tabs["Cases to check"]:
            doubtful_errors_view.draw_doubtful_numbers(project, model, snapshot, evaluation, at, view)
    if tabs[comparison_view.COMPARE].open:
        with tabs[comparison_view.COMPARE]:
            comparison_view.draw_comparison(project, model, view)


def draw_structure_tabs(
    project: Project, model: Model, snapshot: Snapshot, evaluation: Evaluation, *, view: dict[str, places.Query]
) -> None:
    """Only the tab that is open is drawn."""
    tabs = comparison_view.draw_tabs(OF_STRUCTURES)
    if tabs["Structures"].open:
        with tabs["Structures"]:
            painted_view.draw_structure_table(evaluation.result)
            _tell_rule(evaluation)
            places.link("review", "Worst cases first", **view)
            st.caption(f"Measured {wording.moment(evaluation.created_at)} by {evaluation.created_by}.")
    if tabs["Subgroups"].open:
        with tabs["Subgroups"]:
            structure = choose_structure(evaluation)
            error_groups_view.draw_structure_groups(project, model, snapshot, evaluation, structure, view)
    if tabs["Cases to check"].open:
        with tabs["Cases to check"]:
            structure = choose_structure(evaluation)
            doubtful_errors_view.draw_doubtful_masks(project, model, snapshot, evaluation, structure, view)
    if tabs[comparison_view.COMPARE].open:
        with tabs[comparison_view.COMPARE]:
            comparison_view.draw_comparison(project, model, view)


def choose_structure(evaluation: Evaluation) -> str:
    """The structure that is looked at; nothing is asked where there is one."""
    names = list(evaluation.result["structures"])
    if len(names) == 1:
        return str(names[0])
    return str(
        st.segmented_control(
            "Structure", names, default=names[0], required=True, key="looked_at_structure",
            label_visibility="collapsed",
        )
    )  # fmt: skip


def _tell_rule(evaluation: Evaluation) -> None:
    if told := evaluation.result.get("abstention"):
        st.markdown(f"It keeps answers back. {abstention_view.describe_tested(told)}")
