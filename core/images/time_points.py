"""Files of several volumes, as of an activation study or an enhanced MR of two echoes: each is a file to import of its
own."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import IO

from core.errors import InvalidInput
from core.images.archives import OpenArchives
from core.images.names import name_parts
from core.images.nifti import GZIP, count_time_points
from core.images.sources import SourceFile
from core.settings import Settings

MOST_TIME_POINTS = 20  # beyond it somebody should say which is meant
START_BYTES = 1 << 10  # the header of a NIfTI lies in them, but for a packed one
HEAD_BYTES = 1 << 16


def split_time_points(
    files: Sequence[SourceFile], settings: Settings, volume: int | None = None, *, unopened: Iterable[str] = ()
) -> list[SourceFile]:
    """Each NIfTI file of four dimensions as one file for each volume, called `x#3.nii.gz`; others as they are.

    Told by what a file holds, whatever it is called, as it is read.

    Args:
        volume: of each such file only this one, counted from 1.
        unopened: files by path that are known to be of three.
    """
    found: list[SourceFile] = []
    of_three = frozenset(unopened)
    with OpenArchives(settings) as archives:
        for file in files:
            unread = file.refusal or file.is_system or file.path in of_three
            points = 1 if unread else count_time_points(_head(file, archives))
            if points == 1:
                found.append(file)
            elif volume is not None:
                found.append(part_of(file, volume))
            elif points > MOST_TIME_POINTS:
                reason = (
                    f"The file has more than {MOST_TIME_POINTS} time points; say which one is meant, "
                    f"under “Volumes of several time points” on the page Import or with --volume. "
                    f"Received: {points} time points"
                )
                found.append(replace(file, refusal=reason))
            else:
                found += [part_of(file, point) for point in range(1, points + 1)]
    return found


def part_called(path: str, point: int) -> str:
    """What one volume of a file goes by: `x#3.nii.gz`."""
    stem, ending = name_parts(path)
    return str(PurePosixPath(path).with_name(f"{stem}#{point}{ending}"))


def numbered(name: str, time_point: int | None) -> str:
    """The name by which one volume of a file is asked for (`core.images.decoding.decode`)."""
    return name if time_point is None else f"{name}#{time_point}"


def part_of(file: SourceFile, point: int) -> SourceFile:
    """One volume of a file, or one stack of a multi-frame object, counted from 1: a file of its own."""
    return replace(file, path=part_called(file.path, point), source=part_called(file.source, point), time_point=point)


def _head(file: SourceFile, archives: OpenArchives) -> bytes:
    try:
        if file.member is None:
            with file.location.open("rb") as stream:
                return _start(stream)
        start = archives.start(file.location, file.member, START_BYTES)
        return archives.start(file.location, file.member, HEAD_BYTES) if start.startswith(GZIP) else start
    except (InvalidInput, OSError):  # said when it is read
        return b""


def _start(stream: IO[bytes]) -> bytes:
    start = stream.read(START_BYTES)
    return start + stream.read(HEAD_BYTES - START_BYTES) if start.startswith(GZIP) else start
