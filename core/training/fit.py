"""The loop. Everything beside the steps themselves is a callback with one behaviour (`callbacks.py`)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from core.training.batches import Examples, Plan, stream_chunks
from core.training.steps import Learner


@dataclass
class Fit:
    """What the callbacks see and may set: where the fit stands, and why it should end.

    `epoch` counts epochs done; the best is the epoch (from 1) with the lowest validation loss; `cut_epoch` the last
    one after which a plateau lowered the learning rate.
    """

    learner: Learner
    plan: Plan
    epochs: int
    epoch: int = 0
    call: int = 0
    best_epoch: int = 0
    best_value: float = float("inf")
    best_weights: list[np.ndarray] = field(default_factory=list)
    cut_epoch: int = 0
    stop_because: str = ""
    epoch_began: float = 0.0
    waited_seconds: float = 0.0  # of the present epoch, for images to be read
    judged_seconds: float = 0.0  # that the validation after the last epoch took

    @property
    def steps_done(self) -> int:
        """Steps of the present epoch that are done."""
        return min(self.call * self.plan.steps_per_call, self.plan.steps)


class Callback(Protocol):
    """One behaviour. `after_steps` is called between compiled calls, `after_epoch` with the epoch's facts."""

    def after_steps(self, fit: Fit) -> None: ...

    def after_epoch(self, fit: Fit, facts: dict[str, Any]) -> None: ...


def fit_network(fit: Fit, train: Examples, validation: Examples, callbacks: Sequence[Callback]) -> None:
    """Train from `fit.epoch` to the recipe's last epoch, or until a callback sets `fit.stop_because`."""
    learner = fit.learner
    chunks = iter(stream_chunks(train, learner.recipe, fit.plan, first_epoch=fit.epoch))
    for epoch in range(fit.epoch, fit.epochs):
        _run_steps(fit, chunks, callbacks)
        if fit.stop_because and fit.best_weights:
            break  # half an epoch is thrown away: the best weights so far are known to be good
        facts = _describe_epoch(fit, validation)
        fit.epoch = epoch + 1
        for callback in callbacks:
            callback.after_epoch(fit, facts)
        if fit.stop_because:
            break


def _run_steps(fit: Fit, chunks: Any, callbacks: Sequence[Callback]) -> None:
    fit.learner.begin_epoch(hold=fit.epoch < fit.learner.recipe.freeze_epochs)
    fit.epoch_began, fit.call, fit.waited_seconds = time.monotonic(), 0, 0.0
    for call in range(fit.plan.calls):
        asked = time.monotonic()
        chunk = next(chunks)
        fit.waited_seconds += time.monotonic() - asked
        fit.learner.train(*chunk)
        fit.call = call + 1
        for callback in callbacks:
            callback.after_steps(fit)
        if fit.stop_because:
            return


def _describe_epoch(fit: Fit, validation: Examples) -> dict[str, Any]:
    """The facts of the epoch just trained; the validation split is predicted once for them."""
    learner = fit.learner
    loss, beside, seen = learner.read_sums()
    trained = time.monotonic()
    seconds = trained - fit.epoch_began
    with learner.averaged():
        validation_loss, targets, scores = learner.judge(validation)
    fit.judged_seconds = time.monotonic() - trained
    measured = learner.task.score_validation(learner.schema, targets, scores)
    return {
        "epoch": fit.epoch + 1,
        "loss": loss,
        learner.loss.beside_name: beside,
        "validation_loss": validation_loss,
        **{f"validation_{name}": value for name, value in measured.items()},
        "learning_rate": learner.learning_rate,
        "seconds": time.monotonic() - fit.epoch_began,
        "images_per_second": seen / seconds,
        "input_share": fit.waited_seconds / seconds,  # of the time in which steps had to wait for images
    }
