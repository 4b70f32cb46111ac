"""The bodies of the jobs, by kind. Each imports what it needs when it runs: the web process never does."""

import json
import logging
import shutil
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.errors import CoreError, InvalidInput
from core.jobs.context import Body, JobContext
from core.progress import Portion, Silent
from core.settings import Settings
from core.store.files import Files, write_whole

TRAINED = 0.97  # the share of a training job that the training itself takes

log = logging.getLogger("readroom.jobs")


def import_images(context: JobContext) -> Mapping[str, Any]:
    """Files become cases, a label table's rows their labels. What became of each file is in `list_import_files`.

    Masks and boxes come in after the images that they belong to.

    Returns:
        `imported`, `skipped`, `failed`, `cases` (counts) and `warnings` (sentences); with masks or boxes also
        `masks` or `boxes` (counts).
    """
    from core.images.ingest import import_paths
    from core.images.label_table import TableRow, map_columns, read_label_table
    from core.images.pseudonyms import load_secret
    from core.images.reading_child import ReadingChild
    from core.images.records import Case
    from core.images.sealed_paths import forget_expired, unseal_arguments
    from core.jobs.annotations import IMAGES_TAKE, annotations_of, import_annotations
    from core.labels.exchange import add_table_labels, answers_in_words
    from core.projects.records import get_project

    forget_expired(context.settings)
    given = unseal_arguments(context.settings, context.job.arguments)
    project = get_project(context.connection, int(given["project"]))
    upload = _upload(context.settings, given.get("remove_after"))
    told = context.folder / "imported.json"
    if upload and told.exists():  # an earlier attempt was killed between the last file and its answer
        return _answered(told, upload)
    if upload and not upload.exists():
        raise InvalidInput(
            f"The upload is no longer there; send the files again, what came in before stays. Received: {upload}"
        )
    table_path = Path(given["labels"]) if given.get("labels") else None
    try:
        table = map_columns(read_label_table(table_path), given.get("columns") or {}) if table_path else None
    except InvalidInput as error:  # the job's row keeps the sentence, and a file's name stays out of that
        raise InvalidInput(str(error).replace(str(table_path), "the label table")) from None

    def add_labels(connection: sqlite3.Connection, case: Case, row: TableRow | None) -> None:
        add_table_labels(connection, project, case, row, context.actor)

    paths = [Path(path) for path in given.get("paths") or ()]
    beside = annotations_of(context, project, given, paths)
    # what a hostile file does to its reader is done to a process that may die
    with ReadingChild(context.settings, load_secret(context.settings), project.deidentification) as reader:
        report = import_paths(
            context.connection,
            context.files,
            context.settings,
            project,
            paths,
            table=table,
            patient_from=given.get("patient_from"),
            job=context.job.id,
            actor=context.actor,
            on_case=add_labels,
            on_skipped=add_labels,
            labels_of=answers_in_words,
            root=Path(given["root"]) if given.get("root") else None,
            label_table=table_path,
            apart=beside.locations,
            volume=given.get("volume"),
            reader=reader,
            progress=Portion(context.progress, 0.0, IMAGES_TAKE) if beside.files else context.progress,
        )
    # The files have a table of their own; with them the row of a large import would weigh megabytes.
    result = {key: value for key, value in asdict(report).items() if key != "files"}
    result |= import_annotations(context, project, given, beside)
    if upload:
        write_whole(told, json.dumps(result).encode())
        return _answered(told, upload)
    return result


def _answered(told: Path, upload: Path) -> Mapping[str, Any]:
    """Take the upload away and give the answer, which was written down first: a kill in between loses neither."""
    if upload.exists():
        shutil.rmtree(upload)
    return dict(json.loads(told.read_text("utf-8")))


def _upload(settings: Settings, given: str | None) -> Path | None:
    """The folder of an upload, which goes when everything is in."""
    if not given:
        return None
    folder, uploads = Path(given).resolve(), (settings.home / "uploads").resolve()
    if uploads not in folder.parents:
        raise InvalidInput(f"Only a folder in {uploads} is removed after an import. Received: {given}")
    return folder


