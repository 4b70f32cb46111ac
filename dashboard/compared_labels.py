"""Two models that answer several labels, on screen: each label's paired differences, and which one's changed cases."""

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from core.measures.groups import FEWEST_PATIENTS, FEWEST_POSITIVES
from dashboard import numbers_view, wording

ALL = "every label together"
MARKS = {"better": " ▲", "worse": " ▼"}


def draw_labels(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """One row a label; below it the label is chosen whose changed cases follow.

    Returns:
        The changed cases that are asked for: `mcnemar` of the chosen label, or of whole answers.
    """
    labels = told["per_label"]
    rows = "".join(_row(name, one) for name, one in labels.items())
    st.html(
        '<div class="rr-scroll"><table class="rr-numbers rr-labels"><tr><th>label</th><th>n</th>'
        '<th colspan="2">AUC, difference</th><th>F1, difference</th><th>balanced accuracy, difference</th>'
        f"<th>churn</th><th>newly right / wrong</th></tr>{rows}</table></div>"
    )
    st.caption(
        f"n: cases with the label, of {told['n_cases']:,} of {wording.count(told['n_patients'], 'patient')}. AUC: "
        "DeLong, the others: paired bootstrap over patients; each interval and each p (McNemar) by itself. ▲▼ better, "
        "worse: the AUC's interval leaves zero out where it is so wide that those of all labels hold together "
        "(Bonferroni), with the noise of another seed where that is known. Greyed: fewer than "
        f"{FEWEST_PATIENTS} patients, or {FEWEST_POSITIVES} cases with the label or without it."
    )
    chosen = st.pills("Changed cases of", [ALL, *labels], default=ALL, required=True, key="changed_label")
    found: Mapping[str, Any] = told["mcnemar"] if chosen == ALL else labels[chosen]["mcnemar"]
    return found


def _row(name: str, one: Mapping[str, Any]) -> str:
    metrics, turned = one["metrics"], one["mcnemar"]
    few = ' class="few"' if one["small"] else ""
    area, tested = metrics["auc_difference"], one["delong"]
    if tested:
        area = {**area, "low": tested["low"], "high": tested["high"]}
    told = (
        numbers_view.cells(area, -0.2, 0.2, wording.difference)
        + _cell(metrics["f1_difference"])
        + _cell(metrics["balanced_accuracy_difference"])
    )
    return (
        f"<tr{few}><td>{escape(name)}{MARKS.get(one['verdict'], '')}{_undefined(one)}</td><td>{one['n']:,}</td>{told}"
        f"<td>{wording.interval(metrics['churn'])}</td>"
        f"<td>{len(turned['fixed']):,} / {len(turned['broken']):,}, {wording.p_value(turned['p'])}</td></tr>"
    )


def _undefined(one: Mapping[str, Any]) -> str:
    reason = one.get("verdict_reason")
    return f"<br><small>undefined: {escape(reason)}</small>" if reason else ""


def _cell(measure: Mapping[str, Any]) -> str:
    if measure["value"] is None:
        return f"<td><small>{escape(measure['reason'])}</small></td>"
    return f"<td>{wording.difference(measure)}</td>"
