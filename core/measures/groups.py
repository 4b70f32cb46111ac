"""A group of cases against the rest of them: a metric of both, each with an interval, and the difference with one.

Everything is a formula, not a resampling: hundreds of groups are measured while somebody waits. Images of one patient
count for as much as they are worth (Kish's design effect).
"""

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal

import numpy as np

from core.measures.estimates import Estimate
from core.measures.intervals import LEVEL
from core.measures.paired import auc_with_error
from core.measures.thresholds import share_of

Metric = Literal["sensitivity", "specificity", "accuracy", "auc"]
METRICS: tuple[Metric, ...] = ("sensitivity", "specificity", "accuracy", "auc")
FEWEST_PATIENTS, FEWEST_POSITIVES = 30, 10  # below either a group is greyed, not hidden


@dataclass(frozen=True)
class Answers:
    """What a model answered about one class: of the class or not, probability, whether the whole answer is right."""

    positive: np.ndarray  # bool (cases,)
    called: np.ndarray  # bool
    scores: np.ndarray
    right: np.ndarray  # bool
    patients: np.ndarray  # a number from 0 for each case


@dataclass(frozen=True)
class Group:
    """One group by name, `(("sex", "F"), ("age", "0 to 5"))`; `differs` where the difference is beyond what so many
    comparisons bring by chance."""

    where: tuple[tuple[str, str], ...]
    n_cases: int
    n_patients: int
    n_positive: int
    estimate: Estimate
    difference: Estimate
    small: bool
    differs: bool = False

    @property
    def name(self) -> str:
        return ", ".join(f"{attribute} {value}" for attribute, value in self.where)


def measure_groups(
    answers: Answers, groups: dict[tuple[tuple[str, str], ...], np.ndarray], metric: Metric
) -> list[Group]:
    """Each group (bool `(cases,)`) against all other cases.

    `differs` is by intervals so wide that all of them together hold at 95 % (Bonferroni), over the groups that are
    not small.
    """
    found = {where: _measure(answers, where, inside, metric, LEVEL) for where, inside in groups.items()}
    compared = sum(not group.small and group.difference.value is not None for group in found.values())
    told = []
    for where, group in found.items():
        if not group.small and group.difference.value is not None:
            sure = _measure(answers, where, groups[where], metric, 1 - (1 - LEVEL) / compared).difference
            apart = sure.low is not None and sure.high is not None and (sure.low > 0 or sure.high < 0)
            group = replace(group, differs=apart)
        told.append(group)
    return told


def _measure(
    answers: Answers, where: tuple[tuple[str, str], ...], inside: np.ndarray, metric: Metric, level: float
) -> Group:
    patients = len(np.unique(answers.patients[inside]))
    positives = int(answers.positive[inside].sum())
    own, rest = (estimate(answers, chosen, metric, level) for chosen in (inside, ~inside))
    return Group(
        where,
        int(inside.sum()),
        patients,
        positives,
        own,
        difference_of(own, rest),
        small=patients < FEWEST_PATIENTS or positives < FEWEST_POSITIVES,
    )


def estimate(answers: Answers, chosen: np.ndarray, metric: Metric, level: float = LEVEL) -> Estimate:
    """A metric on some of the cases: shares with Wilson's interval, AUC with DeLong's error on the logit."""
    positive, called, patients = answers.positive & chosen, answers.called & chosen, answers.patients
    if metric == "sensitivity":
        return share_of(called & positive, positive, patients, "No case of the class.", level)
    if metric == "specificity":
        healthy = chosen & ~answers.positive
        return share_of(healthy & ~called, healthy, patients, "No case of another class.", level)
    if metric == "accuracy":
        return share_of(answers.right & chosen, chosen, patients, "No case.", level)
    found = auc_with_error(answers.positive[chosen], answers.scores[chosen], patients[chosen])
    if found is None:
        return Estimate(None, None, None, reason="AUC needs two cases of the class and two of another.")
    area, error = found
    if not 0 < area < 1 or not error:
        return Estimate(area, None, None, note="All pairs are in order: so few say nothing of the spread.")
    reach = NormalDist().inv_cdf((1 + level) / 2) * error / (area * (1 - area))
    middle = math.log(area / (1 - area))
    return Estimate(area, _logistic(middle - reach), _logistic(middle + reach))


def difference_of(one: Estimate, other: Estimate) -> Estimate:
    """One less the other, from both intervals (Newcombe 1998, method 10; for any metric Zou and Donner 2008,
    doi:10.1002/sim.2929). Patients with cases on both sides make it wider than it need be."""
    if one.value is None or other.value is None:
        return Estimate(None, None, None, reason=one.reason or f"Of the rest: {other.reason}")
    gap = one.value - other.value
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return Estimate(gap, None, None, note=one.note or other.note)
    low = gap - math.hypot(one.value - one.low, other.high - other.value)
    high = gap + math.hypot(one.high - one.value, other.value - other.low)
    return Estimate(gap, low, high)


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))
