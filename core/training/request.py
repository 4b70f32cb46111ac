"""Asking for a training: what can be refused at once is refused here, before anything waits in a queue."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from core.datasets.leaks import are_known, learnt_of
from core.datasets.records import Snapshot, SnapshotCase, demand_whole, get_snapshot
from core.datasets.splits import SPLITS, list_view
from core.errors import InvalidInput
from core.images.frames import refuse_any_unscaled, refuse_flat, refuse_volumes
from core.images.records import get_cases
from core.images.render import PRESETS, SCALED, TRAINING_SET, InputSpec, refuse_window
from core.people.roles import demand_of
from core.projects.records import Project
from core.store.audit import Actor
from core.store.database import writing
from core.store.files import Files
from core.tasks import task_module, trainable_schema
from core.training.directions import look_at_directions
from core.training.networks import check_network, check_weights, input_of
from core.training.preflight import check_room_for_images, look_at_spacing, look_at_splits
from core.training.recipe import Recipe
from core.training.records import Run, add_run, list_earlier_runs
from core.training.settling import settle_scale, settle_spacing
from core.training.sources import describe_sources, settle_sources

CASES_AT_ONCE = 500


def request_training(
    connection: sqlite3.Connection,
    project: Project,
    snapshot: Snapshot,
    recipe: Recipe,
    *,
    name: str | None = None,
    fold: int | None = None,
    choice: Mapping[str, Any] | None = None,
    files: Files | None = None,
    sources: Mapping[str, Any] | None = None,
    actor: Actor,
) -> tuple[Run, dict[str, int]]:
    """A run and the arguments of the job that trains it; whoever asks puts the job into the queue.

    Args:
        choice: why the recipe is what it is, where `auto` chose it (`settle_auto`).
        files: where files go that the recipe begins from, where it names some; with it the disk is looked at.
        sources: what an earlier run began from, where this one repeats it.

    Raises:
        CoreError: one class, an empty split, a fold that the snapshot does not have, a task that cannot be
            trained yet or not by this network or loss, a network of more weights than can be trained, volumes for a
            network that sees single images, a name that is taken, a snapshot of which cases were erased, a disk without
            room for the prepared images.
    """
    train, validation, test = demand_trainable(connection, project, snapshot, recipe, fold, actor)
    recipe, begun = settle_sources(connection, files, snapshot, recipe, sources or {}, actor)
    if files is not None:
        spec = input_of(settle_scale(connection, settle_spacing(connection, recipe, train), train))
        cases, painted = [*train, *validation], task_module(snapshot.task).PAINTS
        check_room_for_images(connection, files, cases, spec, painted=painted)
    notes = [
        *look_at_splits(snapshot, train, validation, test),
        *look_at_spacing(connection, settle_spacing(connection, recipe, train), [*train, *validation]),
        *look_at_directions(connection, recipe, [*train, *validation, *test]),
        *describe_sources(recipe, begun),
        *_look_at_learnt(connection, list_earlier_runs(connection, begun, snapshot.id), validation, test),
    ]
    told = {"choice": dict(choice or {}), "preflight": {"notes": notes} if notes else {}, "sources": begun}
    with writing(connection):
        run = add_run(
            connection,
            project=project.id,
            snapshot=snapshot.id,
            recipe=recipe,
            name=name,
            fold=fold,
            told={key: value for key, value in told.items() if value},
            actor=actor,
        )
    return run, {"run": run.id} | ({"devices": recipe.devices} if recipe.devices > 1 else {})


def demand_trainable(
    connection: sqlite3.Connection,
    project: Project,
    snapshot: Snapshot,
    recipe: Recipe,
    fold: int | None,
    actor: Actor,
) -> tuple[list[SnapshotCase], list[SnapshotCase], list[SnapshotCase]]:
    """The training, the validation and the test cases, once there is something to learn from and somebody who may.

    Raises:
        CoreError: as `request_training`, of all but the name.
    """
    demand_whole(snapshot, "train")
    demand_of(connection, actor, "train", project.id)
    if snapshot.project != project.id:
        raise InvalidInput(f"Take a snapshot of project {project.name}. Received: {snapshot.name}")
    task = task_module(snapshot.task)
    check_network(recipe.network, snapshot.task)
    check_weights(recipe)
    task.loss_name(trainable_schema(snapshot.schema), recipe.loss)
    train, validation, test = view_of(connection, snapshot, fold)
    ids = [case.case_id for case in (*train, *validation)]
    spec = input_of(recipe)
    if isinstance(spec, InputSpec) and spec.resize == SCALED:
        refuse_any_unscaled(connection, ids, spec)
    if not isinstance(spec, InputSpec):
        refuse_flat(connection, ids, recipe.network)
    elif not task.PAINTS:
        refuse_volumes(connection, ids, "train on or evaluate")
    _demand_window(connection, recipe, [*train, *validation])
    task.check_trainable(
        snapshot.schema,
        task.encode_targets(snapshot.schema, [case.value for case in train]),
        task.encode_targets(snapshot.schema, [case.value for case in validation]),
    )
    return train, validation, test


def _look_at_learnt(
    connection: sqlite3.Connection,
    earlier: Sequence[Run],
    validation: Sequence[SnapshotCase],
    test: Sequence[SnapshotCase],
) -> tuple[str, ...]:
    """What somebody should know where a model that a training begins from, or that drew some of its images, was trained
    on what this one is measured on, or tuned on what it is tested on."""
    both = [cases_of_run(connection, run) for run in earlier]
    trained = [case for train, _ in both for case in train]
    told = []
    for name, cases, learnt in (
        ("validation", validation, trained),
        ("test", test, [*trained, *(case for _, tuned in both for case in tuned)]),
    ):
        if seen := sum(are_known(cases, learnt_of(learnt))):
            told.append(f"{seen:,} of {len(cases):,} {name} cases")
    if not told:
        return ()
    return (
        f"{' and '.join(told)} are of patients, or have pixels, of trainings before this one: of a model that it "
        f"begins from, or that drew some of its images. Numbers on them flatter it; freeze the snapshots of both with "
        f"the same split.",
    )


def _demand_window(connection: sqlite3.Connection, recipe: Recipe, cases: Sequence[SnapshotCase]) -> None:
    if recipe.window not in (*PRESETS, TRAINING_SET):
        return
    for start in range(0, len(cases), CASES_AT_ONCE):
        for case in get_cases(connection, [one.case_id for one in cases[start : start + CASES_AT_ONCE]]):
            refuse_window(recipe.window, case.modality, case.dtype)
            if recipe.window == TRAINING_SET and case.channels > 1:
                raise InvalidInput(
                    f"The window {TRAINING_SET} is for grey images; those in colour are seen as they are. "
                    f"Received: {case.source}, in colour"
                )


def view_of(
    connection: sqlite3.Connection, snapshot: Snapshot, fold: int | None
) -> tuple[list[SnapshotCase], list[SnapshotCase], list[SnapshotCase]]:
    """The training, the validation and the test cases of a snapshot, or of one of its folds (0, 1, ...).

    Raises:
        InvalidInput: the snapshot has no such fold.
    """
    cases = list_view(connection, snapshot.id, fold)
    train, validation, test = ([case for case in cases if case.split == split] for split in SPLITS)
    return train, validation, test


def training_cases(
    connection: sqlite3.Connection, snapshot: Snapshot, fold: int | None
) -> tuple[Sequence[SnapshotCase], Sequence[SnapshotCase]]:
    """The training and the validation cases of `view_of`.

    Raises:
        InvalidInput: the snapshot has no such fold.
    """
    train, validation, _ = view_of(connection, snapshot, fold)
    return train, validation


def cases_of_run(connection: sqlite3.Connection, run: Run) -> tuple[Sequence[SnapshotCase], Sequence[SnapshotCase]]:
    """The training and the validation cases that a run was trained and tuned on."""
    return training_cases(connection, get_snapshot(connection, run.project, run.snapshot), run.fold)
