"""The learning-rate range test (Smith 2017, doi:10.1109/WACV.2017.58, arXiv:1506.01186): the rate rises step by step
from far too small to far too large, and the loss says which rates teach something.
"""

import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.datasets.records import Snapshot
from core.errors import CoreError
from core.progress import Portion, Progress, stop_if_asked
from core.store.files import Files
from core.training.device import Device
from core.training.recipe import Recipe, change_recipe
from core.training.request import training_cases

PREPARED = 0.4  # share of the progress bar
LOWEST, HIGHEST = 1e-6, 1.0
STEPS = 80
SMOOTHING = 0.9  # of the running mean of the loss; the first steps are corrected for their small number
SETTLED = 10  # steps that the running mean stands on
BEGINS = 0.1  # share of the whole fall after which it has begun
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
    """The rate at which the smoothed loss falls fastest, or a tenth of the one at which it is lowest if that is less:
    there it still falls, and it is far from leaving. A fall after which the loss climbed back is none.

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
    falls = np.gradient(np.asarray(losses), np.log(kept))
    begins = _begin_of_fall(losses, lowest)
    fastest = kept[begins + int(np.argmin(falls[begins : lowest + 1]))]
    suggested = float(f"{min(kept[lowest] / BEFORE_IT_LEAVES, fastest):.1g}")
    return RateTest(
        kept,
        losses,
        suggested,
        f"The loss falls fastest at a rate of about {fastest:.1g} and is lowest at {kept[lowest]:.1g}; take "
        f"{suggested:g}, the smaller of the first and a tenth of the second.",
    )


def _begin_of_fall(losses: Sequence[float], lowest: int) -> int:
    """The last step at which the loss was as high as anywhere before it is lowest, but for a small share of the fall.

    What it fell before, it climbed again: easy batches, not the rate. The first steps do not count: there the mean is
    of a few batches, and falls and rises with each.
    """
    settled = min(SETTLED, lowest)
    before = np.asarray(losses[settled : lowest + 1])
    high = before.max() - BEGINS * (before.max() - before[-1])
    return settled + int(np.flatnonzero(before >= high)[-1])


def run_rate_test(
    connection: sqlite3.Connection,
    files: Files,
    snapshot: Snapshot,
    recipe: Recipe,
    fold: int | None,
    device: Device,
    progress: Progress,
    *,
    sources: Mapping[str, Any] | None = None,
) -> RateTest:
    """Try the rates on a snapshot with a recipe's network, batch, optimiser and augmentation. Nothing is stored.

    Of the batch it is the part that fits into memory, as in a run. The rates are those that a recipe names: where it
    begins from something learnt before, steps are of its share of them.

    Args:
        sources: what it begins from (`core.training.sources`).

    Raises:
        CoreError: nothing to learn from, no loss to go by, or not even one image fits into memory.
        Stopped: somebody asked to stop.
    """
    from core.training.batches import Plan, read_chunk
    from core.training.device import prepare_device
    from core.training.failures import failures_explained
    from core.training.preflight import fit_into_memory, free_memory
    from core.training.run import build_fit, gather_material
    from core.training.settling import settle_input
    from core.training.starting import read_learnt

    # The rate is set by hand at each step, and a running average would only hide what it does.
    still = change_recipe(recipe, {"schedule": "constant", "warm_up": 0, "ema": 0, "freeze_epochs": 0})
    part = Portion(progress, 0.0, PREPARED)
    still = settle_input(connection, files, still, training_cases(connection, snapshot, fold)[0], part)
    policy = prepare_device(device)
    material = gather_material(connection, files, snapshot, still, fold, part, checked=False)
    learnt = read_learnt(files, still, sources or {}, progress)

    def read_step(fit: Any, at: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return read_chunk(material.train, still, Plan(fit.plan.batch, fit.plan.steps, 1), at)

    with failures_explained(still, device):
        fit, _ = fit_into_memory(
            lambda wanted: build_fit(wanted, snapshot, material, policy, learnt),
            still, len(material.train), read_step, free_memory(device.memory_bytes),
        )  # fmt: skip
        learner = fit.learner
        rates, losses, smooth = rising_rates(), [], []
        share = still.highest_rate / still.learning_rate  # that a run leaves of its rate to what was learnt before
        for at, rate in enumerate(rates):
            stop_if_asked(progress)
            learner.optimizer.learning_rate = float(rate) * share
            learner.begin_epoch()
            learner.train(*read_step(fit, at))
            losses.append(learner.read_sums()[0])
            smooth = smooth_losses(losses)
            progress.report(PREPARED + (1 - PREPARED) * at / len(rates), f"Rate {rate:.1e}, loss {losses[-1]:.3f}")
            if has_left(smooth):
                break
    return suggest_rate([float(rate) for rate in rates[: len(smooth)]], smooth)
