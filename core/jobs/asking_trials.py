"""Asking for what helps to choose a training: a look at augmented images, a learning curve."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from core.datasets.records import Snapshot
from core.errors import InvalidInput
from core.jobs.records import Job, add_job, find_job
from core.projects.records import Project
from core.store.audit import Actor
from core.store.database import writing
from core.store.files import Files
from core.training.augmented import samples_key
from core.training.learning_curve import FRACTIONS, has_curve
from core.training.power_law import LEAST_SIZES
from core.training.recipe import Recipe, recipe_to_json
from core.training.request import demand_trainable
from core.training.sources import settle_sources


def ask_samples(
    connection: sqlite3.Connection,
    files: Files,
    project: Project,
    snapshot: Snapshot,
    recipe: Recipe,
    *,
    fold: int | None = None,
    actor: Actor,
) -> Job:
    """The job that draws augmented images of a recipe: one that waits, runs or left its picture, else a new one.

    Raises:
        CoreError: whatever `request_training` refuses of snapshot, recipe and fold.
    """
    demand_trainable(connection, project, snapshot, recipe, fold, actor)
    arguments = samples_arguments(snapshot, recipe, fold)
    with writing(connection):
        known = find_job(connection, "augmented", arguments)
        if known and (known.is_active or files.has("prepared", samples_key(snapshot, recipe, fold))):
            return known
        return add_job(connection, "augmented", arguments, project=project.id, actor=actor)


def samples_arguments(snapshot: Snapshot, recipe: Recipe, fold: int | None) -> dict[str, Any]:
    """What such a job is asked for with."""
    return {"project": snapshot.project, "snapshot": snapshot.id, "fold": fold, "recipe": recipe_to_json(recipe)}


def ask_learning_curve(
    connection: sqlite3.Connection,
    project: Project,
    snapshot: Snapshot,
    recipe: Recipe,
    *,
    fold: int | None = None,
    fractions: Sequence[float] = FRACTIONS,
    most_minutes: float | None = None,
    files: Files | None = None,
    actor: Actor,
) -> Job:
    """Queue a learning curve by training-set size.

    Args:
        fractions: of the training cases, from 0 to 1.
        most_minutes: refuse it where its first steps say that it would take longer.
        files: where files go that the recipe begins from, where it names some.

    Raises:
        CoreError: whatever `request_training` refuses; a task without such a curve; fractions that make no curve.
    """
    if not has_curve(snapshot.task):
        raise InvalidInput(
            f"What more cases bring is told of models that answer; how well images are drawn is told only by a "
            f"judge, in an evaluation. Received: {snapshot.task}"
        )
    demand_trainable(connection, project, snapshot, recipe, fold, actor)
    chosen = sorted(set(fractions))
    if len(chosen) < LEAST_SIZES or not all(0 < fraction <= 1 for fraction in chosen):
        raise InvalidInput(
            f"Give at least {LEAST_SIZES} different parts of the training cases, above 0 and up to 1. "
            f"Received: {', '.join(f'{fraction:g}' for fraction in chosen)}"
        )
    recipe, begun = settle_sources(connection, files, snapshot, recipe, {}, actor)
    arguments = samples_arguments(snapshot, recipe, fold) | {"fractions": chosen, "most_minutes": most_minutes}
    arguments |= {"sources": begun} if begun else {}
    return add_job(connection, "learning_curve", arguments, project=project.id, actor=actor)
