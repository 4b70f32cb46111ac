"""Whether a run overfits, on Train and on Models: training beside validation, and what to try next."""

from html import escape
from typing import Any

import streamlit as st

from core.tasks.generation import DRAWING_ERROR
from core.training.headline import ERRORS, WORDS
from core.training.records import Model
from dashboard import wording


def draw_gap(model: Model) -> None:
    """The two sides with n and interval, and the advice; nothing for models from before it was measured."""
    gap, advice = model.facts.get("gap"), model.facts.get("advice")
    if not gap or not advice:
        return
    rows = "".join(
        f"<tr><td>{name}</td><td>{wording.number(gap[name]['loss'], digits=3)}</td><td>{_value(gap, name)}</td>"
        f"<td>{wording.count(gap[name]['cases'], 'case')}, {wording.count(gap[name]['patients'], 'patient')}</td></tr>"
        for name in ("training", "validation")
    )
    metric = escape(WORDS.get(gap["metric"], gap["metric"]) + _unit_of(model))
    st.html(
        f'<table class="rr-numbers"><tr><th>without augmentation</th><th>loss</th><th>{metric} (95 %)</th>'
        f"<th>n</th></tr>{rows}</table>"
        f'<p class="rr-said"><b>{escape(advice["sentence"])}</b>{escape(_distance(gap))} '
        f"Try next: {escape('; '.join(advice['tries']))}.</p>"
    )


def describe_failure(model: Model) -> str:
    """That a model has learnt nothing, and what to do first; "" for any other."""
    advice = model.facts.get("advice") or {}
    if advice.get("verdict") != "learnt nothing":
        return ""
    return f"{advice['sentence']} Try {advice['tries'][0]}."


def _unit_of(model: Model) -> str:
    """`, years` after an error of numbers; of several at once it is in standard deviations of the training cases."""
    if model.facts.get("task") != "regression":
        return ""
    return f", {'standard deviations' if model.facts.get('further') else model.facts['unit']}"


def _value(gap: dict[str, Any], name: str) -> str:
    side = gap[name]
    if gap["metric"] not in ERRORS:
        return wording.interval(side)
    if side["value"] is None or side["low"] is None:
        return wording.measured(side["value"])
    return f"{wording.measured(side['value'])} ({wording.measured(side['low'])} to {wording.measured(side['high'])})"


def _distance(gap: dict[str, Any]) -> str:
    """The gap in words: of what separates a model that knows nothing from one that knows all; of drawing, of the
    training error."""
    if gap["gap"] is None or gap["gap_low"] is None:
        return ""
    if gap["metric"] == DRAWING_ERROR:
        return (
            f" The validation error lies {_percent(gap['gap'])} (95 % interval {_percent(gap['gap_low'])} to "
            f"{_percent(gap['gap_high'])}) above the training error."
        )
    return (
        f" The gap is {_percent(gap['gap'])} (95 % interval {_percent(gap['gap_low'])} to {_percent(gap['gap_high'])}) "
        f"of the way from chance to perfect."
    )


def _percent(share: float) -> str:
    return wording.percent(share).replace("-", "−")
