"""Backups on record: one row of the table for each that ended, with the reason where it is not good.

A row is written when a backup has ended, so a copy of the database never holds one that seems to run.
"""

import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.clock import utc_now
from core.errors import CoreError, Stopped
from core.progress import Progress
from core.settings import Settings
from core.store.audit import Actor, add_audit
from core.store.backup import BackupMade, make_backup
from core.store.database import writing


@dataclass(frozen=True)
class Backup:
    """One backup that ended. `name` is its generation; `error` says in a sentence why it is not good."""

    id: int
    folder: str
    name: str
    started_at: str
    finished_at: str | None
    error: str | None
    files: int
    copied: int
    bytes: int

    @property
    def is_good(self) -> bool:
        return self.finished_at is not None and self.error is None


def record_backup(
    connection: sqlite3.Connection,
    *,
    folder: str,
    name: str,
    started_at: str,
    finished_at: str,
    error: str | None = None,
    files: int = 0,
    copied: int = 0,
    size_bytes: int = 0,
) -> Backup:
    """Write down how a backup ended; `size_bytes` is what had to be copied."""
    with writing(connection):
        row = connection.execute(
            """INSERT INTO backups (folder, name, started_at, finished_at, error, files, copied, bytes)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING *""",
            (folder, name, started_at, finished_at, error, files, copied, size_bytes),
        ).fetchone()
        return Backup(**dict(row))


def last_good_backup(connection: sqlite3.Connection) -> Backup | None:
    """The last complete backup, or None. The last written down, not the latest hour: a clock may have been wrong."""
    row = connection.execute(
        "SELECT * FROM backups WHERE finished_at IS NOT NULL AND error IS NULL ORDER BY id DESC LIMIT 1"
    ).fetchone()
    return Backup(**dict(row)) if row else None


def list_backups(connection: sqlite3.Connection, *, limit: int = 50) -> list[Backup]:
    """Backups that ended, newest first."""
    return [
        Backup(**dict(row)) for row in connection.execute("SELECT * FROM backups ORDER BY id DESC LIMIT ?", (limit,))
    ]


def back_up_home(
    connection: sqlite3.Connection,
    settings: Settings,
    out: Path,
    *,
    actor: Actor,
    verify: bool = False,
    progress: Progress | None = None,
) -> BackupMade:
    """Make a backup, and write down how it ended. An incomplete one is returned with its `error`.

    Raises:
        CoreError: whatever `make_backup` refuses; that is written down too.
    """
    began = utc_now()

    def record(name: str, error: str | None, **numbers: int) -> None:
        record_backup(
            connection, folder=str(out), name=name, started_at=began, finished_at=utc_now(), error=error, **numbers
        )

    try:
        made = make_backup(settings, out, verify=verify, progress=progress)
    except Stopped:
        raise
    except CoreError as error:
        with suppress(sqlite3.Error):  # a disk that is full for the backup may be full for this row too
            record("", str(error))
        raise
    with writing(connection):
        record(made.generation, made.error, files=made.files, copied=made.copied, size_bytes=made.bytes_copied)
        add_audit(connection, actor, "back up", "home", generation=made.generation, faults=len(made.faults))
    return made
