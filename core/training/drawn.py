"""Drawing with a stored model: what somebody asks for, and the images. Importing this does not import Keras."""

import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.errors import InvalidInput
from core.progress import Progress, stop_if_asked
from core.store.files import Files
from core.tasks import task_module
from core.tasks.generation import encode_condition
from core.training.records import Model, get_run
from core.training.samples import AT_ONCE, draw_images
from core.training.stored import load_network

MOST = 5000
LEARNT_AGES = 5.0  # years that an age may lie outside of those that were shown


@dataclass(frozen=True)
class Wanted:
    """What an image is drawn for. `sex` and `age` (years) of None are left open."""

    name: str
    sex: str | None = None
    age: float | None = None

    def to_json(self) -> dict[str, Any]:
        told = asdict(self)
        return {"class": told.pop("name"), **{key: value for key, value in told.items() if value is not None}}


def check_wanted(model: Model, wanted: Wanted, n: int) -> None:
    """Refuse what a model cannot draw, for it has never seen the like.

    Raises:
        InvalidInput: the model does not draw, it was shown no such class, sex or age, or too many are asked for.
    """
    if not task_module(model.task).DRAWS:
        raise InvalidInput(f"Name a model of generation; this one does not draw. Received: {model.name}, {model.task}")
    if not 1 <= n <= MOST:
        raise InvalidInput(f"Draw 1 to {MOST:,} images at a time. Received: {n}")
    shown = model.calibration["shown"]
    if wanted.name not in shown["classes"]:
        raise InvalidInput(f"The model draws {', '.join(shown['classes'])}. Received: {wanted.name}")
    if wanted.sex is not None and not shown["sex"].get(wanted.sex):
        known = ", ".join(sex for sex, count in shown["sex"].items() if count)
        raise InvalidInput(
            f"The model was shown no image of this sex; {'take ' + known if known else 'leave it open'}. "
            f"Received: {wanted.sex}"
        )
    if wanted.age is None:
        return
    ages = shown["age"]
    if ages is None:
        raise InvalidInput(f"The model was shown no ages; leave it open. Received: {wanted.age:g}")
    if not ages["low"] - LEARNT_AGES <= wanted.age <= ages["high"] + LEARNT_AGES:
        raise InvalidInput(
            f"The model was shown ages from {ages['low']:g} to {ages['high']:g} years. Received: {wanted.age:g}"
        )


def draw_with(
    connection: sqlite3.Connection,
    files: Files,
    model: Model,
    conditions: np.ndarray,
    progress: Progress,
    *,
    seed: int,
) -> np.ndarray:
    """Images uint8 `(n, size, size, channels)` of a stored model for conditions `(n, k)`.

    Raises:
        Stopped: somebody asked to stop.
    """
    network, drawer = get_run(connection, model.run).recipe.network, load_network(files, model)
    parts = []
    for start in range(0, len(conditions), AT_ONCE):
        stop_if_asked(progress)
        progress.report(start / len(conditions), f"{start} of {len(conditions)} images drawn")
        parts.append(draw_images(network, drawer, conditions[start : start + AT_ONCE], seed=seed, first=start))
    progress.report(1.0, f"{len(conditions)} images drawn")
    return np.concatenate(parts)


def conditions_of(model: Model, wanted: Sequence[Wanted]) -> np.ndarray:
    """What is asked for as the network takes it, `(n, k)`."""
    schema = task_module(model.task).schema_of(model.facts)
    return np.stack([encode_condition(schema, one.name, one.sex, one.age) for one in wanted])
