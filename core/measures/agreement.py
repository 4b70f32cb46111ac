"""How far readers agree, beyond chance: Cohen's kappa of two, Krippendorff's alpha of all of them, gaps allowed.

Intervals are by the jackknife over patients (Efron and Tibshirani 1993, chapter 11): each patient is left out once,
which takes as long as one table, where thousands of resamples of each pair would be waited for.
"""

import math
from statistics import NormalDist

import numpy as np

from core.measures.estimates import Estimate
from core.measures.intervals import LEVEL
from core.measures.metrics import kappa, ratio


def cohen_kappa(one: np.ndarray, other: np.ndarray, kinds: int, patients: np.ndarray) -> Estimate:
    """Cohen's kappa (1960, doi:10.1177/001316446002000104) of two readers on the cases that both have read.

    Args:
        one, other: what each says, a number below `kinds` for each case.
        patients: a number from 0 for each case.
    """
    tables = np.zeros((int(patients.max(initial=-1)) + 1, kinds, kinds))
    np.add.at(tables, (patients, one, other), 1)
    whole = tables.sum(axis=0)
    reason = "Both say the same of every case, so chance alone would agree as well."
    return _jackknifed(float(kappa(whole[None])[0]), kappa(whole - tables), reason)


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
        return Estimate(None, None, None, reason="No case was read by more than one reader.")
    kinds = counts.shape[1]
    apart = 1.0 - np.eye(kinds) if values is None else (values[:, None] - values[None, :]) ** 2.0
    pairs = counts[:, :, None] * (counts[:, None, :] - np.eye(kinds)) / (read - 1)[:, None, None]
    numbers = np.unique(patients, return_inverse=True)[1]
    tables = np.zeros((int(numbers.max()) + 1, kinds, kinds))
    np.add.at(tables, numbers, pairs)
    whole = tables.sum(axis=0)
    reason = "All readers say the same of every case, so chance alone would agree as well."
    return _jackknifed(float(_alpha(whole[None], apart)[0]), _alpha(whole - tables, apart), reason)


def _alpha(coincidences: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """Of tables `(..., kinds, kinds)`; NaN where only one kind is said."""
    each = coincidences.sum(axis=-1)
    n = each.sum(axis=-1)
    expected = (each[..., :, None] * each[..., None, :] * apart).sum(axis=(-2, -1))
    return np.asarray(1 - (n - 1) * ratio((coincidences * apart).sum(axis=(-2, -1)), expected))


def _jackknifed(value: float, without: np.ndarray, undefined: str, level: float = LEVEL) -> Estimate:
    """A value with an interval from what it is without each patient."""
    if math.isnan(value):
        return Estimate(None, None, None, reason=undefined)
    n = len(without)
    if n < 2 or np.isnan(without).any():
        return Estimate(value, None, None, note="It hangs on one patient, so it has no interval.")
    error = math.sqrt((n - 1) / n * float(((without - without.mean()) ** 2).sum()))
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    return Estimate(value, max(-1.0, value - reach), min(1.0, value + reach))
