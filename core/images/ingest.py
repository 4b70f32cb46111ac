"""The one way in: files become cases of a project, each in one transaction, or are refused with a reason."""

import hashlib
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import CoreError, InvalidInput, Unavailable, some_of
from core.images.archives import OpenArchives
from core.images.attempts import Attempts
from core.images.crosswalk import note, sealed_entry
from core.images.decoded import DecodedImage
from core.images.decoding import decode
from core.images.headers import NewHeader, add_headers, list_headers, store_headers
from core.images.label_maps import find_label_maps
from core.images.label_table import TableRow
from core.images.matching import match_rows
from core.images.nifti import TIME_POINT
from core.images.path_names import PathNames
from core.images.pixel_checks import Template, blacked_by, hold, template_for
from core.images.pseudonyms import load_secret
from core.images.records import (
    Case,
    FileStatus,
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
from core.images.sealed_paths import keep_paths
from core.images.similarity import perceptual_hash
from core.images.sources import SourceFile, list_sources, read_source
from core.images.thumbnails import thumbnail_of
from core.images.time_points import numbered, split_time_points
from core.images.units import DIED_TWICE, Unit, find_units, folders_of_volumes, read_unit
from core.people.roles import demand_of
from core.progress import Progress, stop_if_asked
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor, add_audit
from core.store.database import writing
from core.store.files import Files

Reader = Callable[[bytes, str], DecodedImage]
OnCase = Callable[[sqlite3.Connection, Case, TableRow | None], None]
LabelsOf = Callable[[sqlite3.Connection, Sequence[Case]], Mapping[int, Sequence[str]]]
SECONDS_BETWEEN_REPORTS = 0.5
NAMED_AT_MOST = 3
# What a reason says, by which a report counts; reasons are stored, so a resumed import counts alike.
SAME_PIXELS = "Same pixels as case "
OPPOSITE_LABELS = " The labels are opposite: "


@dataclass(frozen=True)
class ImportReport:
    """What became of each file. `cases` counts the cases that the imported files made.

    `same_pixels` of them show what another case shows, `opposite_labels` of these with another answer.
    """

    imported: int
    skipped: int
    failed: int
    cases: int
    same_pixels: int
    opposite_labels: int
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
    names: PathNames
    reader: Reader | None

    def decoded(self, content: bytes, name: str) -> DecodedImage:
        if self.reader:
            return self.reader(content, name)
        return decode(content, self.settings, self.secret, name=name, options=self.project.deidentification)


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
    apart: AbstractSet[Path] = frozenset(),
    reader: Reader | None = None,
    volume: int | None = None,
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
        apart: files that come in by themselves, such as masks that lie among the images.
        volume: of files of four dimensions only this time point, counted from 1.
        reader: reads a file's bytes, such as `core.images.reading_child.ReadingChild`; else this process does.

    Raises:
        NotAllowed: the actor may not import into this project.
        InvalidInput: `patient_from` is not a regular expression.
        Unavailable: the disk is full or the database is held; what was imported stays.
        Stopped: somebody asked to stop; what was imported stays.
    """
    demand_of(connection, actor, "import", project.id)
    names = PathNames(load_secret(settings), project.deidentification)
    found = list_sources([Path(path) for path in paths], settings, root=root)
    found = [file for file in found if file.member is not None or file.location.resolve() not in apart]
    found = split_time_points(found, settings, volume)
    maps = find_label_maps([file.source for file in found])
    # from here on files and patients go by what the database calls them
    sources, table = names.hide(found, table, maps)
    label_maps = names.of_maps(maps)
    if names.paths:
        keep_paths(settings, job, names.paths)
    _note_patients(settings, project, names)
    # a mask of the same name as its image would make the image's row fit two files
    named = [file.source for file in sources if file.source not in label_maps]
    pattern = _pattern(patient_from)
    done = {file.path: file for file in list_import_files(connection, job)}
    attempts = Attempts(files.root / "imports" / f"{job}.reading")
    reported = 0.0
    with OpenArchives(settings) as archives:
        units = find_units(sources, archives, settings, attempts, progress, label_maps)
        matched = match_rows(table, [*named, *folders_of_volumes(units)])
        what = _Import(
            connection, files, settings, project, matched.rows, pattern, job, actor, on_case, on_skipped,
            labels_of, load_secret(settings), label_maps, names, reader,
        )  # fmt: skip
        position = 0
        for unit in sorted(units, key=lambda unit: any(file.path in attempts.doubtful for file in unit.files)):
            stop_if_asked(progress)
            file = unit.files[0]
            if time.monotonic() - reported > SECONDS_BETWEEN_REPORTS:
                # Not which file: a path may name a patient, and what is reported stays in the job's log and row.
                progress.report(position / len(sources), f"{position} of {len(sources)} files")
                reported = time.monotonic()
            position += len(unit.files) + len(unit.copies)
            if file.path in done:
                continue
            if len(unit.files) > 1:
                rows = _import_volume(what, unit, archives, attempts, progress)
            else:
                with attempts.of(file.path) as is_poison:
                    rows = [_import_one(what, unit, archives, label_table, is_poison)]
            done |= {row.path: row for row in rows}
    report = _report([done[file.path] for file in sources], matched.warnings, names)
    add_audit(connection, actor, "import", f"project {project.id}", job=job, imported=report.imported,
              skipped=report.skipped, failed=report.failed)  # fmt: skip
    progress.report(1.0, f"{report.imported} imported, {report.skipped} skipped, {report.failed} refused")
    return report


def _import_one(
    what: _Import, unit: Unit, archives: OpenArchives, label_table: Path | None, is_poison: bool
) -> ImportedFile:
    (file,) = unit.files

    def refused(reason: str) -> ImportedFile:
        return record_import_file(what.connection, what.job, file.path, "failed", None, reason)

    if file.is_system:
        reason = "A file of the operating system, not an image."
        return record_import_file(what.connection, what.job, file.path, "skipped", None, reason)
    if label_table and not file.member and label_table.exists() and file.location.samefile(label_table):
        reason = "This is the label table."
        return record_import_file(what.connection, what.job, file.path, "skipped", None, reason)
    if file.source in what.label_maps:
        reason = f"This looks like a mask of {what.label_maps[file.source]}; masks come in with `--masks`."
        return record_import_file(what.connection, what.job, file.path, "skipped", None, reason)
    if is_poison:
        return refused(DIED_TWICE)
    if unit.is_index:
        reason = "An index of other files (DICOMDIR), not an image; the files that it names come in."
        return record_import_file(what.connection, what.job, file.path, "skipped", None, reason)
    try:
        content = read_source(file, archives, what.settings)
        file_hash = hashlib.sha256(content).hexdigest()
        image = _told_of_group(what.decoded(content, numbered(file.source, file.time_point)), unit)
        template = template_for(what.connection, what.project, image)
        image = blacked_by(image, template) if template else image
        stored = replace(_store(what.files, file_hash, image), template=template)
    except InvalidInput as error:
        return refused(str(error))
    except MemoryError:
        return refused("Reading this file needs more memory than there is; make the image smaller.")
    try:
        with writing(what.connection):
            # The last case of these pixels may have been erased since; from here on nobody takes them away.
            if not (what.files.has("pixels", stored.pixel_hash) and what.files.has("thumbnails", stored.pixel_hash)):
                stored = replace(_store(what.files, file_hash, image), template=template)
            return _keep(what, unit, (file,), stored)[0]
    except Unavailable:  # a full disk or a long lock says nothing against the file: a resumed job takes it up again
        raise
    except CoreError as error:  # from `on_case`, such as an unknown class; the case was rolled back
        return refused(str(error))


def _store(files: Files, file_hash: str, image: DecodedImage) -> _Stored:
    """Pixels and thumbnail first: a kill before the transaction leaves files without a case, never the reverse."""
    pixel_hash = files.put_array("pixels", image.pixels)
    seen = to_uint8(image.picture, image.photometric, image.windows)
    if not files.has("thumbnails", pixel_hash):
        files.put_under("thumbnails", pixel_hash, thumbnail_of(seen))
    headers = tuple(store_headers(files, image.headers))
    return _Stored(image, pixel_hash, file_hash, perceptual_hash(seen), headers)


def _keep(what: _Import, unit: Unit, taken: Sequence[SourceFile], stored: _Stored) -> list[ImportedFile]:
    """The case, its labels and the record of its files; the caller holds the transaction."""

    def recorded(status: FileStatus, case: Case, reason: str) -> list[ImportedFile]:
        return [
            record_import_file(
                what.connection, what.job, file.path, status, case.id,
                _joined(case, frame, len(taken), reason if frame == 1 else ""),
            )
            for frame, file in enumerate(taken, 1)
        ]  # fmt: skip

    row = _row_of(what, unit, taken)
    source = taken[0].source
    same = find_same_pixels(what.connection, what.project.id, stored.pixel_hash)
    blacked = find_same_pixels_before(what.connection, what.project.id, stored.pixel_hash)
    own = next((case for case in (*same, *blacked) if _is_own(what, case, source, stored)), None)
    if own is not None:
        if what.on_skipped:
            what.on_skipped(what.connection, own, row)
        known = "same source" if own.source == source else "same series"
        reason = f"Already there as case {own.id}: {known} and same pixels.{_kept_as_it_was(own, row)}"
        return recorded("skipped", own, reason)
    others = find_same_source(what.connection, what.project.id, source)
    case = insert_case(what.connection, _new_case(what, source, stored, row))
    add_headers(what.connection, case.id, stored.headers)
    if stored.image.crosswalk:
        note(what.settings, what.project.id, stored.image.crosswalk)
    reasons = list(stored.image.oddities)
    if stored.image.to_check:
        hold(what.connection, case, stored.image.to_check, stored.image.device, stored.template)
        said = "Blacked out by the template of its device." if stored.template else "Held for a check of its pixels."
        reasons.append(f"{said} {stored.image.to_check}")
    what.on_case(what.connection, case, row)
    reasons += [_on_same_pixels(what, case, same)] if same else []
    if others:
        reasons.append(f"Another image came under this name before: case {_ids(others)}.")
    return recorded("imported", case, " ".join(reasons))


def _import_volume(
    what: _Import, unit: Unit, archives: OpenArchives, attempts: Attempts, progress: Progress
) -> list[ImportedFile]:
    """Slices become one case in one transaction; those that cannot be read are refused, and the rest comes in."""

    def refused(reasons: Mapping[str, str], otherwise: str) -> list[ImportedFile]:
        return [
            record_import_file(what.connection, what.job, path, "failed", None, reasons.get(path, otherwise))
            for path in (file.path for file in (*unit.files, *(copy for copy, _ in unit.copies)))
        ]

    try:
        read = read_unit(unit, what.decoded, archives, what.settings, attempts, progress)
        if read.image is None:
            with writing(what.connection):
                return refused(read.failed, "The instance that it is a copy of could not be read.")
        template = template_for(what.connection, what.project, read.image)
        image = blacked_by(read.image, template) if template else read.image
        stored = replace(_store(what.files, read.file_hash, image), template=template)
    except (InvalidInput, MemoryError) as error:
        little = "Reading this series needs more memory than there is; import it on a larger machine."
        with writing(what.connection):
            return refused({}, str(error) if isinstance(error, InvalidInput) else little)
    try:
        with writing(what.connection):
            if not (what.files.has("pixels", stored.pixel_hash) and what.files.has("thumbnails", stored.pixel_hash)):
                stored = replace(_store(what.files, read.file_hash, image), template=template)
            rows = _keep(what, unit, read.taken, stored)
            case = rows[0].case
            for path, reason in read.failed.items():
                rows.append(record_import_file(what.connection, what.job, path, "failed", None, reason))
            frame_of = {file.path: frame for frame, file in enumerate(read.taken, 1)}
            for copy, kept in unit.copies:
                frame = f"frame {frame_of[kept.path]} of " if kept.path in frame_of else "a damaged slice of "
                reason = f"The same instance as {frame}case {case}."
                rows.append(record_import_file(what.connection, what.job, copy.path, "skipped", case, reason))
            return rows
    except Unavailable:
        raise
    except CoreError as error:  # from `on_case`; the case was rolled back
        with writing(what.connection):
            return refused(read.failed, str(error))


def _joined(case: Case, frame: int, frames: int, reason: str) -> str:
    if frames == 1:
        return reason
    return f"Joined into case {case.id}, frame {frame} of {frames}.{' ' if reason else ''}{reason}"


def _is_own(what: _Import, case: Case, source: str, stored: _Stored) -> bool:
    """Whether a case of the same pixels is this image, come in before: by its name, or as the instances of a series."""
    if what.names.same(case.source, source):
        return True
    instances = [header.sop_uid for header in stored.headers]
    return len(instances) > 1 and instances == [header.sop_uid for header in list_headers(what.connection, case.id)]


def _row_of(what: _Import, unit: Unit, taken: Sequence[SourceFile]) -> TableRow | None:
    """What the table says of one of the files, or of the folder of a volume."""
    names = [file.source for file in taken]
    rows = [what.rows[name] for name in ([*names, unit.folder] if len(unit.files) > 1 else names) if name in what.rows]
    told = {(row.labels, row.patient, row.split) for row in rows}
    if len(told) > 1:
        raise InvalidInput(
            f"The table says different things of the slices of one volume; name its folder once. "
            f"Received: {some_of([str(row.labels or row.patient or row.split) for row in rows], NAMED_AT_MOST)}"
        )
    return rows[0] if rows else None


def _told_of_group(image: DecodedImage, unit: Unit) -> DecodedImage:
    """What the series tells of a single image: that it is a localiser, or lay where another slice does."""
    if unit.group is None:
        return image
    part = {"part": unit.group.name} if unit.group.name else {}
    return replace(image, oddities=(*unit.group.oddities, *image.oddities), attributes={**image.attributes, **part})


def _kept_as_it_was(case: Case, row: TableRow | None) -> str:
    """What a later table says otherwise of a case that is there: labels are added, the case itself stays."""
    said = ((row.patient, case.patient, "patient"), (row.split, case.given_split, "split")) if row else ()
    return "".join(
        f" Its {name} stays {old or 'unknown'}; the table says {new}." for new, old, name in said if new and new != old
    )


def _new_case(what: _Import, source: str, stored: _Stored, row: TableRow | None) -> NewCase:
    image = stored.image
    picture = image.picture
    patient, patient_from = _patient(what, source, stored, row)
    return NewCase(
        project=what.project.id,
        source=source,
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


def _patient(what: _Import, source: str, stored: _Stored, row: TableRow | None) -> tuple[str, PatientFrom]:
    """The table's word goes before the header's, the header's before the file name's."""
    if row and row.patient:
        return row.patient, "table"
    if stored.image.patient:
        return stored.image.patient, "dicom"
    found = what.pattern.search(what.names.real(source)) if what.pattern else None
    matched = (found[1] if found.re.groups else found[0]) if found else None
    if matched:
        return what.names.patient(matched), "pattern"
    # Where nothing tells, each picture is its own patient; copies of one picture are then one. What is one of several
    # volumes of a file is of the same patient as the others.
    alone = stored.file_hash if TIME_POINT in stored.image.attributes else stored.pixel_hash
    return f"case:{alone[:16]}", "none"


def _on_same_pixels(what: _Import, case: Case, same: Sequence[Case]) -> str:
    """Which cases show the same pixels, and what they contradict this one in: all are looked at, a few are named."""
    sentences = [f"{SAME_PIXELS}{_ids(same)}."]
    strangers = [(other, other.patient) for other in same if other.patient != case.patient]
    if strangers:
        sentences.append(f"The patient differs: {case.patient} here, {_there(strangers, same)}.")
    answers = _answers(what, [case, *same])  # mine read back too: "Normal" of a table is "normal" of an older case
    mine = answers[case.id]
    opposite = [(other, ", ".join(said)) for other in same if (said := answers[other.id]) and set(said) != set(mine)]
    if mine and opposite:
        sentences.append(f"{OPPOSITE_LABELS[1:]}{', '.join(mine)} here, {_there(opposite, same)}.")
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


def _as_given(file: ImportedFile, names: PathNames) -> ImportedFile:
    """For the person importing: by the path that was given."""
    return replace(file, path=names.real(file.path), reason=names.real_in(file.reason))


def _note_patients(settings: Settings, project: Project, names: PathNames) -> None:
    """Whose pseudonyms a label table's patients have, where the project keeps a crosswalk."""
    if project.deidentification.crosswalk_key:
        for name, said in names.patients.items():
            note(settings, project.id, sealed_entry(project.deidentification.crosswalk_key, name, f"patient /{said}"))


def _report(done: Iterable[ImportedFile], warnings: tuple[str, ...], names: PathNames) -> ImportReport:
    """Files by the paths that were given; sentences, which are stored with the job, by what the database calls them."""
    files = tuple(done)
    count = {status: sum(file.status == status for file in files) for status in ("imported", "skipped", "failed")}
    cases = {file.case for file in files if file.status == "imported"}
    same = [file for file in files if file.status == "imported" and SAME_PIXELS in file.reason]
    opposite = [file for file in same if OPPOSITE_LABELS in file.reason]
    return ImportReport(
        imported=count["imported"],
        skipped=count["skipped"],
        failed=count["failed"],
        cases=len(cases),
        same_pixels=len(same),
        opposite_labels=len(opposite),
        files=tuple(_as_given(file, names) for file in files),
        warnings=(*warnings, *_warn_of_same_pixels(same, opposite)),
    )


def _warn_of_same_pixels(same: Sequence[ImportedFile], opposite: Sequence[ImportedFile]) -> list[str]:
    """Among thousands of files nobody finds the few reasons that matter: one sentence says that they are there."""
    if not same:
        return []
    show = "1 file shows" if len(same) == 1 else f"{len(same):,} files show"
    named = some_of([file.path for file in opposite or same], NAMED_AT_MOST)
    return [
        f"{show} the same pixels as another case, {f'{len(opposite):,}' if opposite else 'none'} with opposite labels: "
        f"{named}. The reasons name the other cases."
    ]
