"""A judge of drawn images: a small classifier of the same classes, trained by the ordinary loop on what the model that
draws was trained on, and never on what it is judged by.

It is made once for a snapshot and a recipe and kept with the prepared images, which can be made again too.
"""

import hashlib
import json
import sqlite3
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from core.datasets.loading import PreparedImages
from core.datasets.records import Snapshot, get_snapshot
from core.errors import CoreError
from core.progress import Portion, Progress, stop_if_asked
from core.projects.schema import Classification, Generation
from core.store.files import Files
from core.tasks import task_module
from core.training.callbacks import KeepBestWeights
from core.training.fit import Fit, fit_network
from core.training.recipe import Recipe, change_recipe, named_recipe, recipe_hash
from core.training.records import Model, get_run
from core.training.request import training_cases
from core.training.run import build_fit, gather_material
from core.training.stored import image_spec, network_bytes

STEPS_WANTED = 600
FEWEST_EPOCHS, MOST_EPOCHS = 3, 30
CHANGES = {"filters": "16,32,64", "learning_rate": 0.002, "ema": 0.95}
FEW_IMAGES = 256  # fewer are learnt in small batches, or an epoch would have hardly a step
BATCH = 64


@dataclass(frozen=True)
class Judge:
    """`look(images)` gives features `(n, d)` and, as places in the schema, the classes seen `(n,)`."""

    network: Any
    recipe: Recipe

    def look(self, images: PreparedImages | np.ndarray, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
        head = self.network.get_layer(task_module("classification").RAW)
        both = keras.Model(self.network.input, [head.input, head.output])
        features, raw, n = [], [], len(images.case_ids) if isinstance(images, PreparedImages) else len(images)
        for start in range(0, n, BATCH):
            stop_if_asked(progress)
            rows = range(start, min(start + BATCH, n))
            some = images.read(rows) if isinstance(images, PreparedImages) else images[rows.start : rows.stop]
            seen = both(some, training=False)
            features.append(np.asarray(seen[0], np.float64))
            raw.append(np.asarray(seen[1]))
            progress.report(rows.stop / n, f"{rows.stop} of {n} images looked at by the judge")
        return np.concatenate(features), np.concatenate(raw).argmax(axis=1)


def find_judge(connection: sqlite3.Connection, files: Files, model: Model, progress: Progress) -> Judge:
    """The judge of a model that draws, trained where it is not there yet; of the same seed it is always the same.

    Raises:
        CoreError: there is one class, so that there is nothing to tell apart.
        Stopped: somebody asked to stop.
    """
    run = get_run(connection, model.run)
    drawn_from = get_snapshot(connection, run.project, run.snapshot)
    assert isinstance(drawn_from.schema, Generation)
    if len(drawn_from.schema.names) < 2:
        raise CoreError(
            f"Drawn images are judged by a classifier, which takes two classes or more; look at samples instead. "
            f"Received: {drawn_from.schema.names[0]} alone"
        )
    snapshot = replace(drawn_from, task="classification", schema=Classification(drawn_from.schema.classes, False))
    spec = image_spec(model)
    given: dict[str, Any] = {
        "input_size": spec.size,
        "channels": spec.channels,
        "resize": spec.resize,
        "window": spec.window,
    }
    given["window_values"], given["pixel_mm"] = spec.window_values or (0.0, 0.0), spec.pixel_mm or 0.0
    train, _ = training_cases(connection, snapshot, run.fold)
    given["batch"] = 32 if len(train) >= FEW_IMAGES else 8
    recipe = change_recipe(named_recipe("resnet"), {**CHANGES, **given})
    told = json.dumps(["judge", snapshot.hash, run.fold, recipe_hash(recipe)])
    key = hashlib.sha256(told.encode()).hexdigest()
    path = files.path("prepared", key)
    if not path.exists():
        files.put_under("prepared", key, network_bytes(_train(connection, files, snapshot, recipe, run.fold, progress)))
    progress.report(1.0, "The judge is there")
    return Judge(_load(path.read_bytes()), recipe)


def _train(
    connection: sqlite3.Connection, files: Files, snapshot: Snapshot, recipe: Recipe, fold: int | None, told: Progress
) -> Any:
    part = Portion(told, 0.0, 0.1)
    material = gather_material(connection, files, snapshot, recipe, fold, part, checked=True)
    steps = max(1, len(material.train) // recipe.batch)
    epochs = min(max(-(-STEPS_WANTED // steps), FEWEST_EPOCHS), MOST_EPOCHS)
    fit = build_fit(change_recipe(recipe, {"epochs": epochs}), snapshot, material, "float32")
    fit_network(fit, material.train, material.validation, [KeepBestWeights(), _Tell(Portion(told, 0.1, 1.0))])
    fit.learner.network.set_weights(fit.best_weights)
    return fit.learner.network


class _Tell:
    """Says how far the judge is, and ends it where somebody asks."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def after_steps(self, fit: Fit) -> None:
        stop_if_asked(self._progress)
        done = (fit.epoch + fit.steps_done / fit.plan.steps) / fit.epochs
        self._progress.report(min(done, 1.0), f"Training the judge, epoch {fit.epoch + 1} of {fit.epochs}")

    def after_epoch(self, fit: Fit, facts: dict[str, Any]) -> None:
        pass


def _load(content: bytes) -> Any:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "judge.keras"
        path.write_bytes(content)
        return keras.models.load_model(path, compile=False)
