"""Units become cases one after the other, singles several in a transaction, while the files after them are read."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from core.errors import CoreError, InvalidInput, Unavailable
from core.images.decoded import DecodedImage
from core.images.headers import NewHeader
from core.images.keeping import keep, said_of_table
from core.images.looking import foresee
from core.images.one_import import OneImport
from core.images.pixel_checks import blacked_by, template_for
from core.images.reading_ahead import ReadingAhead
from core.images.reading_children import ReadingChildren
from core.images.records import (
    FileStatus,
    ImportedFile,
)
from core.images.sources import SourceFile, size_of
from core.images.stored_image import ReadFile, StoredImage, read_file, still_stored, store_image, store_volume
from core.images.units import DIED_TWICE, Unit, check_unit, read_unit
from core.progress import Progress, stop_if_asked
from core.store.database import undoing, writing
from core.store.growing import GrowingArray

SECONDS_BETWEEN_REPORTS = 0.5
MOST_AT_ONCE = 16  # files in one transaction: readers who save a label meanwhile wait for it
THREADS_A_CHILD = 2  # one waits for the disk while the other's child reads


Ahead = ReadingAhead[SourceFile, ReadFile]


def import_units(
    what: OneImport, units: Sequence[Unit], done: dict[str, ImportedFile], total: int, progress: Progress
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


def let_wait(what: OneImport, unit: Unit, progress: Progress) -> list[ImportedFile]:
    """Nothing is stored of them: what they would become is said, and somebody decides."""
    stop_if_asked(progress)
    passed = _passed_over(what, unit)
    status, reason = passed or foresee(unit, what.archives)
    with writing(what.connection):
        return [
            what.record(
                unit, file, status, None, reason if at == 1 else f"Slice {at} of {len(unit.files)} of this series."
            )
            for at, file in enumerate(unit.files, 1)
        ] + [what.record(unit, copy, status, None, "A copy of another of these files.") for copy, _ in unit.copies]


def _reading_ahead(what: OneImport, units: Sequence[Unit]) -> Ahead:
    """The files of these units, read beside what is done with those before, where there are children to read them."""
    slices = {file.path for unit in units if len(unit.files) > 1 for file in unit.files}
    upcoming = (file for unit in units if _unread(what, unit) is None for file in unit.files)
    return ReadingAhead(
        (file for file in upcoming if file.path not in what.attempts.left_out),
        read=lambda file: read_file(what, file, is_slice=file.path in slices),
        size=lambda file: size_of(file, what.archives),
        alone=lambda file: file.path in what.attempts.doubtful,
        begin=lambda files: what.attempts.begin(*(file.path for file in files)),
        threads=THREADS_A_CHILD * what.reader.count if isinstance(what.reader, ReadingChildren) else 0,
    )


def _next_units(what: OneImport, left: deque[Unit], ahead: Ahead) -> list[Unit]:
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


def _unread(what: OneImport, unit: Unit) -> tuple[FileStatus, str] | None:
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


def _passed_over(what: OneImport, unit: Unit) -> tuple[FileStatus, str] | None:
    """Why a file is no image to be read, whatever it holds; None where it may be one."""
    file, table = unit.files[0], what.label_table
    if file.is_system:
        return "skipped", "A file of the operating system, not an image."
    if table and _is_table(file, table):
        return "skipped", "This is the label table."
    if file.source in what.label_maps:
        return "skipped", f"This looks like a mask of {what.label_maps[file.source]}; masks come in with `--masks`."
    if unit.is_index:
        return "skipped", "An index of other files (DICOMDIR), not an image; the files that it names come in."
    return None


def _is_table(file: SourceFile, table: Path) -> bool:
    if file.member is not None:
        return file.location / file.member == table
    try:
        return table.exists() and file.location.samefile(table)
    except OSError:  # it went since it was listed, which is said where it is read
        return False


def _import_singles(what: OneImport, units: Sequence[Unit], ahead: Ahead) -> list[ImportedFile]:
    """Files that are cases of their own, in one transaction; one that is refused leaves nothing in it."""
    made = [(unit, _unread(what, unit) or _made(what, unit, ahead)) for unit in units]
    what.files.keep()
    rows = []
    with writing(what.connection):
        for unit, one in made:
            if isinstance(one, StoredImage):
                rows.append(_kept(what, unit, one))
            else:
                rows.append(what.record(unit, unit.files[0], one[0], None, one[1]))
    what.attempts.end(*(unit.files[0].path for unit in units))
    return rows


def _made(what: OneImport, unit: Unit, ahead: Ahead) -> StoredImage | tuple[FileStatus, str]:
    """The stored image of a single file, or why there is none."""
    (file,) = unit.files
    try:
        read = ahead.take(file)
        stored = read.stored
        if stored is None:
            template = template_for(what.connection, what.project, read.image)
            image = blacked_by(read.image, template) if template else read.image
            stored = replace(store_image(what.files, read.file_hash, image), template=template)
        return replace(stored, image=_told_of_group(stored.image, unit))
    except InvalidInput as error:
        return "failed", str(error)
    except MemoryError:
        return "failed", "Reading this file needs more memory than there is; make the image smaller."


def _kept(what: OneImport, unit: Unit, stored: StoredImage) -> ImportedFile:
    (file,) = unit.files
    try:
        with undoing(what.connection):
            return keep(what, unit, (file,), still_stored(what, stored))[0]
    except Unavailable:  # a full disk or a long lock says nothing against the file: a resumed job takes it up again
        raise
    except CoreError as error:  # from `on_case`, such as an unknown class; the case was rolled back
        return what.record(unit, file, "failed", None, said_of_table(what, unit, unit.files, error))


def _told_of_group(image: DecodedImage, unit: Unit) -> DecodedImage:
    """What the series tells of a single image: that it is a localiser, or lay where another slice does."""
    if unit.group is None or unit.group.stack is not None:  # of a stack its reader tells all this
        return image
    part = {"part": unit.group.name} if unit.group.name else {}
    oddities = (*unit.group.oddities, *image.oddities)
    return replace(image, oddities=oddities, attributes={**image.attributes, **part})


def _import_volume(what: OneImport, unit: Unit, ahead: Ahead, progress: Progress) -> list[ImportedFile]:
    """Slices become one case in one transaction; those that cannot be read are refused, and the rest comes in."""

    def refused(reasons: Mapping[str, str], otherwise: str) -> list[ImportedFile]:
        return [what.record(unit, file, "failed", None, reasons.get(file.path, otherwise)) for file in unit.all_files]

    headers: dict[str, NewHeader] = {}

    def slice_of(file: SourceFile) -> tuple[DecodedImage, str]:
        try:
            if file.path in what.attempts.left_out:
                raise InvalidInput(DIED_TWICE)
            read = ahead.take(file)
            headers.update((file.path, header) for header in read.headers)
            return read.image, read.file_hash
        finally:
            what.attempts.end(file.path)

    try:
        check_unit(unit, what.settings)
        with GrowingArray(what.files, "pixels", len(unit.files)) as growing:
            read = read_unit(unit, slice_of, progress, growing)
            if read.image is None:
                with writing(what.connection):
                    return refused(read.failed, "The instance that it is a copy of could not be read.")
            template = template_for(what.connection, what.project, read.image)
            image = blacked_by(read.image, template) if template else read.image
            stored = replace(store_volume(what.files, read, image, headers), template=template)
        what.files.keep()
    except (InvalidInput, MemoryError) as error:
        little = "Reading this series needs more memory than there is; import it on a larger machine."
        with writing(what.connection):
            return refused({}, str(error) if isinstance(error, InvalidInput) else little)
    try:
        with writing(what.connection):
            rows = keep(what, unit, read.taken, still_stored(what, stored))
            case = rows[0].case
            by_path = {file.path: file for file in unit.files}
            rows += [what.record(unit, by_path[path], "failed", None, reason) for path, reason in read.failed.items()]
            frame_of = {file.path: frame for frame, file in enumerate(read.taken, 1)}
            for copy, kept in unit.copies:
                frame = f"frame {frame_of[kept.path]} of " if kept.path in frame_of else "a damaged slice of "
                reason = f"The same instance as {frame}case {case}."
                rows.append(what.record(unit, copy, "skipped", case, reason))
            return rows
    except Unavailable:
        raise
    except CoreError as error:  # from `on_case`; the case was rolled back
        with writing(what.connection):
            return refused(read.failed, said_of_table(what, unit, read.taken, error))
