"""Asking for several trainings at once: one for each fold of a snapshot and each of some seeds."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.datasets.records import Snapshot
from core.errors import InvalidInput
from core.jobs.asking import ask_training
from core.jobs.records import Job
from core.people.roles import demand_of
from core.projects.records import Project
from core.store.audit import Actor
from core.store.database import writing
from core.store.files import Files
from core.tasks import module_of, trainable_schema
from core.training.ensemble import demand_free_name, plan_ensemble
from core.training.recipe import Recipe, change_recipe
from core.training.records import Run
from core.training.sources import fetch_ahead

Settle = Callable[[int | None], tuple[Recipe, Mapping[str, Any] | None]]


def folds_of(snapshot: Snapshot) -> list[int | None]:
    """All folds of a snapshot.

    Raises:
        InvalidInput: it has none.
    """
    if not snapshot.folds:
        raise InvalidInput(f"Freeze a snapshot with folds first (--folds 5). Received: {snapshot.name}")
    return list(range(snapshot.folds))


def ask_series(
    connection: sqlite3.Connection,
    files: Files,
    project: Project,
    snapshot: Snapshot,
    settle: Settle,
    *,
    folds: Sequence[int | None],
    seeds: int,
    name: str = "",
    ensemble: str = "",
    actor: Actor,
) -> list[tuple[Run, Job]]:
    """Queue a training for each fold and seed: all of them, or none.

    Args:
        settle: the recipe for a fold, and why, where `auto` chose it; its seed is the first.
        seeds: so many runs a fold, each with the next seed.
        name: that of a single run; of several it is followed by the fold and the seed.
        ensemble: the name of the one model that theirs become when all are there; none is made without it.

    Raises:
        CoreError: whatever `ask_training` and `plan_ensemble` refuse; the name of the ensemble is taken, or it would be
            of one run or of models that draw.
    """
    asked = []
    demand_of(connection, actor, "train", project.id)  # before anything is fetched
    settled = []
    for fold in folds:
        chosen, choice = settle(fold)
        settled.append((fold, *fetch_ahead(connection, files, chosen), choice))
    with writing(connection):
        if ensemble:
            demand_free_name(connection, project.id, ensemble)
            if len(folds) * seeds == 1:
                raise InvalidInput(f"An ensemble is of several models; ask for folds or seeds. Received: {ensemble}")
            if module_of(trainable_schema(snapshot.schema)).DRAWS:
                raise InvalidInput(f"What draws has no answers to take the mean of. Received: {ensemble}")
        for fold, recipe, sources, choice in settled:
            for seed in range(recipe.seed, recipe.seed + seeds):
                parts = [name, *([f"fold {fold}"] if len(folds) > 1 else []), *([f"seed {seed}"] if seeds > 1 else [])]
                asked.append(
                    ask_training(
                        connection,
                        project,
                        snapshot,
                        change_recipe(recipe, {"seed": seed}),
                        name=" ".join(parts) if name else None,
                        fold=fold,
                        choice=choice,
                        files=files,
                        sources=sources,
                        actor=actor,
                    )
                )
        if ensemble:
            plan_ensemble(connection, ensemble, [run for run, _ in asked])
    return asked
