"""The one way in: files become cases of a project, each in one transaction, or are refused with a reason."""

import hashlib
import re
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import CoreError, InvalidInput, Unavailable, some_of
from core.images.archives import OpenArchives
from core.images.attempts import Attempts
from core.images.crosswalk import note, sealed_entry
from core.images.decoded import DecodedImage
from core.images.decoding import decode, kind_of, refusal_of
from core.images.headers import NewHeader, add_headers, count_instances, list_headers, store_headers
from core.images.known_files import KnownFile, NewlyKnown, find_known, is_passing, remember, series_key
from core.images.label_maps import find_label_maps
from core.images.label_table import TableRow
from core.images.looking import READABLE, foresee
from core.images.matching import match_rows
from core.images.nifti import GZIP, TIME_POINT
from core.images.path_names import PathNames
from core.images.pixel_checks import Template, blacked_by, hold, template_for
from core.images.pseudonyms import load_secret
from core.images.reading_ahead import ReadingAhead
from core.images.reading_child import ReaderEnded
from core.images.reading_children import ReadingChildren
from core.images.records import (
    CAME_IN,
    Case,
    FileStatus,
    HoldBack,
    ImportedFile,
    NewCase,
    PatientFrom,
    count_files,
    find_same_pixels,
    find_same_pixels_before,
    find_same_source,
    get_case,
    insert_case,
    is_mentioned,
    list_import_files,
    put_import_series,
    record_import_file,
    wanted_again,
)
from core.images.refused_files import RefusedFiles
from core.images.sealed_paths import keep_paths, read_paths
from core.images.series_report import is_odd, list_series, number_unopened, series_to_json
from core.images.shown import Shown, shown_of
from core.images.sources import SourceFile, list_sources, quiet_only, read_source, size_of
from core.images.stored_files import StoredFiles
from core.images.superseding import give_way
from core.images.time_points import numbered, split_time_points
from core.images.units import DIED_TWICE, Unit, check_unit, find_units, folders_of_volumes, read_unit
from core.people.roles import demand_of
from core.progress import Progress, stop_if_asked
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor, add_audit
from core.store.database import undoing, writing
from core.store.files import Files

Reader = Callable[[bytes, str], DecodedImage]
OnCase = Callable[[sqlite3.Connection, Case, TableRow | None], None]
LabelsOf = Callable[[sqlite3.Connection, Sequence[Case]], Mapping[int, Sequence[str]]]
SECONDS_BETWEEN_REPORTS = 0.5
MOST_AT_ONCE = 16  # files in one transaction: readers who save a label meanwhile wait for it
THREADS_A_CHILD = 2  # one waits for the disk while the other's child reads
NAMED_AT_MOST = 3
KNOWN_AT_ONCE = 500
# What a reason says, by which a report counts; reasons are stored, so a resumed import counts alike.
SAME_PIXELS = "Same pixels as case "
OPPOSITE_LABELS = " The labels are opposite: "


@dataclass(frozen=True)
class ImportReport:
    """What became of each file. `cases` counts the cases that the imported files made.

    `imported` counts all files that came in: `joined` of them as slices, `held` for a check of their pixels.
    `same_pixels` of them show what another case shows, `opposite_labels` of these with another answer.
    `waiting` files were only looked at. `left` is where files lie that another attempt would read: refused and waiting
    ones, each with its whole series.
    """

    imported: int
    skipped: int
    failed: int
    cases: int
    same_pixels: int
    opposite_labels: int
    files: tuple[ImportedFile, ...]
    warnings: tuple[str, ...]
    joined: int = 0
    held: int = 0
    waiting: int = 0
    left: frozenset[Path] = frozenset()


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
    label_table: Path | None
    label_maps: Mapping[str, str]
    names: PathNames
    reader: Reader | ReadingChildren | None
    archives: OpenArchives
    attempts: Attempts
    series_of: Mapping[str, int]  # the number of each file's series
    keys: Mapping[str, str]  # what stands for it in `known_files`
    refused: RefusedFiles

    def record(self, file: SourceFile, status: FileStatus, case: int | None, reason: str) -> ImportedFile:
        """The row of the report; from now on the file is known, unless it goes when everything is in."""
        with writing(self.connection):
            if not is_passing(self.settings, file):
                known = NewlyKnown(file, status, case, self.keys.get(file.path, ""))
                remember(self.connection, self.secret, self.project.id, [known])
            series = self.series_of.get(file.path)
            return record_import_file(self.connection, self.job, file.path, status, case, reason, series)

    def read(self, content: bytes, name: str, *, shown: bool) -> tuple[DecodedImage, Shown | None]:
        """The image of a file, and where its reader makes that in passing what it looks like."""
        if isinstance(self.reader, ReadingChildren):
            return self.reader.read(content, name, shown=shown)
        if self.reader:
            return self.reader(content, name), None
        options = self.project.deidentification
        return decode(content, self.settings, self.secret, name=name, options=options), None


