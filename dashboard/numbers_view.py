"""Every number of a classifier in one compact table: value, interval as whiskers, and what it stands on."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from html import escape
from typing import Any

import streamlit as st

from core.measures.classified import SAME_AS_ACCURACY
from core.measures.metrics import estimate_at_prevalence
from core.measures.shares import WILSON, WILSON_OF_CLUSTERS
from dashboard import wording

Estimate = Mapping[str, Any]
SENTENCES = re.compile(r"(?<=\.) (?=[A-Z])")  # where one ends and the next begins
OF_MASKS = ("hd95_mm", "hd95_px", "volume_bias_ml", "volume_error_percent")  # in a unit, where the others are shares
IN_UNIT = ("mae", "rmse", "bias", "limit_low", "limit_high", "fid_like", *OF_MASKS)
# How an interval came about, in the little room of a table.
METHODS = {WILSON: "Wilson", WILSON_OF_CLUSTERS: "Wilson, d. e.", "basic bootstrap": "mirrored"}
SAME_BY_NAME = (*SAME_AS_ACCURACY, "recall_macro")  # of exclusive classes; the last as the balanced accuracy
SAME = (
    "Of exclusive classes precision, recall and F1, micro, and recall, weighted, are the accuracy; recall, macro, is "
    "the balanced accuracy."
)
# Title, and the ends of the scale that its whiskers are drawn on.
OVERALL: dict[str, dict[str, tuple[str, float, float]]] = {
    "Decisions": {
        "accuracy": ("Accuracy", 0, 1),
        "balanced_accuracy": ("Balanced accuracy", 0, 1),
        "precision_macro": ("Precision, macro", 0, 1),
        "precision_weighted": ("Precision, weighted", 0, 1),
        "precision_micro": ("Precision, micro", 0, 1),
        "recall_macro": ("Recall, macro", 0, 1),
        "recall_weighted": ("Recall, weighted", 0, 1),
        "recall_micro": ("Recall, micro", 0, 1),
        "specificity_macro": ("Specificity, macro", 0, 1),
        "specificity_weighted": ("Specificity, weighted", 0, 1),
        "specificity_micro": ("Specificity, micro", 0, 1),
        "f1_macro": ("F1, macro", 0, 1),
        "f1_weighted": ("F1, weighted", 0, 1),
        "f1_micro": ("F1, micro", 0, 1),
        "kappa": ("Kappa (Cohen)", -1, 1),
        "mcc": ("Matthews correlation (MCC)", -1, 1),
    },
    "Ranking": {"auc": ("AUC", 0, 1), "average_precision": ("Average precision, macro", 0, 1)},
    "Probabilities": {
        "brier": ("Brier score (lower is better)", 0, 1),
        "log_loss": ("Log loss (lower is better)", 0, 2),
        "ece": ("Calibration error, ECE", 0, 1),
        "calibration_slope": ("Calibration slope (1 is right)", 0, 2),
        "calibration_intercept": ("Calibration intercept (0 is right)", -2, 2),
    },
}
OF_CLASS: dict[str, tuple[str, float, float]] = {
    "recall": ("Sensitivity (recall)", 0, 1),
    "specificity": ("Specificity", 0, 1),
    "precision": ("PPV (precision) here", 0, 1),
    "npv": ("NPV here", 0, 1),
    "ppv": ("PPV", 0, 1),
    "npv_at": ("NPV", 0, 1),
    "f1": ("F1", 0, 1),
    "mcc": ("MCC", -1, 1),
    "average_precision": ("Average precision", 0, 1),
    "brier": ("Brier score", 0, 1),
    "calibration_slope": ("Calibration slope", 0, 2),
    "calibration_intercept": ("Calibration intercept", -2, 2),
}


def draw_numbers(result: Mapping[str, Any], *, multi_label: bool) -> None:
    """All numbers of the whole on the left, those of one class with predictive values at a prevalence on the right."""
    left, right = st.columns(2, gap="large")
    with left:
        shown = {
            group: {
                name: words
                for name, words in names.items()
                if name in result["metrics"] and (multi_label or name not in SAME_BY_NAME)
            }
            for group, names in OVERALL.items()
        }
        rows = "".join(
            f'<tr><th colspan="4">{group}</th></tr>'
            + "".join(_row(words, result["metrics"][name]) for name, words in names.items())
            for group, names in shown.items()
        )
        _table(rows)
        draw_notes(
            (words[0], result["metrics"][name].get("note", ""))
            for names in shown.values()
            for name, words in names.items()
        )
    with right:
        _draw_class(result)
    st.caption(
        "Beside each interval how it came about. Wilson: of plain shares; d. e.: with the design effect of several "
        "images a patient. Bootstrap: percentiles over patients; mirrored: about the value. Macro: mean over classes; "
        "weighted: by the cases of each; micro: all answers together." + ("" if multi_label else f" {SAME}")
    )


def _draw_class(result: Mapping[str, Any]) -> None:
    classes = list(result["classes"])
    first, second = st.columns([3, 2], vertical_alignment="bottom")
    name = first.segmented_control("Class", classes, default=classes[-1], required=True, key="numbers_class")
    measures = result["per_class"][name]
    if "ppv_even" not in measures:
        st.caption("Measured by an earlier version; evaluate again for the numbers that are new.")
        return
    n, support = result["n_cases"], int(measures["support"]["value"])
    prevalence = second.number_input(
        "Prevalence, %", 0.01, 99.99, round(min(99.99, max(0.01, 100 * support / n)), 2), key=f"prevalence_{name}",
        help="How common the class is where the model will be used; predictive values depend on it.",
    )  # fmt: skip
    shown = {
        **measures,
        "ppv": estimate_at_prevalence(measures["ppv_even"], prevalence / 100),
        "npv_at": estimate_at_prevalence(measures["npv_even"], 1 - prevalence / 100),
    }
    at = f" at {prevalence:g} %"
    _table(
        f'<tr><th colspan="4">{escape(name)}: n = {support:,} of {n:,} cases ({100 * support / n:.1f} %)</th></tr>'
        + "".join(
            _row((title + at if key in ("ppv", "npv_at") else title, low, high), shown[key])
            for key, (title, low, high) in OF_CLASS.items()
        )
    )
    draw_notes((title, shown[key].get("note", "")) for key, (title, _, _) in OF_CLASS.items())


def draw_table(measures: Mapping[str, Estimate], words: Mapping[str, tuple[str, float, float]]) -> None:
    """Numbers by name with their whiskers, in the order of `words`: title, and the ends of the scale."""
    shown = {name: told for name, told in words.items() if name in measures}
    _table("".join(_row(told, measures[name]) for name, told in shown.items()))
    draw_notes((told[0], measures[name].get("note", "")) for name, told in shown.items())


def draw_notes(notes: Iterable[tuple[str, str]], said: Collection[str] = ()) -> None:
    """What is to be minded of some numbers, by their names; what is said of several is said once, or a page of it
    stands in the way.

    Args:
        said: sentences that stand on the page already.
    """
    names: dict[str, list[str]] = {}
    for name, note in notes:
        for sentence in SENTENCES.split(note):
            if sentence and sentence not in said:
                names.setdefault(sentence, []).append(name)
    if names:
        told = " ".join(f"<b>{escape(', '.join(of))}:</b> {escape(sentence)}" for sentence, of in names.items())
        st.html(f'<p class="rr-quiet rr-notes">{told}</p>')


def sentences_of(notes: Iterable[str]) -> set[str]:
    """Each sentence of some notes, once."""
    return {sentence for note in notes for sentence in SENTENCES.split(note) if sentence}


def _table(rows: str) -> None:
    st.html(f'<div class="rr-scroll"><table class="rr-numbers rr-whole rr-ways">{rows}</table></div>')


def _row(words: tuple[str, float, float], measure: Estimate) -> str:
    title, low, high = words
    if measure["value"] is None:
        why = f"<small>undefined: {escape(measure['reason'])}</small>"
        return f'<tr><td>{escape(title)}</td><td colspan="3">{why}</td></tr>'
    say = wording.difference if low == -high and title.endswith("difference") else wording.interval
    return (
        f'<tr title="{escape(measure.get("note", ""))}"><td>{escape(title)}</td><td>{say(measure)}</td>'
        f"<td>{whiskers(measure, low, high)}</td><td>{_method(measure)}</td></tr>"
    )


def _method(measure: Estimate) -> str:
    if measure.get("low") is None:
        return ""
    return f"<small>{escape(METHODS.get(measure.get('method', ''), 'bootstrap'))}</small>"


def cells(
    measure: Mapping[str, float | None],
    low: float,
    high: float,
    say: Callable[[Mapping[str, float | None]], str] = wording.interval,
) -> str:
    """Two cells of a table: a number with its interval and its whiskers, or the reason why there is none."""
    if measure["value"] is None:
        return f'<td colspan="2"><small>{escape(str(measure["reason"]))}</small></td>'
    return f"<td>{say(measure)}</td><td>{whiskers(measure, low, high)}</td>"


def scale_of(name: str, beside: Iterable[Mapping[str, float | None]]) -> tuple[float, float]:
    """The ends of the line that a metric's whiskers are drawn on: those of shares, or, in a unit, from zero (both ways
    where some are below it) as far as the measures that stand `beside` it reach."""
    numbers = [one for measure in beside for end in ("value", "low", "high") if (one := measure.get(end)) is not None]
    if name in ("kappa", "mcc"):
        return -1.0, 1.0
    if name == "r2":
        return min([0.0, *numbers]), 1.0
    if name not in IN_UNIT:
        return 0.0, 1.0
    reach = max([1e-9, *map(abs, numbers)])
    return (-reach, reach) if min(numbers, default=0.0) < 0 else (0.0, reach)


def whiskers(measure: Estimate, low: float, high: float, *, thin: bool = False) -> str:
    """A value with its interval on a line from `low` to `high`, as HTML; `thin` to stand below its numbers."""
    if measure["value"] is None:
        return ""
    of = "rr-whiskers rr-thin" if thin else "rr-whiskers"

    def at(value: float) -> float:
        return 100 * min(1.0, max(0.0, (value - low) / (high - low)))

    dot = f'<b style="left:{at(measure["value"]):.1f}%"></b>'
    if measure.get("low") is None:
        return f'<span class="{of}">{dot}</span>'
    start, end = at(measure["low"]), at(measure["high"])
    return f'<span class="{of}"><i style="left:{start:.1f}%;width:{end - start:.1f}%"></i>{dot}</span>'
