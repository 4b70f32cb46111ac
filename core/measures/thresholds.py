"""One class at one threshold: what is found, missed and wrongly alarmed, and what deciding by it is worth."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from core.measures.estimates import Estimate
from core.measures.intervals import draw_weights, percentile_interval
from core.measures.metrics import at_prevalence
from core.measures.shares import share_of

PER = 1000  # patients of whom it is told how many are missed
DECISIONS = np.round(np.arange(0.01, 1.0, 0.02), 2)  # threshold probabilities of the decision curve
RESAMPLES = 1000  # of its band


@dataclass(frozen=True)
class AtThreshold:
    """Counts and shares at one threshold, predictive values and numbers of patients at a stated prevalence."""

    threshold: float
    prevalence: float
    true_positives: int
    false_negatives: int
    false_positives: int
    true_negatives: int
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    missed: Estimate  # of `PER` patients
    false_alarms: Estimate

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def at_threshold(
    positive: np.ndarray, scores: np.ndarray, patients: np.ndarray, threshold: float, prevalence: float
) -> AtThreshold:
    """What a class is found by at a threshold; fast enough for a slider.

    Intervals are Wilson's, with as many cases as the patients' images are worth (`core.measures.shares`). Those of
    predictive values come from both ends of sensitivity and specificity and are therefore wide rather than narrow.

    Args:
        positive: bool `(cases,)`.
        scores: probabilities of the class `(cases,)`; a case at the threshold counts as of the class.
        patients: a number from 0 for each case.
    """
    called = scores >= threshold
    found = share_of(called & positive, positive, patients, "No case is of this class.")
    cleared = share_of(~called & ~positive, ~positive, patients, "Every case is of this class.")
    return AtThreshold(
        threshold,
        prevalence,
        int((called & positive).sum()),
        int((~called & positive).sum()),
        int((called & ~positive).sum()),
        int((~called & ~positive).sum()),
        found,
        cleared,
        _predictive(found, cleared, prevalence, "Nothing is called positive here."),
        _predictive(cleared, found, 1 - prevalence, "Everything is called positive here."),
        _of_patients(found, PER * prevalence),
        _of_patients(cleared, PER * (1 - prevalence)),
    )


def _predictive(hit: Estimate, other: Estimate, prevalence: float, undefined: str) -> Estimate:
    """PPV from sensitivity and specificity; NPV with both exchanged and the prevalence of the healthy."""
    values = []
    for one, rest in ((hit.value, other.value), (hit.low, other.low), (hit.high, other.high)):
        if one is None or rest is None:
            return Estimate(None, None, None, reason=hit.reason or other.reason)
        alarms = 1 - rest
        values.append(at_prevalence(one / (one + alarms), prevalence) if one + alarms else math.nan)
    if math.isnan(values[0]):
        return Estimate(None, None, None, reason=undefined)
    return Estimate(values[0], values[1], values[2], method=hit.method)


def _of_patients(right: Estimate, patients: float) -> Estimate:
    if right.value is None or right.low is None or right.high is None:
        return right
    value, low, high = (patients * (1 - one) for one in (right.value, right.high, right.low))
    return Estimate(value, low, high, note=right.note, method=right.method)


def sweep(positive: np.ndarray, scores: np.ndarray, cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sensitivity and specificity at each of the cuts; NaN where there is no such case."""
    ills, wells = np.sort(scores[positive]), np.sort(scores[~positive])
    with np.errstate(invalid="ignore"):
        found = 1 - np.searchsorted(ills, cuts) / np.float64(len(ills))
        cleared = np.searchsorted(wells, cuts) / np.float64(len(wells))
    return found, cleared


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit at each threshold probability: true positives less the false ones that they are held to be worth, as
    a share of all cases; `low` and `high` are its pointwise interval, `treat_all` what calling everybody would give."""

    thresholds: list[float]
    net_benefit: list[float]
    low: list[float | None]
    high: list[float | None]
    treat_all: list[float]
    n: int


def decision_curve(
    positive: np.ndarray,
    scores: np.ndarray,
    patients: Sequence[str],
    *,
    decisions: np.ndarray = DECISIONS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> DecisionCurve:
    """Decision curve analysis (Vickers and Elkin 2006, doi:10.1177/0272989X06295361), at the prevalence of the cases,
    with percentile intervals over patients."""
    odds = decisions / (1 - decisions)
    worth = np.where(positive[:, None], 1.0, -odds)
    gained = worth * (scores[:, None] >= decisions)
    benefit, every = gained.mean(axis=0), worth.mean(axis=0)
    ends: list[tuple[float | None, float | None]] = [(None, None)] * len(decisions)
    if len(set(patients)) > 1:
        draws = []
        for start in range(0, resamples, 100):  # a hundred at once: few megabytes whatever the number of cases
            weights = draw_weights(patients, resamples=100, seed=seed + start)
            draws.append(weights @ gained / weights.sum(axis=1, keepdims=True))
        both = [percentile_interval(column) for column in np.concatenate(draws).T]
        ends = [(one.low, one.high) for one in both]
    return DecisionCurve(
        decisions.tolist(),
        benefit.tolist(),
        [low for low, _ in ends],
        [high for _, high in ends],
        every.tolist(),
        len(positive),
    )
