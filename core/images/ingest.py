"""The one way in: files become cases of a project, each in one transaction, or are refused with a reason."""

import hashlib
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import CoreError, InvalidInput, Unavailable, some_of
from core.images.archives import OpenArchives
from core.images.attempts import Attempts
from core.images.decoded import DecodedImage
from core.images.decoding import decode
from core.images.headers import NewHeader, add_headers, store_headers
from core.images.label_maps import find_label_maps
from core.images.label_table import TableRow
from core.images.matching import match_rows
from core.images.pixel_checks import Template, blacked_by, hold, template_for
from core.images.pseudonyms import load_secret
from core.images.records import (
    Case,
    ImportedFile,
    NewCase,
    PatientFrom,
    find_same_pixels,
    find_same_pixels_before,
    find_same_source,
    insert_case,
    list_import_files,
    record_import_file,
)
from core.images.render import to_uint8
from core.images.similarity import perceptual_hash
from core.images.sources import SourceFile, list_sources, read_source
from core.images.thumbnails import thumbnail_of
from core.people.roles import demand_of
from core.progress import Progress, stop_if_asked
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor, add_audit
from core.store.database import writing
from core.store.files import Files

OnCase = Callable[[sqlite3.Connection, Case, TableRow | None], None]
LabelsOf = Callable[[sqlite3.Connection, Sequence[Case]], Mapping[int, Sequence[str]]]
SECONDS_BETWEEN_REPORTS = 0.5
NAMED_AT_MOST = 3


