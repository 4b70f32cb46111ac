"""Asking for work: an import, a pull, drafts, or a training, whose run and job know of each other from the start."""

import shutil
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from core.datasets.records import Snapshot, get_snapshot
from core.errors import Conflict, InvalidInput
from core.images.pacs.questions import check_uid
from core.images.pacs.records import Pacs, get_pacs
from core.images.records import HoldBack, list_import_files, wanted_again
from core.images.sealed_paths import seal, seal_arguments, unseal, unseal_arguments
from core.jobs.records import Job, add_job, find_job, list_jobs
from core.jobs.undecided import (
    PULLED,
    TABLE_UPLOAD,
    drop_table,
    new_upload,
    stays_until_decided,
    table_upload_of,
    upload_left,
    uploads_folder,
)
from core.labels.box_import import demand_classes
from core.labels.mask_names import demand_structures, parse_mask_values
from core.people.roles import demand_of
from core.projects.records import Project, get_project
from core.settings import Settings
from core.store.audit import Actor, add_audit
from core.store.database import writing
from core.store.files import Files
from core.training.drawn import Wanted, check_wanted
from core.training.recipe import Recipe, recipe_to_json, with_batch
from core.training.records import Model, Run, get_run, get_run_of_weights, set_run_job
from core.training.repeat import trained_batch
from core.training.request import demand_trainable, request_training
from core.training.sources import settle_sources

JOBS_LOOKED_AT = 200


def ask_import(
    connection: sqlite3.Connection,
    settings: Settings,
    project: Project,
    paths: Sequence[str],
    *,
    labels: str | None = None,
    columns: Mapping[str, str] | None = None,
    patient_from: str | None = None,
    remove_after: str | None = None,
    masks: str | None = None,
    mask_values: str = "",
    mask_threshold: float = 0.5,
    boxes: str | None = None,
    reader: str | None = None,
    volume: int | None = None,
    hold_back: HoldBack = "nothing",
    watched_quiet_seconds: float | None = None,
    actor: Actor,
) -> Job:
    """Queue an import of files that were uploaded, or, for an administrator, that lie anywhere on this server.

    Args:
        masks: a file, folder or zip of masks of these images, or of images that are there.
        mask_values: what the numbers in them mean (`parse_mask_values`).
        mask_threshold: which fraction of a fractional segmentation is enough.
        boxes: a file, folder or zip of boxes likewise (COCO, Pascal VOC).
        reader: in whose name masks and boxes come in.
        volume: of volumes of four dimensions only this time point, counted from 1.
        hold_back: what is looked at and waits for somebody's word: `odd` series, or `all`.
        watched_quiet_seconds: of a watched folder, whose new files alone come in, once nothing was written beside them
            for so long.

    Raises:
        InvalidInput: the project has no such thing, or the numbers are none.
        NotAllowed: the actor may not import here, or names a path outside the uploads and does not administer
            this Readroom: the worker reads files that the actor may not be meant to see.
    """
    if masks:
        parse_mask_values(mask_values, demand_structures(project))
    if boxes:
        demand_classes(project)
    arguments: dict[str, Any] = {
        "project": project.id,
        "paths": list(paths),
        "labels": labels,
        "columns": dict(columns or {}),
        "patient_from": patient_from,
        "remove_after": remove_after,
    }
    beside = {"masks": masks, "mask_values": mask_values, "boxes": boxes, "reader": reader, "volume": volume}
    arguments |= {key: value for key, value in beside.items() if value}
    if masks:
        arguments["mask_threshold"] = mask_threshold
    if table_upload := table_upload_of(settings, labels):
        arguments[TABLE_UPLOAD] = table_upload
    if hold_back != "nothing":
        arguments["hold_back"] = hold_back
    if watched_quiet_seconds is not None:
        arguments |= {"watched": True, "only_new": True, "quiet_seconds": watched_quiet_seconds}
    return _queue_import(connection, settings, project, arguments, actor)


def ask_import_again(
    connection: sqlite3.Connection,
    settings: Settings,
    before: Job,
    status: Literal["failed", "waiting"],
    *,
    left_out: Iterable[int] = (),
    actor: Actor,
) -> Job:
    """Queue another attempt at what an import refused, or bring in what it, or a pull, was told to let wait.

    Args:
        left_out: series by the number that `before` gave them, which stay out.

    Raises:
        InvalidInput: nothing of it is refused or waits, it is not over yet, or its paths have expired.
        NotAllowed: as `ask_import`.
    """
    if before.kind == "pull" and status == "failed":
        raise InvalidInput(
            f"What a PACS sent and was refused is not kept; pull the same studies again. "
            f"Received: job {before.id} (pull, {before.state})"
        )
    is_pull = before.kind == "pull"
    if not (before.kind == "import" or is_pull) or before.is_active or before.project is None:
        raise InvalidInput(f"Name an import that is over. Received: job {before.id} ({before.kind}, {before.state})")
    out = sorted(set(left_out))
    rows = list_import_files(connection, before.id)
    if not wanted_again(rows, (status,), left_out=frozenset(out)):
        what = "was refused" if status == "failed" else "waits"
        raise InvalidInput(f"No file of this import {what}, so there is nothing to do. Received: job {before.id}")
    arguments = _pulled(before) if is_pull else unseal_arguments(settings, before.arguments)
    arguments |= {"again": {"job": before.id, "status": status, "left_out": out}}
    unwanted = ("watched", "only_new", "quiet_seconds", *(["hold_back"] if status == "waiting" else []))
    arguments = {key: value for key, value in arguments.items() if key not in unwanted}
    return _queue_import(connection, settings, get_project(connection, before.project), arguments, actor)


