"""Whether what comes in now is like what came in before: two samples of many quantities, compared at once.

Numbers by the two-sample Kolmogorov-Smirnov test and its distance (Rabanser et al. 2019, arXiv:1810.11953, found
univariate tests with a correction to be among the best detectors of shift); words by the chi-squared test and the
total variation distance, which is that of Kolmogorov for sets. Both distances run from 0, alike, to 1. With many cases
the smallest shift is significant and with few a large one is chance: an alarm takes both. SciPy is imported where it
computes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from core.measures.intervals import basic_interval, percentile_interval

ALPHA = 0.05  # of the p-values after Holm's correction
LARGE = 0.2  # from this distance on a shift is worth an alarm
LEAST_EXPECTED = 5  # of a word in each sample, or chi-squared does not hold
RESAMPLES = 200
PARTINGS = 9999  # by chance: a p of 0.0001 is still told, which a correction over hundreds of quantities leaves small
CLEARLY_ALIKE = 1000  # partings as far apart as the real one, after which no more are needed: p is known well enough
COUNTS_AT_ONCE = 1 << 20  # of thousands of different words, so that partings do not fill memory


@dataclass(frozen=True)
class Shift:
    """One quantity before and now. `distance` is from 0 to 1 with its 95 % interval; `p` is corrected by Holm."""

    name: str
    distance: float
    low: float | None
    high: float | None
    p: float
    n_before: int
    n_now: int
    before: str  # its median, or its commonest word
    now: str

    @property
    def alarms(self) -> bool:
        return self.p < ALPHA and self.distance >= LARGE

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "alarms": self.alarms}


def compare_samples(
    numbers: Mapping[str, tuple[np.ndarray, np.ndarray]],
    words: Mapping[str, tuple[Sequence[str], Sequence[str]]],
    *,
    seed: int = 0,
) -> list[Shift]:
    """Each quantity before and now, those that shifted furthest first; one that never varies is left out.

    Each case of a sample must be independent of the others: one a patient.

    Args:
        numbers: of each name the values `(n,)` before and now.
        words: of each name one word a case before and now.
    """
    from scipy.stats import ks_2samp

    found, p_values = [], []
    for name, (before, now) in numbers.items():
        if len(before) and len(now) and len(np.unique(np.concatenate([before, now]))) > 1:
            said = f"{np.median(before):.4g}", f"{np.median(now):.4g}"
            p_values.append(float(ks_2samp(before, now).pvalue))
            found.append((name, *_distance(*_ranked(before, now), seed=seed, ordered=True), *said))
    for name, (first, second) in words.items():
        if first and second and len({*first, *second}) > 1:
            said = Counter(first).most_common(1)[0][0], Counter(second).most_common(1)[0][0]
            p_values.append(_chi_squared(first, second, seed=seed))
            found.append((name, *_distance(*_coded(first, second), seed=seed, ordered=False), *said))
    shifts = [
        Shift(name, distance, low, high, p, n_before, n_now, before_said, now_said)
        for (name, distance, low, high, n_before, n_now, before_said, now_said), p in zip(
            found, holm(p_values), strict=True
        )
    ]
    return sorted(shifts, key=lambda one: (-one.alarms, -one.distance, one.name))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of several tests corrected so that one false alarm among all of them has the stated chance (Holm 1979,
    Scandinavian Journal of Statistics 6:65)."""
    corrected, highest = [1.0] * len(p_values), 0.0
    for rank, at in enumerate(np.argsort(p_values, kind="stable").tolist()):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[at]))
        corrected[at] = highest
    return corrected


def _ranked(before: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    _, codes = np.unique(np.concatenate([before, now]), return_inverse=True)
    return codes[: len(before)], codes[len(before) :]


def _coded(before: Sequence[str], now: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    return _ranked(np.asarray(before, dtype=object).astype(str), np.asarray(now, dtype=object).astype(str))


def _distance(
    before: np.ndarray, now: np.ndarray, *, seed: int, ordered: bool
) -> tuple[float, float | None, float | None, int, int]:
    """The distance of two samples of codes, with its basic bootstrap interval over cases, and how many there are."""
    kinds, draws = int(max(before.max(), now.max())) + 1, np.random.default_rng(seed)

    def shares(codes: np.ndarray) -> np.ndarray:
        return np.bincount(codes, minlength=kinds) / len(codes)

    def apart(one: np.ndarray, other: np.ndarray) -> float:
        difference = shares(one) - shares(other)
        found = np.abs(np.cumsum(difference)).max() if ordered else np.abs(difference).sum() / 2
        return min(1.0, float(found))  # sums of many shares end a digit beyond

    value = apart(before, now)
    again = [apart(draws.choice(before, len(before)), draws.choice(now, len(now))) for _ in range(RESAMPLES)]
    interval = basic_interval(value, percentile_interval(np.array(again)))
    high = None if interval.high is None else min(1.0, interval.high)
    return value, interval.low, high, len(before), len(now)


def _chi_squared(before: Sequence[str], now: Sequence[str], *, seed: int) -> float:
    """The p-value of words that are distributed alike: of two words Fisher's, of more that of chi-squared. Where one of
    them is too rare for its distribution to hold, samples are parted anew by chance instead: counted together as one
    word, rare ones would hide that all new cases are of a single one of them."""
    from scipy.stats import chi2_contingency, fisher_exact

    kinds = sorted({*before, *now})
    counts = [Counter(words) for words in (before, now)]
    table = np.array([[each[kind] for kind in kinds] for each in counts])
    if len(kinds) == 2:
        return float(fisher_exact(table)[1])
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    if expected.min() >= LEAST_EXPECTED:
        return float(chi2_contingency(table).pvalue)
    return _parted_anew(table, expected, np.random.default_rng(seed))


def _parted_anew(table: np.ndarray, expected: np.ndarray, draws: np.random.Generator) -> float:
    """The share of partings by chance, the real one among them, whose chi-squared is at least that of the real one
    (Hope 1968, doi:10.1111/j.2517-6161.1968.tb00759.x)."""
    total, n_now = table.sum(axis=0), int(table[1].sum())

    def apart(rows: np.ndarray) -> np.ndarray:
        # Both rows are as far from what is expected, so that one of them orders the partings as chi-squared does.
        return np.asarray(((rows - expected[1]) ** 2 / total).sum(axis=-1))

    real, at_once = apart(table[1]) * (1 - 1e-9), max(1, COUNTS_AT_ONCE // len(total))
    as_far, parted = 0, 0
    while parted < PARTINGS and as_far < CLEARLY_ALIKE:
        again = draws.multivariate_hypergeometric(total, n_now, size=min(at_once, PARTINGS - parted))
        as_far, parted = as_far + int(np.count_nonzero(apart(again) >= real)), parted + len(again)
    return (1 + as_far) / (1 + parted)
