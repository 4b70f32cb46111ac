"""One connection per thread, writes that begin immediately, a commit that survives a power cut.

Every function that speaks SQL takes a `connection` first. A connection is never shared
between threads: shared ones lost acknowledged rows in the lab.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import CoreError, Unavailable
from core.settings import Settings
from core.store.migrating import BUSY_SECONDS, Migration, migrate_database

# By SQLite's primary result code (https://www.sqlite.org/rescode.html).
TROUBLES = {
    sqlite3.SQLITE_FULL: "The disk that holds Readroom's home is full; make room, then try again.",
    sqlite3.SQLITE_BUSY: "Another program holds the database (a backup or virus scanner?); let it end, then try again.",
    sqlite3.SQLITE_READONLY: "Readroom may not write to its home; give it write access, then try again.",
    sqlite3.SQLITE_CANTOPEN: "The database cannot be opened; is the disk of Readroom's home there? Then try again.",
    sqlite3.SQLITE_IOERR: "The disk that holds Readroom's home does not answer as it should; look after it at once.",
}


def connect(settings: Settings) -> sqlite3.Connection:
    """A connection of the calling thread to an existing, migrated home; the caller closes it."""
    connection = sqlite3.connect(settings.database_path, timeout=BUSY_SECONDS, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    # WAL with FULL: an acknowledged label is on disk, not in a buffer of the operating system.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -32000")
    return connection


@contextmanager
def opened(settings: Settings) -> Iterator[sqlite3.Connection]:
    """`with opened(settings) as connection:` connects and closes."""
    connection = connect(settings)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One transaction: all of it is stored, or none. Inside another `writing` it joins that one.

    It begins immediately: a deferred transaction that turns into a writer half-way
    fails with "database is locked" however long it is willing to wait.
    """
    if connection.in_transaction:
        yield connection
        return
    with _troubles_named():
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk makes SQLite roll back by itself
                connection.execute("ROLLBACK")
            raise


@contextmanager
def _troubles_named() -> Iterator[None]:
    """What the machine does to a database, in a sentence. A mistake in our SQL stays what it is: a defect."""
    try:
        yield
    except sqlite3.OperationalError as error:
        remedy = TROUBLES.get(error.sqlite_errorcode & 0xFF)
        if remedy is None:
            raise
        raise Unavailable(f"{remedy} Nothing of this was stored. Received: {error}") from error


def check_whole(connection: sqlite3.Connection) -> str:
    """`ok`, or what SQLite found broken."""
    return str(connection.execute("PRAGMA quick_check").fetchone()[0])


def prepare_home(settings: Settings) -> Migration:
    """Make the home's folders and bring its database to this version. Safe to call from several processes.

    Raises:
        CoreError: the home cannot be written, was written by a newer Readroom, or cannot be brought to this version.
    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _file_lock(settings.home / "migrate.lock"):
            return migrate_database(settings)
    except (PermissionError, FileExistsError, NotADirectoryError, sqlite3.OperationalError) as error:
        raise CoreError(
            f"Readroom cannot write to its home. Give yourself write access or choose another with --home. "
            f"Received: {settings.home} ({error})"
        ) from error
    except sqlite3.DatabaseError as error:
        raise CoreError(
            f"The database is damaged; restore a backup into another home. Received: {settings.database_path} ({error})"
        ) from error


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Hold an operating-system lock on `path`; it goes with the process, so a crash never leaves it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
