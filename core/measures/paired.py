"""Two classifiers on the same cases: whether one is better beyond what chance and the seed of a training explain."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from core.measures.intervals import LEVEL, has_no_width, number_patients

FEWEST_SEEDS = 3  # of one recipe, before a spread over seeds is a number
NOTABLE = 0.05  # of an AUC or a Dice: a reader would want to know of it
NOTABLE_SHARE = 0.1  # of a mean error, likewise
ROUNDING = 1e-12  # of numbers near one
TOO_FEW = "too few cases to tell"
SAME = "no difference beyond noise"
UNDEFINED = "undefined"
ALL_ALIKE = "Every case gives the same difference, and they are too few to say that others would."
BY_SIGNS = "exact sign test over patients, for every case gives the same difference"
OF_ONE_PATIENT = (
    "One of the classes, or all but it, has cases of one patient only, and from one nobody knows how patients differ"
)


@dataclass(frozen=True)
class AucDifference:
    """AUC of the second less that of the first; `error` is its standard error, `p` None where there is none."""

    first: float
    second: float
    difference: float
    error: float
    low: float
    high: float
    p: float | None

    def to_json(self) -> dict[str, float | None]:
        return asdict(self)


@dataclass(frozen=True)
class SeedNoise:
    """How far the AUCs of trainings lie apart that differ in nothing but their seed: standard deviations over `seeds`
    trainings each, one entry for each recipe that has enough of them."""

    deviations: tuple[float, ...]
    seeds: tuple[int, ...]

    @property
    def variance(self) -> float:
        """Of one training: the mean over what is known, by how well it is known."""
        freedom = [n - 1 for n in self.seeds]
        return sum(f * s**2 for f, s in zip(freedom, self.deviations, strict=True)) / sum(freedom)


def compare_aucs(
    positive: np.ndarray, first: np.ndarray, second: np.ndarray, patients: Sequence[str], *, level: float = LEVEL
) -> AucDifference | None:
    """DeLong's test of two correlated AUCs (1988, doi:10.2307/2531595) by midranks (Sun and Xu 2014,
    doi:10.1109/LSP.2014.2337313); the cases of one patient count as a cluster (Obuchowski 1997, doi:10.2307/2533958),
    and where each has one case that is DeLong's.

    Args:
        positive: bool `(cases,)`.
        first, second: scores `(cases,)`.

    Returns:
        None where one of the two classes has cases of fewer than two patients: then there is no error to speak of.
    """
    positive, patient = positive.astype(bool), number_patients(patients)
    if fewest_patients(positive, patient) < 2:
        return None
    parts = [_placements(positive, scores) for scores in (first, second)]
    one, other = (float(above[positive].mean()) for above in parts)
    gap = parts[1] - parts[0]
    difference = other - one
    error = math.sqrt(_variance(gap - difference, positive, patient))
    if error < ROUNDING:  # every case gives the same difference: nothing that this could test
        return AucDifference(one, other, difference, 0.0, difference, difference, 1.0 if difference == 0 else None)
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    p = 2 * NormalDist().cdf(-abs(difference) / error)
    return AucDifference(one, other, difference, error, difference - reach, difference + reach, p)


def auc_with_error(positive: np.ndarray, scores: np.ndarray, patients: np.ndarray) -> tuple[float, float] | None:
    """AUC and its standard error by DeLong, patients as clusters; None where a class has cases of fewer than two
    patients.

    Args:
        patients: a number for each case.
    """
    if fewest_patients(positive, patients) < 2:
        return None
    placed = _placements(positive, scores)
    area = float(placed[positive].mean())
    return area, math.sqrt(_variance(placed - area, positive, np.unique(patients, return_inverse=True)[1]))


def fewest_patients(positive: np.ndarray, patients: np.ndarray) -> int:
    """How many patients have cases of the class, or of all others, whichever are fewer; of one alone the spread between
    patients is not known."""
    return min(len(np.unique(patients[chosen])) for chosen in (positive, ~positive))


def _placements(positive: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Of each positive the share of negatives below it, of each negative the share of positives above it."""
    from scipy.stats import rankdata

    ranks, found = rankdata(scores), np.empty(len(scores))
    among_positives, among_negatives = rankdata(scores[positive]), rankdata(scores[~positive])
    positives, negatives = positive.sum(), (~positive).sum()
    found[positive] = (ranks[positive] - among_positives) / negatives
    found[~positive] = 1 - (ranks[~positive] - among_negatives) / positives
    return found


def _variance(parts: np.ndarray, positive: np.ndarray, patient: np.ndarray) -> float:
    """Obuchowski's variance of a mean of placements, from their deviations."""
    size = int(patient.max()) + 1
    sums = [np.bincount(patient[chosen], parts[chosen], size) for chosen in (positive, ~positive)]
    n = [int(positive.sum()), int((~positive).sum())]
    clusters = [len(np.unique(patient[chosen])) for chosen in (positive, ~positive)]
    own = [c / (c - 1) * float(s @ s) / k**2 for c, s, k in zip(clusters, sums, n, strict=True)]
    shared = size / (size - 1) * float(sums[0] @ sums[1]) / (n[0] * n[1])
    return max(0.0, own[0] + own[1] + 2 * shared)


