"""The de-identified header of each DICOM instance, kept beside its pixels: what SEG and SR export refer to.

Beside it stands what became of every attribute of the original, without any value of before.
"""

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from core.errors import NotFound
from core.images.decoded import Change, InstanceHeader
from core.images.records import Case
from core.store.database import writing
from core.store.files import Files

ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class StoredHeader:
    """Where the header of one instance lies. `frame` is its place in the case; a multi-frame object has 0."""

    case_id: int
    frame: int
    sop_uid: str
    header_hash: str
    changes_hash: str


@dataclass(frozen=True)
class NewHeader:
    """A header whose bytes lie in the file store, about to become a row."""

    frame: int
    sop_uid: str
    header_hash: str
    changes: tuple[Change, ...]


def store_headers(files: Files, headers: Sequence[InstanceHeader]) -> list[NewHeader]:
    """Put the bytes into the file store, before the transaction that names them."""
    return [
        NewHeader(frame, header.sop_uid, files.put_bytes("headers", header.content), header.changes)
        for frame, header in enumerate(headers)
    ]


def add_headers(connection: sqlite3.Connection, case_id: int, headers: Sequence[NewHeader]) -> None:
    """Name the stored headers of a case, in the caller's transaction."""
    with writing(connection):
        for header in headers:
            changes, changes_hash = _told(header.changes)
            connection.execute("INSERT OR IGNORE INTO header_changes VALUES (?, ?)", (changes_hash, changes))
            connection.execute(
                """INSERT INTO instance_headers (case_id, frame, sop_uid, header_hash, changes_hash)
                   VALUES (?, ?, ?, ?, ?)""",
                (case_id, header.frame, header.sop_uid, header.header_hash, changes_hash),
            )


@lru_cache(maxsize=256)
def _told(changes: tuple[Change, ...]) -> tuple[str, str]:
    """As text, and the hash of that: the same for most instances of an import."""
    text = json.dumps(changes, ensure_ascii=False)
    return text, hashlib.sha256(text.encode()).hexdigest()


def remove_headers(connection: sqlite3.Connection, case_id: int) -> None:
    """Name no header of a case any more, in the transaction that takes the case away."""
    with writing(connection):
        connection.execute("DELETE FROM instance_headers WHERE case_id = ?", (case_id,))


def list_headers(connection: sqlite3.Connection, case_id: int) -> list[StoredHeader]:
    """The headers of a case in the order of its frames; none for what did not come as DICOM."""
    rows = connection.execute("SELECT * FROM instance_headers WHERE case_id = ? ORDER BY frame", (case_id,))
    return [StoredHeader(**dict(row)) for row in rows]


def count_instances(connection: sqlite3.Connection, project: int, sop_uids: Sequence[str]) -> dict[int, int]:
    """How many of these instances each case of a project is made of, by case."""
    counts: dict[int, int] = {}
    for start in range(0, len(sop_uids), ROWS_AT_ONCE):
        some = sop_uids[start : start + ROWS_AT_ONCE]
        rows = connection.execute(
            f"""SELECT case_id, count(*) AS amount FROM instance_headers JOIN cases ON cases.id = case_id
                WHERE cases.project = ? AND sop_uid IN ({", ".join("?" * len(some))}) GROUP BY case_id""",
            (project, *some),
        )
        for row in rows:
            counts[row["case_id"]] = counts.get(row["case_id"], 0) + row["amount"]
    return counts


def list_overlaps(connection: sqlite3.Connection, case: Case) -> list[tuple[int, int]]:
    """Parts of a volume that came in before it and were kept, or the volumes that a part belongs to: each case with
    the number of its frames. All slices of the smaller one are in the larger. Stacks of one multi-frame object have its
    header alone and are no parts of each other."""
    # the frames of the others stand in HAVING: in WHERE they would be counted for each slice that is shared
    rows = connection.execute(
        """SELECT cases.id, cases.frames, count(*) AS shared FROM instance_headers AS mine
           JOIN instance_headers AS its ON its.sop_uid = mine.sop_uid JOIN cases ON cases.id = its.case_id
           WHERE mine.case_id = :case AND cases.project = :project AND cases.id != :case
           AND :frames = (SELECT count(*) FROM instance_headers WHERE case_id = :case)
           GROUP BY cases.id
           HAVING cases.frames = (SELECT count(*) FROM instance_headers WHERE case_id = cases.id)
           ORDER BY cases.id""",
        {"case": case.id, "project": case.project, "frames": case.frames},
    )
    return [
        (row["id"], row["frames"])
        for row in rows
        if row["frames"] != case.frames and row["shared"] == min(row["frames"], case.frames)
    ]


def frames_of_instances(connection: sqlite3.Connection, project: int, sop_uids: Sequence[str]) -> dict[str, int]:
    """Of these instances those that are in a case of a project, each with the number of frames of that case."""
    frames: dict[str, int] = {}
    for start in range(0, len(sop_uids), ROWS_AT_ONCE):
        some = sop_uids[start : start + ROWS_AT_ONCE]
        rows = connection.execute(
            f"""SELECT sop_uid, frames FROM instance_headers JOIN cases ON cases.id = case_id
                WHERE cases.project = ? AND sop_uid IN ({", ".join("?" * len(some))})""",
            (project, *some),
        )
        frames |= {row["sop_uid"]: row["frames"] for row in rows}
    return frames


def list_changes(connection: sqlite3.Connection, changes_hash: str) -> list[Change]:
    """What became of each attribute.

    Raises:
        NotFound: there is no such list.
    """
    row = connection.execute("SELECT changes FROM header_changes WHERE hash = ?", (changes_hash,)).fetchone()
    if row is None:
        raise NotFound("list of changes", changes_hash)
    return [Change(*told) for told in json.loads(row["changes"])]


def replace_header(connection: sqlite3.Connection, old: StoredHeader, header_hash: str) -> None:
    """Name another header for an instance, as after a blackout."""
    with writing(connection):
        connection.execute(
            "UPDATE instance_headers SET header_hash = ? WHERE case_id = ? AND frame = ?",
            (header_hash, old.case_id, old.frame),
        )