def train(context: JobContext) -> Mapping[str, Any]:
    """Train a run, then check once whether its explanations can be trusted, so that nobody waits for that later."""
    context.progress.report(context.job.fraction, "Starting")  # the imports below take seconds
    from core.training.device import device_named, list_devices
    from core.training.run import run_training

    run_id = int(context.job.arguments["run"])
    result = run_training(
        context.connection,
        context.files,
        context.settings,
        run_id,
        context.folder,
        device_named(context.device, list_devices()),
        Portion(context.progress, 0.0, TRAINED),
    )
    if not context.progress.should_stop():
        _check_explanations(context, int(result["model_id"]))
        if context.job.arguments.get("evaluate"):
            _queue_evaluation(context, int(result["model_id"]), run_id)
    return result


def _queue_evaluation(context: JobContext, model_id: int, run_id: int) -> None:
    """What the request for training asked for when the model is there: its numbers on a split."""
    from core.jobs.records import add_job, find_job
    from core.training.records import get_run

    run = get_run(context.connection, run_id)
    wanted = {"model": model_id, "snapshot": run.snapshot, "split": context.job.arguments["evaluate"]}
    if find_job(context.connection, "evaluate", wanted) is None:  # an attempt before this one may have asked
        add_job(context.connection, "evaluate", wanted, project=run.project, actor=context.actor)


def _check_explanations(context: JobContext, model_id: int) -> None:
    from core.explain.run import check_explanations

    try:
        context.progress.report(TRAINED, "Checking the explanations")
        check_explanations(context.connection, context.files, model_id, Portion(context.progress, TRAINED, 1.0))
    except CoreError as error:  # the model is made and good; its first explanation will say the same
        log.warning("The explanations were not checked: %s", error)


def evaluate(context: JobContext) -> Mapping[str, Any]:
    """Measure a model on a split of a snapshot."""
    context.progress.report(context.job.fraction, "Starting")  # the imports below take seconds
    from core.evaluation.run import evaluate_model

    given = context.job.arguments
    return evaluate_model(
        context.connection,
        context.files,
        context.settings,
        int(given["model"]),
        int(given["snapshot"]),
        given["split"],
        context.actor,
        context.progress,
    )


def predict(context: JobContext) -> Mapping[str, Any]:
    """Predict files that need not be imported."""
    from core.evaluation.predict_files import predict_files
    from core.training.records import get_model

    given = context.job.arguments
    model = get_model(context.connection, None, int(given["model"]))
    paths = [Path(path) for path in given["paths"]]
    return predict_files(context.files, context.settings, model, paths, context.progress)


def draft(context: JobContext) -> Mapping[str, Any]:
    """Let the model that a project has chosen look at every case, so that readers find drafts."""
    from core.evaluation.drafts import make_drafts
    from core.projects.records import get_project

    project = get_project(context.connection, int(context.job.arguments["project"]))
    return make_drafts(context.connection, context.files, project, context.progress)


def explain(context: JobContext) -> Mapping[str, Any]:
    """Draw what a model looked at on one case; loaded models stay in `kept`."""
    from core.explain.run import explain_case

    return explain_case(
        context.connection, context.files, context.job.arguments, context.folder, context.progress, context.kept
    )


def back_up(context: JobContext) -> Mapping[str, Any]:
    """Add a backup to the folder that `settings.toml` names."""
    from core.store.backups import back_up_home

    folder = context.settings.backup_folder
    if not folder:
        raise InvalidInput(f"Set backup_folder in settings.toml, then ask again. Received: {context.settings.home}")
    made = back_up_home(
        context.connection, context.settings, Path(folder), actor=context.actor, progress=context.progress
    )
    if made.error:
        raise CoreError(made.error)
    return {key: value for key, value in asdict(made).items() if key != "faults"}


def preload(
    connection: sqlite3.Connection, files: Files, settings: Settings, model_id: int, kept: dict[str, Any]
) -> None:
    """Load a model into the warm child before the first question about it."""
    from core.explain.run import warm_explainer

    warm_explainer(connection, files, model_id, Silent(), kept)


HANDLERS: dict[str, Body] = {
    "import": import_images,
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "draft": draft,
    "explain": explain,
    "backup": back_up,
}