@dataclass(frozen=True)
class ImportReport:
    """What became of each file. `cases` counts the cases that the imported files made."""

    imported: int
    skipped: int
    failed: int
    cases: int
    files: tuple[ImportedFile, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Import:
    """What stays the same from file to file."""

    connection: sqlite3.Connection
    files: Files
    settings: Settings
    project: Project
    rows: Mapping[str, TableRow]
    pattern: re.Pattern[str] | None
    job: int
    actor: Actor
    on_case: OnCase
    on_skipped: OnCase | None
    labels_of: LabelsOf | None
    secret: bytes
    label_maps: Mapping[str, str]


@dataclass(frozen=True)
class _Stored:
    """An image whose pixels and thumbnail lie in the file store."""

    image: DecodedImage
    pixel_hash: str
    file_hash: str
    perceptual_hash: str
    headers: tuple[NewHeader, ...] = ()
    template: Template | None = None  # by which the pixels were blacked out


def import_paths(
    connection: sqlite3.Connection,
    files: Files,
    settings: Settings,
    project: Project,
    paths: Sequence[Path],
    *,
    table: Mapping[str, TableRow] | None,
    patient_from: str | None,
    job: int,
    actor: Actor,
    on_case: OnCase,
    progress: Progress,
    root: Path | None = None,
    label_table: Path | None = None,
    on_skipped: OnCase | None = None,
    labels_of: LabelsOf | None = None,
) -> ImportReport:
    """Import files, folders and zips. One bad file never stops the rest.

    Killed at any moment and started again with the same job, it goes on where it was:
    a case, its labels and the record of its file appear in one transaction or not at all.

    Args:
        table: what a label table says (`map_columns`), by path relative to the imported folder.
        patient_from: a regular expression on the source; its first group, or the whole match, is the patient.
        on_case: called with each new case and its row, in the case's transaction; a `CoreError` refuses the file.
        root: the folder that sources are relative to; else each given folder or zip.
        label_table: the table's own file, which is then no failure when it lies in the folder.
        on_skipped: called likewise for a file whose case was there before.
        labels_of: the answers of cases in words, by case id, to name opposite labels of same pixels.

    Raises:
        NotAllowed: the actor may not import into this project.
        InvalidInput: `patient_from` is not a regular expression.
        Unavailable: the disk is full or the database is held; what was imported stays.
        Stopped: somebody asked to stop; what was imported stays.
    """
    demand_of(connection, actor, "import", project.id)
    sources = list_sources([Path(path) for path in paths], settings, root=root)
    label_maps = find_label_maps([file.source for file in sources])
    # a mask of the same name as its image would make the image's row fit two files
    matched = match_rows(table, [file.source for file in sources if file.source not in label_maps])
    what = _Import(
        connection, files, settings, project, matched.rows, _pattern(patient_from), job, actor, on_case, on_skipped,
        labels_of, load_secret(settings), label_maps,
    )  # fmt: skip
    done = {file.path: file for file in list_import_files(connection, job)}
    attempts = Attempts(files.root / "imports" / f"{job}.reading")
    reported = 0.0
    with OpenArchives(settings) as archives:
        for position, file in enumerate(sorted(sources, key=lambda file: file.path in attempts.doubtful)):
            stop_if_asked(progress)
            if time.monotonic() - reported > SECONDS_BETWEEN_REPORTS:
                progress.report(position / len(sources), f"{position} of {len(sources)} files", file=file.path)
                reported = time.monotonic()
            if file.path not in done:
                with attempts.of(file.path) as is_poison:
                    done[file.path] = _import_one(what, file, archives, label_table, is_poison)
    report = _report([done[file.path] for file in sources], matched.warnings)
    add_audit(connection, actor, "import", f"project {project.id}", job=job, imported=report.imported,
              skipped=report.skipped, failed=report.failed)  # fmt: skip
    progress.report(1.0, f"{report.imported} imported, {report.skipped} skipped, {report.failed} refused")
    return report


def _import_one(
    what: _Import, file: SourceFile, archives: OpenArchives, label_table: Path | None, is_poison: bool
) -> ImportedFile:
    def refused(reason: str) -> ImportedFile:
        return record_import_file(what.connection, what.job, file.path, "failed", None, reason)

    if file.is_system:
        reason = "A file of the operating system, not an image."
        return record_import_file(what.connection, what.job, file.path, "skipped", None, reason)
    if label_table and not file.member and label_table.exists() and file.location.samefile(label_table):
        reason = "This is the label table."
        return record_import_file(what.connection, what.job, file.path, "skipped", None, reason)
    if file.source in what.label_maps:
        reason = f"This looks like a mask of {what.label_maps[file.source]}; masks come in with an import of their own."
        return record_import_file(what.connection, what.job, file.path, "skipped", None, reason)
    if is_poison:
        return refused("Reading this file ended the import twice, so it was left out; export it again.")
    try:
        content = read_source(file, archives, what.settings)
        image = decode(content, what.settings, what.secret, name=file.source, options=what.project.deidentification)
        template = template_for(what.connection, what.project, image)
        image = blacked_by(image, template) if template else image
        stored = replace(_store(what.files, content, image), template=template)
    except InvalidInput as error:
        return refused(str(error))
    except MemoryError:
        return refused("Reading this file needs more memory than there is; make the image smaller.")
    try:
        with writing(what.connection):
            # The last case of these pixels may have been erased since; from here on nobody takes them away.
            if not (what.files.has("pixels", stored.pixel_hash) and what.files.has("thumbnails", stored.pixel_hash)):
                stored = replace(_store(what.files, content, image), template=template)
            return _keep(what, file, stored)
    except Unavailable:  # a full disk or a long lock says nothing against the file: a resumed job takes it up again
        raise
    except CoreError as error:  # from `on_case`, such as an unknown class; the case was rolled back
        return refused(str(error))


def _store(files: Files, content: bytes, image: DecodedImage) -> _Stored:
    """Pixels and thumbnail first: a kill before the transaction leaves files without a case, never the reverse."""
    pixel_hash = files.put_array("pixels", image.pixels)
    seen = to_uint8(image.picture, image.photometric, image.windows)
    if not files.has("thumbnails", pixel_hash):
        files.put_under("thumbnails", pixel_hash, thumbnail_of(seen))
    headers = tuple(store_headers(files, image.headers))
    return _Stored(image, pixel_hash, hashlib.sha256(content).hexdigest(), perceptual_hash(seen), headers)


def _keep(what: _Import, file: SourceFile, stored: _Stored) -> ImportedFile:
    """The case, its labels and the record of the file; the caller holds the transaction."""
    row = what.rows.get(file.source)
    same = find_same_pixels(what.connection, what.project.id, stored.pixel_hash)
    blacked = find_same_pixels_before(what.connection, what.project.id, stored.pixel_hash)
    own = next((case for case in (*same, *blacked) if case.source == file.source), None)
    if own is not None:
        if what.on_skipped:
            what.on_skipped(what.connection, own, row)
        reason = f"Already there as case {own.id}: same source and same pixels.{_kept_as_it_was(own, row)}"
        return record_import_file(what.connection, what.job, file.path, "skipped", own.id, reason)
    others = find_same_source(what.connection, what.project.id, file.source)
    case = insert_case(what.connection, _new_case(what, file, stored, row))
    add_headers(what.connection, case.id, stored.headers)
    reasons = []
    if stored.image.to_check:
        hold(what.connection, case, stored.image.to_check, stored.image.device, stored.template)
        said = "Blacked out by the template of its device." if stored.template else "Held for a check of its pixels."
        reasons.append(f"{said} {stored.image.to_check}")
    what.on_case(what.connection, case, row)
    reasons += [_on_same_pixels(what, case, same)] if same else []
    if others:
        reasons.append(f"Another image came under this name before: case {_ids(others)}.")
    return record_import_file(what.connection, what.job, file.path, "imported", case.id, " ".join(reasons))


def _kept_as_it_was(case: Case, row: TableRow | None) -> str:
    """What a later table says otherwise of a case that is there: labels are added, the case itself stays."""
    said = ((row.patient, case.patient, "patient"), (row.split, case.given_split, "split")) if row else ()
    return "".join(
        f" Its {name} stays {old or 'unknown'}; the table says {new}." for new, old, name in said if new and new != old
    )


def _new_case(what: _Import, file: SourceFile, stored: _Stored, row: TableRow | None) -> NewCase:
    image = stored.image
    picture = image.picture
    patient, patient_from = _patient(what, file, stored, row)
    return NewCase(
        project=what.project.id,
        source=file.source,
        patient=patient,
        patient_from=patient_from,
        pixel_hash=stored.pixel_hash,
        file_hash=stored.file_hash,
        perceptual_hash=stored.perceptual_hash,
        frames=image.frames,
        rows=picture.shape[0],
        columns=picture.shape[1],
        channels=1 if picture.ndim == 2 else picture.shape[2],
        dtype=str(picture.dtype),
        photometric=image.photometric,
        imported_by=what.actor.name,
        modality=image.modality,
        view=image.view,
        spacing_mm=image.spacing_mm,
        spacing_at=image.spacing_at,
        slice_spacing_mm=image.slice_spacing_mm,
        affine=image.affine,
        windows=image.windows,
        attributes={**image.attributes, **(row.attributes if row else {})},
        given_split=row.split if row else None,
    )


def _patient(what: _Import, file: SourceFile, stored: _Stored, row: TableRow | None) -> tuple[str, PatientFrom]:
    """The table's word goes before the header's, the header's before the file name's."""
    if row and row.patient:
        return row.patient, "table"
    if stored.image.patient:
        return stored.image.patient, "dicom"
    found = what.pattern.search(file.source) if what.pattern else None
    matched = (found[1] if found.re.groups else found[0]) if found else None
    if matched:
        return matched, "pattern"
    # Where nothing tells, each picture is its own patient; copies of one picture are then one.
    return f"case:{stored.pixel_hash[:16]}", "none"


def _on_same_pixels(what: _Import, case: Case, same: Sequence[Case]) -> str:
    """Which cases show the same pixels, and what they contradict this one in: all are looked at, a few are named."""
    sentences = [f"Same pixels as case {_ids(same)}."]
    strangers = [(other, other.patient) for other in same if other.patient != case.patient]
    if strangers:
        sentences.append(f"The patient differs: {case.patient} here, {_there(strangers, same)}.")
    answers = _answers(what, [case, *same])  # mine read back too: "Normal" of a table is "normal" of an older case
    mine = answers[case.id]
    opposite = [(other, ", ".join(said)) for other in same if (said := answers[other.id]) and set(said) != set(mine)]
    if mine and opposite:
        sentences.append(f"The labels are opposite: {', '.join(mine)} here, {_there(opposite, same)}.")
    return " ".join(sentences)


def _there(differing: Sequence[tuple[Case, str]], same: Sequence[Case]) -> str:
    """What is said of the cases that differ, and which of those of the same pixels they are."""
    words = some_of(list(dict.fromkeys(said for _, said in differing)), NAMED_AT_MOST, between=" or ")
    if len(same) == 1:
        return f"{words} there"
    return f"{words} in {len(differing)} of those {len(same)}: case {_ids([case for case, _ in differing])}"


def _answers(what: _Import, cases: Sequence[Case]) -> dict[int, list[str]]:
    """What is said of each case: the stored answers where the caller can tell them, else this table's."""
    stored = what.labels_of(what.connection, cases) if what.labels_of else {}
    told = {case.id: row.labels for case in cases if (row := what.rows.get(case.source))}
    return {case.id: list(stored.get(case.id, ())) or [said for said in [told.get(case.id)] if said] for case in cases}


def _ids(cases: Sequence[Case]) -> str:
    return some_of([f"{case.id} ({case.source})" for case in cases], NAMED_AT_MOST)


def _pattern(patient_from: str | None) -> re.Pattern[str] | None:
    if not patient_from:
        return None
    try:
        return re.compile(patient_from)
    except re.error as error:
        raise InvalidInput(
            f"The patient pattern must be a regular expression, such as ^(person\\d+)_. "
            f"Received: {patient_from} ({error})"
        ) from error


def _report(done: Iterable[ImportedFile], warnings: tuple[str, ...]) -> ImportReport:
    files = tuple(done)
    count = {status: sum(file.status == status for file in files) for status in ("imported", "skipped", "failed")}
    cases = {file.case for file in files if file.status == "imported"}
    return ImportReport(count["imported"], count["skipped"], count["failed"], len(cases), files, warnings)
