"""Parts of a split on screen where answers are numbers or painted structures: as `subgroup_view` for classes."""

from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st

from core.datasets.records import Snapshot
from core.evaluation.appearance import NAME, read_appearance
from core.evaluation.error_groups import (
    Erred,
    find_worst_errors,
    largest_errors_in,
    measure_error_groups,
    read_number_errors,
    read_structure_errors,
)
from core.evaluation.records import Evaluation
from core.evaluation.subgroups import cases_in, most_typical_in
from core.measures.group_errors import ERRORS_OF_NUMBERS, ErrorMetric
from core.measures.groups import Group
from core.projects.records import Project
from core.projects.schema import Regression
from core.training.records import Model
from dashboard import group_table, places, remembered, session, wording
from dashboard.case_strip import draw_cases

WORDS: dict[ErrorMetric, str] = {"mae": "Mean absolute error", "within": "Within a tolerance", "dice": "Dice"}
HOW = {
    "mae": "Means: Student's t on the logarithm",
    "within": "Shares: Wilson",
    "dice": "Means: Student's t on the logarithm of what Dice lacks of one",
}


def draw_number_groups(
    project: Project,
    model: Model,
    snapshot: Snapshot,
    evaluation: Evaluation,
    at: int,
    view: Mapping[str, places.Query],
) -> None:
    """One quantity: attributes and a metric are chosen; below, the worst slices with their largest errors."""
    assert isinstance(snapshot.schema, Regression)
    erred = read_number_errors(session.db(), model, snapshot, evaluation, at)
    unit = snapshot.schema.quantities[at].unit
    _draw(project, model, snapshot, erred, view, ERRORS_OF_NUMBERS, unit, name=snapshot.schema.quantities[at].target)


def draw_structure_groups(
    project: Project,
    model: Model,
    snapshot: Snapshot,
    evaluation: Evaluation,
    structure: str,
    view: Mapping[str, places.Query],
) -> None:
    """One structure, by Dice, on the cases whose reference has it."""
    erred = read_structure_errors(session.db(), snapshot, evaluation, structure)
    _draw(project, model, snapshot, erred, {**view, "structure": structure}, ("dice",), "", name=structure)


def _draw(
    project: Project,
    model: Model,
    snapshot: Snapshot,
    erred: Erred,
    view: Mapping[str, places.Query],
    metrics: tuple[ErrorMetric, ...],
    unit: str,
    *,
    name: str,
) -> None:
    if not erred.case_ids:
        st.caption(f"The reference of no case has {name}: there is nothing to compare.")
        return
    known = remembered.attributes(str(session.settings().home), snapshot.id, str(view["split"]), tuple(erred.case_ids))
    looks, distance = read_appearance(session.files(), model, erred.evaluated), None
    if looks:
        at = {case_id: place for place, case_id in enumerate(erred.evaluated)}
        rows = [at[case_id] for case_id in erred.case_ids]
        known, distance = known | {NAME: [looks.groups[row] for row in rows]}, looks.distance[rows]
    if not known:
        st.caption("Nothing is known of these cases beside their pixels that tells groups apart: import a label table "
                   "with more columns, such as sex, age or site.")  # fmt: skip
        return
    chosen, metric, erred = _choose(list(known), metrics, erred, unit, name)
    groups = measure_error_groups(erred, known, chosen, metric) if chosen else []
    worst, tried = find_worst_errors(erred, known, metric)
    scale = _scale(metric, [*groups, *worst])
    if chosen:
        title = f"{WORDS[metric]}, {unit}" if metric == "mae" else WORDS[metric]
        how = f"{HOW[metric]}, differences: MOVER (Zou and Donner)"
        group_table.draw_groups(groups, title, how=how, scale=scale, highest_first=metric == "mae")
    where = group_table.choose_worst(worst, tried, lambda group: _told(group, metric, scale))
    if where is not None:
        said = {
            case_id: f"Dice {wording.number(1 - error)}"
            if metric == "dice"
            else f"{wording.measured(error)} {unit} off"
            for case_id, error in zip(erred.case_ids, erred.errors.values.tolist(), strict=True)
        }
        which, shown = _choose_examples(erred, where, cases_in(known, where.where), distance)
        title = f"{which} of {name} where {where.name}, {view['split']}"
        draw_cases(project, shown, view=view, name=title, key="worst", said=said)
    st.caption(group_table.describe_appearance(looks, len(erred.evaluated)))


def _choose(
    names: Sequence[str], metrics: tuple[ErrorMetric, ...], erred: Erred, unit: str, name: str
) -> tuple[list[str], ErrorMetric, Erred]:
    """Attributes, the metric, and the errors with what is near enough where that is asked."""
    first, second, third = st.columns([4, 4, 2], vertical_alignment="bottom")
    chosen = first.multiselect("Attributes, one or a pair", names, names[:1], max_selections=2, key="groups_of")
    metric: ErrorMetric = metrics[0]
    if len(metrics) > 1:
        metric = second.segmented_control(
            "Metric", metrics, default=metrics[0], required=True, format_func=WORDS.__getitem__, key="groups_metric"
        )
    if metric == "within":
        usual = float(f"{erred.errors.values.mean():.2g}")
        near = third.number_input(f"Near enough, {unit}", min_value=0.0, value=usual, key=f"groups_tolerance_{name}")
        erred = erred.within(near)
    return chosen, metric, erred


def _choose_examples(
    erred: Erred, where: Group, inside: np.ndarray, distance: np.ndarray | None
) -> tuple[str, list[int]]:
    """The cases of a slice with the largest errors, or of one by appearance the most typical."""
    which = "Largest errors"
    if distance is not None and NAME in dict(where.where):
        which = st.segmented_control(
            "Cases", ("Largest errors", "Most typical"), default=which, required=True, key="worst_cases",
            label_visibility="collapsed",
        )  # fmt: skip
    if distance is not None and which == "Most typical":
        positions = most_typical_in(inside, distance)
    else:
        positions = largest_errors_in(erred, inside)
    return which, [erred.case_ids[position] for position in positions]


def _scale(metric: ErrorMetric, groups: list[Group]) -> group_table.Scale:
    """Shares have a scale of their own; errors in a unit go as far as the largest there is."""
    if metric != "mae":
        return group_table.SHARES
    tops = [group.estimate.high or group.estimate.value or 0.0 for group in groups if not group.small]
    top = max([1e-9, *(tops or [group.estimate.value or 0.0 for group in groups])])
    return group_table.Scale(top, top, _say, _say_difference)


def _say(measure: Mapping[str, float | None]) -> str:
    low, high = measure["low"], measure["high"]
    ends = "no interval" if low is None else f"{wording.measured(low)} to {wording.measured(high)}"
    return f"{wording.measured(measure['value'])} ({ends})"


def _say_difference(measure: Mapping[str, float | None]) -> str:
    value, low, high = (_signed(measure[name]) for name in ("value", "low", "high"))
    return f"{value} (no interval)" if measure["low"] is None else f"{value} ({low} to {high})"


def _signed(value: float | None) -> str:
    return f"{'+' if (value or 0) > 0 else ''}{wording.measured(value)}"


def _told(group: Group, metric: ErrorMetric, scale: group_table.Scale) -> str:
    """`mean absolute error 3.10 (2.40 to 4.00), +1.20 (+0.40 to +2.10) to the rest`"""
    word = WORDS[metric] if metric == "dice" else WORDS[metric].lower()
    return f"{word} {scale.say(vars(group.estimate))}, {scale.say_difference(vars(group.difference))} to the rest"
