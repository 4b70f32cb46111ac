"""The evaluation of a measured number on screen: errors in its unit, agreement with the reference, the way to cases."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from core.evaluation.pairs import Pair
from core.measures.calibration import tell_reach
from core.measures.regression import within_tolerance
from core.projects.schema import Regression
from dashboard import charts, evaluation_view, quantity_charts, wording
from dashboard.quantity_choice import choose_quantity

WITHOUT_UNIT = {"r2": "R²", "coverage": "Within its interval"}
WORDS = {
    "mae": "Mean absolute error",
    "rmse": "Root mean squared error",
    "r2": WITHOUT_UNIT["r2"],
    "bias": "Bias",
    "limit_low": "Lower limit of agreement",
    "limit_high": "Upper limit of agreement",
    "coverage": WITHOUT_UNIT["coverage"],
}
CHOICE_PX = 96
OpenCase = Callable[[int], None]
Part = Mapping[str, Any]


def choose_part(result: Mapping[str, Any], schema: Regression, key: str) -> tuple[Mapping[str, Any], int]:
    """The part of an evaluation that is shown and the place of its quantity: of several the one that is chosen, with
    what all amount to together beside the choice."""
    if not schema.further:
        return result, 0
    choice, whole = st.columns([1, 1], vertical_alignment="center")
    with choice:
        one = choose_quantity(schema, f"{key}_quantity")
    whole.caption(_describe_whole(result))
    return {**result, **result["per_target"][one.target], "target": one.target}, schema.quantities.index(one)


def _describe_whole(result: Mapping[str, Any]) -> str:
    mae, r2 = result["metrics"]["mae"], result["metrics"]["r2"]
    return (
        f"All {len(result['per_target'])} together: mean absolute error {wording.interval(mae)} {result['unit']}, "
        f"R² {wording.interval(r2)}."
    )


def draw_headline(result: Mapping[str, Any]) -> None:
    """Errors in the unit as tiles, each with its interval; then what the model promises of its own interval."""
    unit = result["unit"]
    words = {name: word if name in WITHOUT_UNIT else f"{word}, {unit}" for name, word in WORDS.items()}
    evaluation_view.draw_headline(result, words=words, say=_say)


def describe_interval(result: Mapping[str, Any]) -> str:
    """What the interval around each number promises, and what it stands on."""
    interval = result["interval"]
    if interval is None:
        return "Its validation split was too small to say how far from its numbers the truth may lie."
    reach, share = tell_reach(interval, result["unit"]), wording.percent(interval["level"])
    return (
        f"In {share} of cases the reference is meant to be within {reach} (conformal, from {interval['n']:,} of "
        f"validation)."
    )


def draw_agreement(
    result: Mapping[str, Any],
    pairs: Sequence[Pair],
    *,
    open_case: OpenCase,
    key: str,
    draw_way: Callable[[], None] = lambda: None,
) -> None:
    """Predicted against reference, and differences over means; a click on a point calls `open_case(case)`.

    Args:
        draw_way: draws where else to go from here, beside the share within a tolerance.
    """
    interval, unit = result["interval"], result["unit"]
    figures = {
        "pairs": quantity_charts.draw_pairs(pairs, unit, interval),
        "differences": quantity_charts.draw_differences(pairs, unit, result["metrics"]),
    }
    if "per_target" in result:  # the choice of the quantity stands above them
        for figure in figures.values():
            figure.update_layout(height=quantity_charts.AGREEMENT_HEIGHT - CHOICE_PX)
    alts = {"pairs": "Predicted against reference", "differences": "Bland-Altman plot"}
    for column, (name, figure) in zip(st.columns(2, gap="medium"), figures.items(), strict=True):
        event = column.plotly_chart(
            figure,
            on_select="rerun",
            selection_mode="points",
            config=charts.NO_TOOLBAR,
            key=f"{key}_{name}",
            alt=alts[name],
        )
        case = quantity_charts.clicked_case(event)
        if case is not None:
            open_case(case)
    # Near enough in years says nothing of kilograms: each quantity keeps a tolerance of its own.
    with st.container(horizontal=True, vertical_alignment="center"):
        _draw_tolerance(pairs, unit, f"{key}_{result['target']}" if "per_target" in result else key)
        draw_way()
    st.caption(
        "Click a point to open its case. Limits of agreement: bias ± 1.96 standard deviations of the differences; "
        "shaded, their intervals and that of the bias."
    )


def _draw_tolerance(pairs: Sequence[Pair], unit: str, key: str) -> None:
    """How many of its numbers would do, where somebody says how far off is near enough."""
    with st.popover("Within a tolerance", icon=":material/straighten:"):
        errors = np.array([pair.predicted - pair.reference for pair in pairs])
        first = float(f"{np.abs(errors).mean():.2g}") if len(errors) else 1.0
        tolerance = st.number_input(
            f"Near enough, {unit}", min_value=0.0, value=first, key=f"{key}_tolerance",
            help="What difference would change nothing for the patient; it is first about the mean absolute error.",
        )  # fmt: skip
        found = within_tolerance(errors, tolerance, [pair.patient for pair in pairs])
        told = "–"
        if found.value is not None and found.low is not None and found.high is not None:
            low, high = wording.percent(found.low), wording.percent(found.high)
            told = f"**{wording.percent(found.value)}** ({low} to {high})"
        st.markdown(f"{told} of its numbers are within ± {tolerance:g} {unit} of the reference, n = {len(pairs):,}.")
        st.caption("Interval: Wilson's, by as many cases as the patients' images are worth.")


def _say(name: str, value: float | None) -> str:
    if name == "coverage" and value is not None:
        return wording.percent(value)
    return wording.number(value) if name == "r2" else wording.measured(value)
