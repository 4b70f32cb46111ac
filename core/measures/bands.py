"""Bands around ROC and precision-recall curves: pointwise intervals by bootstrap over patients."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.measures.curves import thinned
from core.measures.intervals import LEVEL, draw_in_chunks, number_patients
from core.measures.metrics import Ranking, rank_scores, ratio

RESAMPLES = 1000
GRID = np.linspace(0, 1, 101)  # of 1 - specificity, or of recall
DIGITS = 5  # that are kept of each end: more than a screen can show


def bands_of(
    targets: np.ndarray,
    scores: np.ndarray,
    patients: Sequence[str],
    *,
    classes: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """`curve_bands` of each class of a classifier, for the document of an evaluation. They take a good part of the time
    that all its numbers take, so that groups of cases, whose curves nobody draws, go without.

    Args:
        targets: 0/1 `(cases, classes)`.
        scores: probabilities `(cases, classes)`.
        patients: one key per case.
    """
    rankings = {name: rank_scores(targets[:, k] == 1, scores[:, k]) for k, name in enumerate(classes)}
    return curve_bands(rankings, patients, resamples=resamples, seed=seed)


def curve_bands(
    rankings: Mapping[str, Ranking],
    patients: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Any]:
    """Percentiles of the sensitivity at each of `GRID` (vertical averaging: Fawcett 2006,
    doi:10.1016/j.patrec.2005.10.010, section 8), and of the precision where each share of the class is first found.

    A band holds at one place at a time, not along the whole curve.

    Args:
        rankings: of each class, by its name.
        patients: one key per case; they are drawn with all their cases.

    Returns:
        `{"at": GRID, "resamples", "level", "roc": {class: {"low", "high"} or None}, "precision_recall": likewise}`;
        None where there are fewer than two patients, or fewer than half of the resamples have such a curve.
    """
    found: dict[str, dict[str, list[np.ndarray]]] = {
        kind: {name: [] for name in rankings} for kind in ("roc", "precision_recall")
    }
    if len(set(patients)) > 1:
        for weights in draw_in_chunks(number_patients(patients), resamples=resamples, seed=seed):
            for name, ranking in rankings.items():
                hits, alarms = _counts(ranking, weights)
                found["roc"][name].append(_sensitivity_at_grid(hits, alarms))
                found["precision_recall"][name].append(_precision_at_grid(hits, alarms))
    bands = {
        kind: {name: _band(rows, resamples, level) for name, rows in of_class.items()}
        for kind, of_class in found.items()
    }
    return {"at": GRID.round(DIGITS).tolist(), "resamples": resamples, "level": level, **bands}


def _counts(ranking: Ranking, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positives and negatives at or above some of the distinct scores `(resamples, points)`, from none to all of them;
    of many scores as many are taken as a curve has points."""
    starts = thinned(ranking.starts)
    ordered = weights[:, ranking.order]
    positives = np.add.reduceat(ordered * ranking.positive, starts, axis=1)
    negatives = np.add.reduceat(ordered, starts, axis=1) - positives
    before = np.zeros((len(weights), 1))
    return np.hstack([before, positives.cumsum(axis=1)]), np.hstack([before, negatives.cumsum(axis=1)])


def _sensitivity_at_grid(hits: np.ndarray, alarms: np.ndarray) -> np.ndarray:
    """`(resamples with both classes, grid)`, on straight lines between the points; at a step its upper end."""
    some = (hits[:, -1] > 0) & (alarms[:, -1] > 0)
    y, x = ratio(hits[some], hits[some, -1:]), ratio(alarms[some], alarms[some, -1:])
    before = np.clip(_place(x, GRID, "right") - 1, 0, x.shape[1] - 1)
    after = np.minimum(before + 1, x.shape[1] - 1)
    x0, x1 = np.take_along_axis(x, before, 1), np.take_along_axis(x, after, 1)
    y0, y1 = np.take_along_axis(y, before, 1), np.take_along_axis(y, after, 1)
    return np.asarray(y0 + (y1 - y0) * np.nan_to_num(ratio(GRID - x0, x1 - x0)))


def _precision_at_grid(hits: np.ndarray, alarms: np.ndarray) -> np.ndarray:
    """`(resamples with the class, grid)`: the precision at the highest threshold that finds so much of the class; at
    none of it, where the first of it is found."""
    some = hits[:, -1] > 0
    found, shares = ratio(hits[some], hits[some, -1:]), ratio(hits[some], hits[some] + alarms[some])
    first = _place(found, np.maximum(GRID, 1e-9), "left")
    return np.asarray(np.take_along_axis(shares, np.minimum(first, found.shape[1] - 1), 1))


def _place(rising: np.ndarray, wanted: np.ndarray, side: Any) -> np.ndarray:
    """Where the wanted numbers, from 0 to 1, belong in each row, `(rows, wanted)`: one search for all rows, which lie
    one behind the other, two apart."""
    rows, points = rising.shape
    apart = 2.0 * np.arange(rows)[:, None]
    found = np.searchsorted((rising + apart).ravel(), (wanted + apart).ravel(), side=side)
    return np.asarray(found.reshape(rows, len(wanted)) - points * np.arange(rows)[:, None])


def _band(rows: Sequence[np.ndarray], resamples: int, level: float) -> dict[str, list[float]] | None:
    if 2 * sum(map(len, rows)) < resamples or not rows:
        return None
    low, high = np.quantile(np.concatenate(rows), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return {"low": low.round(DIGITS).tolist(), "high": high.round(DIGITS).tolist()}
