"""Intervals by bootstrap over patients: images of one patient are drawn together, for they err together."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95
MOST_WEIGHTS_AT_ONCE = 1_000_000  # 8 MB of weights per chunk, whatever the number of cases

Measure = Callable[[np.ndarray], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Interval:
    """Percentiles of the bootstrap distribution, or None with the reason."""

    low: float | None
    high: float | None
    undefined_resamples: int
    reason: str = ""


def number_patients(patients: Sequence[str]) -> np.ndarray:
    """A number from 0 for each case: the same for cases of one patient."""
    return np.unique(np.asarray(patients, dtype=object).astype(str), return_inverse=True)[1]


def patient_bootstrap(
    measure: Measure, patients: Sequence[str], *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> dict[str, Interval]:
    """Percentile intervals of several metrics at once, all on the same resamples.

    Args:
        measure: from case weights `(chunk, cases)` to `{name: values (chunk,)}`, NaN where a resample
            has no value (one with a single class has no AUC): those are left out and counted.
        patients: one key per case; patients are drawn with replacement, each with all its cases.
    """
    patient_of_case = number_patients(patients)
    n_patients, n_cases = int(patient_of_case.max(initial=-1)) + 1, len(patient_of_case)
    if n_patients < 2:
        return {name: none_of(n_patients) for name in measure(np.ones((1, n_cases)))}
    values: dict[str, list[np.ndarray]] = {}
    for weights in draw_in_chunks(patient_of_case, resamples=resamples, seed=seed):
        for name, found in measure(weights).items():
            values.setdefault(name, []).append(found)
    return {name: percentile_interval(np.concatenate(found), level) for name, found in values.items()}


def none_of(n_patients: int) -> Interval:
    """In place of an interval over so few patients that none can be drawn."""
    return Interval(None, None, 0, f"An interval over patients needs at least two patients. Received: {n_patients}")


def draw_in_chunks(patient_of_case: np.ndarray, *, resamples: int, seed: int = 0) -> Iterator[np.ndarray]:
    """How often each case is drawn when patients are, some resamples at once `(chunk, cases)`, so that little memory
    serves any number of cases.

    Args:
        patient_of_case: `number_patients`.
    """
    n_patients, draws = int(patient_of_case.max(initial=-1)) + 1, np.random.default_rng(seed)
    chunk = max(1, MOST_WEIGHTS_AT_ONCE // max(len(patient_of_case), 1))
    for start in range(0, resamples, chunk):
        yield _draw_counts(draws, n_patients, min(chunk, resamples - start))[:, patient_of_case]


def draw_weights(patients: Sequence[str], *, resamples: int, seed: int = 0) -> np.ndarray:
    """How often each case is drawn when patients are, `(resamples, cases)`: where what comes of each resample is
    needed, not only an interval."""
    patient_of_case = number_patients(patients)
    n_patients = int(patient_of_case.max(initial=-1)) + 1
    return _draw_counts(np.random.default_rng(seed), n_patients, resamples)[:, patient_of_case]


def percentile_interval(values: np.ndarray, level: float = LEVEL) -> Interval:
    """The middle `level` of the defined values; None where fewer than half of the resamples have one."""
    defined = values[~np.isnan(values)]
    undefined = len(values) - len(defined)
    if 2 * len(defined) < len(values) or not len(defined):
        return Interval(None, None, undefined, f"{undefined} of {len(values)} resamples have no value.")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), undefined)


def basic_interval(value: float, interval: Interval, *, least: float = 0.0) -> Interval:
    """The percentiles mirrored about the value (Davison and Hinkley 1997, doi:10.1017/CBO9780511802843, section 5.2):
    for a number that resampling raises, such as a mean of absolute gaps, whose percentiles lie beside it."""
    if interval.low is None or interval.high is None:
        return interval
    low, high = 2 * value - interval.high, 2 * value - interval.low
    return Interval(max(least, low), max(least, high), interval.undefined_resamples)


def has_no_width(low: float, high: float) -> bool:
    """Whether both ends are the same number: sums of one number over resamples end a digit apart."""
    return math.isclose(low, high, rel_tol=1e-9, abs_tol=1e-12)


def wilson_interval(part: float, whole: float, level: float = LEVEL) -> Interval:
    """Of a plain proportion (Wilson 1927, doi:10.1080/01621459.1927.10502953): it holds at 0 and 1 too, where every
    resample gives the same."""
    if whole <= 0:
        return Interval(None, None, 0, "There are no cases to take a share of.")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = part / whole
    middle = (share + z**2 / (2 * whole)) / (1 + z**2 / whole)
    reach = z / (1 + z**2 / whole) * math.sqrt(share * (1 - share) / whole + z**2 / (4 * whole**2))
    return Interval(max(0.0, middle - reach), min(1.0, middle + reach), 0)


def _draw_counts(draws: np.random.Generator, n_patients: int, resamples: int) -> np.ndarray:
    """How often each patient is drawn, `(resamples, patients)`; each row sums to the number of patients."""
    chosen = draws.integers(0, n_patients, size=(resamples, n_patients))
    # One bincount for all rows: each row counts in its own range.
    chosen += np.arange(resamples)[:, None] * n_patients
    return np.bincount(chosen.ravel(), minlength=resamples * n_patients).reshape(resamples, n_patients).astype(float)
