"""Learning to draw: the loop is that of every task, and only what a step shows the network is different.

A network that draws takes the image, what it is of, and chance. Chance is the step's seed and nothing else, so that a
run can be repeated and resumed to the bit; in validation it follows from the place of each case, so that epochs are
compared on the same.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from core.store.files import write_whole
from core.training.batches import Examples
from core.training.callbacks import Quiet
from core.training.fit import Fit
from core.training.samples import ROWS_TOLD, draw_images, grid_png, sample_path
from core.training.steps import Learner

STREAM = 20  # of the step's seed; smaller numbers are those of augmentation and mixing
VALIDATION_SEED = 7
COLUMNS, ROWS = 8, 6  # of the grid of samples
JUDGED_AT_ONCE = 64


class DrawingLearner(Learner):
    """Shows each image with its condition; `network.inputs` after these two are chance by name."""

    def _answer(self, images: Any, targets: Any, seed: Any) -> list[Any]:
        chance = []
        for at, wanted in enumerate(self.network.inputs[2:]):
            drawn = tf.random.experimental.stateless_fold_in(seed, STREAM + at)
            shape = (self._batch, *wanted.shape[1:])
            draw = tf.random.stateless_normal if wanted.name == "noise" else tf.random.stateless_uniform
            chance.append(draw(shape, drawn))
        return [self._to_raw([images, targets, *chance], training=True)]

    def judge(self, validation: Examples) -> tuple[float, np.ndarray, np.ndarray]:
        """The loss, the conditions, and the parts of the loss `(n, parts)`."""
        n, parts = len(validation), []
        for at in range(0, n, JUDGED_AT_ONCE):
            picked = np.arange(at, min(at + JUDGED_AT_ONCE, n))
            images = validation.images.read(validation.rows[picked])
            parts.append(self._parts_of(images, validation.targets[picked], picked, n))
        told = np.concatenate(parts)
        return self.validation_loss(validation.targets, told), validation.targets, told

    def _parts_of(self, images: np.ndarray, targets: np.ndarray, places: np.ndarray, n: int) -> np.ndarray:
        chance = []
        for wanted in self.network.inputs[2:]:
            if wanted.name == "noise":
                streams = [np.random.default_rng((VALIDATION_SEED, place)) for place in places]
                chance.append(np.stack([one.standard_normal(wanted.shape[1:], np.float32) for one in streams]))
            elif wanted.name == "level":
                chance.append(((places[:, None] + 0.5) / n).astype(np.float32))  # all levels alike
            else:
                chance.append(np.ones((len(places), 1), np.float32))  # nothing is hidden
        told: np.ndarray = self._judged(*(tf.constant(one) for one in (images, targets, *chance))).numpy()
        return told

    @cached_property
    def _judged(self) -> Any:
        return tf.function(
            lambda *shown: self._to_raw(list(shown), training=False), reduce_retracing=True, autograph=False
        )


class KeepSamples(Quiet):
    """After each epoch draws the same few images again, with the weights that would be kept: a row for each class.

    Their conditions are those of validation cases. The files lie beside the run's log, one for each epoch, and name
    the classes of their rows.
    """

    def __init__(self, folder: Path, validation: Examples, classes: Sequence[str]) -> None:
        self._folder = folder
        self._conditions, self._rows = _spread(validation.targets, classes)

    def after_epoch(self, fit: Fit, facts: dict[str, Any]) -> None:
        recipe = fit.learner.recipe
        with fit.learner.averaged():
            drawer = fit.learner.network.get_layer("drawer")
            images = draw_images(recipe.network, drawer, self._conditions, seed=recipe.seed)
        told = {"epoch": str(fit.epoch), ROWS_TOLD: ", ".join(self._rows)}
        write_whole(sample_path(self._folder, fit.epoch), grid_png(images, COLUMNS, told))


def _spread(conditions: np.ndarray, classes: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """So many conditions of each of the first classes that there are cases of, evenly from these, and the classes."""
    picked, rows = list[int](), list[str]()
    for at, name in enumerate(classes):
        found = np.flatnonzero(conditions[:, at])
        if len(found) and len(rows) < ROWS:
            picked += [found[column * len(found) // COLUMNS] for column in range(COLUMNS)]
            rows.append(name)
    return conditions[picked], rows
