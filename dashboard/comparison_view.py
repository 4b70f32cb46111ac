"""Two models or more on the same cases, on screen: the plain sentence, differences, and the cases that changed."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.datasets.records import get_snapshot
from core.errors import CoreError
from core.evaluation.comparison import compare_models
from core.evaluation.paired_errors import PairedErrors, compare_errors
from core.evaluation.records import find_evaluation, list_evaluated
from core.projects.records import Project
from core.training.records import Model, get_model, list_models
from dashboard import compared_errors, messages, numbers_view, places, session, wording
from dashboard.case_strip import draw_cases
from dashboard.compared_labels import draw_labels
from dashboard.shown_results import note_test_results

REMEMBERED_SECONDS = 600
MOST_AT_ONCE = 5
TABS_KEY, COMPARE = "evaluate_tab", "Compare"
CHOSEN = "compare_with"  # in the address: the numbers of the models, "12,9"
TAKEN = "compare_with_taken"  # what of it this session has taken, or written there itself
WORDS = {
    "auc_difference": ("AUC, difference", -0.2, 0.2),
    "f1_macro_difference": ("F1, macro, difference", -0.2, 0.2),
    "balanced_accuracy_difference": ("Balanced accuracy, difference", -0.2, 0.2),
    "accuracy_difference": ("Accuracy, difference", -0.2, 0.2),
    "churn": ("Churn: cases decided differently", 0, 1),
}


def draw_comparison(project: Project, model: Model, view: Mapping[str, places.Query]) -> None:
    """The model of the page is held against another one, or several, chosen here."""
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
    _take_asked(others)
    chosen = st.multiselect(
        f"Compare {model.name} with", list(others), format_func=lambda one: others[one].name, key=CHOSEN,
        max_selections=MOST_AT_ONCE,
    )  # fmt: skip
    st.session_state[TAKEN] = ",".join(map(str, chosen))
    places.remember(**{CHOSEN: st.session_state[TAKEN]})
    if not chosen:
        st.caption("Choose a model or several.")
        return
    shown = chosen[0]
    if len(chosen) > 1:
        _draw_several(chosen, model, view)
        shown = st.segmented_control(
            "In detail against", chosen, default=shown, required=True, key="compare_detail",
            format_func=lambda one: others[one].name,
        )  # fmt: skip
    draw_difference(project, model, shown, view, comparisons=len(chosen))


def is_asked_anew() -> bool:
    """Whether the address names models to compare with that were not taken from it yet: it was opened, or gone back
    to."""
    asked = places.asked(CHOSEN)
    return asked is not None and asked != st.session_state.get(TAKEN)


def draw_tabs(names: Sequence[str]) -> dict[str, DeltaGenerator]:
    """The tabs of an evaluation, of which only the open one is drawn: some of them read every prediction of the split.

    An address that names models to compare with opens the tab that compares: when it is new, and when the page is come
    back to.
    """
    if is_asked_anew() or (places.asked(CHOSEN) and TABS_KEY not in st.session_state):
        st.session_state[TABS_KEY] = COMPARE
    return dict(zip(names, st.tabs(names, key=TABS_KEY, on_change="rerun"), strict=True))


def _take_asked(others: Mapping[int, Model]) -> None:
    """The models of the address, by their numbers, into the choice; without any the newest one."""
    if not is_asked_anew() and CHOSEN in st.session_state:
        return
    asked = dict.fromkeys((places.asked(CHOSEN) or "").split(","))
    named = {str(number): number for number in others}
    known = [named[one] for one in asked if one in named]
    if unknown := [one for one in asked if one and one not in named]:
        st.warning(f"No other model of this project's task is numbered {', '.join(unknown)}.")
    st.session_state[CHOSEN] = known[:MOST_AT_ONCE] or [next(iter(others))]


def _draw_several(chosen: Sequence[int], model: Model, view: Mapping[str, places.Query]) -> None:
    """One row for each of the other models: the differences, and the verdict of all of them together."""
    found: dict[int, dict[str, Any] | PairedErrors] = {}
    refused: dict[str, str] = {}
    for other in chosen:
        try:
            found[other] = _ask(other, model, view, len(chosen))
        except CoreError as refusal:
            refused[get_model(session.db(), None, other).name] = str(refusal)
    if model.task == "classification":
        _draw_table(model, [told for told in found.values() if isinstance(told, dict)], refused)
    else:
        paired = [told for told in found.values() if isinstance(told, PairedErrors)]
        compared_errors.draw_several(model.name, paired, refused)


def _draw_table(model: Model, found: Sequence[Mapping[str, Any]], refused: Mapping[str, str]) -> None:
    rows = []
    for told in found:
        turned, metrics = told["mcnemar"], told["metrics"]
        rows.append(
            f"<tr><td>{escape(told['first'])}</td><td>{told['n_cases']:,}</td><td>{told['synthetic'][0]:,}</td>"
            f"{numbers_view.cells(metrics['auc_difference'], -0.2, 0.2, wording.difference)}"
            f"<td>{wording.interval(metrics['churn'])}</td>"
            f"<td>{len(turned['fixed']):,} / {len(turned['broken']):,}, {wording.p_value(turned['p'])}</td>"
            f"<td>{compared_errors.verdict_cell(told['verdict'], told.get('verdict_reason', ''))}</td></tr>"
        )
    rows += [
        f'<tr><td>{escape(name)}</td><td colspan="7"><small>{escape(why)}</small></td></tr>'
        for name, why in refused.items()
    ]
    st.html(
        f'<div class="rr-scroll"><table class="rr-numbers rr-labels"><tr><th>{escape(model.name)} against</th>'
        "<th>n</th><th>synthetic in training</th>"
        '<th colspan="2">AUC, difference</th><th>churn</th><th>newly right / wrong</th><th>verdict</th></tr>'
        f"{''.join(rows)}</table></div>"
    )
    st.caption(
        f"{len(found) + len(refused)} comparisons: the verdicts stand on intervals so wide that all hold together "
        "(Bonferroni), with seed noise where it is known; each interval and each p (McNemar) shown is by itself."
    )


def draw_difference(
    project: Project, model: Model, other: int, view: Mapping[str, places.Query], *, comparisons: int = 1
) -> None:
    """What the model does better or worse than the other one, on the same cases."""
    try:
        told = _ask(other, model, view, comparisons)
    except CoreError as refusal:
        st.info(str(refusal), icon=":material/info:")
        _link_to_missing(other, model.id, view)
        return
    if isinstance(told, PairedErrors):
        compared_errors.draw_errors(project, told, view)
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


def _ask(other: int, model: Model, view: Mapping[str, places.Query], comparisons: int) -> dict[str, Any] | PairedErrors:
    snapshot, split = int(view["snapshot"] or 0), str(view["split"])
    known = tuple(list_evaluated(session.db(), snapshot, split))
    erased = get_snapshot(session.db(), model.project, snapshot).erased_cases
    home = str(session.settings().home)
    if split == "test" and (shown := find_evaluation(session.db(), other, snapshot)):
        note_test_results(shown)
    return _compared(home, other, model.id, snapshot, split, known, erased, comparisons)


def _link_to_missing(first: int, second: int, view: Mapping[str, places.Query]) -> None:
    """A way to the numbers of those of two models that were not evaluated on this split."""
    for one in (first, second):
        if find_evaluation(session.db(), one, int(view["snapshot"] or 0), str(view["split"])) is None:
            name = get_model(session.db(), None, one).name
            places.link("evaluate", f"Evaluate {name}", **{**view, "model": one})


def _draw_tests(told: Mapping[str, Any]) -> None:
    first, second = told["values"]
    right = "accuracy (every label right)" if "per_label" in told else "accuracy"
    of_fold = "" if told["fold"] is None else f", tested in fold {told['fold']}"
    lines = [
        f"{wording.count(told['n_cases'], 'case')} of {wording.count(told['n_patients'], 'patient')}{of_fold}; "
        f"AUC {wording.number(first['auc'])} → {wording.number(second['auc'])}, {right} "
        f"{wording.number(first['accuracy'])} → {wording.number(second['accuracy'])}."
    ]
    drawn = zip((told["first"], told["second"]), told["synthetic"], strict=True)
    lines.append(f"Synthetic images learnt from: {', '.join(f'{name} {count:,}' for name, count in drawn)}.")
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
def _compared(
    home: str, first: int, second: int, snapshot: int, split: str, known: tuple[int, ...], erased: int, comparisons: int
) -> dict[str, Any] | PairedErrors:
    """Kept by home, by erased cases, and by which models were measured here too: a further seed of a recipe tells more
    of its noise."""
    connection = session.db()
    one, other = get_model(connection, None, first), get_model(connection, None, second)
    frozen = get_snapshot(connection, other.project, snapshot)
    paired = compare_models if frozen.task == "classification" else compare_errors
    return paired(connection, one, other, frozen, split, comparisons=comparisons)
