"""Asking for what helps to choose a training: a look at augmented images."""

import sqlite3
from typing import Any

from core.datasets.records import Snapshot
from core.jobs.records import Job, add_job, find_job
from core.projects.records import Project
from core.store.audit import Actor
from core.store.database import writing
from core.store.files import Files
from core.training.augmented import samples_key
from core.training.recipe import Recipe, recipe_to_json
from core.training.request import demand_trainable


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
