"""What more cases are expected to bring: an inverse power law through a learning curve.

Figueroa et al. 2012, "Predicting sample size required for classification performance", doi:10.1186/1472-6947-12-8: a
score grows with the number n of cases as `a - b * n ** -c`, fitted by least squares weighted towards larger n, where
the forecast is made. An error falls likewise; it is fitted with its sign turned.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

EXPONENTS = np.geomspace(0.05, 2.0, 48)
LEAST_SIZES = 3  # a law has three numbers
FEW_PATIENTS = 20  # of validation: fewer say little about any one model, and nothing about how two differ
FARTHEST = 2.0  # times the cases there are: beyond, the law is a guess
NO_RISE = 0.002  # of what separates chance from perfect
WIDEST = 0.2  # of what separates chance from perfect: an interval wider than that tells nothing


@dataclass(frozen=True)
class Forecast:
    """What `more` cases are expected to bring, better being positive; None with the reason in the sentence."""

    more: int
    gain: float | None
    low: float | None
    high: float | None
    sentence: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def fit_power_laws(sizes: Sequence[int], values: np.ndarray, ceiling: float) -> np.ndarray:
    """The laws `(r, 3)`, columns a, b, c, of `values` `(r, sizes)`; `a` is at most `ceiling`, `b` never negative.

    For each exponent the other two follow from least squares, so the best exponent is looked up among all of them.
    """
    n, values = np.asarray(sizes, float), np.atleast_2d(values)
    weights = n / n.sum()
    found = np.zeros((len(values), 3))
    least = np.full(len(values), np.inf)
    for exponent in EXPONENTS:
        x = n**-exponent
        mean_x, mean_y = weights @ x, values @ weights
        b = np.maximum(0.0, -((values - mean_y[:, None]) @ (weights * (x - mean_x))) / (weights @ (x - mean_x) ** 2))
        a = mean_y + b * mean_x
        over = a > ceiling
        b = np.where(over, np.maximum(0.0, ((ceiling - values) @ (weights * x)) / (weights @ x**2)), b)
        a = np.where(over, ceiling, a)
        error = (values - a[:, None] + b[:, None] * x) ** 2 @ weights
        better = error < least
        found[better] = np.stack([a, b, np.full(len(a), exponent)], axis=1)[better]
        least = np.minimum(least, error)
    return found


def gain_of(laws: np.ndarray, n: int, more: int) -> np.ndarray:
    """How much better each law `(r, 3)` says it gets from n to n + more cases."""
    return np.asarray(laws[:, 1] * (float(n) ** -laws[:, 2] - float(n + more) ** -laws[:, 2]))


def forecast(
    law: Sequence[float],
    resampled: np.ndarray,
    *,
    sizes: Sequence[int],
    patients: int,
    more: int,
    span: float,
    words: str,
    unit: str = "",
    is_error: bool = False,
    learnt_before: int = 0,
) -> Forecast:
    """What `more` cases are expected to bring beyond the largest size.

    Args:
        law: that of the curve itself.
        resampled: those of the curve on resamples of the validation patients, `(r, 3)`.
        patients: of validation.
        span: what separates chance from perfect, in the metric.
        words: what the metric is called.
        unit: of the metric, where it has one.
        learnt_before: how many of the cases a model had been trained on that every part began from.
    """
    n = max(sizes)
    why = _why_not(sizes, patients, more, len(resampled), learnt_before)
    if why:
        return Forecast(more, None, None, None, f"What more cases would bring cannot be told: {why}.")
    of_unit = f" {unit}" if unit else ""
    (gain,) = gain_of(np.array([law]), n, more)
    low, high = np.quantile(gain_of(resampled, n, more), [0.025, 0.975])
    if high - low > WIDEST * span:
        why = f"the interval is from {_interval(low, high, is_error)}{of_unit}"
        return Forecast(more, None, None, None, f"What {more} more cases would bring cannot be told: {why}.")
    low, high = min(low, gain), max(high, gain)
    rises = resampled[:, 1] * (float(min(sizes)) ** -resampled[:, 2] - float(n) ** -resampled[:, 2])
    if np.quantile(rises, 0.025) < NO_RISE * span:
        why = f"from {min(sizes):,} to {n:,} cases it did not surely get better"
        return Forecast(more, None, None, None, f"What {more} more cases would bring cannot be told: {why}.")
    sentence = (
        f"{more:,} more cases are expected to bring {_signed(gain, is_error)}{of_unit} in {words} "
        f"(95 % interval {_interval(low, high, is_error)}, from {n:,} training cases, {patients:,} validation "
        f"patients)."
    )
    return Forecast(more, float(gain), float(low), float(high), sentence)


def _why_not(sizes: Sequence[int], patients: int, more: int, resamples: int, learnt_before: int) -> str:
    if learnt_before:
        return f"the model that each part began from had learnt {learnt_before:,} of these cases before"
    if len(set(sizes)) < LEAST_SIZES:
        return f"a curve needs at least {LEAST_SIZES} sizes, and it has {len(set(sizes))}"
    if patients < FEW_PATIENTS:
        return f"validation has {patients} patients, and fewer than {FEW_PATIENTS} say too little"
    if more > (FARTHEST - 1) * max(sizes):
        return f"{more:,} more cases are more than there are ({max(sizes):,}), too far to look ahead"
    if resamples < 100:
        return "too many resamples of the validation patients lack a class"
    return ""


def _interval(low: float, high: float, is_error: bool) -> str:
    """The smaller number first: what an error falls by most is the lower end."""
    ends = (high, low) if is_error else (low, high)
    return " to ".join(_signed(end, is_error) for end in ends)


def _signed(gain: float, is_error: bool) -> str:
    """`+0.03` of a score; an error falls: `-0.4`."""
    digits = 3 if abs(gain) < 0.1 else 2
    text = f"{-gain if is_error else gain:+.{digits}f}"
    return text.replace("-", "−").replace("−0.000", "0.000").replace("+0.000", "0.000")
