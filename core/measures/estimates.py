"""One number with its interval, as screens and reports show it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from core.measures.intervals import Interval, has_no_width


@dataclass(frozen=True)
class Estimate:
    """A number with its n and its interval; `value` None carries the `reason`, `note` says what to mind."""

    value: float | None
    low: float | None
    high: float | None
    undefined_resamples: int = 0
    reason: str = ""
    note: str = ""
    method: str = ""  # of the interval, where it is not the bootstrap over patients

    def to_json(self) -> dict[str, object]:
        return {key: value for key, value in asdict(self).items() if value != ""}


def estimate_of(found: float, interval: Interval, *, undefined: str, note: str = "") -> Estimate:
    """What was measured beside its interval; `undefined` is the reason where there is no number."""
    if np.isnan(found):
        return Estimate(None, None, None, reason=undefined)
    if interval.low is None:
        return Estimate(found, None, None, interval.undefined_resamples, note=f"{note} {interval.reason}".strip())
    if interval.high is not None and has_no_width(interval.low, interval.high):
        note = f"{note} Every resample gave this same value, so the interval is too narrow to be believed.".strip()
    return Estimate(found, interval.low, interval.high, interval.undefined_resamples, note=note)


def estimates_json(estimates: Mapping[str, Estimate]) -> dict[str, dict[str, object]]:
    """Estimates by name as JSON values."""
    return {name: estimate.to_json() for name, estimate in estimates.items()}
