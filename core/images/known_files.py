"""Files that an import has met: by an HMAC of where they lie, their size and their time, so that none is opened again.

Nothing here says what a file is called. A file that was written since, by size or time, is unknown again, and so is
one whose case was erased.
"""

import hmac
import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.images.records import CAME_IN, FileStatus
from core.images.series import Instance
from core.images.sources import SourceFile
from core.settings import Settings
from core.store.database import writing

ROWS_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What became of a file the last time. `series` stands for its DICOM series; empty for anything else.

    `refusal` is why it has no case, where that would be said again (`core.images.refused_files`).
    """

    status: FileStatus
    case: int | None
    series: str = ""
    refusal: str = ""

    @property
    def is_in(self) -> bool:
        """Whether its case is there, so that it need not be read again."""
        return self.case is not None and self.status in (*CAME_IN, "skipped")

    def is_left(self, *, only_new: bool = False) -> bool:
        """Whether it is not opened again: it is in, would be refused again, or only new ones are asked for."""
        return self.is_in or bool(self.refusal) or only_new


@dataclass(frozen=True, slots=True)
class NewlyKnown:
    """A file of which an import has just decided."""

    file: SourceFile
    status: FileStatus
    case: int | None
    series: str = ""


def file_key(secret: bytes, file: SourceFile) -> str:
    """What stands for the place of a file: its whole path, its name in a zip, and which of several volumes it is."""
    where = file.place if file.folder.startswith(os.sep) else file.location.absolute()
    place = f"{where}\0{file.member or ''}"
    place += f"\0{file.time_point}" if file.time_point is not None else ""
    return hmac.digest(secret, f"file {place}".encode("utf-8", "surrogateescape"), "sha256").hex()[:32]


def is_passing(settings: Settings, file: SourceFile) -> bool:
    """Whether a file goes when everything of it is in, as an upload does: it will not be met again."""
    uploads = f"{settings.home}{os.sep}uploads{os.sep}"  # as text: it is asked of each file of an import
    return file.place.startswith(uploads)


def series_key(secret: bytes, instance: Instance) -> str:
    """What stands for the series of an instance."""
    said = f"series {instance.study} {instance.series}"
    return hmac.digest(secret, said.encode(), "sha256").hex()[:32]


def find_known(
    connection: sqlite3.Connection, secret: bytes, project: int, files: Sequence[SourceFile]
) -> dict[str, KnownFile]:
    """Those of the files, by path, that were met before and have the same size and time."""
    found: dict[str, KnownFile] = {}
    for start in range(0, len(files), ROWS_AT_ONCE):
        by_key = {file_key(secret, file): file for file in files[start : start + ROWS_AT_ONCE] if file.size is not None}
        rows = connection.execute(
            """SELECT known_files.*, cases.id AS there FROM known_files
               LEFT JOIN cases ON cases.id = case_id AND cases.project = known_files.project
               WHERE known_files.project = ? AND path_hmac IN (SELECT value FROM json_each(?))""",
            (project, json.dumps(list(by_key))),
        )
        for row in rows:
            file = by_key[row["path_hmac"]]
            if (row["size"], row["mtime_ns"]) == (file.size, file.mtime_ns):
                found[file.path] = KnownFile(row["status"], row["there"], row["series_hmac"])
    return found


def remember(connection: sqlite3.Connection, secret: bytes, project: int, files: Iterable[NewlyKnown]) -> None:
    """Know these files from now on, in the transaction of the deed itself."""
    rows = [
        (project, file_key(secret, one.file), one.file.size, one.file.mtime_ns, one.status, one.case, one.series)
        for one in files
        if one.file.size is not None
    ]
    with writing(connection):
        connection.executemany(
            """INSERT OR REPLACE INTO known_files (project, path_hmac, size, mtime_ns, status, case_id, series_hmac)
               VALUES (?, ?, ?, ?, ?, ?, ?)""",
            rows,
        )
