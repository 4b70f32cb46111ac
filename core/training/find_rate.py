"""The learning-rate range test (Smith 2017, doi:10.1109/WACV.2017.58, arXiv:1506.01186): the rate rises step by step
from far too small to far too large, and the loss says which rates teach something.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.errors import CoreError

LOWEST, HIGHEST = 1e-6, 1.0
STEPS = 80
SMOOTHING = 0.9  # of the running mean of the loss; the first steps are corrected for their small number
TIMES_THE_BEST = 4.0  # a loss so much above the lowest has left: nothing more is learnt from larger rates
BEFORE_IT_LEAVES = 10.0  # the suggested rate is so much smaller than the one where the loss is lowest


@dataclass(frozen=True)
class RateTest:
    """The rates that were tried, the smoothed loss at each, and the rate to take, or why there is none."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggested: float | None
    sentence: str

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "rates": list(self.rates), "losses": list(self.losses)}


def rising_rates(steps: int = STEPS) -> np.ndarray:
    """Rates from the lowest to the highest, each larger than the one before by the same factor."""
    return np.asarray(np.geomspace(LOWEST, HIGHEST, steps))


def smooth_losses(losses: Sequence[float]) -> list[float]:
    """The running mean, corrected for what it began with (as in Adam)."""
    mean, found = 0.0, []
    for at, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        found.append(mean / (1 - SMOOTHING**at))
    return found


def has_left(smooth: Sequence[float]) -> bool:
    """Whether the loss has gone up for good, or is no number any more."""
    return not math.isfinite(smooth[-1]) or smooth[-1] > TIMES_THE_BEST * min(smooth)


def suggest_rate(rates: Sequence[float], smooth: Sequence[float]) -> RateTest:
    """A tenth of the rate at which the smoothed loss is lowest: there it still falls, and it is far from leaving.

    Raises:
        CoreError: fewer than two numbers to go by.
    """
    known = [(rate, loss) for rate, loss in zip(rates, smooth, strict=True) if math.isfinite(loss)]
    if len(known) < 2:
        raise CoreError(f"The loss is no number from the first step on; look at the data. Received: {list(smooth)}")
    kept, losses = zip(*known, strict=True)
    lowest = int(np.argmin(losses))
    if losses[lowest] > 0.98 * losses[0]:
        sentence = "The loss hardly falls at any rate, so none is suggested: more steps, or other data, are needed."
        return RateTest(kept, losses, None, sentence)
    suggested = float(f"{kept[lowest] / BEFORE_IT_LEAVES:.1g}")
    return RateTest(
        kept,
        losses,
        suggested,
        f"The loss is lowest at a rate of about {kept[lowest]:.1g} and leaves beyond it; take a tenth of that, "
        f"{suggested:g}.",
    )
