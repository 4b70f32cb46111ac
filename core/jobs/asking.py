"""Asking for work: an import, a pull, drafts, or a training, whose run and job know of each other from the start."""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.datasets.records import Snapshot
from core.errors import InvalidInput
from core.images.pacs.questions import check_uid
from core.images.pacs.records import Pacs
from core.images.sealed_paths import seal, seal_arguments
from core.jobs.records import Job, add_job, find_job
from core.labels.box_import import demand_classes
from core.labels.mask_names import demand_structures, parse_mask_values
from core.people.roles import demand_of
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import writing
from core.training.recipe import Recipe
from core.training.records import Run, get_run, set_run_job
from core.training.request import request_training


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

    Raises:
        InvalidInput: the project has no such thing, or the numbers are none.
        NotAllowed: the actor may not import here, or names a path outside the uploads and does not administer
            this Readroom: the worker reads files that the actor may not be meant to see.
    """
    uploads = (settings.home / "uploads").resolve()
    named = [Path(path).resolve() for path in (*paths, *(path for path in (labels, masks, boxes) if path))]
    if masks:
        parse_mask_values(mask_values, demand_structures(project))
    if boxes:
        demand_classes(project)
    with writing(connection):
        if any(uploads not in path.parents for path in named):
            demand_of(connection, actor, "administer", None)
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
        if project.deidentification.enabled:  # what files are called stays out of the database
            arguments = seal_arguments(settings, arguments)
        return add_job(connection, "import", arguments, project=project.id, actor=actor)


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
        return add_job(connection, "pull", arguments, project=project.id, actor=actor)


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
