"""How far readers agree on a number: the mean difference of two, Krippendorff's alpha of all of them, gaps allowed.

Alpha is that of `core.measures.agreement` with the squared difference of numbers for a distance; there a table holds
every pair of values, here three sums a case are enough, however many different numbers were said. Intervals are by the
jackknife over patients, as there.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from core.measures.agreement import ALL_ALIKE, NOT_READ_TWICE, jackknife_reach, why_no_reach
from core.measures.estimates import Estimate
from core.measures.intervals import LEVEL
from core.measures.metrics import ratio

NOT_BY_BOTH = "No case was read by both."


def mean_difference(differences: np.ndarray, patients: np.ndarray) -> Estimate:
    """The mean of differences `(cases,)`; `patients` is a number from 0 for each case."""
    if not len(differences):
        return Estimate(None, None, None, reason=NOT_BY_BOTH)
    sums = np.stack([_sum_by(patients, differences), _sum_by(patients, np.ones(len(differences)))], axis=1)
    return _jackknifed(lambda told: ratio(told[..., 0], told[..., 1]), sums, NOT_BY_BOTH)


def alpha_of_numbers(said: Sequence[Sequence[float]], patients: np.ndarray) -> Estimate:
    """Krippendorff's alpha (2011, "Computing Krippendorff's alpha-reliability"), interval metric, over all readers.

    Args:
        said: the numbers that readers say of each case; a case read once tells nothing.
        patients: a number from 0 for each case.
    """
    kept = [at for at, numbers in enumerate(said) if len(numbers) > 1]
    if not kept:
        return Estimate(None, None, None, reason=NOT_READ_TWICE)
    middle = float(np.mean([number for at in kept for number in said[at]]))  # a shift changes nothing but digits
    told = []
    for at in kept:
        numbers = np.array(said[at], float) - middle
        n, total, squares = len(numbers), numbers.sum(), (numbers**2).sum()
        told.append([n, total, squares, 2 * (n * squares - total**2) / (n - 1)])
    columns = np.array(told).T
    own = np.unique(patients[kept], return_inverse=True)[1]
    sums = np.stack([_sum_by(own, column) for column in columns], axis=1)
    return _jackknifed(_alpha, sums, ALL_ALIKE)


def _alpha(sums: np.ndarray) -> np.ndarray:
    """Of sums `(..., 4)`: how many numbers, their sum, their squares, and their distances within cases."""
    n, total, squares, within = np.moveaxis(sums, -1, 0)
    apart = 2 * (n * squares - total**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(apart > 1e-12 * np.abs(n * squares), 1 - (n - 1) * within / apart, np.nan))


def _sum_by(patients: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.bincount(patients, weights=values)


def _jackknifed(
    measure: Callable[[np.ndarray], np.ndarray], sums: np.ndarray, undefined: str, level: float = LEVEL
) -> Estimate:
    """What is measured of the sums over all patients `(patients, k)`, and its interval from leaving each out."""
    whole = sums.sum(axis=0)
    value = float(measure(whole))
    if math.isnan(value):
        return Estimate(None, None, None, reason=undefined)
    without = measure(whole - sums)
    reach = jackknife_reach(without, level)
    if reach is None:
        return Estimate(value, None, None, note=why_no_reach(without))
    return Estimate(value, value - reach, value + reach, method="jackknife over patients")
