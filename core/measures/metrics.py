"""Metrics of a classifier, for one weighting of the cases or for thousands at once.

Every function takes its weights as an array `(resamples, cases)`. A weighting of ones gives the
plain metric, the draw counts of a bootstrap give one value per resample: one definition serves
both. NaN inside an array means "undefined here"; `core.measures.classification` turns it into
None with a reason before anybody sees it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


def confusion_counts(truth: np.ndarray, predicted: np.ndarray, classes: int, weights: np.ndarray) -> np.ndarray:
    """Weighted confusion matrices `(resamples, classes, classes)`; rows are the reference, columns the prediction.

    Args:
        truth, predicted: class indices `(cases,)`.
    """
    cells = np.zeros((len(truth), classes * classes))
    cells[np.arange(len(truth)), truth * classes + predicted] = 1
    return (weights @ cells).reshape(len(weights), classes, classes)


def multi_label_counts(truth: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Per class `[[true negative, false positive], [false negative, true positive]]`: `(resamples, classes, 2, 2)`.

    Args:
        truth, predicted: 0 or 1, `(cases, classes)`.
    """
    n, classes = truth.shape
    cells = np.zeros((n, classes, 4))
    np.put_along_axis(cells, (2 * truth + predicted).astype(int)[:, :, None], 1, axis=2)
    return (weights @ cells.reshape(n, classes * 4)).reshape(len(weights), classes, 2, 2)


