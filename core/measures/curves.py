"""The points of ROC and precision-recall curves, few enough to store and to draw."""

from dataclasses import asdict, dataclass

import numpy as np

from core.measures.metrics import Ranking, ratio, weigh_ranking

MOST_POINTS = 400


@dataclass(frozen=True)
class RocCurve:
    """From (0, 0) to (1, 1); the first threshold is None, for nothing is called positive there."""

    false_positive_rate: list[float]
    true_positive_rate: list[float]
    thresholds: list[float | None]

    def to_json(self) -> dict[str, list[float | None]]:
        return asdict(self)


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """By rising recall; it begins at recall 0, where precision is taken as 1 by convention."""

    recall: list[float]
    precision: list[float]
    thresholds: list[float | None]

    def to_json(self) -> dict[str, list[float | None]]:
        return asdict(self)


def roc_curve(ranking: Ranking) -> RocCurve | None:
    """The ROC curve without the points inside straight lines; None where only one of the two classes occurs."""
    found, alarms = _counts(ranking)
    if found[-1] == 0 or alarms[-1] == 0:
        return None
    kept = thinned(_corners(alarms, found))
    return RocCurve(
        (alarms[kept] / alarms[-1]).tolist(), (found[kept] / found[-1]).tolist(), _thresholds(ranking, kept)
    )


def precision_recall_curve(ranking: Ranking) -> PrecisionRecallCurve | None:
    """Precision over recall; None where the class has no case."""
    found, alarms = _counts(ranking)
    if found[-1] == 0:
        return None
    precision = ratio(found, found + alarms)
    precision[0] = 1.0
    # Past full recall precision can only fall: those points say nothing more.
    end = int(np.argmax(found == found[-1])) + 1
    kept = thinned(np.arange(end))
    return PrecisionRecallCurve(
        (found[kept] / found[-1]).tolist(), precision[kept].tolist(), _thresholds(ranking, kept)
    )


def _counts(ranking: Ranking) -> tuple[np.ndarray, np.ndarray]:
    """Positives and negatives at or above each distinct score, with a zero before the first."""
    positives, negatives = weigh_ranking(ranking, np.ones((1, len(ranking.order))))
    return np.r_[0.0, np.cumsum(positives[0])], np.r_[0.0, np.cumsum(negatives[0])]


def _corners(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Indices of the ends and of the points where the line bends."""
    if len(x) < 3:
        return np.arange(len(x))
    step_x, step_y = np.diff(x), np.diff(y)
    bends = step_x[:-1] * step_y[1:] != step_x[1:] * step_y[:-1]
    return np.flatnonzero(np.r_[True, bends, True])


def thinned(indices: np.ndarray) -> np.ndarray:
    """As many of them as a curve has points, evenly spread, with both ends."""
    if len(indices) <= MOST_POINTS:
        return indices
    return np.take(indices, np.unique(np.linspace(0, len(indices) - 1, MOST_POINTS).round().astype(int)))


def _thresholds(ranking: Ranking, kept: np.ndarray) -> list[float | None]:
    return [None if k == 0 else float(ranking.scores[k - 1]) for k in kept]
