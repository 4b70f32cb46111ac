"""All numbers of one classifier on one set of cases, each with its interval over patients."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from core.errors import InvalidInput
from core.measures.classified import (
    AVERAGED,
    MEANS,
    OVERALL,
    PER_CLASS,
    SHARES_RIGHT,
    THRESHOLD,
    Thresholds,
    WeighedCases,
    flat_values,
    predict_classes,
)
from core.measures.curves import precision_recall_curve, roc_curve
from core.measures.estimates import Estimate, estimate_of, estimates_json
from core.measures.intervals import LEVEL, RESAMPLES, Interval, basic_interval, number_patients, patient_bootstrap
from core.measures.metrics import Ranking, ratio
from core.measures.paired import OF_ONE_PATIENT, fewest_patients
from core.measures.shares import WILSON, WILSON_OF_CLUSTERS

__all__ = [
    "PER_CLASS",
    "THRESHOLD",
    "ClassificationMeasures",
    "Thresholds",
    "measure_classification",
    "predict_classes",
]

WHY_UNDEFINED = {
    "precision": "No case was predicted to be of this class.",
    "npv": "Every case was predicted to be of this class.",
    "recall": "No case is of this class.",
    "specificity": "Every case is of this class.",
    "ppv_even": "It needs cases of this class, cases of another, and one that was predicted to be of it.",
    "npv_even": "It needs cases of this class, cases of another, and one that was not predicted to be of it.",
    "f1": "No case is of this class.",
    "auc": "AUC needs cases of this class and cases of another.",
    "average_precision": "No case is of this class.",
    "accuracy": "There are no cases.",
    "accuracy_at_half": "There are no cases.",
    "balanced_accuracy": "There are no cases.",
    "f1_macro": "There are no cases.",
    "precision_macro": "No class has a precision.",
    "specificity_macro": "Every case is of one class.",
    "specificity_weighted": "Every case is of one class.",
    "specificity_micro": "Every case is of every class.",
    "recall_macro": "No case is of any class.",
    "f1_weighted": "There are no cases.",
    "precision_weighted": "No class has a precision.",
    "recall_weighted": "There are no cases.",
    "f1_micro": "No case is of any class.",
    "precision_micro": "No case was predicted to be of any class.",
    "recall_micro": "No case is of any class.",
    "kappa": "Chance alone agrees: all cases are, and are predicted to be, of one class.",
    "mcc": "All cases are of one class, or are predicted to be.",
    "brier": "There are no cases.",
    "log_loss": "There are no cases.",
    "ece": "There are no cases.",
    "calibration_slope": "A slope needs cases of this class and of another, whose scores differ and overlap.",
    "calibration_intercept": "An intercept needs cases of this class and cases of another.",
}
# What simulation says of the intervals (`python -m bench interval_coverage`): these do not hold what they promise.
FEW_PATIENTS, NEAR_ONE = 100, 0.98
TOO_NARROW = ("auc", "log_loss", "calibration_slope")
NARROW_OF_SEVERAL = ("balanced_accuracy", "f1_macro", "kappa", "mcc", "brier")  # images of a patient, near 1
RATHER_WIDE = (
    "Of so few patients such an interval is rather wide: it held the true share in 97.3 % of simulated samples, not in "
    "95 %."
)
NOTES = {"ece": "Ten bins; with few cases it is too high, which its interval makes up for."}


@dataclass(frozen=True)
class ClassificationMeasures:
    """What one set of cases says about one classifier."""

    classes: tuple[str, ...]
    n_cases: int
    n_patients: int
    metrics: dict[str, Estimate]
    per_class: dict[str, dict[str, Estimate]]
    confusion_matrix: list[Any]  # k rows of k counts; multi-label: per class [[tn, fp], [fn, tp]]
    confusion_matrix_by_row: list[Any]  # the same as shares of each row; None where a row is empty
    curves: dict[str, dict[str, Any]]
    level: float
    resamples: int
    seed: int

    def to_json(self) -> dict[str, object]:
        """JSON values only; the names are those of `evaluate --json`."""
        return asdict(self) | {
            "classes": list(self.classes),
            "metrics": estimates_json(self.metrics),
            "per_class": {name: estimates_json(row) for name, row in self.per_class.items()},
        }


def measure_classification(
    targets: np.ndarray,
    scores: np.ndarray,
    patients: Sequence[str],
    *,
    classes: Sequence[str],
    multi_label: bool = False,
    thresholds: Thresholds | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> ClassificationMeasures:
    """Metrics, intervals, matrix and curves of one classifier.

    Args:
        targets: 0/1 `(cases, classes)`; one 1 a row unless `multi_label`.
        scores: probabilities `(cases, classes)`.
        patients: one key per case.
        thresholds: of each class, as `predict_classes` takes them.

    Raises:
        InvalidInput: no cases, shapes that differ, or scores that are not finite.
    """
    _check(targets, scores, patients, classes, multi_label)
    cases = WeighedCases.of(targets.astype(int), scores, multi_label, thresholds)
    two_sided = len(classes) == 2 and not multi_label
    options = {"resamples": resamples, "level": level, "seed": seed}
    averaged, found, intervals, shares = _found(cases, patients, two_sided, options)
    matrix = cases.matrix(np.ones((1, len(targets))))[0]
    support = targets.sum(axis=0)
    numbers = number_patients(patients)
    n_patients = len(set(patients))
    several = n_patients < len(targets)
    lone = [fewest_patients(column == 1, numbers) == 1 for column in targets.T]
    return ClassificationMeasures(
        classes=tuple(classes),
        n_cases=len(targets),
        n_patients=n_patients,
        metrics=_cautioned(
            _overall(found, intervals, shares, averaged, classes),
            n_patients,
            several=several,
            lone=any(lone),
            among=MEANS,
        ),
        per_class={
            name: _cautioned(
                {metric: _estimate(metric, f"{metric}/{k}", found, intervals, shares) for metric in PER_CLASS},
                n_patients,
                several=several,
                lone=lone[k],
                among=PER_CLASS,
            )
            | {"support": Estimate(float(support[k]), None, None)}
            for k, name in enumerate(classes)
        },
        confusion_matrix=_counts_json(matrix),
        confusion_matrix_by_row=_shares_json(matrix),
        curves=_curves(cases.rankings, classes),
        level=level,
        resamples=resamples,
        seed=seed,
    )


def _found(
    cases: WeighedCases, patients: Sequence[str], two_sided: bool, options: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, Interval], dict[str, Estimate]]:
    """Everything that is known of the numbers: per class, flat, their intervals by bootstrap, and the shares."""
    once = np.ones((1, len(patients)))
    point = cases.values(once)
    averaged = {name: ~np.isnan(point[name][0]) for name in AVERAGED}
    lines = cases.lines(once)

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        return flat_values(cases.values(weights) | cases.lines(weights, start=lines), averaged, two_sided=two_sided)

    intervals = patient_bootstrap(measure, patients, **options)
    found = measure(once)
    for name in intervals:
        if name == "ece" or name.startswith("ece/"):
            intervals[name] = basic_interval(float(found[name][0]), intervals[name])
    shares = cases.shares(number_patients(patients), options["level"]) if len(set(patients)) > 1 else {}
    return averaged, found, intervals, shares


def _overall(
    found: Mapping[str, np.ndarray],
    intervals: Mapping[str, Interval],
    shares: Mapping[str, Estimate],
    averaged: Mapping[str, np.ndarray],
    classes: Sequence[str],
) -> dict[str, Estimate]:
    estimates = {}
    for name in OVERALL:
        if name not in found:
            continue
        kind = MEANS.get(name, "")
        kept = averaged[kind] if kind else np.ones(1, bool)
        left_out = ", ".join(str(c) for c, k in zip(classes, kept, strict=True) if not k) if kind else ""
        note = f"Mean over {kept.sum()} of {len(classes)} classes; undefined here for: {left_out}." if left_out else ""
        estimates[name] = _estimate(name, name, found, intervals, shares, note if kept.any() else "")
    return estimates


def _estimate(
    metric: str,
    key: str,
    found: Mapping[str, np.ndarray],
    intervals: Mapping[str, Interval],
    shares: Mapping[str, Estimate],
    note: str = "",
) -> Estimate:
    value = float(found[key][0])
    if key in shares and not np.isnan(value):
        share = shares[key]
        return replace(share, value=value, note=f"{note} {share.note}".strip())
    method = "basic bootstrap" if metric == "ece" else ""
    note = f"{note} {NOTES[metric]}".strip() if metric in NOTES else note
    made = estimate_of(value, intervals[key], undefined=WHY_UNDEFINED[metric], note=note)
    return replace(made, method=method) if method and made.low is not None else made


def _cautioned(
    estimates: Mapping[str, Estimate], n_patients: int, *, several: bool, lone: bool, among: Collection[str]
) -> dict[str, Estimate]:
    """The same numbers; those whose intervals did not hold what they promise in simulation say so.

    Args:
        several: images of a patient, of some at least.
        lone: a class, or all but it, has cases of one patient only; then the intervals `among` these by drawing
            patients are too narrow.
    """
    area = estimates["auc"].value
    told = dict(estimates)
    for name in among if lone else ():
        one = told.get(name)
        if one and one.low is not None and one.method not in (WILSON, WILSON_OF_CLUSTERS):
            told[name] = replace(one, note=f"{one.note} {OF_ONE_PATIENT}: the interval is too narrow.".strip())
    for name in SHARES_RIGHT:
        if n_patients < FEW_PATIENTS and name in told and told[name].method == WILSON:
            told[name] = replace(told[name], note=f"{told[name].note} {RATHER_WIDE}".strip())
    near_one = area is not None and area >= NEAR_ONE
    for name in TOO_NARROW + NARROW_OF_SEVERAL:
        one, said = told.get(name), ""
        if near_one and several:
            held = "74 to 86 %" if name in TOO_NARROW else "89 to 90 %"
            said = (
                f"At an AUC near 1 and with several images of a patient such an interval held the true value in {held} "
                f"of simulated samples, not in 95 %."
            )
        elif near_one and name in TOO_NARROW:
            said = (
                "At an AUC near 1 such an interval held the true value in 85 to 91 % of simulated samples, not in 95 %."
            )
        elif name == "calibration_slope" and n_patients < FEW_PATIENTS:
            said = "Of so few patients such an interval held the true slope in 89 % of simulated samples, not in 95 %."
        if one and one.low is not None and said:
            told[name] = replace(one, note=f"{one.note} {said}".strip())
    return told


def _counts_json(matrix: np.ndarray) -> list[Any]:
    return list(matrix.round().astype(int).tolist())


def _shares_json(matrix: np.ndarray) -> list[Any]:
    shares = ratio(matrix, matrix.sum(axis=-1, keepdims=True)).astype(object)
    shares[shares != shares] = None  # only NaN differs from itself
    return list(shares.tolist())


def _curves(rankings: Sequence[Ranking], classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`{"roc": {class: points or None}, "precision_recall": {class: points or None}}`."""
    roc = {name: roc_curve(ranking) for name, ranking in zip(classes, rankings, strict=True)}
    found = {name: precision_recall_curve(ranking) for name, ranking in zip(classes, rankings, strict=True)}
    return {
        "roc": {name: curve.to_json() if curve else None for name, curve in roc.items()},
        "precision_recall": {name: curve.to_json() if curve else None for name, curve in found.items()},
    }


def _check(
    targets: np.ndarray, scores: np.ndarray, patients: Sequence[str], classes: Sequence[str], multi_label: bool
) -> None:
    if not len(targets):
        raise InvalidInput("Evaluation needs at least one case with a reference label. Received: none")
    if targets.shape != scores.shape or targets.shape != (len(patients), len(classes)):
        raise InvalidInput(
            f"Targets and scores must both be (cases, classes) = ({len(patients)}, {len(classes)}). "
            f"Received: {targets.shape} and {scores.shape}"
        )
    if not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores).all(axis=1)).sum())
        raise InvalidInput(f"Scores must be finite; train again with a lower learning rate. Received: {bad} with NaN")
    if not multi_label and (targets.sum(axis=1) != 1).any():
        raise InvalidInput(
            "Each case of a single-label project must be of exactly one class. Received: none or several"
        )
