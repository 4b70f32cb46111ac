"""The first pass of an import over all its files: what their headers say, in this process or in reading children."""

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

from core.errors import InvalidInput
from core.images.archives import OpenArchives
from core.images.attempts import Attempts
from core.images.dicom_start import LONGEST_HEADER, START_BYTES, Survey, looks_like_dicom
from core.images.reading_children import ReadingChildren
from core.images.sources import SourceFile

AT_ONCE = 32  # files that one child looks at in one turn
LEAST_BYTES = 132  # the preamble and `DICM`


def survey_files(
    files: Sequence[SourceFile], archives: OpenArchives, attempts: Attempts, reader: ReadingChildren | None
) -> Generator[tuple[SourceFile, Survey], None, None]:
    """Each file with what its header says.

    Args:
        reader: looks at several files side by side; without it this process does, one after the other.
    """
    if reader is None:
        yield from ((file, _seen_here(file, archives, attempts)) for file in files)
        return
    pool = ThreadPoolExecutor(reader.count)
    try:
        pieces = [files[start : start + AT_ONCE] for start in range(0, len(files), AT_ONCE)]
        for piece, found in zip(pieces, pool.map(lambda some: _seen(some, archives, reader), pieces), strict=True):
            yield from zip(piece, found, strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _seen(files: Sequence[SourceFile], archives: OpenArchives, reader: ReadingChildren) -> list[Survey]:
    plain = [file for file in files if file.member is None and _begins_as_dicom(file)]
    found: dict[str, Survey] = {file.path: "other" for file in files}
    if plain:  # a child is not even started for files of other kinds
        found |= zip([file.path for file in plain], reader.survey([file.place for file in plain]), strict=True)
    for file in files:
        if file.member is not None:
            found[file.path] = _seen_in_archive(file, archives, reader)
    return [found[file.path] for file in files]


def _begins_as_dicom(file: SourceFile) -> bool:
    try:
        with file.location.open("rb") as stream:
            return looks_like_dicom(stream.read(LEAST_BYTES))
    except OSError:  # said when it is read for its pixels
        return False


def _seen_in_archive(file: SourceFile, archives: OpenArchives, reader: ReadingChildren) -> Survey:
    try:
        with archives.opened(file.location, file.member or "") as stream:
            start = stream.read(START_BYTES)
            if not looks_like_dicom(start):
                return "other"
            start += stream.read(LONGEST_HEADER)
    except Exception:  # noqa: BLE001 (a damaged member raises anything; said when it is read for its pixels)
        return "other"
    return reader.survey_start(start)


def _seen_here(file: SourceFile, archives: OpenArchives, attempts: Attempts) -> Survey:
    from core.images.dicom_instances import survey  # brings pydicom along

    with attempts.of(file.path, only_header=True):
        if file.path in attempts.left_out:
            return "other"
        try:
            if file.member is None:
                with file.location.open("rb") as stream:
                    return survey(stream, file.path)
            with archives.opened(file.location, file.member) as stream:
                return survey(stream, file.path)
        except (InvalidInput, OSError):  # said when it is read for its pixels
            return "other"
