"""The threshold of a classifier: moved on validation, frozen as a model of its own, and on test shown as it is."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from core.datasets.records import Snapshot
from core.errors import CoreError
from core.evaluation.operating import Scored, classes_with_threshold, freeze_point, frozen_thresholds
from core.measures.calibration import tell_rule
from core.measures.thresholds import DECISIONS, AtThreshold, DecisionCurve, at_threshold, decision_curve, sweep
from core.projects.records import Project
from core.projects.schema import Classification
from core.training.records import Model, get_run
from dashboard import charts, messages, numbers_view, places, session, theme, threshold_charts
from dashboard.remembered import scored

ROWS = {
    "sensitivity": ("Sensitivity", 0.0, 1.0),
    "specificity": ("Specificity", 0.0, 1.0),
    "ppv": ("PPV", 0.0, 1.0),
    "npv": ("NPV", 0.0, 1.0),
}
HIGHEST_DECIDES = (
    "Of three or more exclusive classes the one with the highest probability is decided for. Each can be looked at "
    "against all others, by its own probability: what a threshold on it would find and clear. Nothing of it is frozen."
)
CUTS = np.linspace(0, 1, 501)
KeptBy = tuple[str, int, int, str, int]  # home, model, snapshot, split and its cases: what curves are kept by


def draw_threshold(
    project: Project, schema: Classification, model: Model, snapshot: Snapshot, view: Mapping[str, places.Query]
) -> None:
    """A slider on validation of the model's own snapshot; everywhere else the frozen point alone.

    Of three or more exclusive classes each is set against the rest, to be looked at on validation; nothing is frozen,
    since the highest probability decides.
    """
    decides, split = classes_with_threshold(schema), str(view["split"])
    # validation of another snapshot may hold cases that are this one's test
    may_move = split == "validation" and snapshot.id == get_run(session.db(), model.run).snapshot
    if not decides:
        st.caption(HIGHEST_DECIDES)
        if not may_move:
            _link_to_validation(project, model, "Look at one class against the rest on validation")
            return
    offered = decides or schema.names
    of_class = offered[0]
    if len(offered) > 1:
        of_class = st.pills("Class", offered, default=offered[0], required=True, key="threshold_class")
    try:
        seen = scored(str(session.settings().home), model.id, snapshot.id, split, snapshot.erased_cases)
    except CoreError as refusal:
        st.info(str(refusal), icon=":material/info:")
        return
    frozen, k = frozen_thresholds(model, schema).get(of_class), seen.classes.index(of_class)
    kept_by: KeptBy = (str(session.settings().home), model.id, snapshot.id, split, len(seen.case_ids))
    point, decisions = st.columns([10, 5 if may_move else 1], gap="medium")
    with point:
        _draw_point(project, model, seen, kept_by, of_class, frozen, split, may_move)
    if may_move:  # beside the fragment, so that a move of the slider does not draw it anew
        curve = _curve(kept_by, of_class, None, seen)
        decisions.plotly_chart(
            threshold_charts.draw_decision_curve(curve, frozen), config=charts.NO_TOOLBAR,
            key=f"decision_{model.id}_{split}_{of_class}", alt="Decision curve",
        )  # fmt: skip
    elif frozen is not None:
        point.markdown(_net_benefit(seen, kept_by, of_class, frozen))
    positives = int(seen.targets[:, k].sum())
    st.caption(
        f"n = {len(seen.case_ids):,} cases of {len(set(seen.patients)):,} patients, {positives:,} of them {of_class}. "
        "Intervals: Wilson's, by as many cases as the patients' images are worth; of net benefit: "
        "bootstrap over patients, seed 0, at the prevalence of these cases."
        + (" Dotted: the frozen threshold." if may_move and frozen is not None else "")
    )


@st.fragment
def _draw_point(
    project: Project,
    model: Model,
    seen: Scored,
    kept_by: KeptBy,
    of_class: str,
    frozen: float | None,
    split: str,
    may_move: bool,
) -> None:
    k = seen.classes.index(of_class)
    positive, scores = seen.targets[:, k] == 1, seen.scores[:, k]
    left, middle = st.columns([6, 5] if may_move else 2, gap="medium")  # three beside one another: whiskers whole
    key = f"{model.id}_{split}_{of_class}"
    with left:
        chosen = 0.5 if frozen is None else frozen
        if may_move:
            chosen = st.slider(
                f"{of_class} from", 0.001, 0.999, min(0.999, max(0.001, round(chosen, 3))), 0.001, format="%.3f",
                key=f"threshold_{key}",
            )  # fmt: skip
        prevalence = st.number_input(
            f"Prevalence of {of_class}, %", 0.01, 99.99, _percent(positive), key=prevalence_key(model, split, of_class),
            help="How common it is where the model will be used. It is first as in these cases.",
        )  # fmt: skip
        point = at_threshold(positive, scores, seen.patient_numbers, chosen, prevalence / 100)
        numbers_view.draw_table({name: vars(getattr(point, name)) for name in ROWS}, ROWS)
    with left if may_move else middle:
        st.markdown(_patients(point))
        if frozen is not None:
            _draw_frozen(project, model, of_class, chosen, frozen, split, may_move=may_move, key=key)
    if may_move:
        drawn = _swept(kept_by, of_class, frozen, theme.is_light(), seen)
        middle.plotly_chart(
            threshold_charts.mark_chosen(drawn, chosen), config=charts.NO_TOOLBAR,
            key=f"sweep_{key}", alt="Sensitivity and specificity over the threshold",
        )  # fmt: skip


def prevalence_key(model: Model, split: str, of_class: str) -> str:
    """Where the prevalence of a class is kept; a meeting follows it."""
    return f"threshold_prevalence_{model.id}_{split}_{of_class}"


def _patients(point: AtThreshold) -> str:
    """`Per 1,000 patients at prevalence 5 %: 4 missed (2 to 9), 120 false alarms (80 to 170).`"""
    told = [
        f"**{estimate.value:.0f} {word}** ({estimate.low:.0f} to {estimate.high:.0f})"
        if estimate.value is not None and estimate.low is not None and estimate.high is not None
        else f"{word} undefined: {estimate.reason}"
        for estimate, word in ((point.missed, "missed"), (point.false_alarms, "false alarms"))
    ]
    return f"Per 1,000 patients at prevalence {100 * point.prevalence:g} %: {', '.join(told)}."


def _draw_frozen(
    project: Project, model: Model, of_class: str, chosen: float, frozen: float, split: str, *, may_move: bool, key: str
) -> None:
    said = (model.calibration.get("thresholds") or {}).get(of_class)
    rule = tell_rule(said) if said else "nothing was chosen, so one half"
    if not may_move:
        st.caption(
            f"Shown at the frozen point alone: {frozen:.3f}, {rule}. Only validation of its own snapshot may move it."
        )
        _link_to_validation(project, model, "Move it on validation")
        return
    st.caption(f"Frozen with this model, dotted: {frozen:.3f}, {rule}.")
    if session.may("train", project):
        st.button(
            f"Freeze {chosen:.3f} as a new model",
            icon=":material/lock:",
            key=f"freeze_{key}",
            disabled=abs(chosen - frozen) < 5e-4,
            on_click=_freeze,
            args=(project, model, of_class, chosen),
            help="The weights stay; its decisions, its numbers and its uses of the test split are its own.",
        )


def _link_to_validation(project: Project, model: Model, words: str) -> None:
    own = get_run(session.db(), model.run).snapshot
    places.link("evaluate", words, project=project.id, model=model.id, snapshot=own, split="validation")


def _freeze(project: Project, model: Model, of_class: str, value: float) -> None:
    with messages.refusals_told():
        made = freeze_point(session.db(), model, of_class, value, actor=session.actor())
        where = places.address("evaluate", project=project.id, model=made.id, split="test")
        messages.say(f"{made.name} decides for {of_class} from {value:.3f} on. [Evaluate it on test]({where}).")


def _percent(positive: np.ndarray) -> float:
    return round(min(99.99, max(0.01, 100 * float(positive.mean()))), 2)


def _net_benefit(seen: Scored, kept_by: KeptBy, of_class: str, frozen: float) -> str:
    """`Net benefit at 0.620: 0.61 (0.57 to 0.65); calling everybody 0.30, nobody 0.`"""
    one = _curve(kept_by, of_class, frozen, seen)
    ends = "no interval" if one.low[0] is None else f"{one.low[0]:.3f} to {one.high[0]:.3f}"
    told = f"**{one.net_benefit[0]:.3f}** ({ends}); calling everybody {one.treat_all[0]:.3f}, nobody 0"
    return f"Net benefit at {frozen:.3f}: {told}.".replace("-", "−")


@st.cache_data(max_entries=32, ttl=600, show_spinner=False)
def _swept(kept_by: KeptBy, of_class: str, frozen: float | None, light: bool, _seen: Scored) -> dict[str, Any]:
    k = _seen.classes.index(of_class)
    return threshold_charts.draw_sweep(CUTS, *sweep(_seen.targets[:, k] == 1, _seen.scores[:, k], CUTS), frozen)


@st.cache_data(max_entries=32, ttl=600, show_spinner=False)
def _curve(kept_by: KeptBy, of_class: str, at: float | None, _seen: Scored) -> DecisionCurve:
    k = _seen.classes.index(of_class)
    decisions = DECISIONS if at is None else np.array([at])
    return decision_curve(_seen.targets[:, k] == 1, _seen.scores[:, k], _seen.patients, decisions=decisions)