@dataclass(frozen=True)
class _Stored:
    """An image whose pixels and thumbnail lie in the file store."""

    image: DecodedImage
    pixel_hash: str
    file_hash: str
    perceptual_hash: str
    headers: tuple[NewHeader, ...] = ()
    template: Template | None = None  # by which the pixels were blacked out


@dataclass(frozen=True)
class _Read:
    """A file that was read; nothing is stored yet of a slice's pixels, and of what may have to be blacked out."""

    image: DecodedImage
    file_hash: str
    stored: _Stored | None = None


Ahead = ReadingAhead[SourceFile, _Read]


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
    reader: Reader | ReadingChildren | None = None,
    volume: int | None = None,
    hold_back: HoldBack = "nothing",
    only: AbstractSet[str] | None = None,
    only_new: bool = False,
    quiet_seconds: float | None = None,
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
        reader: reads a file's bytes; else this process does. `ReadingChildren` read several files side by side.
        hold_back: what is looked at and waits for somebody's word: `odd` series, or `all`, which stores no image.
        only: of the files only these, by what reports call them (`list_import_files`).
        only_new: files that an import has met before are left out, whatever became of them.
        quiet_seconds: files in whose folder something was written more recently are left out.

    Raises:
        NotAllowed: the actor may not import into this project.
        InvalidInput: `patient_from` is not a regular expression.
        Unavailable: the disk is full or the database is held; what was imported stays.
        Stopped: somebody asked to stop; what was imported stays.
    """
    demand_of(connection, actor, "import", project.id)
    names = PathNames(load_secret(settings), project.deidentification)
    secret = load_secret(settings)
    found = list_sources([Path(path) for path in paths], settings, root=root)
    found = [file for file in found if file.member is not None or file.location.resolve() not in apart]
    if quiet_seconds is not None:
        found = quiet_only(found, quiet_seconds, time.time())
    refused = RefusedFiles(settings, secret, project.id, project.deidentification)

    def find_met(files: Sequence[SourceFile]) -> dict[str, KnownFile]:
        met = find_known(connection, secret, project.id, files)
        if only is None:  # else somebody asks for certain files to be read, whatever became of them before
            found = refused.find(files)
            met |= {path: one for path, one in found.items() if path not in met or not met[path].is_in}
        return met

    met = find_met(found)
    found = split_time_points(
        found, settings, volume, unopened=[path for path, one in met.items() if one.is_in or one.refusal]
    )
    met |= find_met([file for file in found if file.time_point is not None])
    maps = find_label_maps([file.source for file in found])
    met_at = {_place(file): met[file.path] for file in found if file.path in met}
    # from here on files and patients go by what the database calls them
    sources, table = names.hide(found, table, maps)
    label_maps = names.of_maps(maps)
    if names.paths:
        keep_paths(settings, job, {**read_paths(settings, job), **names.paths})  # of a resumed job what it knew
    _note_patients(settings, project, names)
    # a mask of the same name as its image would make the image's row fit two files
    named = [file.source for file in sources if file.source not in label_maps]
    pattern = _pattern(patient_from)
    done = {file.path: file for file in list_import_files(connection, job)}
    attempts = Attempts(files.root / "imports" / f"{job}.reading")
    others = [] if only is None else [file for file in sources if file.path not in only]
    sources = [file for file in sources if only is None or file.path in only]
    # what this job did itself before it was killed is looked at again, so that it finds the same units
    known = {
        file.path: one
        for file in sources
        if file.path not in done and (one := met_at.get(_place(file))) and (one.is_in or one.refusal or only_new)
    }
    stored = StoredFiles(files, job)
    try:
        with OpenArchives(settings) as archives, closing(attempts):
            units = find_units(
                sources, archives, settings, attempts, progress, label_maps, known,
                lambda instance: series_key(secret, instance),
                reader=reader if isinstance(reader, ReadingChildren) else None,
            )  # fmt: skip
            if only_new:
                units = [unit for unit in units if unit.known is None]
                sources = [file for unit in units for file in unit.all_files]
            series, series_of = list_series(units)
            series_of |= number_unopened(units, len(series))
            put_import_series(connection, job, {one.number: series_to_json(one) for one in series})
            matched = match_rows(table, [*named, *folders_of_volumes(units)])
            what = _Import(
                connection, stored.files, settings, project, matched.rows, pattern, job, actor, on_case, on_skipped,
                labels_of, secret, label_table, label_maps, names, reader, archives, attempts, series_of,
                _keys_of(units, secret), refused,
            )  # fmt: skip
            refused.fresh.update(unit.files[0].path for unit in units if unit.is_index)
            _skip_known(what, units, done, progress, carried_out=hold_back != "all")
            new = [unit for unit in units if unit.known is None and unit.files[0].path not in done]
            new.sort(key=lambda unit: any(file.path in attempts.doubtful for file in unit.files))
            waiting = [unit for unit in new if hold_back == "all" or (hold_back == "odd" and is_odd(unit))]
            for unit in waiting:
                done |= {row.path: row for row in _let_wait(what, unit, progress)}
            left_out = {id(unit) for unit in waiting}
            _import_units(what, [unit for unit in new if id(unit) not in left_out], done, len(sources), progress)
    finally:
        stored.finish(connection)
    refused.remember(sources, done, what.keys)
    rows_of = [done[file.path] for file in sources]
    report = _report(
        rows_of,
        matched.warnings if only is None else (),
        _left(sources, rows_of).union(file.location for file in others),
        names,
    )
    add_audit(connection, actor, "import", f"project {project.id}", job=job, imported=report.imported,
              skipped=report.skipped, failed=report.failed, waiting=report.waiting)  # fmt: skip
    waits = f", {report.waiting} wait" if report.waiting else ""
    progress.report(1.0, f"{report.imported} imported, {report.skipped} skipped, {report.failed} refused{waits}")
    return report


def _place(file: SourceFile) -> tuple[Path, str | None, int | None]:
    return file.location, file.member, file.time_point


def _keys_of(units: Sequence[Unit], secret: bytes) -> dict[str, str]:
    """What stands for the series of each file, by path."""
    return {
        file.path: series_key(secret, unit.group.instances[0])
        for unit in units
        if unit.group is not None
        for file in unit.all_files
    }


def _left(sources: Sequence[SourceFile], rows: Sequence[ImportedFile]) -> frozenset[Path]:
    """Where the files lie that another attempt would read (`ImportReport.left`)."""
    wanted = wanted_again(rows, ("failed", "waiting"))
    return frozenset(file.location for file in sources if file.path in wanted)


def _skip_known(
    what: _Import, units: Sequence[Unit], done: dict[str, ImportedFile], progress: Progress, *, carried_out: bool
) -> None:
    """Files that are in, or were refused, and are unchanged: many in one transaction, none of them opened.

    Args:
        carried_out: what a label table says of them is added to their cases.
    """
    known = [unit for unit in units if unit.known and unit.files[0].path not in done]
    for start in range(0, len(known), KNOWN_AT_ONCE):
        stop_if_asked(progress)
        with writing(what.connection):
            for unit in known[start : start + KNOWN_AT_ONCE]:
                rows = _skip_known_unit(what, unit, carried_out=carried_out)
                done |= {row.path: row for row in rows}
        progress.report(0.0, f"{min(start + KNOWN_AT_ONCE, len(known))} of {len(known)} known files")


def _skip_known_unit(what: _Import, unit: Unit, *, carried_out: bool) -> list[ImportedFile]:
    assert unit.known is not None
    if unit.known.refusal:
        (file,) = unit.files
        refused = unit.known.status, None, unit.known.refusal, what.series_of.get(file.path)
        return [record_import_file(what.connection, what.job, file.path, *refused)]
    assert unit.known.case is not None
    case = get_case(what.connection, unit.known.case)
    try:
        row = _row_of(what, unit, unit.files)
        if carried_out and what.on_skipped:
            what.on_skipped(what.connection, case, row)
        status: FileStatus = "skipped"
        reason = f"Already there as case {case.id}: an unchanged file, so same source and same pixels."
        reason += _kept_as_it_was(case, row)
    except Unavailable:
        raise
    except CoreError as error:  # what the table says; it is checked before anything of it is written
        status, reason = "failed", str(error)
    its_case = None if status == "failed" else case.id
    return [
        record_import_file(
            what.connection, what.job, file.path, status, its_case, reason, what.series_of.get(file.path)
        )
        for file in unit.files
    ]  # fmt: skip


def _let_wait(what: _Import, unit: Unit, progress: Progress) -> list[ImportedFile]:
    """Nothing is stored of them: what they would become is said, and somebody decides."""
    stop_if_asked(progress)
    passed = _passed_over(what, unit)
    status, reason = passed or foresee(unit, what.archives)
    with writing(what.connection):
        return [
            what.record(file, status, None, reason if at == 1 else f"Slice {at} of {len(unit.files)} of this series.")
            for at, file in enumerate(unit.files, 1)
        ] + [what.record(copy, status, None, "A copy of another of these files.") for copy, _ in unit.copies]


def _import_units(
    what: _Import, units: Sequence[Unit], done: dict[str, ImportedFile], total: int, progress: Progress
) -> None:
    """Units become cases one after the other, their files read ahead; `done` grows by what became of them."""
    left = deque(units)
    position = total - sum(len(unit.all_files) for unit in units)
    reported = 0.0
    with _reading_ahead(what, units) as ahead:
        while left:
            stop_if_asked(progress)
            if time.monotonic() - reported > SECONDS_BETWEEN_REPORTS:
                # Not which file: a path may name a patient, and what is reported stays in the job's log and row.
                progress.report(position / total, f"{position} of {total} files")
                reported = time.monotonic()
            some = _next_units(what, left, ahead)
            position += sum(len(unit.all_files) for unit in some)
            if len(some[0].files) > 1:
                rows = _import_volume(what, some[0], ahead, progress)
            else:
                rows = _import_singles(what, some, ahead)
            done |= {row.path: row for row in rows}


def _reading_ahead(what: _Import, units: Sequence[Unit]) -> Ahead:
    """The files of these units, read beside what is done with those before, where there are children to read them."""
    slices = {file.path for unit in units if len(unit.files) > 1 for file in unit.files}
    upcoming = (file for unit in units if _unread(what, unit) is None for file in unit.files)
    return ReadingAhead(
        (file for file in upcoming if file.path not in what.attempts.left_out),
        read=lambda file: _read(what, file, is_slice=file.path in slices),
        size=lambda file: size_of(file, what.archives),
        alone=lambda file: file.path in what.attempts.doubtful,
        begin=lambda files: what.attempts.begin(*(file.path for file in files)),
        threads=THREADS_A_CHILD * what.reader.count if isinstance(what.reader, ReadingChildren) else 0,
    )


def _next_units(what: _Import, left: deque[Unit], ahead: Ahead) -> list[Unit]:
    """The next unit; and single files after it that are read already, as one transaction of many is a cheap one."""
    some = [left.popleft()]
    if len(some[0].files) > 1:
        return some
    taken = int(_unread(what, some[0]) is None)
    if taken:
        ahead.wait_for(some[0].files[0])
    while left and len(left[0].files) == 1 and len(some) < MOST_AT_ONCE:
        if _unread(what, left[0]) is None:
            if not ahead.is_there(left[0].files[0], after=taken):
                break
            taken += 1
        some.append(left.popleft())
    return some


def _unread(what: _Import, unit: Unit) -> tuple[FileStatus, str] | None:
    """What becomes of a unit that is not even read; None of all others."""
    if len(unit.files) > 1:
        try:
            check_unit(unit, what.settings)
        except InvalidInput as error:
            return "failed", str(error)
        return None
    if unit.files[0].path in what.attempts.left_out:
        return "failed", DIED_TWICE
    return _passed_over(what, unit)


def _passed_over(what: _Import, unit: Unit) -> tuple[FileStatus, str] | None:
    """Why a file is no image to be read, whatever it holds; None where it may be one."""
    file, table = unit.files[0], what.label_table
    if file.is_system:
        return "skipped", "A file of the operating system, not an image."
    if table and not file.member and table.exists() and file.location.samefile(table):
        return "skipped", "This is the label table."
    if file.source in what.label_maps:
        return "skipped", f"This looks like a mask of {what.label_maps[file.source]}; masks come in with `--masks`."
    if unit.is_index:
        return "skipped", "An index of other files (DICOMDIR), not an image; the files that it names come in."
    return None


def _read(what: _Import, file: SourceFile, *, is_slice: bool) -> _Read:
    """A file, read and stored beside others: nothing here asks the database.

    Raises:
        InvalidInput: it cannot be read, or is refused.
    """
    content = read_source(file, what.archives, what.settings)
    file_hash = hashlib.sha256(content).hexdigest()
    try:
        if not content.startswith(GZIP) and kind_of(content) not in READABLE:  # told without a reader
            raise InvalidInput(refusal_of(content, file.source))
        image, shown = what.read(content, numbered(file.source, file.time_point), shown=not is_slice)
    except InvalidInput as error:
        if not (isinstance(error, ReaderEnded) or isinstance(error.__cause__, MemoryError)):  # the machine's doing
            what.refused.fresh.add(file.path)
        raise
    if image.to_check and what.project.deidentification.apply_templates:
        return _Read(image, file_hash)  # something may have to be blacked out first
    if is_slice:
        store_headers(what.files, image.headers)
        return _Read(image, file_hash)
    return _Read(image, file_hash, _store(what.files, file_hash, image, shown))


def _import_singles(what: _Import, units: Sequence[Unit], ahead: Ahead) -> list[ImportedFile]:
    """Files that are cases of their own, in one transaction; one that is refused leaves nothing in it."""
    made = [(unit, _unread(what, unit) or _made(what, unit, ahead)) for unit in units]
    rows = []
    with writing(what.connection):
        for unit, one in made:
            if isinstance(one, _Stored):
                rows.append(_kept(what, unit, one))
            else:
                rows.append(what.record(unit.files[0], one[0], None, one[1]))
    what.attempts.end(*(unit.files[0].path for unit in units))
    return rows


def _made(what: _Import, unit: Unit, ahead: Ahead) -> _Stored | tuple[FileStatus, str]:
    """The stored image of a single file, or why there is none."""
    (file,) = unit.files
    try:
        read = ahead.take(file)
        stored = read.stored
        if stored is None:
            template = template_for(what.connection, what.project, read.image)
            image = blacked_by(read.image, template) if template else read.image
            stored = replace(_store(what.files, read.file_hash, image), template=template)
        return replace(stored, image=_told_of_group(stored.image, unit))
    except InvalidInput as error:
        return "failed", str(error)
    except MemoryError:
        return "failed", "Reading this file needs more memory than there is; make the image smaller."


def _kept(what: _Import, unit: Unit, stored: _Stored) -> ImportedFile:
    (file,) = unit.files
    try:
        with undoing(what.connection):
            return _keep(what, unit, (file,), _still_stored(what, stored))[0]
    except Unavailable:  # a full disk or a long lock says nothing against the file: a resumed job takes it up again
        raise
    except CoreError as error:  # from `on_case`, such as an unknown class; the case was rolled back
        return what.record(file, "failed", None, str(error))


def _still_stored(what: _Import, stored: _Stored) -> _Stored:
    """The last case of these pixels may have been erased since; in a transaction nobody takes them away."""
    if _is_whole(what.files, stored):
        return stored
    return replace(_store(what.files, stored.file_hash, stored.image), template=stored.template)


def _store(files: Files, file_hash: str, image: DecodedImage, shown: Shown | None = None) -> _Stored:
    """Pixels and thumbnail first: a kill before the transaction leaves files without a case, never the reverse."""
    pixel_hash = files.put_array("pixels", image.pixels)
    shown = shown or shown_of(image)
    files.put_under("thumbnails", pixel_hash, shown.thumbnail)
    headers = tuple(store_headers(files, image.headers))
    return _Stored(image, pixel_hash, file_hash, shown.perceptual_hash, headers)


def _is_whole(files: Files, stored: _Stored) -> bool:
    """Whether its files are still there: another import may have removed what no case named yet."""
    return (
        files.has("pixels", stored.pixel_hash)
        and files.has("thumbnails", stored.pixel_hash)
        and all(files.has("headers", header.header_hash) for header in stored.headers)
    )


def _keep(what: _Import, unit: Unit, taken: Sequence[SourceFile], stored: _Stored) -> list[ImportedFile]:
    """The case, its labels and the record of its files; the caller holds the transaction."""

    def recorded(status: FileStatus, case: Case, reason: str) -> list[ImportedFile]:
        return [
            what.record(file, status, case.id, _joined(case, frame, len(taken), reason if frame == 1 else ""))
            for frame, file in enumerate(taken, 1)
        ]

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
    parts = _parts_of(what, stored)
    others = [case for case in find_same_source(what.connection, what.project.id, source) if case not in parts]
    case = insert_case(what.connection, _new_case(what, source, stored, row))
    add_headers(what.connection, case.id, stored.headers)
    if stored.image.crosswalk:
        note(what.settings, what.project.id, stored.image.crosswalk)
    reasons = list(stored.image.oddities)
    status: FileStatus = "joined" if len(taken) > 1 else "imported"
    if stored.image.to_check:
        check = hold(what.connection, case, stored.image.to_check, stored.image.device, stored.template)
        status = "held" if check.state == "held" else status
        said = "Blacked out by the template of its device." if stored.template else "Held for a check of its pixels."
        reasons.append(f"{said} {stored.image.to_check}")
    what.on_case(what.connection, case, row)
    reasons += [_on_same_pixels(what, case, same)] if same else []
    if others:
        reasons.append(f"Another image came under this name before: case {_ids(others)}.")
    kept = [part for part in parts if is_mentioned(what.connection, part)]
    for part in parts:
        if part not in kept:
            give_way(what.connection, what.files, part, case, what.actor)
            reasons.append(f"Replaces case {part.id}, which had {part.frames} of these slices and nothing said of it.")
    if kept:
        reasons.append(
            f"Fewer of these slices came in before, as case {_ids(kept)}, which stays with all that is said of it: "
            f"delete it on its page once nobody needs it."
        )
    return recorded(status, case, " ".join(reasons))


def _import_volume(what: _Import, unit: Unit, ahead: Ahead, progress: Progress) -> list[ImportedFile]:
    """Slices become one case in one transaction; those that cannot be read are refused, and the rest comes in."""

    def refused(reasons: Mapping[str, str], otherwise: str) -> list[ImportedFile]:
        return [what.record(file, "failed", None, reasons.get(file.path, otherwise)) for file in unit.all_files]

    def slice_of(file: SourceFile) -> tuple[DecodedImage, str]:
        try:
            if file.path in what.attempts.left_out:
                raise InvalidInput(DIED_TWICE)
            read = ahead.take(file)
            return read.image, read.file_hash
        finally:
            what.attempts.end(file.path)

    try:
        check_unit(unit, what.settings)
        read = read_unit(unit, slice_of, progress)
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
            rows = _keep(what, unit, read.taken, _still_stored(what, stored))
            case = rows[0].case
            by_path = {file.path: file for file in unit.files}
            rows += [what.record(by_path[path], "failed", None, reason) for path, reason in read.failed.items()]
            frame_of = {file.path: frame for frame, file in enumerate(read.taken, 1)}
            for copy, kept in unit.copies:
                frame = f"frame {frame_of[kept.path]} of " if kept.path in frame_of else "a damaged slice of "
                reason = f"The same instance as {frame}case {case}."
                rows.append(what.record(copy, "skipped", case, reason))
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


def _parts_of(what: _Import, stored: _Stored) -> list[Case]:
    """Volumes that were made of some of these instances while the others could not be read."""
    instances = [header.sop_uid for header in stored.headers]
    if len(instances) < 2:
        return []
    counts = count_instances(what.connection, what.project.id, instances)
    cases = [get_case(what.connection, case_id) for case_id in counts]
    return [case for case in cases if counts[case.id] == case.frames < len(instances)]


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


def _report(
    done: Iterable[ImportedFile], warnings: tuple[str, ...], left: frozenset[Path], names: PathNames
) -> ImportReport:
    """Files by the paths that were given; sentences, which are stored with the job, by what the database calls them."""
    files = tuple(done)
    same = [file for file in files if file.status in CAME_IN and SAME_PIXELS in file.reason]
    opposite = [file for file in same if OPPOSITE_LABELS in file.reason]
    return ImportReport(
        **count_files(files),
        same_pixels=len(same),
        opposite_labels=len(opposite),
        files=tuple(_as_given(file, names) for file in files),
        warnings=(*warnings, *_warn_of_same_pixels(same, opposite)),
        waiting=sum(file.status == "waiting" for file in files),
        left=left,
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
