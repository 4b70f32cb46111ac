"""Recipes small enough for a test, trained in this process, and killed."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.datasets.records import Snapshot
from core.progress import Silent
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.training import run as run_module
from core.training.checkpoint import NAME, SaveCheckpoint
from core.training.device import CPU
from core.training.fit import Fit
from core.training.recipe import Recipe, change_recipe, named_recipe
from core.training.records import Model, get_model
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
def train_on(connection: sqlite3.Connection, files: Files, settings: Settings, tmp_path: Path, actor: Actor,
             no_onnx: None):  # fmt: skip
    """`train_on(project, snapshot, recipe)`: the model that was trained in this process."""

    def run(project: Project, snapshot: Snapshot, recipe: Recipe) -> Model:
        number = request_training(connection, project, snapshot, recipe, actor=actor)[0].id
        done = run_training(connection, files, settings, number, tmp_path / str(number), CPU, Silent())
        return get_model(connection, None, done["model_id"])

    return run


@pytest.fixture
def train(connection: sqlite3.Connection, files: Files, settings: Settings, actor: Actor, planted: Any, tmp_path: Path):
    """Request a recipe on the planted snapshot and run it in this process."""

    def run(recipe: Recipe, *, folder: str = "job", progress: Any = None, **options: Any) -> dict[str, Any]:
        made, _ = request_training(
            connection, planted.project, planted.snapshot, recipe, files=files, actor=actor, **options
        )
        return run_training(connection, files, settings, made.id, tmp_path / folder, CPU, progress or Silent())

    return run


@pytest.fixture
def checkpoint_of_epoch(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Path], None]:
    """`checkpoint_of_epoch(2, folder)`: the next training leaves in `folder` what it would leave to go on from if it
    died after its second epoch, and goes on, so that one training is both the unbroken and the killed one."""
    save = SaveCheckpoint.after_epoch

    def ask(epoch: int, folder: Path) -> None:
        folder.mkdir(parents=True)

        def save_and_copy(self: SaveCheckpoint, fit: Fit, facts: dict[str, Any]) -> None:
            save(self, fit, facts)
            if fit.epoch == epoch and not (folder / NAME).exists():
                shutil.copyfile(self._folder / NAME, folder / NAME)

        monkeypatch.setattr("core.training.checkpoint.COST_SHARE", 1e9)  # a checkpoint after every epoch
        monkeypatch.setattr(SaveCheckpoint, "after_epoch", save_and_copy)

    return ask
