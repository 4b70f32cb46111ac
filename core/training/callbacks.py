"""What happens beside the steps: one behaviour in each class, named by its effect."""

import logging
import math
import sqlite3
import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import psutil

from core.errors import CoreError
from core.progress import Progress
from core.training.fit import Fit
from core.training.records import add_epoch
from core.training.schedules import CUT

SECONDS_BETWEEN_REPORTS = 1.0
EPOCHS_LOOKED_BACK = 5  # to say how long the others will take
LOGGED = {
    "loss": "loss",
    "accuracy": "accuracy",
    "validation_loss": "validation loss",
    "validation_balanced_accuracy": "balanced accuracy",
    "validation_auc": "AUC",
    "mae": "mean absolute error",
    "validation_mae": "in validation",
    "dice": "Dice",
    "validation_dice": "in validation",
    "drawing_error": "drawing error",
    "validation_drawing_error": "in validation",
}
STOPPED = "asked to stop"
SLOW_INPUT = 0.05  # a share of the time that reading images may take before it is said

log = logging.getLogger("readroom.training")


class Quiet:
    """Does nothing; the others say what they do."""

    def after_steps(self, fit: Fit) -> None:
        pass

    def after_epoch(self, fit: Fit, facts: dict[str, Any]) -> None:
        pass


