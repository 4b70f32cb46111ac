"""One connection per thread, writes that begin immediately, a commit that survives a power cut.

Every function that speaks SQL takes a `connection` first. A connection is never shared
between threads: shared ones lost acknowledged rows in the lab.
"""

import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import CoreError, Unavailable
from core.settings import Settings
from core.store.troubles import find_remedy, troubles_named

if TYPE_CHECKING:
    from core.store.migrating import Migration

BUSY_SECONDS = 30
NO_HOME = (PermissionError, FileExistsError, NotADirectoryError)
OTHERS = 0o077


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
def waiting_at_most(connection: sqlite3.Connection, milliseconds: int) -> Iterator[None]:
    """For what may as well be left out: meanwhile a held database is waited for no longer than this."""
    (usual,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {milliseconds}")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA busy_timeout = {usual}")


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One transaction: all of it is stored, or none. Inside another `writing` it joins that one.

    It begins immediately: a deferred transaction that turns into a writer half-way
    fails with "database is locked" however long it is willing to wait.
    """
    if connection.in_transaction:
        yield connection
        return
    with troubles_named():
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk makes SQLite roll back by itself
                connection.execute("ROLLBACK")
            raise


@contextmanager
def one_view(connection: sqlite3.Connection) -> Iterator[None]:
    """Everything that is read inside is as of one moment, whoever writes meanwhile; nobody waits for it."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")  # there is nothing to keep


@contextmanager
def undoing(connection: sqlite3.Connection) -> Iterator[None]:
    """A part of a transaction: where it raises, the part is taken back and the rest of the transaction stays."""
    connection.execute("SAVEPOINT part")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a full disk makes SQLite roll all of it back by itself
            connection.execute("ROLLBACK TO part")
            connection.execute("RELEASE part")
        raise
    connection.execute("RELEASE part")


def check_whole(connection: sqlite3.Connection) -> str:
    """`ok`, or what SQLite found broken."""
    return str(connection.execute("PRAGMA quick_check").fetchone()[0])


def prepare_home(settings: Settings) -> "Migration":
    """Make the home's folders and bring its database to this version. Safe to call from several processes.

    Raises:
        Unavailable: the disk is full, read-only or gone, or another program holds the database.
        CoreError: the home cannot be written, was written by a newer Readroom, or cannot be brought to this version.
    """
    # here, as it brings a library that half a second is spent on: a process that only connects has no use for it
    from core.store.migrating import migrate_database

    try:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _file_lock(settings.home / "migrate.lock"):
            _keep_private(settings.database_path)
            return migrate_database(settings)
    except (OSError, sqlite3.OperationalError) as error:
        remedy = None if isinstance(error, PermissionError) else find_remedy(error)
        if remedy:
            raise Unavailable(f"{remedy} Received: {settings.home} ({error})") from error
        if isinstance(error, OSError) and not isinstance(error, NO_HOME):
            raise
        raise CoreError(
            f"Readroom cannot write to its home. Give yourself write access or choose another with --home. "
            f"Received: {settings.home} ({error})"
        ) from error
    except sqlite3.DatabaseError as error:
        raise CoreError(
            f"The database is damaged; restore a backup into another home. Received: {settings.database_path} ({error})"
        ) from error


def _keep_private(path: Path) -> None:
    """A database that only its owner may read, also in a folder that others may look into; SQLite gives the files
    beside it (WAL and shared memory) the mode of the database."""
    if not path.exists():  # an existing one is never opened here: closing it would drop the locks of our connections
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    for one in (path, *(path.with_name(f"{path.name}-{end}") for end in ("wal", "shm"))):
        with suppress(FileNotFoundError, PermissionError):  # another's file: its owner decides
            mode = one.stat().st_mode
            if mode & OTHERS:
                one.chmod(stat.S_IMODE(mode) & ~OTHERS)


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Hold an operating-system lock on `path`; it goes with the process, so a crash never leaves it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def home_of(connection: sqlite3.Connection) -> Path | None:
    """The folder of the database that a connection is open on; None where it lies in memory."""
    file = next((row[2] for row in connection.execute("PRAGMA database_list") if row[1] == "main"), "")
    return Path(file).parent if file else None