def mcnemar(fixed: int, broken: int) -> float:
    """McNemar's exact test (1947, doi:10.1007/BF02295996): p of so uneven a parting of the cases on which two models
    differ in being right."""
    from scipy.stats import binomtest

    return 1.0 if fixed + broken == 0 else float(binomtest(fixed, fixed + broken, 0.5).pvalue)


def turned(right: Sequence[np.ndarray], ids: Sequence[int]) -> dict[str, Any]:
    """The cases that the second model gets right and the first did not (`fixed`), the other way round (`broken`), and
    McNemar's `p`.

    Args:
        right: of each model bool `(cases,)`.
    """
    fixed, broken = np.flatnonzero(right[1] & ~right[0]), np.flatnonzero(right[0] & ~right[1])
    return {
        "fixed": [ids[at] for at in fixed.tolist()],
        "broken": [ids[at] for at in broken.tolist()],
        "p": mcnemar(len(fixed), len(broken)),
    }


def with_seed_noise(difference: float, error: float, noise: SeedNoise, *, level: float = LEVEL) -> tuple[float, float]:
    """The interval of a difference between two trainings, each of which could have had another seed.

    The variances add up; Student's quantile has the degrees of freedom of Welch and Satterthwaite, for a spread over
    three seeds is hardly known.
    """
    from scipy.stats import t

    of_seeds = 2 * noise.variance
    total = error**2 + of_seeds
    if total == 0:
        return difference, difference
    freedom = total**2 / (of_seeds**2 / sum(n - 1 for n in noise.seeds)) if of_seeds else math.inf
    reach = float(t.ppf((1 + level) / 2, freedom)) * math.sqrt(total)
    return difference - reach, difference + reach


def ends_of_verdict(
    difference: float,
    ends: tuple[float, float],
    how: str,
    noise: SeedNoise | None,
    *,
    error: float | None = None,
    patients: int,
    level: float = LEVEL,
) -> tuple[float, float, str]:
    """The interval that a verdict stands on, and how it came about: that of the cases, wider where seed noise is known.

    Where every case gives the same difference and patients are too few (`verdict`) no noise is added: it would give a
    width to an interval that says nothing.

    Args:
        ends, how: of the interval by cases, and how that came about.
        error: the standard error of the difference, where it is not that of the interval.
    """
    low, high = ends
    if _are_alike(low, high):
        how = BY_SIGNS
    if noise is None or _are_few_alike(low, high, patients, level):
        return low, high, how
    of_cases = (high - low) / 2 / NormalDist().inv_cdf((1 + level) / 2) if error is None else error
    low, high = with_seed_noise(difference, of_cases, noise, level=level)
    return low, high, f"{how}, with seed noise from {' and '.join(map(str, noise.seeds))} trainings"


def _are_alike(low: float, high: float) -> bool:
    """Whether every case gives the same difference, as the ends of its interval have it, and there is one."""
    return has_no_width(low, high) and abs(low) > ROUNDING


def _are_few_alike(low: float, high: float, patients: int, level: float) -> bool:
    return _are_alike(low, high) and mcnemar(patients, 0) > 1 - level


def verdict(
    low: float | None,
    high: float | None,
    *,
    notable: float = math.inf,
    seeds_unknown: bool = False,
    patients: int = 0,
    level: float = LEVEL,
) -> str:
    """In the words of a report: `better` is said only where the whole interval says so. Where it says neither and still
    allows a `notable` difference, the cases are too few to tell. Without an interval it is undefined, which is not the
    same as no difference. Where every case gives the same difference, its interval has no width however few they are;
    then the exact sign test over patients says whether there is one.

    Args:
        seeds_unknown: the two differ in nothing but their seed, and how far seeds alone part them is not known. Then
            neither is said to be better: in simulation one of two equal ones was in 19 % (`python -m bench
            false_better`).
        patients: how many there are (of a classifier in the rarer class), and `level` of the interval: for that test.
    """
    if low is None or high is None or _are_few_alike(low, high, patients, level):
        return UNDEFINED
    if is_apart(low, high):
        return SAME if seeds_unknown else "better" if low > 0 else "worse"
    return TOO_FEW if max(-low, high) > notable else SAME


def difference_text(value: float, low: float, high: float, level: float = LEVEL) -> str:
    """`−0.048, 95 % interval −0.101 to +0.004`, with the sign that tables write."""
    return f"{value:+.3f}, {100 * level:.3g} % interval {low:+.3f} to {high:+.3f}".replace("-", "−")


def tell_apart(first: str, second: str, said: str, numbers: str, *, by: str = "", seeds_alone: bool = False) -> str:
    """A verdict as a plain sentence; `numbers` are the difference with its interval, and `seeds_alone` is said where
    this interval lies to one side and still nothing follows."""
    if said in ("better", "worse"):
        return f"{second} is {said} than {first}{by}: {numbers}."
    if said == TOO_FEW:
        return f"There are too few cases to tell {second} from {first}{by}: {numbers}."
    why = " Seeds alone could do this: they are of one recipe and differ in nothing else." if seeds_alone else ""
    return f"There is no difference beyond noise between {second} and {first}{by}: {numbers}.{why}"


def is_apart(low: float | None, high: float | None) -> bool:
    """Whether an interval of a difference lies to one side of zero."""
    return low is not None and high is not None and (low > 0 or high < 0)
