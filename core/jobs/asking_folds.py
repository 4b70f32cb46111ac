"""Asking for the numbers of all folds of a snapshot together."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from core.evaluation.cross_validation import list_fold_models
from core.jobs.records import Job, add_job
from core.store.audit import Actor
from core.training.records import Model, get_run


def ask_cross_validation(connection: sqlite3.Connection, model: Model, *, actor: Actor) -> Job:
    """Queue what `core.evaluation.cross_validation.cross_validate` answers of a model and those of the other folds.

    Raises:
        InvalidInput: it was trained for no fold, or a fold has no model by its recipe yet.
        NotAllowed: the actor may not open test results here.
    """
    models = list_fold_models(connection, model)
    return add_job(connection, "evaluate", folds_arguments(connection, models), project=model.project, actor=actor)


def folds_arguments(connection: sqlite3.Connection, models: Sequence[Model]) -> dict[str, Any]:
    """What such a job is asked for with, whichever of the models it was asked about."""
    first = models[0]
    return {
        "model": first.id,
        "snapshot": get_run(connection, first.run).snapshot,
        "split": "test",
        "folds": [model.id for model in models],
    }
