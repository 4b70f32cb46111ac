"""What a disk can do to a checkpoint."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from core.errors import CoreError
from core.projects.schema import make_classification
from core.training.batches import Plan
from core.training.checkpoint import NAME, restore_checkpoint, save_checkpoint
from core.training.fit import Fit
from core.training.networks import build_network
from core.training.recipe import Recipe, change_recipe
from core.training.steps import Learner


def test_on_a_full_disk_half_a_checkpoint_takes_no_room_and_the_one_before_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = SimpleNamespace(
        network=SimpleNamespace(variables=[np.zeros(9)]),
        optimizer=SimpleNamespace(variables=[np.ones(9)]),
        state=[np.ones(1)],
    )
    fit: Any = SimpleNamespace(
        epoch=1, best_epoch=1, best_value=0.5, cut_epoch=0, learner=learner, best_weights=[np.zeros(9)]
    )
    save_checkpoint(tmp_path, fit, "recipe")
    before = (tmp_path / NAME).read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tmp_path, fit, "recipe")
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert (tmp_path / NAME).read_bytes() == before


def fit_of(*, scaled: bool, **changes: object) -> Fit:
    """A tiny fit; `scaled` as in half precision."""
    tiny = {"input_size": 16, "filters": "2", "schedule": "constant", "warm_up": 0}
    recipe = change_recipe(Recipe(), {**tiny, **changes})
    schema, ones, plan = make_classification(["a", "b"]), np.ones((2, 2), np.float32), Plan(2, 1, 1)
    return Fit(Learner(build_network(recipe, schema, ones), recipe, schema, plan, ones, scale_loss=scaled), plan, 9)


@pytest.mark.parametrize("scaled", [True, False])
def test_a_run_goes_on_in_another_precision(tmp_path: Path, scaled: bool) -> None:
    """As when the GPU it began on is gone, and a CPU takes over."""
    before, after = fit_of(scaled=scaled), fit_of(scaled=not scaled)
    images, targets = np.zeros((1, 2, 16, 16, 1), np.uint8), np.eye(2, dtype=np.float32)[None]
    before.learner.train(*map(tf.constant, (images, targets, np.zeros((1, 2), np.int32))))
    before.epoch = 1
    save_checkpoint(tmp_path, before, "recipe")
    assert restore_checkpoint(tmp_path, after, "recipe")
    first, then = (getattr(fit.learner.optimizer, "inner_optimizer", fit.learner.optimizer) for fit in (before, after))
    assert int(then.iterations) == 1
    for one, other in zip(first.variables, then.variables, strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(other)), one.path
    assert all(map(np.array_equal, before.learner.network.get_weights(), after.learner.network.get_weights()))
    with pytest.raises(CoreError, match="builds the optimizer differently"):
        restore_checkpoint(tmp_path, fit_of(scaled=not scaled, optimiser="sgd"), "recipe")
