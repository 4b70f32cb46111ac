"""How far readers agree, beyond chance: Cohen's kappa of two, Krippendorff's alpha of all of them, gaps allowed.

Intervals are by the jackknife over patients (Efron and Tibshirani 1993, chapter 11): each patient is left out once,
which takes as long as one table, where thousands of resamples of each pair would be waited for.
"""

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from core.measures.estimates import Estimate
from core.measures.intervals import LEVEL
from core.measures.metrics import kappa, ratio

ONE_PATIENT = "It hangs on one patient, so it has no interval."
UNDEFINED_WITHOUT_ONE = "Without the cases of one patient it is undefined, so it has no interval."
NOT_READ_TWICE = "No case was read by more than one reader."
ALL_ALIKE = "All readers say the same of every case, so chance alone would agree as well."
ROOM = 1 << 22  # numbers in tables that are held at once, 32 MB: of combinations of classes there are hundreds


def cohen_kappa(one: np.ndarray, other: np.ndarray, kinds: int, patients: np.ndarray) -> Estimate:
    """Cohen's kappa (1960, doi:10.1177/001316446002000104) of two readers on the cases that both have read.

    Args:
        one, other: what each says, a number below `kinds` for each case.
        patients: a number from 0 for each case.
    """

    def tables(rows: np.ndarray) -> np.ndarray:
        found = np.zeros((len(rows), kinds, kinds))
        found[np.arange(len(rows)), one[rows], other[rows]] = 1
        return found

    reason = "Both say the same of every case, so chance alone would agree as well."
    return _jackknifed(kappa, tables, kinds, patients, reason)


def krippendorff_alpha(counts: np.ndarray, patients: np.ndarray, values: np.ndarray | None = None) -> Estimate:
    """Krippendorff's alpha (2011, "Computing Krippendorff's alpha-reliability") over all readers, by coincidences.

    Args:
        counts: how many readers say each kind of each case `(cases, kinds)`; a case read once tells nothing.
        patients: a number from 0 for each case.
        values: the kinds as numbers, whose squared difference is how far they are apart; without them all kinds are
            equally far apart.
    """
    read = counts.sum(axis=1)
    counts, patients, read = counts[read > 1], patients[read > 1], read[read > 1]
    if not len(counts):
        return Estimate(None, None, None, reason=NOT_READ_TWICE)
    kinds = counts.shape[1]
    apart = 1.0 - np.eye(kinds) if values is None else (values[:, None] - values[None, :]) ** 2.0

    def tables(rows: np.ndarray) -> np.ndarray:
        said = counts[rows]
        return np.asarray(said[:, :, None] * (said[:, None, :] - np.eye(kinds)) / (read[rows] - 1)[:, None, None])

    return _jackknifed(lambda found: _alpha(found, apart), tables, kinds, patients, ALL_ALIKE)


def _alpha(coincidences: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """Of tables `(..., kinds, kinds)`; NaN where only one kind is said."""
    each = coincidences.sum(axis=-1)
    n = each.sum(axis=-1)
    expected = (each[..., :, None] * each[..., None, :] * apart).sum(axis=(-2, -1))
    return np.asarray(1 - (n - 1) * ratio((coincidences * apart).sum(axis=(-2, -1)), expected))


def _jackknifed(
    measure: Callable[[np.ndarray], np.ndarray],
    tables: Callable[[np.ndarray], np.ndarray],
    kinds: int,
    patients: np.ndarray,
    undefined: str,
    level: float = LEVEL,
) -> Estimate:
    """What is measured of the sum of all tables, with an interval from what it is without each patient's.

    Args:
        measure: of tables `(..., kinds, kinds)`.
        tables: of the cases at these places `(cases, kinds, kinds)`; asked for twice, so that few are held at once.
    """
    parts = _by_patients(patients, max(1, ROOM // max(1, kinds**2)))
    whole = np.zeros((kinds, kinds))
    for rows, _ in parts:
        whole += tables(rows).sum(axis=0)
    value = float(measure(whole[None])[0])
    if math.isnan(value):
        return Estimate(None, None, None, reason=undefined)
    without = np.concatenate([measure(whole - np.add.reduceat(tables(rows), starts)) for rows, starts in parts])
    reach = jackknife_reach(without, level)
    if reach is None:
        return Estimate(value, None, None, note=why_no_reach(without))
    return Estimate(value, max(-1.0, value - reach), min(1.0, value + reach))


def jackknife_reach(without: np.ndarray, level: float) -> float | None:
    """How far an interval reaches to either side, by what is measured without each patient `(patients,)`; None where
    there is only one, or without one of them it is undefined."""
    n = len(without)
    if n < 2 or np.isnan(without).any():
        return None
    error = math.sqrt((n - 1) / n * float(((without - without.mean()) ** 2).sum()))
    return NormalDist().inv_cdf((1 + level) / 2) * error


def why_no_reach(without: np.ndarray) -> str:
    """Why `jackknife_reach` knows of none."""
    return ONE_PATIENT if len(without) < 2 else UNDEFINED_WITHOUT_ONE


def _by_patients(patients: np.ndarray, at_once: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The places of all cases in parts of about so many, each with where a patient's begin; no patient is parted."""
    if not len(patients):
        return []
    order = np.argsort(patients, kind="stable")
    starts = np.flatnonzero(np.diff(patients[order], prepend=-1))
    _, first = np.unique(starts // at_once, return_index=True)
    ends = [*starts[first[1:]].tolist(), len(order)]
    return [(order[part[0] : end], part - part[0]) for part, end in zip(np.split(starts, first[1:]), ends, strict=True)]
