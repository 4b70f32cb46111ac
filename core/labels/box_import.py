"""Boxes into Readroom: each becomes a mark of a reader on its image. The same file again adds nothing."""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import CoreError, InvalidInput, Unavailable, some_of
from core.images.archives import OpenArchives
from core.images.attempts import Attempts
from core.images.case_finder import CaseFinder
from core.images.names import name_parts
from core.images.records import Case, FileStatus, ImportedFile, get_case, list_import_files, record_import_file
from core.images.sources import SourceFile, list_sources, read_source
from core.labels.box_files import Box, BoxedImage, read_boxes
from core.labels.marks import NewMark, add_mark, find_mark_event
from core.labels.report_names import hidden_words, report_names
from core.people.accounts import ensure_user
from core.people.roles import demand_of
from core.progress import Progress, stop_if_asked
from core.projects.changes import present_names
from core.projects.records import Project
from core.projects.schema import Classification, Segmentation
from core.settings import Settings
from core.store.audit import Actor, add_audit
from core.store.database import writing

READER_OF_BOXES = "imported boxes"  # whose boxes they are where nobody is named
PREFIX = "boxes: "  # before the path of a file of boxes in the report of an import
NAMED_AT_MOST = 3


@dataclass(frozen=True)
class BoxImport:
    """What became of the boxes, and of the files: those from which nothing could be taken are `failed`."""

    added: int
    unchanged: int
    refused: int
    failed: int
    cases: int


@dataclass
class _Boxes:
    """What stays the same from file to file, and what was counted."""

    connection: sqlite3.Connection
    settings: Settings
    project: Project
    finder: CaseFinder
    classes: dict[str, str]  # the names of today by every name there was, without regard to case
    reader: str
    actor: Actor
    added: int = 0
    unchanged: int = 0
    refused: int = 0
    cases: set[int] = field(default_factory=set)


def demand_classes(project: Project) -> tuple[str, ...]:
    """The names that a box may have in a project.

    Raises:
        InvalidInput: it has none.
    """
    if not isinstance(project.schema, (Classification, Segmentation)):
        raise InvalidInput(f"Boxes belong to a project with classes. Received: {project.name}, {project.task}")
    return project.schema.names


def list_box_files(given: Path, settings: Settings) -> list[SourceFile]:
    """The files of boxes in a file, folder or zip; of a folder, those of their kinds."""
    files = [file for file in list_sources([given], settings) if not file.is_system]
    return (
        files
        if given.is_file() and len(files) == 1
        else [file for file in files if name_parts(file.source)[1].lower() in (".xml", ".json")]
    )


def import_boxes(
    connection: sqlite3.Connection,
    settings: Settings,
    project: Project,
    sources: Sequence[SourceFile],
    *,
    job: int,
    actor: Actor,
    progress: Progress,
    reader: str | None = None,
) -> BoxImport:
    """Bring in the boxes of COCO and VOC files, each file reported under the job.

    Killed at any moment and started again with the same job, it goes on where it was.

    Raises:
        InvalidInput: the project has no classes.
        NotAllowed: the actor may not import here.
        Stopped: somebody asked to stop; what came in stays.
    """
    demand_of(connection, actor, "import", project.id)
    offered = {name.casefold(): name for name in demand_classes(project)}
    classes = {old.casefold(): today for old, today in present_names(connection, project).items()} | offered
    drawer = ensure_user(connection, reader or READER_OF_BOXES, kind="imported").name
    boxes = _Boxes(connection, settings, project, CaseFinder(connection, settings, project.id), classes, drawer, actor)
    names = report_names(settings, project, job, PREFIX, sources)
    done = {row.path: row for row in list_import_files(connection, job)}
    attempts = Attempts(settings.home / "imports" / f"{job}.boxes.reading")
    rows: list[ImportedFile] = []
    with OpenArchives(settings) as archives:
        for position, file in enumerate(sources):
            stop_if_asked(progress)
            if position % 50 == 0:
                progress.report(position / len(sources), f"{position} of {len(sources)} files of boxes")
            name = names[file.path]
            if name in done:
                rows.append(done[name])
                continue
            with attempts.of(name) as is_poison:
                rows.append(_import_one(boxes, file, name, archives, job, is_poison))
    failed = sum(row.status == "failed" for row in rows)
    report = BoxImport(boxes.added, boxes.unchanged, boxes.refused, failed, len(boxes.cases))
    add_audit(connection, actor, "import boxes", f"project {project.id}", job=job, reader=drawer, added=report.added,
              unchanged=report.unchanged, refused=report.refused, failed=failed)  # fmt: skip
    return report