def throw_upload_away(connection: sqlite3.Connection, settings: Settings, job: Job, actor: Actor) -> None:
    """Remove what an import left of its upload for another attempt, or what waits of a received or pulled study.

    Raises:
        NotAllowed: the actor may not import here.
        Conflict: an import reads it just now.
    """
    demand_of(connection, actor, "import", job.project)
    folder = upload_left(settings, job)
    if folder is None:
        return
    active = list_jobs(connection, kinds=("import", "pull"), states=("queued", "running"), limit=JOBS_LOOKED_AT)
    if any(other.arguments.get("remove_after") == job.arguments["remove_after"] for other in active):
        raise Conflict(f"An import reads these files just now; wait until it is over. Received: job {job.id}")
    waiting = (job.result or {}).get("waiting", 0)
    with writing(connection):
        add_audit(connection, actor, "throw an upload away", f"project {job.project}", job=job.id, waiting=waiting)
    shutil.rmtree(folder)
    drop_table(connection, settings, job)


def find_imports_again(connection: sqlite3.Connection, before: Job) -> list[Job]:
    """The further attempts at an import, the newest first."""
    jobs = list_jobs(connection, project=before.project, kinds=("import",), limit=JOBS_LOOKED_AT)
    return [job for job in jobs if (job.arguments.get("again") or {}).get("job") == before.id]


def _pulled(pull: Job) -> dict[str, Any]:
    """What an import is pointed at that brings in what a pull let wait."""
    folder = str(pull.arguments["remove_after"])
    return {"project": pull.project, "paths": [str(Path(folder) / "files")], "remove_after": folder}


def _queue_import(
    connection: sqlite3.Connection, settings: Settings, project: Project, arguments: dict[str, Any], actor: Actor
) -> Job:
    uploads = uploads_folder(settings).resolve()
    beside = [arguments[key] for key in ("labels", "masks", "boxes") if arguments.get(key)]
    named = [Path(path).resolve() for path in (*arguments["paths"], *beside)]
    with writing(connection):
        if any(uploads not in path.parents for path in named):
            demand_of(connection, actor, "administer", None)
        # What files are called stays out of the database. What came from a PACS or a modality lies under names that
        # tell nothing, and must be found for longer than sealed paths are kept.
        if project.deidentification.enabled and not (named and all(map(_came_by_itself, named))):
            arguments = seal_arguments(settings, arguments)
        return add_job(connection, "import", arguments, project=project.id, actor=actor)


def _came_by_itself(path: Path) -> bool:
    return path.name == "files" and stays_until_decided(path.parent)


def ask_pull(
    connection: sqlite3.Connection,
    settings: Settings,
    project: Project,
    pacs: Pacs,
    studies: Sequence[str],
    *,
    actor: Actor,
) -> Job:
    """Queue the fetching of studies from a PACS. Which they are is sealed: their UIDs identify.

    Raises:
        InvalidInput: no study, or something that is no UID.
        NotAllowed: the actor may not import here.
    """
    chosen = list(dict.fromkeys(check_uid(study) for study in studies))
    if not chosen:
        raise InvalidInput("Choose at least one study to fetch. Received: none")
    with writing(connection):
        demand_of(connection, actor, "import", project.id)  # before anything is sealed
        arguments = {"project": project.id, "pacs": pacs.id, "studies": len(chosen), "sealed": seal(settings, chosen)}
        arguments["remove_after"] = str(new_upload(settings, PULLED, project.id))
        return add_job(connection, "pull", arguments, project=project.id, actor=actor)


def ask_pull_again(connection: sqlite3.Connection, settings: Settings, before: Job, *, actor: Actor) -> Job:
    """Queue another pull of the same studies: what is a case here is not fetched again, what was refused is.

    Raises:
        InvalidInput: it is no pull that is over, or which studies it was for has expired.
        NotFound: the PACS is known no longer.
        NotAllowed: as `ask_pull`.
    """
    if before.kind != "pull" or before.is_active or before.project is None:
        raise InvalidInput(f"Name a pull that is over. Received: job {before.id} ({before.kind}, {before.state})")
    studies = unseal(settings, str(before.arguments["sealed"]))
    if studies is None:
        raise InvalidInput(
            f"Which studies were chosen is kept for {settings.paths_keep_days:g} days only; search for them anew. "
            f"Received: job {before.id}"
        )
    pacs = get_pacs(connection, int(before.arguments["pacs"]))
    return ask_pull(connection, settings, get_project(connection, before.project), pacs, studies, actor=actor)


