"""Commands that carry things out of a home and back: exports and backups."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, cast

import typer

from core.cli.collection import ProjectArgument
from core.cli.door import LARGEST, Door, HomeOption, JsonOption, answer, entered, tell, written_to
from core.datasets.freeze import export_snapshot
from core.datasets.records import get_snapshot
from core.errors import CoreError, InvalidInput, NotFound
from core.jobs.exporting import why_no_onnx
from core.labels.exchange import export_labels
from core.labels.mask_files import MASK_FORMATS, export_masks
from core.people.homes import enter_home
from core.projects.records import Project, get_project
from core.reviews.meetings import get_review
from core.reviews.report import REPORT_FORMATS, ReportFormat, write_report
from core.settings import Settings, load_settings
from core.store.audit import add_audit, verify_audit
from core.store.backups import Backup, back_up_home, last_good_backup, list_backups
from core.store.files import write_whole
from core.store.migrating import Migration, rehearse_migration
from core.store.restore import restore_backup
from core.training.records import get_model

FORMATS = {
    "labels": ("csv",),
    "masks": MASK_FORMATS,
    "snapshot": ("json",),
    "model": ("keras", "onnx"),
    "report": REPORT_FORMATS,
}
NAMELESS = ("labels", "masks", "report")


def export(
    project: ProjectArgument,
    what: Annotated[str, typer.Argument(help="labels, masks, snapshot, model or report.")],
    name: Annotated[str, typer.Argument(help="Which snapshot or model.")] = "",
    file_format: Annotated[
        str, typer.Option("--format", help="csv; auto or npy; json; keras or onnx; html or pdf.")
    ] = "",
    out: Annotated[Path | None, typer.Option(help="The file to write; of masks an empty folder.")] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Labels: also the answers that were replaced or withdrawn.")
    ] = False,
    review: Annotated[int, typer.Option(help="Report: of which review.", min=0, max=LARGEST)] = 0,
    reader: Annotated[str, typer.Option(help="Masks of this reader only [default: of all].")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write labels (CSV), masks (PNG and NIfTI, or arrays), a snapshot (JSON), a model (Keras, ONNX) or a report."""
    if what not in FORMATS:
        raise InvalidInput(f"Export one of {', '.join(FORMATS)}. Received: {what}")
    chosen = file_format or FORMATS[what][0]
    if chosen not in FORMATS[what]:
        raise InvalidInput(f"{what} can be exported as {', '.join(FORMATS[what])}. Received: {chosen}")
    if (what not in NAMELESS) != bool(name):
        raise InvalidInput(f"Name the snapshot or model to export; the others need no name. Received: {name!r}")
    if (what == "report") != bool(review):
        raise InvalidInput(
            f"--review says of which review a report is, and belongs to nothing else. Received: {review}"
        )
    if reader and what != "masks":
        raise InvalidInput(f"--reader belongs to masks; a table of labels names its readers. Received: {reader}")
    with entered(home) as door:
        found = get_project(door.connection, project)
        if what == "masks":
            _export_masks(door, found, out or Path(f"{found.name}-masks"), reader, chosen, as_json=as_json)
            return
        target = out or Path(f"{name or found.name}-{what}.{chosen}")
        if what == "report":
            content = _report(door, found, review, chosen)
        else:
            content = _content(door, found, what, name, chosen, history=history)
            add_audit(door.connection, door.actor, f"export {what}", f"project {found.id}", name=name, format=chosen)
        with written_to(target):
            write_whole(target.absolute(), content)
    answer({"path": str(target), "bytes": len(content)}, f"Written to {target}.", as_json=as_json)


def _export_masks(door: Door, project: Project, folder: Path, reader: str, chosen: str, *, as_json: bool) -> None:
    with written_to(folder):
        done = export_masks(
            door.connection, project, folder.absolute(), actor=door.actor, reader=reader or None, file_format=chosen
        )
    for note in done.notes:
        tell(note)
    document = {"path": str(folder), "files": done.files, "cases": done.cases, "notes": list(done.notes)}
    answer(document, f"{done.files} files of {done.cases} cases written to {folder}.", as_json=as_json)


def _report(door: Door, project: Project, review: int, chosen: str) -> bytes:
    found = get_review(door.connection, project.id, review)
    return write_report(door.connection, project, found, cast(ReportFormat, chosen), actor=door.actor)


def _content(door: Door, project: Project, what: str, name: str, chosen: str, *, history: bool) -> bytes:
    if what == "labels":
        return export_labels(door.connection, project, history=history).encode()
    if what == "snapshot":
        return export_snapshot(door.connection, door.files, get_snapshot(door.connection, project.id, name)).encode()
    model = get_model(door.connection, project.id, name)
    if model.facts.get("members"):
        raise InvalidInput(f"{model.onnx_left_out_because} Received: {model.name}")
    content_hash = model.keras_hash if chosen == "keras" else model.onnx_hash
    if content_hash is None:
        reason = why_no_onnx(door.connection, model)
        raise InvalidInput(f"{reason} Export it as keras instead. Received: {chosen}")
    return door.files.read_bytes("models", content_hash)