def _import_one(
    boxes: _Boxes, file: SourceFile, name: str, archives: OpenArchives, job: int, is_poison: bool
) -> ImportedFile:
    def recorded(status: FileStatus, case: int | None, reason: str) -> ImportedFile:
        return record_import_file(boxes.connection, job, name, status, case, reason)

    if is_poison:
        return recorded("failed", None, "Reading this file ended the import twice, so it was left out.")
    try:
        images = read_boxes(read_source(file, archives, boxes.settings))
        with writing(boxes.connection):
            told = _Told()
            for image in images:
                _put_image(boxes, image, file, told)
            return recorded(*_summary(boxes, images, told, job))
    except Unavailable:
        raise
    except MemoryError:
        return recorded("failed", None, "Reading this file needs more memory than there is.")
    except CoreError as error:
        return recorded("failed", None, str(error))


@dataclass
class _Told:
    """What there is to say of one file."""

    added: int = 0
    unchanged: int = 0
    cases: list[int] = field(default_factory=list)
    missing: int = 0
    refusals: list[str] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)


def _put_image(boxes: _Boxes, image: BoxedImage, file: SourceFile, told: _Told) -> None:
    """The boxes of one image, in the caller's transaction."""
    found = boxes.finder.find_file(image.file_name) if image.file_name else []
    if not found and file.source.lower().endswith(".xml"):  # a VOC file is called as its image
        found = boxes.finder.find(str(Path(file.source).with_suffix("")))
    if len(found) != 1:
        if found:
            several = f"Several images go by the name of one: cases {', '.join(map(str, found[:5]))}"
            told.refusals.append(f"{several}; write whole paths.")
        told.missing += not found
        return
    case = get_case(boxes.connection, found[0])
    size = (case.columns, case.rows)
    if image.columns and image.rows and (image.columns, image.rows) != size:
        told.refusals.append(
            f"The boxes of case {case.id} were drawn on an image of {image.columns} x {image.rows} pixels, and it has "
            f"{size[0]} x {size[1]}."
        )
        return
    told.cases.append(case.id)
    seen: Counter[Box] = Counter()
    for number, box in enumerate(image.boxes, 1):
        label = boxes.classes.get(box.name.casefold())
        if label is None:
            told.unknown[box.name] += 1
            continue
        seen[box] += 1
        try:
            is_new = _put_box(boxes, case, box, label, seen[box])
        except InvalidInput as error:
            told.refusals.append(f"Box {number} of case {case.id} ({label}): {error}")
        else:
            told.added += is_new
            told.unchanged += not is_new


def _put_box(boxes: _Boxes, case: Case, box: Box, label: str, copy: int) -> bool:
    """Whether it is new. A box goes by what it says, so that one that was moved or removed since does not return."""
    said = f"{box.name.casefold()} {box.x!r} {box.y!r} {box.width!r} {box.height!r} {copy}"
    mark = f"box-{hashlib.sha256(said.encode()).hexdigest()[:24]}"
    event = f"import-{case.id}-{hashlib.sha256(boxes.reader.encode()).hexdigest()[:12]}-{mark}"
    if find_mark_event(boxes.connection, boxes.project.id, event) is not None:
        return False
    new = NewMark(
        event=event,
        case_id=case.id,
        reader=boxes.reader,
        mark=mark,
        kind="box",
        geometry={"x": box.x, "y": box.y, "width": box.width, "height": box.height},
        label=label,
        schema_version=boxes.project.schema_version,
        made_in="import",
    )
    add_mark(boxes.connection, new, boxes.actor, audited=False)  # one row tells of all of them
    return True


def _summary(boxes: _Boxes, images: Sequence[BoxedImage], told: _Told, job: int) -> tuple[FileStatus, int | None, str]:
    """The row of the report, and the counts."""
    boxes.added += told.added
    boxes.unchanged += told.unchanged
    boxes.cases |= set(told.cases)
    boxes.refused += len(told.refusals) + sum(told.unknown.values())
    where = f"case {told.cases[0]}" if len(images) == 1 and told.cases else f"{len(told.cases)} images"
    said = [f"{told.added} boxes on {where}."] if told.added else []
    said += [f"{told.unchanged} were there already on {where}."] if told.unchanged else []
    if told.missing:
        said.append(f"{told.missing} of {len(images)} images are not in the project; import them first.")
    if told.unknown:
        unknown = told.unknown.most_common()
        hidden = [
            f"{hidden_words(boxes.settings, boxes.project, job, name)} ({count})"
            for name, count in unknown[:NAMED_AT_MOST]
        ]
        named = some_of([*hidden, *(name for name, _ in unknown[NAMED_AT_MOST:])], NAMED_AT_MOST)
        known = ", ".join(demand_classes(boxes.project))
        said.append(f"Boxes of classes that are not in the project were left out: {named}; it has {known}.")
    if told.refusals:
        said.append(f"{len(told.refusals)} refused: {some_of(told.refusals, NAMED_AT_MOST, between=' ')}")
    status: FileStatus = "imported" if told.added else "skipped"
    if not told.added and not told.unchanged and (told.missing or told.unknown or told.refusals):
        status = "failed"
    return status, told.cases[0] if len(told.cases) == 1 else None, " ".join(said) or f"No box on {where}."
