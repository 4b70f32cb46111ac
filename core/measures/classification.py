"""All numbers of one classifier on one set of cases, each with its interval over patients."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.errors import InvalidInput
from core.measures.curves import precision_recall_curve, roc_curve
from core.measures.estimates import Estimate, estimate_of, estimates_json
from core.measures.intervals import LEVEL, RESAMPLES, Interval, patient_bootstrap
from core.measures.metrics import (
    Ranking,
    accuracy,
    average_precision,
    confusion_counts,
    f1,
    multi_label_counts,
    one_against_rest,
    precision,
    rank_scores,
    ratio,
    recall,
    roc_auc,
    specificity,
    weigh_ranking,
)

PER_CLASS = ("precision", "recall", "specificity", "f1", "auc", "average_precision")
WHY_UNDEFINED = {
    "precision": "No case was predicted to be of this class.",
    "recall": "No case is of this class.",
    "specificity": "Every case is of this class.",
    "f1": "No case is of this class.",
    "auc": "AUC needs cases of this class and cases of another.",
    "average_precision": "No case is of this class.",
    "accuracy": "There are no cases.",
    "balanced_accuracy": "There are no cases.",
    "f1_macro": "There are no cases.",
}
SHARES_RIGHT = ("accuracy", "accuracy_at_half")  # the second where thresholds were chosen
THRESHOLD = 0.5  # of each class of a multi-label project; single-label takes the highest probability


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


def predict_classes(scores: np.ndarray, *, multi_label: bool, thresholds: Sequence[float] | None = None) -> np.ndarray:
    """0/1 `(cases, classes)`: multi-label every class at or above its threshold; of two classes the second one from
    its threshold on; of more the one with the highest probability.

    Args:
        thresholds: one for each class, one half each where there are none.
    """
    if multi_label:
        above: np.ndarray = (scores >= (THRESHOLD if thresholds is None else np.asarray(thresholds))).astype(int)
        return above
    if thresholds is not None and scores.shape[1] == 2:
        chosen = (scores[:, 1] >= thresholds[1]).astype(int)
    else:
        chosen = scores.argmax(axis=1)
    one_hot: np.ndarray = np.eye(scores.shape[1], dtype=int)[chosen]
    return one_hot


def measure_classification(
    targets: np.ndarray,
    scores: np.ndarray,
    patients: Sequence[str],
    *,
    classes: Sequence[str],
    multi_label: bool = False,
    thresholds: Sequence[float] | None = None,
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
    cases = _Cases.of(targets.astype(int), scores, multi_label, thresholds)
    point = cases.values(np.ones((1, len(targets))))
    averaged = {name: ~np.isnan(point[name][0]) for name in (*PER_CLASS, "balanced")}

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        return _flat(cases.values(weights), averaged, two_sided=len(classes) == 2 and not multi_label)

    intervals = patient_bootstrap(measure, patients, resamples=resamples, level=level, seed=seed)
    found = measure(np.ones((1, len(targets))))
    support = targets.sum(axis=0)
    return ClassificationMeasures(
        classes=tuple(classes),
        n_cases=len(targets),
        n_patients=len(set(patients)),
        metrics=_overall(found, intervals, averaged, classes),
        per_class={
            name: {metric: _estimate(metric, f"{metric}/{k}", found, intervals) for metric in PER_CLASS}
            | {"support": Estimate(float(support[k]), None, None)}
            for k, name in enumerate(classes)
        },
        confusion_matrix=_counts_json(point["matrix"][0]),
        confusion_matrix_by_row=_shares_json(point["matrix"][0]),
        curves=_curves(cases.rankings, classes),
        level=level,
        resamples=resamples,
        seed=seed,
    )


@dataclass(frozen=True)
class _Cases:
    """The cases prepared once, so that each weighting of them is only arithmetic."""

    targets: np.ndarray
    predicted: np.ndarray
    rankings: tuple[Ranking, ...]
    multi_label: bool
    at_half: np.ndarray | None  # what would be predicted without thresholds

    @staticmethod
    def of(targets: np.ndarray, scores: np.ndarray, multi_label: bool, thresholds: Sequence[float] | None) -> "_Cases":
        return _Cases(
            targets,
            predict_classes(scores, multi_label=multi_label, thresholds=thresholds),
            tuple(rank_scores(targets[:, k] == 1, scores[:, k]) for k in range(targets.shape[1])),
            multi_label,
            predict_classes(scores, multi_label=multi_label) if thresholds is not None else None,
        )

    def values(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Everything per class `(resamples, classes)`, accuracy `(resamples,)`, and the matrices."""
        if self.multi_label:
            matrix = tables = multi_label_counts(self.targets, self.predicted, weights)
            right = self._share_right(self.predicted, weights)
        else:
            classes = self.targets.shape[1]
            matrix = confusion_counts(self.targets.argmax(1), self.predicted.argmax(1), classes, weights)
            tables, right = one_against_rest(matrix), accuracy(matrix)
        ranked = [weigh_ranking(ranking, weights) for ranking in self.rankings]
        sensitivity, of_the_rest = recall(tables), specificity(tables)
        found = {
            "matrix": matrix,
            "accuracy": right,
            "precision": precision(tables),
            "recall": sensitivity,
            "specificity": of_the_rest,
            "f1": f1(tables),
            "auc": np.stack([roc_auc(*pair) for pair in ranked], axis=1),
            "average_precision": np.stack([average_precision(*pair) for pair in ranked], axis=1),
            "balanced": (sensitivity + of_the_rest) / 2 if self.multi_label else sensitivity,
        }
        if self.at_half is not None:
            found["accuracy_at_half"] = self._share_right(self.at_half, weights)
        return found

    def _share_right(self, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return ratio(weights @ (self.targets == predicted).all(axis=1), weights.sum(axis=1))


def _flat(
    values: dict[str, np.ndarray], averaged: Mapping[str, np.ndarray], *, two_sided: bool
) -> dict[str, np.ndarray]:
    """One array `(resamples,)` per number; a mean is taken over the classes that have a value in all the cases,
    so a resample that has lost one of them is undefined instead of a mean over something else."""
    flat = {f"{name}/{k}": values[name][:, k] for name in PER_CLASS for k in range(values[name].shape[1])}
    return flat | {
        **{name: values[name] for name in SHARES_RIGHT if name in values},
        "balanced_accuracy": _mean(values["balanced"], averaged["balanced"]),
        "f1_macro": _mean(values["f1"], averaged["f1"]),
        "auc": _mean_auc(values["auc"], averaged["auc"], two_sided=two_sided),
        "average_precision": _mean(values["average_precision"], averaged["average_precision"]),
    }


def _mean_auc(values: np.ndarray, kept: np.ndarray, *, two_sided: bool) -> np.ndarray:
    # Two classes have one ROC curve, seen from both ends; that of the second class is the usual one.
    return values[:, 1] if two_sided else _mean(values, kept)


def _mean(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    return values[:, kept].mean(axis=1) if kept.any() else np.full(len(values), np.nan)


def _overall(
    found: Mapping[str, np.ndarray],
    intervals: Mapping[str, Interval],
    averaged: Mapping[str, np.ndarray],
    classes: Sequence[str],
) -> dict[str, Estimate]:
    over = {"balanced_accuracy": "balanced", "f1_macro": "f1", "auc": "auc", "average_precision": "average_precision"}
    estimates = {name: _estimate("accuracy", name, found, intervals) for name in SHARES_RIGHT if name in found}
    for name, kind in over.items():
        kept = averaged[kind]
        left_out = ", ".join(str(c) for c, k in zip(classes, kept, strict=True) if not k)
        note = f"Mean over {kept.sum()} of {len(classes)} classes; undefined here for: {left_out}." if left_out else ""
        estimates[name] = _estimate(name, name, found, intervals, note if kept.any() else "")
    return estimates


def _estimate(
    metric: str, key: str, found: Mapping[str, np.ndarray], intervals: Mapping[str, Interval], note: str = ""
) -> Estimate:
    return estimate_of(float(found[key][0]), intervals[key], undefined=WHY_UNDEFINED[metric], note=note)


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