def backup(
    out: Annotated[
        Path | None, typer.Argument(help="The folder of backups [default: backup_folder of settings.toml].")
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Read every file of the backup and check its hash.")] = False,
    as_list: Annotated[bool, typer.Option("--list", help="Show the backups on record instead of making one.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the whole home into a folder, while it is in use; a second time only what is new."""
    _demand_home(home)
    with entered(home) as door:
        if as_list:
            told = list_backups(door.connection)
            last = last_good_backup(door.connection)
            text = "\n".join(map(_backup_line, told)) or "No backup was made yet; make one with: readroom backup FOLDER"
            answer(
                {"backups": [_backup_facts(one) for one in told], "last_good": last.name if last else None},
                text,
                as_json=as_json,
            )
            return
        target = out or (Path(door.settings.backup_folder) if door.settings.backup_folder else None)
        if target is None:
            raise InvalidInput(
                "Name a folder for the backup, or set backup_folder in settings.toml. Received: no folder"
            )
        made = back_up_home(door.connection, door.settings, target.absolute(), actor=door.actor, verify=verify)
    for sentence in made.warnings:
        tell(sentence)
    if made.error:
        raise CoreError(made.error)
    answer(
        {
            "path": str(target),
            "generation": made.generation,
            "files": made.files,
            "copied": made.copied,
            "kept": made.files - made.copied,
            "removed": list(made.removed),
            "audit_head": made.audit_head,
        },
        f"Backed up to {target}: {made.copied} new files, {made.files - made.copied} already there. "
        f"This is {made.generation}.",
        as_json=as_json,
    )


def restore(
    source: Annotated[Path, typer.Argument(metavar="IN")],
    generation: Annotated[
        str | None, typer.Option(help="Which backup of the folder [default: the newest complete one].")
    ] = None,
    even_damaged: Annotated[
        bool, typer.Option("--even-damaged", help="Restore what is whole, and name what is not.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fill an empty home from a backup."""
    settings = load_settings(home)
    made = restore_backup(source.absolute(), settings, generation=generation, even_damaged=even_damaged)
    with entered(home) as door:
        check = verify_audit(door.connection, noted_head=made.audit_head)
        add_audit(door.connection, door.actor, "restore", "home", generation=made.generation, lacking=len(made.lacking))
    for sentence in (*made.said, *made.lacking, *check.faults):
        tell(sentence)
    answer(
        {
            "home": str(settings.home),
            "generation": made.generation,
            "files": made.files,
            "lacking": list(made.lacking),
            "audit_is_whole": check.is_whole,
        },
        f"Restored {made.files} files into {settings.home}; the audit is {'whole' if check.is_whole else 'NOT whole'}.",
        as_json=as_json,
    )


def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Rehearse it on a copy; the home stays as it is.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a home of an older Readroom to this version; every other command does the same on its way."""
    settings = _demand_home(home)
    done = rehearse_migration(settings) if dry_run else enter_home(settings)
    rows = {name: list(counts) for name, counts in done.rows.items() if counts[0] != counts[1]}
    kept = str(done.copy_kept) if done.copy_kept else None
    answer(
        {"steps": list(done.steps), "dry_run": dry_run, "copy_kept": kept, "rows_changed": rows},
        _migration_text(done, dry_run=dry_run),
        as_json=as_json,
    )


def _demand_home(home: Path | None) -> Settings:
    """The settings of a home that is there: a slip of the pen must not make an empty one and back that up."""
    settings = load_settings(home)
    if not settings.database_path.exists():
        raise NotFound("home", settings.home)
    return settings


def _migration_text(done: Migration, *, dry_run: bool) -> str:
    if not done.steps:
        whole = " A copy of it is whole." if dry_run else ""
        return f"Nothing to do: the home is of this version.{whole}"
    lines = [f"{'Would do' if dry_run else 'Done'}: {', '.join(done.steps)}."]
    for table, (before, after) in done.rows.items():
        if before is None:
            lines.append(f"  {table}: new, {after} rows")
        elif after is None:
            lines.append(f"  {table}: removed, it had {before} rows")
        elif before != after:
            lines.append(f"  {table}: {before} rows before, {after} after")
    if dry_run:
        lines.append("The copy is whole and every reference in it holds. The home was not touched.")
    elif done.copy_kept:
        lines.append(f"The database of before is kept as {done.copy_kept}.")
    return "\n".join(lines)


def _backup_line(one: Backup) -> str:
    how = "good" if one.is_good else f"not good: {one.error}"
    return f"{one.finished_at}  {one.folder}  {one.name or '-'}  {one.files} files, {one.copied} new  {how}"


def _backup_facts(one: Backup) -> dict[str, object]:
    return {**asdict(one), "good": one.is_good}
