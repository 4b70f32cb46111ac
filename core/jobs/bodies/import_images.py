"""Import: files become cases, a label table's rows their labels."""

import json
import shutil
import sqlite3
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput
from core.jobs.kind import Kind
from core.progress import Portion
from core.settings import Settings
from core.store.files import write_whole
from core.store.folders import keep_only

if TYPE_CHECKING:
    from core.jobs.context import JobContext

KIND = Kind(
    name="import",
    words="Import",
    lane="work",
    action="import",
    attempts_allowed=3,
    remedy="Close other programs, then resume: files that are in stay in.",
    opens_files=True,
)


def run(context: "JobContext") -> Mapping[str, Any]:
    """Bring files and labels in. What became of each file is in `list_import_files`.

    Masks and boxes come in after the images that they belong to.

    Returns:
        `imported` (with `joined` and `held` of them), `skipped`, `waiting`, `failed`, `cases`, `same_pixels`,
        `opposite_labels` (counts) and `warnings` (sentences); with masks or boxes also `masks` or `boxes` (counts).
    """
    from core.images.sealed_paths import forget_expired, unnamed, unseal_arguments

    forget_expired(context.settings)
    given = unseal_arguments(context.settings, context.job.arguments)
    try:
        return _imported(context, given)
    except InvalidInput as error:  # the job's row keeps the sentence, and what was given names files
        raise InvalidInput(unnamed(str(error), given)) from None


def _imported(context: "JobContext", given: Mapping[str, Any]) -> Mapping[str, Any]:
    from core.images.archives import zip_around
    from core.images.ingest import import_paths
    from core.images.label_table import TableRow, map_columns, read_label_table
    from core.images.pseudonyms import load_secret
    from core.images.reading_children import ReadingChildren
    from core.images.records import Case, list_import_files, wanted_again
    from core.images.sealed_paths import seal
    from core.jobs.annotations import IMAGES_TAKE, annotations_of, import_annotations
    from core.labels.exchange import add_table_labels, answers_in_words
    from core.projects.records import get_project
    from core.projects.schema import quantity_names

    project = get_project(context.connection, int(given["project"]))
    upload = _upload(context.settings, given.get("remove_after"))
    told = context.folder / "imported.json"
    passing = upload is not None or given.get("table_upload")
    if passing and told.exists():  # an earlier attempt was killed between the last file and its answer
        return _answered(context, told, upload)
    if upload and not upload.exists():
        raise InvalidInput(
            f"The upload is no longer there; send the files again, what came in before stays. Received: {upload}"
        )
    table_path = Path(given["labels"]) if given.get("labels") else None
    try:
        wanted, names = given.get("columns") or {}, quantity_names(project.schema)
        table = map_columns(read_label_table(table_path), wanted, quantities=names) if table_path else None
    except InvalidInput:  # whoever gave the table has read why before; the sentence quotes files and patients
        raise InvalidInput(
            "The label table does not fit; its preview on the page Import says which line. Received: a table to mend"
        ) from None

    def add_labels(connection: sqlite3.Connection, case: Case, row: TableRow | None) -> None:
        add_table_labels(connection, project, case, row, context.actor)

    paths = [Path(path) for path in given.get("paths") or ()]
    beside = annotations_of(context, project, given, paths)
    again, only, still_out = given.get("again"), None, False
    if again:
        rows = list_import_files(context.connection, int(again["job"]))
        only = wanted_again(rows, (again["status"],), left_out=frozenset(again["left_out"]))
        still_out = any(row.status in ("failed", "waiting") and row.path not in only for row in rows)
    # what a hostile file does to its reader is done to processes that may die
    with ReadingChildren(context.settings, load_secret(context.settings), project.deidentification) as reader:
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
            hold_back=given.get("hold_back", "nothing"),
            only=only,
            only_new=bool(given.get("only_new")),
            quiet_seconds=given.get("quiet_seconds"),
            reader=reader,
            progress=Portion(context.progress, 0.0, IMAGES_TAKE) if beside.files else context.progress,
        )
    # The files have a table of their own; with them the row of a large import would weigh megabytes.
    kept = [field.name for field in fields(report) if field.name not in ("files", "left")]
    result: dict[str, Any] = {name: getattr(report, name) for name in kept}
    if given.get("hold_back") != "all":  # else nothing is stored
        drawn = import_annotations(context, project, given, beside)
        result |= drawn
        said = ", ".join(
            f"{its['added']} {kind}" + (f", {its['failed']} of their files refused" if its["failed"] else "")
            for kind, its in drawn.items()
        )
        if said:
            context.progress.report(1.0, f"{report.told}; {said}")
    if passing:
        beside_failed = any(result.get(kind, {}).get("failed") for kind in ("masks", "boxes"))
        left = set(report.left)
        if report.waiting or beside_failed:
            left |= beside.locations
        held_by = zip_around(table_path) if table_path else None
        table_file = held_by[0] if held_by else table_path
        needed = left | {table_file} if left and table_file else left
        seal(context.settings, sorted(str(path.resolve()) for path in needed), f"left-{context.job.id}")
        ends = not (report.failed or report.waiting or beside_failed or still_out)
        write_whole(told, json.dumps({**result, "ends": ends}).encode())
        return _answered(context, told, upload)
    return result


def _answered(context: "JobContext", told: Path, upload: Path | None) -> Mapping[str, Any]:
    """Take away of the upload what came in and give the answer, which was written down first: a kill in between loses
    neither. Refused and waiting files stay for another attempt, as long as uploads stay that nobody imports; so does a
    table that was uploaded by itself."""
    from core.images.sealed_paths import unseal
    from core.jobs.undecided import drop_table

    result = dict(json.loads(told.read_text("utf-8")))
    needed = frozenset(unseal(context.settings, f"left-{context.job.id}") or ())
    if upload and upload.exists() and not needed:
        shutil.rmtree(upload)
    elif upload and upload.exists():
        keep_only(upload, lambda path: str(path) in needed)
    if result.pop("ends", False):
        drop_table(context.connection, context.settings, context.job)
    return result


def _upload(settings: Settings, given: str | None) -> Path | None:
    """The folder of an upload, which goes when everything is in."""
    if not given:
        return None
    from core.jobs.undecided import uploads_folder

    folder, uploads = Path(given).resolve(), uploads_folder(settings).resolve()
    if uploads not in folder.parents:
        raise InvalidInput(f"Only a folder in {uploads} is removed after an import. Received: {given}")
    return folder