class RefuseNan(Quiet):
    """Ends the run when the loss is no longer a number: nothing learnt after that is worth keeping."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._last = clock, clock()

    def after_steps(self, fit: Fit) -> None:
        now = self._clock()
        if now - self._last >= SECONDS_BETWEEN_REPORTS:
            self._last = now
            self._check(fit, fit.learner.read_sums()[0], fit.epoch + 1)

    def after_epoch(self, fit: Fit, facts: dict[str, Any]) -> None:
        # here `fit.epoch` counts the epoch already
        self._check(fit, facts["loss"], fit.epoch)
        self._check(fit, facts["validation_loss"], fit.epoch)

    def _check(self, fit: Fit, loss: float, epoch: int) -> None:
        if not math.isfinite(loss):
            recipe = fit.learner.recipe
            given, rate = recipe.learning_rate, recipe.highest_rate
            share = (
                ""
                if rate == given
                else f" ({recipe.fine_tune_rate:g} of {given:g}, since it began from learnt weights)"
            )
            raise CoreError(
                f"The loss is no longer a number: start again with a lower learning rate, for example {given / 10:g}. "
                f"Received: loss {loss} in epoch {epoch} at learning rate {rate:g}{share}",
                remedy="Start a new run with a lower learning rate: the learning-rate test (--find-rate) suggests one; "
                "resumed, this one would end in the same way.",
                would_repeat=True,
                why="Steps at this rate were so large that the weights left every useful range; images of extreme "
                "values or half precision can do the same.",
            )


class KeepBestWeights(Quiet):
    """Keeps the weights of the epoch with the lowest validation loss."""

    def after_epoch(self, fit: Fit, facts: dict[str, Any]) -> None:
        facts["best"] = facts["validation_loss"] < fit.best_value
        if facts["best"]:
            fit.best_value, fit.best_epoch = facts["validation_loss"], fit.epoch
            fit.best_weights = fit.learner.kept_weights()


class StopEarly(Quiet):
    """Ends the run after `patience` epochs without a new best. Comes after `KeepBestWeights`."""

    def __init__(self, patience: int) -> None:
        self._patience = patience

    def after_epoch(self, fit: Fit, facts: dict[str, Any]) -> None:
        if fit.epoch - fit.best_epoch >= self._patience:
            fit.stop_because = f"no lower validation loss for {self._patience} epochs"


class LowerRateOnPlateau(Quiet):
    """Cuts the learning rate after `patience` epochs without a new best. Comes after `KeepBestWeights`."""

    def __init__(self, patience: int) -> None:
        self._patience = patience

    def after_epoch(self, fit: Fit, facts: dict[str, Any]) -> None:
        if fit.epoch - max(fit.best_epoch, fit.cut_epoch) >= self._patience:
            fit.learner.rate_factor.assign(fit.learner.rate_factor * CUT)
            fit.cut_epoch = fit.epoch


class StopOnRequest(Quiet):
    """Ends the run when somebody asks; half an epoch is thrown away unless it is the first."""

    def __init__(self, progress: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self._progress, self._clock, self._last = progress, clock, -math.inf

    def after_steps(self, fit: Fit) -> None:
        now = self._clock()
        if now - self._last >= SECONDS_BETWEEN_REPORTS / 4:
            self._last = now
            self._ask(fit)

    def after_epoch(self, fit: Fit, facts: dict[str, Any]) -> None:
        self._ask(fit)

    def _ask(self, fit: Fit) -> None:
        if self._progress.should_stop():
            fit.stop_because = STOPPED


class RecordEpochs(Quiet):
    """Writes the facts of each epoch to the run."""

    def __init__(self, connection: sqlite3.Connection, run_id: int) -> None:
        self._connection, self._run = connection, run_id

    def after_epoch(self, fit: Fit, facts: dict[str, Any]) -> None:
        add_epoch(self._connection, self._run, fit.epoch, facts)


class LogEpochs(Quiet):
    """Writes one plain line about each epoch into the log. Comes after `KeepBestWeights`."""

    def after_epoch(self, fit: Fit, facts: dict[str, Any]) -> None:
        log.info(
            "Epoch %d of %d: %s; %.0f images/s, %.1f s%s%s",
            fit.epoch,
            fit.epochs,
            ", ".join(f"{title} {facts[key]:.4f}" for key, title in LOGGED.items() if facts.get(key) is not None),
            facts["images_per_second"],
            facts["seconds"],
            f", {facts['input_share']:.0%} of it waiting for images" if facts["input_share"] > SLOW_INPUT else "",
            "; the best so far" if facts["best"] else "",
        )


class ReportProgress(Quiet):
    """Says once a second where the run stands: epoch, batch, loss, images/s, time left, memory. Comes after what takes
    its time after every epoch, which the first one is counted with.

    `ending` is how long a run takes after its last epoch, of the seconds that a judgement of the validation takes;
    `use` tells how busy the device is (`core.training.device_use`). `step_seconds` is what a step takes in which
    everything learns: epochs in which all but the last layer is held are several times as fast and say nothing of it.
    """

    def __init__(
        self,
        progress: Progress,
        clock: Callable[[], float] = time.monotonic,
        *,
        ending: Callable[[float], float] = lambda _: 0.0,
        use: Callable[[], Mapping[str, float]] = dict,
        step_seconds: float = 0.0,
    ) -> None:
        self._progress, self._clock, self._ending, self._last = progress, clock, ending, -math.inf
        self._use, self._step_seconds = use, step_seconds
        self._process = psutil.Process()
        self._validation: dict[str, Any] = {}
        self._epochs: deque[float] = deque(maxlen=EPOCHS_LOOKED_BACK)
        self._ended: float | None = None

    def after_steps(self, fit: Fit) -> None:
        if self._clock() - self._last >= SECONDS_BETWEEN_REPORTS:
            self._say(fit, fit.epoch, fit.steps_done)

    def after_epoch(self, fit: Fit, facts: dict[str, Any]) -> None:
        self._validation = {key: value for key, value in facts.items() if key.startswith("validation_")}
        # From end to end: checkpoints and the other callbacks take their time too.
        now = self._clock()
        self._epochs.append(time.monotonic() - fit.epoch_began if self._ended is None else now - self._ended)
        self._ended = now
        self._say(fit, fit.epoch - 1, fit.plan.steps)
        if fit.epoch == fit.learner.recipe.freeze_epochs:
            self._epochs.clear()

    def _say(self, fit: Fit, epoch: int, batch: int) -> None:
        self._last = self._clock()
        loss, beside, seen = fit.learner.read_sums()
        seconds = max(time.monotonic() - fit.epoch_began, 1e-6)
        done = (epoch + batch / fit.plan.steps) / fit.epochs
        # The middle one, so that an epoch in which the machine did other work does not count for all.
        known = statistics.median_low(self._epochs) if self._epochs else None
        epoch_seconds = known or seconds * fit.plan.steps / max(batch, 1)
        self._progress.report(
            done,
            f"Epoch {epoch + 1} of {fit.epochs}, batch {batch} of {fit.plan.steps}, loss {loss:.4f}",
            epoch=epoch + 1,
            epochs=fit.epochs,
            batch=batch,
            batches=fit.plan.steps,
            loss=loss if math.isfinite(loss) else None,
            images_per_second=seen / seconds,
            seconds_left=self._epochs_left(fit, epoch, done, epoch_seconds) + self._ending(fit.judged_seconds),
            memory_bytes=self._process.memory_info().rss,
            **self._use(),
            best_epoch=fit.best_epoch,
            **{fit.learner.loss.beside_name: beside},
            **self._validation,
        )

    def _epochs_left(self, fit: Fit, epoch: int, done: float, seconds: float) -> float:
        """How long the epochs that are left will take, where one like the present one takes so many seconds."""
        left, held = (1 - done) * fit.epochs, fit.learner.recipe.freeze_epochs
        if epoch >= held:
            return left * seconds
        still_held = held - done * fit.epochs
        whole = max(seconds, self._step_seconds * fit.plan.steps + fit.judged_seconds)
        return still_held * seconds + (left - still_held) * whole
