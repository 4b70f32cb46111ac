"""Two models on the same cases, on screen: the plain sentence, paired differences, and the cases that changed."""

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from core.datasets.records import get_snapshot
from core.errors import CoreError
from core.evaluation.comparison import compare_models
from core.evaluation.records import find_evaluation
from core.projects.records import Project
from core.training.records import Model, get_model, list_models
from dashboard import messages, numbers_view, places, session, wording
from dashboard.case_strip import draw_cases
from dashboard.compared_labels import draw_labels

REMEMBERED_SECONDS = 600
WORDS = {
    "auc_difference": ("AUC, difference", -0.2, 0.2),
    "f1_macro_difference": ("F1, macro, difference", -0.2, 0.2),
    "balanced_accuracy_difference": ("Balanced accuracy, difference", -0.2, 0.2),
    "accuracy_difference": ("Accuracy, difference", -0.2, 0.2),
    "churn": ("Churn: cases decided differently", 0, 1),
}


def draw_comparison(project: Project, model: Model, view: Mapping[str, places.Query]) -> None:
    """The model of the page is held against another one, chosen here."""
    others = {
        one.id: one for one in list_models(session.db(), project.id) if one.id != model.id and one.task == model.task
    }
    if not others:
        messages.show_empty(
            "No second model to compare with",
            "Two models are compared on the same cases; train another one.",
            step="Train a model",
            to="train",
            project=project.id,
        )
        return
    chosen = st.selectbox(
        f"Compare {model.name} with", list(others), format_func=lambda number: others[number].name,
        key="compare_with", bind="query-params", index=0,
    )  # fmt: skip
    draw_difference(project, model, chosen, view)


def draw_difference(project: Project, model: Model, other: int, view: Mapping[str, places.Query]) -> None:
    """What the model does better or worse than the other one, on the same cases."""
    known = tuple(one.id for one in list_models(session.db(), project.id) if one.task == model.task)
    try:
        told = _compared(
            str(session.settings().home), other, model.id, int(view["snapshot"] or 0), str(view["split"]), known
        )
    except CoreError as refusal:
        st.info(str(refusal), icon=":material/info:")
        link_to_missing(other, model.id, view)
        return
    st.html(f"<p><b>{escape(told['sentence'])}</b></p>")
    left, right = st.columns([5, 4], gap="large")
    with left:
        numbers_view.draw_table(told["metrics"], WORDS)
    with right:
        _draw_tests(told)
    turned = draw_labels(told) if "per_label" in told else told["mcnemar"]
    fixed, broken = turned["fixed"], turned["broken"]
    between = f"{told['second']} against {told['first']}, {told['split']}"
    for column, cases, words in zip(st.columns(2, gap="large"), (fixed, broken), ("right", "wrong"), strict=True):
        with column:
            st.markdown(f"##### Newly {words}: {len(cases):,}")
            draw_cases(project, cases, view=view, name=f"Newly {words}, {between}", key=f"newly_{words}")


def link_to_missing(first: int, second: int, view: Mapping[str, places.Query]) -> None:
    """A way to the numbers of those of two models that were not evaluated on this split."""
    for one in (first, second):
        if find_evaluation(session.db(), one, int(view["snapshot"] or 0), str(view["split"])) is None:
            name = get_model(session.db(), None, one).name
            places.link("evaluate", f"Evaluate {name}", **{**view, "model": one})


def _draw_tests(told: Mapping[str, Any]) -> None:
    first, second = told["values"]
    right = "accuracy (every label right)" if "per_label" in told else "accuracy"
    lines = [
        f"{wording.count(told['n_cases'], 'case')} of {wording.count(told['n_patients'], 'patient')}; "
        f"AUC {wording.number(first['auc'])} → {wording.number(second['auc'])}, {right} "
        f"{wording.number(first['accuracy'])} → {wording.number(second['accuracy'])}."
    ]
    if delong := told["delong"]:
        lines.append(f"DeLong: {wording.p_value(delong['p'])}.")
    turned = told["mcnemar"]
    lines.append(
        f"McNemar: {len(turned['fixed'])} newly right, {len(turned['broken'])} newly wrong, "
        f"{wording.p_value(turned['p'])}"
        + ("." if told["n_cases"] == told["n_patients"] else "; it takes images of one patient for independent.")
    )
    st.markdown("\n".join(f"- {line}" for line in lines))


@st.cache_data(ttl=REMEMBERED_SECONDS, max_entries=32, show_spinner="Comparing on the same cases…")
def _compared(home: str, first: int, second: int, snapshot: int, split: str, known: tuple[int, ...]) -> dict[str, Any]:
    """Kept by which models there are too: a further seed of a recipe tells more of its noise."""
    connection = session.db()
    one, other = get_model(connection, None, first), get_model(connection, None, second)
    return compare_models(connection, one, other, get_snapshot(connection, other.project, snapshot), split)