def ask_drafts(connection: sqlite3.Connection, project: Project, *, actor: Actor) -> Job:
    """Queue the work of letting the chosen model look at every case that it has not seen.

    Raises:
        InvalidInput: no model is chosen.
        NotAllowed: the actor does not administer the project.
    """
    if project.assist_model is None:
        raise InvalidInput(f"Choose a model for the drafts of this project first. Received: {project.name}")
    with writing(connection):
        waiting = find_job(connection, "draft", {"project": project.id}, states=("queued", "running"))
        return waiting or add_job(connection, "draft", {"project": project.id}, project=project.id, actor=actor)


def ask_training(
    connection: sqlite3.Connection,
    project: Project,
    snapshot: Snapshot,
    recipe: Recipe,
    *,
    name: str | None = None,
    fold: int | None = None,
    choice: Mapping[str, Any] | None = None,
    evaluate: str | None = None,
    repeats: Model | None = None,
    files: Files | None = None,
    sources: Mapping[str, Any] | None = None,
    reviewed: int | None = None,
    actor: Actor,
) -> tuple[Run, Job]:
    """Queue a training: run and job are both there, or neither.

    Args:
        choice: why the recipe is what it is, where `auto` chose it (`settle_auto`).
        evaluate: a split on which the model is measured as soon as it is there.
        repeats: the model that this training should give again; it is compared with that.
        files, sources: as `request_training` takes them.
        reviewed: the number of the review whose model is trained anew; a new one follows.

    Raises:
        CoreError: whatever `request_training` refuses.
    """
    with writing(connection):
        run, arguments = request_training(
            connection,
            project,
            snapshot,
            recipe,
            name=name,
            fold=fold,
            choice=choice,
            files=files,
            sources=sources,
            actor=actor,
        )
        asked: dict[str, Any] = {**arguments, "evaluate": evaluate} if evaluate else {**arguments}
        if repeats:
            asked["repeats"] = repeats.id
        if reviewed:
            asked["review"] = reviewed
        job = add_job(connection, "train", asked, project=project.id, actor=actor)
        set_run_job(connection, run.id, job.id)
        return get_run(connection, run.id), job


def ask_repetition(connection: sqlite3.Connection, project: Project, model: Model, *, actor: Actor) -> tuple[Run, Job]:
    """Queue the training of a model again: the same snapshot, fold, recipe and seed. The job's result says whether the
    weights are the same.

    Raises:
        CoreError: whatever `request_training` refuses.
    """
    if members := [member["name"] for member in model.facts.get("members", ())]:
        raise InvalidInput(
            f"An ensemble is not trained; repeat its members, {', '.join(members)}. Received: {model.name}"
        )
    before = get_run_of_weights(connection, get_run(connection, model.run))
    snapshot = get_snapshot(connection, project.id, before.snapshot)
    recipe = with_batch(before.recipe, trained_batch(before))
    return ask_training(
        connection,
        project,
        snapshot,
        recipe,
        fold=before.fold,
        choice=before.told.get("choice"),
        repeats=model,
        sources=before.told.get("sources"),
        actor=actor,
    )


def ask_rate_test(
    connection: sqlite3.Connection,
    project: Project,
    snapshot: Snapshot,
    recipe: Recipe,
    *,
    fold: int | None = None,
    files: Files | None = None,
    actor: Actor,
) -> Job:
    """Queue a learning-rate range test.

    Raises:
        CoreError: whatever `request_training` refuses of snapshot and fold.
    """
    demand_trainable(connection, project, snapshot, recipe, fold, actor)
    recipe, begun = settle_sources(connection, files, snapshot, recipe, {}, actor)
    arguments: dict[str, Any] = {"project": project.id, "snapshot": snapshot.id, "fold": fold}
    arguments |= {"recipe": recipe_to_json(recipe)} | ({"sources": begun} if begun else {})
    return add_job(connection, "find_rate", arguments, project=project.id, actor=actor)


def ask_drawing(
    connection: sqlite3.Connection, model: Model, wanted: Wanted, *, n: int, seed: int, actor: Actor
) -> Job:
    """Queue the drawing of images.

    Raises:
        InvalidInput: the model does not draw, or has never seen what is asked for.
        NotAllowed: the actor may not train in this project.
    """
    check_wanted(model, wanted, n)
    asked = {"model": model.id, **wanted.to_json(), "n": n, "seed": seed}
    return add_job(connection, "generate", asked, project=model.project, actor=actor)
