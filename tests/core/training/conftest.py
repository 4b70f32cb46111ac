"""Recipes small enough for a test, trained in this process, and killed."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.progress import Silent
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.training import run as run_module
from core.training.checkpoint import SaveCheckpoint
from core.training.device import CPU
from core.training.fit import Fit
from core.training.recipe import Recipe, change_recipe, named_recipe
from core.training.request import request_training
from core.training.run import run_training


@pytest.fixture
def small_recipe() -> Recipe:
    """A residual network that learns the planted square in a second or two."""
    changes = {
        "input_size": 16,
        "filters": "8",
        "batch": 8,
        "epochs": 4,
        "learning_rate": 0.01,
        "zoom": 0,
        "shift": 0,
    }
    return change_recipe(named_recipe("resnet"), changes)


@pytest.fixture
def no_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    """The export takes a process of its own and is tested in `test_onnx_export.py`."""
    monkeypatch.setattr(run_module, "make_onnx", lambda *_: (None, "left out in this test"))


@pytest.fixture
def train(connection: sqlite3.Connection, files: Files, settings: Settings, actor: Actor, planted: Any, tmp_path: Path):
    """Request a recipe on the planted snapshot and run it in this process."""

    def run(recipe: Recipe, *, folder: str = "job", progress: Any = None, **options: Any) -> dict[str, Any]:
        made, _ = request_training(
            connection, planted.project, planted.snapshot, recipe, files=files, actor=actor, **options
        )
        return run_training(connection, files, settings, made.id, tmp_path / folder, CPU, progress or Silent())

    return run


class Killed(Exception):
    pass


@pytest.fixture
def kill_after_two_epochs(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Lets a training die once its second epoch is in the checkpoint."""
    save = SaveCheckpoint.after_epoch

    def die_after_two(self: SaveCheckpoint, fit: Fit, facts: dict[str, Any]) -> None:
        save(self, fit, facts)
        if fit.epoch == 2:
            raise Killed

    def kill(training: Callable[[], object]) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(SaveCheckpoint, "after_epoch", die_after_two)
            with pytest.raises(Killed):
                training()

    return kill
