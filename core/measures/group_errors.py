"""How wrong a model is on some of the cases, where its answers are more or less wrong: numbers and painted structures.

A mean of errors has its interval on the scale of its logarithm, by Student's t with the patients as clusters: errors
are above 0 and skewed, and the plain one would be too short above. Like those of `core.measures.groups` it is a
formula, so that hundreds of groups are measured while somebody waits.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.measures.estimates import Estimate
from core.measures.intervals import LEVEL
from core.measures.shares import share_of

ErrorMetric = Literal["mae", "within", "dice"]
LONGEST = 700.0  # logarithm of the largest reach of an interval
ERRORS_OF_NUMBERS: tuple[ErrorMetric, ...] = ("mae", "within")


@dataclass(frozen=True)
class Errors:
    """What a model is wrong by on each case, not below 0: in the unit of a quantity, or 1 - Dice of a structure."""

    values: np.ndarray  # (cases,)
    patients: np.ndarray  # a number from 0 for each case
    tolerance: float = 0.0  # the largest error that is near enough, for `within`


def estimate_errors(errors: Errors, chosen: np.ndarray, metric: ErrorMetric, level: float = LEVEL) -> Estimate:
    """A metric on the chosen cases (bool `(cases,)`): the mean error, the share of errors within the tolerance (with
    Wilson's interval), or the mean Dice."""
    if metric == "within":
        return share_of(chosen & (errors.values <= errors.tolerance), chosen, errors.patients, "No case.", level)
    found = mean_error(errors.values[chosen], errors.patients[chosen], level)
    if metric == "mae" or found.value is None:
        return found
    if found.low is None or found.high is None:
        return Estimate(1 - found.value, None, None, note=found.note)
    return Estimate(1 - found.value, max(0.0, 1 - found.high), 1 - found.low)


def mean_error(values: np.ndarray, patients: np.ndarray, level: float = LEVEL) -> Estimate:
    """The mean of errors `(cases,)` with an interval for what patients, numbers from 0, and not images say."""
    from scipy.special import stdtrit  # imported where it computes, as in `calibration`

    if not len(values):
        return Estimate(None, None, None, reason="No case.")
    mean = float(values.mean())
    n = int(np.count_nonzero(np.bincount(patients)))
    if n < 2 or not mean:
        note = "No case has an error." if not mean else "One patient says nothing of the spread."
        return Estimate(mean, None, None, note=note)
    apart = np.bincount(patients, values - mean)
    deviation = math.sqrt(n / (n - 1) * float(apart @ apart)) / len(values)
    # two patients under a level for hundreds of comparisons: beyond all that a number could be
    reach = math.exp(min(float(stdtrit(n - 1, (1 + level) / 2)) * deviation / mean, LONGEST))
    return Estimate(mean, mean / reach, mean * reach)