def one_against_rest(matrices: np.ndarray) -> np.ndarray:
    """The `[[tn, fp], [fn, tp]]` of each class, `(..., k, 2, 2)`, from confusion matrices `(..., k, k)`."""
    hits = np.diagonal(matrices, axis1=-2, axis2=-1)
    in_truth, in_prediction = matrices.sum(axis=-1), matrices.sum(axis=-2)
    missed, false_alarms = in_truth - hits, in_prediction - hits
    rest = matrices.sum(axis=(-2, -1))[..., None] - hits - missed - false_alarms
    return np.stack([np.stack([rest, false_alarms], -1), np.stack([missed, hits], -1)], -2)


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part / whole`, NaN where the whole is zero."""
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    value = np.full(part.shape, np.nan)
    np.divide(part, whole, out=value, where=whole > 0)
    return value


def accuracy(matrices: np.ndarray) -> np.ndarray:
    """Share of the cases on the diagonal of `(..., k, k)`."""
    return ratio(np.trace(matrices, axis1=-2, axis2=-1), matrices.sum(axis=(-2, -1)))


def precision(tables: np.ndarray) -> np.ndarray:
    """True positives among the predicted, of tables `(..., 2, 2)`; undefined where nothing was predicted."""
    return ratio(tables[..., 1, 1], tables[..., :, 1].sum(-1))


def recall(tables: np.ndarray) -> np.ndarray:
    """True positives among the class (sensitivity); undefined where the class has no case."""
    return ratio(tables[..., 1, 1], tables[..., 1, :].sum(-1))


def specificity(tables: np.ndarray) -> np.ndarray:
    """True negatives among the rest; undefined where every case is of the class."""
    return ratio(tables[..., 0, 0], tables[..., 0, :].sum(-1))


def f1(tables: np.ndarray) -> np.ndarray:
    """2 TP / (2 TP + FP + FN); undefined where the class has no case (then it says nothing about finding it)."""
    hits = tables[..., 1, 1]
    value = ratio(2 * hits, 2 * hits + tables[..., 0, 1] + tables[..., 1, 0])
    return np.where(tables[..., 1, :].sum(-1) > 0, value, np.nan)


@dataclass(frozen=True)
class Ranking:
    """The cases of one score sorted from high to low; made once, weighted many times."""

    order: np.ndarray  # case indices, highest score first
    starts: np.ndarray  # where each group of equal scores begins in that order
    positive: np.ndarray  # bool, in that order
    scores: np.ndarray  # one per group, falling


def rank_scores(positive: np.ndarray, scores: np.ndarray) -> Ranking:
    """Sort the cases by `scores`; `positive` is true for cases of the class."""
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    starts = np.flatnonzero(np.r_[True, falling[1:] != falling[:-1]]) if len(falling) else np.zeros(0, int)
    return Ranking(order, starts, positive[order].astype(bool), falling[starts])


def weigh_ranking(ranking: Ranking, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight of the positives and of the negatives at each distinct score, each `(resamples, groups)`."""
    ordered = weights[:, ranking.order]
    positives = ordered * ranking.positive
    negatives = ordered - positives
    if len(ranking.starts) == len(ranking.order):
        return positives, negatives
    return np.add.reduceat(positives, ranking.starts, axis=1), np.add.reduceat(negatives, ranking.starts, axis=1)


def roc_auc(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Area under the ROC curve from weights by falling score: the share of positive-negative pairs in
    the right order, a tie counting half (Mann-Whitney). Undefined where one of the two has no weight.
    """
    negatives_below = negatives.sum(axis=1, keepdims=True) - np.cumsum(negatives, axis=1)
    pairs = np.einsum("rg,rg->r", positives, negatives_below + negatives / 2)
    return ratio(pairs, positives.sum(axis=1) * negatives.sum(axis=1))


def average_precision(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Mean precision over the positives, without interpolation. Undefined where there is no positive."""
    found = np.cumsum(positives, axis=1)
    drawn = found + np.cumsum(negatives, axis=1)
    # Before the first drawn case there is neither positive nor precision: that term is zero.
    precision_here = np.divide(found, drawn, out=np.zeros_like(found), where=drawn > 0)
    return ratio(np.einsum("rg,rg->r", positives, precision_here), positives.sum(axis=1))


def negative_predictive_value(tables: np.ndarray) -> np.ndarray:
    """True negatives among those not predicted, of tables `(..., 2, 2)`; undefined where all were predicted."""
    return ratio(tables[..., 0, 0], tables[..., :, 0].sum(-1))


def ppv_even(tables: np.ndarray) -> np.ndarray:
    """Positive predictive value if half of the cases were of the class; `at_prevalence` gives it at any other."""
    found, alarms = recall(tables), 1 - specificity(tables)
    return ratio(found, found + alarms)


def npv_even(tables: np.ndarray) -> np.ndarray:
    """Negative predictive value if half of the cases were of the class."""
    cleared, missed = specificity(tables), 1 - recall(tables)
    return ratio(cleared, cleared + missed)


def kappa(matrices: np.ndarray) -> np.ndarray:
    """Cohen's kappa of `(..., k, k)` (1960, doi:10.1177/001316446002000104); undefined where chance alone agrees."""
    total = matrices.sum(axis=(-2, -1))
    chance = ratio((matrices.sum(axis=-1) * matrices.sum(axis=-2)).sum(axis=-1), total**2)
    return ratio(accuracy(matrices) - chance, 1 - chance)


def matthews(matrices: np.ndarray) -> np.ndarray:
    """Matthews' correlation of `(..., k, k)` (Gorodkin 2004, doi:10.1016/j.compbiolchem.2004.09.006); undefined where
    all cases are of one class, or predicted to be."""
    total, hits = matrices.sum(axis=(-2, -1)), np.trace(matrices, axis1=-2, axis2=-1)
    truth, said = matrices.sum(axis=-1), matrices.sum(axis=-2)
    together = hits * total - (truth * said).sum(axis=-1)
    apart = (total**2 - (said**2).sum(axis=-1)) * (total**2 - (truth**2).sum(axis=-1))
    return ratio(together, np.sqrt(np.maximum(apart, 0)))


def at_prevalence(even: float, prevalence: float) -> float:
    """A predictive value at a share of diseased (of healthy, for the negative one), from that at one half.

    It rises with the value at one half, so that the ends of an interval become those of an interval.
    """
    wanted, rest = even * prevalence, (1 - even) * (1 - prevalence)
    return wanted / (wanted + rest) if wanted + rest else math.nan


def estimate_at_prevalence(even: Mapping[str, Any], prevalence: float) -> dict[str, Any]:
    """A predictive value with its interval at a prevalence, from those at one half."""
    ends = ("value", "low", "high")
    return {**even, **{end: None if even[end] is None else at_prevalence(even[end], prevalence) for end in ends}}


def predictive_values(result: Mapping[str, Any], prevalence: float) -> dict[str, Any]:
    """PPV and NPV of each class where this share of patients is of it, from the document of `evaluate --json`."""
    return {
        "prevalence": prevalence,
        "per_class": {
            name: {
                "ppv": estimate_at_prevalence(found["ppv_even"], prevalence),
                "npv": estimate_at_prevalence(found["npv_even"], 1 - prevalence),
            }
            for name, found in result["per_class"].items()
        },
    }
