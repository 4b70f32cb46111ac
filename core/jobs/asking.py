"""Asking for a training: a run and the job that trains it, which know of each other from the first moment."""

import sqlite3

from core.datasets.records import Snapshot
from core.jobs.records import Job, add_job
from core.projects.records import Project
from core.store.audit import Actor
from core.store.database import writing
from core.training.recipe import Recipe
from core.training.records import Run, get_run, set_run_job
from core.training.request import request_training


def ask_training(
    connection: sqlite3.Connection,
    project: Project,
    snapshot: Snapshot,
    recipe: Recipe,
    *,
    name: str | None = None,
    fold: int | None = None,
    evaluate: str | None = None,
    actor: Actor,
) -> tuple[Run, Job]:
    """Queue a training: run and job are both there, or neither.

    Args:
        evaluate: a split on which the model is measured as soon as it is there.

    Raises:
        CoreError: whatever `request_training` refuses.
    """
    with writing(connection):
        run, arguments = request_training(connection, project, snapshot, recipe, name=name, fold=fold, actor=actor)
        asked = {**arguments, "evaluate": evaluate} if evaluate else arguments
        job = add_job(connection, "train", asked, project=project.id, actor=actor)
        set_run_job(connection, run.id, job.id)
        return get_run(connection, run.id), job
