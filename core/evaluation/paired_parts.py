"""One quantity or structure of two models on the same cases: how far their means are apart, and what changed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.measures.estimates import Estimate, estimate_of
from core.measures.intervals import LEVEL, patient_bootstrap
from core.measures.metrics import ratio
from core.measures.paired import (
    ALL_ALIKE,
    NOTABLE,
    NOTABLE_SHARE,
    UNDEFINED,
    SeedNoise,
    difference_text,
    ends_of_verdict,
    is_apart,
    mcnemar,
    tell_apart,
    verdict,
)

SEED = 0
CHANGED_SHARE = 0.5  # of the mean error: from there on the error of a case is another one


@dataclass(frozen=True)
class Numbers:
    """What one model has by case: its absolute error or its Dice; and where the reference is empty, which has no Dice,
    1 where it painted nothing and 0 where it painted something."""

    of_case: dict[int, float] = field(default_factory=dict)
    of_empty: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Changed:
    """A case on which the two models are apart, with the error or the Dice of each; None where the reference is empty:
    one of the two has rightly painted nothing."""

    case_id: int
    values: tuple[float, float] | None


@dataclass(frozen=True)
class PairedPart:
    """One quantity or structure: `difference` is the second model minus the first, with its own 95 % interval. The
    verdict stands on `low` to `high`, which is so wide that all comparisons hold together and has the seed noise in it;
    without them it is undefined, for `verdict_reason`.

    `better` and `worse` are the cases whose error or Dice changed by at least `changed_by`, the largest change first,
    and those with an empty reference that are newly left empty or newly painted; `p` is of the exact sign test.
    """

    name: str  # `MAE of age, years`, `Dice of liver`
    of: str  # the quantity or structure
    n_cases: int
    n_patients: int
    values: tuple[float | None, float | None]
    difference: Estimate
    verdict: str
    verdict_reason: str
    low: float | None
    high: float | None
    sentence: str
    seed_noise: SeedNoise | None
    changed_by: float
    better: tuple[Changed, ...]
    worse: tuple[Changed, ...]
    p: float


@dataclass(frozen=True)
class Sides:
    """What is compared: the names of two models and what each has; `patient_of` by case, in the snapshot's order.
    `only_seeds`: the two differ in nothing but their seed."""

    models: tuple[str, str]
    name: str
    of: str
    numbers: tuple[Numbers, Numbers]
    patient_of: Mapping[int, str]
    is_error: bool  # less is better
    only_seeds: bool = False


def shared_cases(numbers: tuple[Numbers, Numbers]) -> list[int]:
    """The cases of which both have a number."""
    return [case for case in numbers[0].of_case if case in numbers[1].of_case]


def compare_part(sides: Sides, noise: SeedNoise | None, *, level: float) -> PairedPart:
    """
    Args:
        level: of the interval that the verdict stands on.
    """
    ids = [case for case in shared_cases(sides.numbers) if case in sides.patient_of]
    patients = [sides.patient_of[case] for case in ids]
    values = [np.array([one.of_case[case] for case in ids]) for one in sides.numbers]
    apart = values[1] - values[0]
    difference = _mean(apart, patients, LEVEL)
    wide = difference if level == LEVEL else _mean(apart, patients, level)
    low, high, how, n_patients = wide.low, wide.high, "paired bootstrap over patients", len(set(patients))
    if difference.value is not None and low is not None and high is not None:
        low, high, how = ends_of_verdict(difference.value, (low, high), how, noise, patients=n_patients, level=level)
    # An error has a unit, so what is notable hangs on how large errors are.
    size = float(np.mean(values)) if ids else 0.0
    ends = (-high, -low) if sides.is_error and low is not None and high is not None else (low, high)
    unknown = sides.only_seeds and noise is None
    notable = NOTABLE_SHARE * size if sides.is_error else NOTABLE
    said = verdict(*ends, notable=notable, seeds_unknown=unknown, patients=n_patients, level=level)
    why = (difference.reason or wide.note or ALL_ALIKE) if said == UNDEFINED else ""
    if difference.value is None or low is None or high is None or said == UNDEFINED:
        told = (
            f"{sides.models[0]} and {sides.models[1]} cannot be told apart by {sides.name}, their difference is "
            f"undefined: {why}"
        )
    else:
        numbers = f"{difference_text(difference.value, low, high, level)} ({how})"
        alone = unknown and is_apart(low, high)
        told = tell_apart(*sides.models, said, numbers, by=f" by {sides.name}", seeds_alone=alone)
    changed_by = CHANGED_SHARE * size if sides.is_error else NOTABLE
    better, worse = _changed(sides, dict(zip(ids, apart.tolist(), strict=True)), changed_by)
    means = tuple(float(one.mean()) if ids else None for one in values)
    return PairedPart(
        name=sides.name,
        of=sides.of,
        n_cases=len(ids),
        n_patients=n_patients,
        values=(means[0], means[1]),
        difference=difference,
        verdict=said,
        verdict_reason=why,
        low=low,
        high=high,
        sentence=told,
        seed_noise=noise,
        changed_by=changed_by,
        better=better,
        worse=worse,
        p=mcnemar(len(better), len(worse)),
    )


def _changed(sides: Sides, apart: Mapping[int, float], by: float) -> tuple[tuple[Changed, ...], tuple[Changed, ...]]:
    """The cases that gained, and those that lost, at least so much; the most first. Nothing changes by nothing."""
    first, second = sides.numbers
    gains = {case: -one if sides.is_error else one for case, one in apart.items()}
    gains |= {case: second.of_empty[case] - one for case, one in first.of_empty.items() if case in second.of_empty}
    least = max(by * (1 - 1e-9), math.ulp(1.0))  # 0.60 less 0.55 is a little under 0.05
    changed = sorted((case for case in gains if abs(gains[case]) >= least), key=lambda case: -abs(gains[case]))

    def named(cases: Sequence[int]) -> tuple[Changed, ...]:
        return tuple(
            Changed(case, (first.of_case[case], second.of_case[case]) if case in apart else None) for case in cases
        )

    return named([case for case in changed if gains[case] > 0]), named([case for case in changed if gains[case] < 0])


def _mean(apart: np.ndarray, patients: Sequence[str], level: float) -> Estimate:
    if not len(apart):
        return Estimate(None, None, None, reason="There is no case for which both models have this number.")
    interval = patient_bootstrap(
        lambda weights: {"mean": ratio(weights @ apart, weights.sum(axis=1))}, patients, level=level, seed=SEED
    )["mean"]
    return estimate_of(float(apart.mean()), interval, undefined="There are no cases.")
