"""Where a run can go on after a kill: weights and their averages, optimiser, epoch, best value and its weights,
what a plateau left of the learning rate, random state.

Order and augmentation follow from (seed, epoch, step), so the epoch is their whole state; dropout's
counters are variables of the network and are kept with the weights. Patience is the distance
between the epoch and the best epoch. A resumed run therefore ends with the weights of an unbroken one.

A run may go on in another precision than it began in, as when its GPU is gone: what half precision alone has of the
optimiser, the scale of the loss, is left out or begins anew then.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import CoreError
from core.training.callbacks import Quiet
from core.training.fit import Fit
from core.training.kept import CHECKPOINT

NAME = CHECKPOINT
NUMBERS = ("epoch", "best_epoch", "best_value", "cut_epoch")  # of a `Fit`
OF_SCALE = 4  # variables of Keras's `LossScaleOptimizer`, before those of the optimiser inside it
COST_SHARE = 0.05  # a large network is written less often, so that writing stays below this share of the time


class SaveCheckpoint(Quiet):
    """Writes the state after an epoch, whole or not at all."""

    def __init__(self, folder: Path, recipe_hash: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._recipe_hash, self._clock = folder, recipe_hash, clock
        self._next = -float("inf")

    def after_epoch(self, fit: Fit, facts: dict[str, Any]) -> None:
        if fit.stop_because:
            return  # perhaps half an epoch; the model is stored next
        began = self._clock()
        if began >= self._next:
            save_checkpoint(self._folder, fit, self._recipe_hash)
            ended = self._clock()
            self._next = ended + (ended - began) / COST_SHARE


def save_checkpoint(folder: Path, fit: Fit, recipe_hash: str) -> None:
    """Write the state of `fit` into `folder`, whole or not at all."""
    state = {key: getattr(fit, key) for key in NUMBERS} | {"recipe": recipe_hash}
    arrays = {
        **{f"network_{at}": value for at, value in enumerate(_read(fit.learner.network.variables))},
        **{f"optimizer_{at}": value for at, value in enumerate(_read(fit.learner.optimizer.variables))},
        **{f"state_{at}": value for at, value in enumerate(_read(fit.learner.state))},
        **{f"best_{at}": value for at, value in enumerate(fit.best_weights)},
    }
    part = folder / f"{NAME}.part"  # straight to disk: with its optimiser a large network weighs a gigabyte
    try:
        with part.open("wb") as stream:
            np.savez(stream, allow_pickle=False, state=np.array(json.dumps(state)), **arrays)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(folder / NAME)
    except BaseException:  # on a full disk half a checkpoint would take the room that the next one needs
        part.unlink(missing_ok=True)
        raise


def restore_checkpoint(folder: Path, fit: Fit, recipe_hash: str) -> bool:
    """Put a saved state back into a freshly built `fit`; False where there is none.

    Raises:
        CoreError: the file is of another recipe.
    """
    path = folder / NAME
    if not path.exists():
        return False
    with np.load(path, allow_pickle=False) as saved:
        state = json.loads(str(saved["state"]))
        if state["recipe"] != recipe_hash:
            raise CoreError(f"Start a new run: the checkpoint in its folder is of another recipe. Received: {path}")
        _write(fit.learner.network.variables, saved, "network")
        _write_optimizer(fit.learner.optimizer, saved)
        _write(fit.learner.state, saved, "state")
        fit.best_weights = [saved[f"best_{at}"] for at in range(_count(saved, "best"))]
    for key in NUMBERS:
        setattr(fit, key, state[key])
    return True


def _read(variables: Any) -> list[np.ndarray]:
    return [np.asarray(variable) for variable in variables]


def _write_optimizer(optimizer: Any, saved: Any) -> None:
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    change = len(optimizer.variables) - _count(saved, "optimizer")
    if inner is optimizer and change == -OF_SCALE:  # it was saved in half precision
        _write(optimizer.variables, saved, "optimizer", first=OF_SCALE)
    elif inner is not optimizer and change == OF_SCALE:
        _write(inner.variables, saved, "optimizer")
    else:
        _write(optimizer.variables, saved, "optimizer")


def _write(variables: Any, saved: Any, prefix: str, *, first: int = 0) -> None:
    if len(variables) != _count(saved, prefix) - first:
        raise CoreError(
            f"Start a new run: this version builds the {prefix} differently than the one that wrote the checkpoint. "
            f"Received: {len(variables)} variables for {_count(saved, prefix)}"
        )
    for at, variable in enumerate(variables, start=first):
        variable.assign(saved[f"{prefix}_{at}"])


def _count(saved: Any, prefix: str) -> int:
    return sum(1 for name in saved.files if name.startswith(f"{prefix}_"))
