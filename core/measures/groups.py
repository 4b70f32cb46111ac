"""A group of cases against the rest of them: a metric of both, each with an interval, and the difference with one.

Everything is a formula, not a resampling: hundreds of groups are measured while somebody waits. Images of one patient
count for as much as they are worth (Kish's design effect).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal

import numpy as np

from core.measures.estimates import Estimate
from core.measures.intervals import LEVEL
from core.measures.paired import auc_with_error
from core.measures.shares import share_of

Metric = Literal["sensitivity", "specificity", "accuracy", "auc"]
METRICS: tuple[Metric, ...] = ("sensitivity", "specificity", "accuracy", "auc")
Where = tuple[tuple[str, str], ...]
EstimateOf = Callable[[np.ndarray, float], Estimate]  # a metric on some of the cases, bool `(cases,)`, at a level
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

    where: Where
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


def measure_groups(answers: Answers, groups: Mapping[Where, np.ndarray], metric: Metric) -> list[Group]:
    """`compare_groups` by what a model answered about one class."""

    def estimated(chosen: np.ndarray, level: float) -> Estimate:
        return estimate(answers, chosen, metric, level)

    return compare_groups(groups, estimated, answers.patients, answers.positive)


def compare_groups(
    groups: Mapping[Where, np.ndarray], estimated: EstimateOf, patients: np.ndarray, positive: np.ndarray
) -> list[Group]:
    """Each group (bool `(cases,)`) against all other cases.

    `differs` is by intervals so wide that all of them together hold at 95 % (Bonferroni), over the groups that are
    not small.

    Args:
        positive: which cases the metric stands on, bool `(cases,)`; of these too a group needs some.
    """
    found = {
        where: Group(
            where,
            int(inside.sum()),
            n_patients := len(np.unique(patients[inside])),
            n_positive := int(positive[inside].sum()),
            own := estimated(inside, LEVEL),
            difference_of(own, estimated(~inside, LEVEL)),
            small=n_patients < FEWEST_PATIENTS or n_positive < FEWEST_POSITIVES,
        )
        for where, inside in groups.items()
    }
    compared = sum(not group.small and group.difference.value is not None for group in found.values())
    return [
        replace(group, differs=_is_apart(estimated, groups[where], 1 - (1 - LEVEL) / compared))
        if not group.small and group.difference.value is not None
        else group
        for where, group in found.items()
    ]


def _is_apart(estimated: EstimateOf, inside: np.ndarray, level: float) -> bool:
    sure = difference_of(estimated(inside, level), estimated(~inside, level))
    return sure.low is not None and sure.high is not None and (sure.low > 0 or sure.high < 0)


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
        return Estimate(None, None, None, reason="AUC needs two patients with the class and two without.")
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
