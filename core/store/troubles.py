"""What a machine does to a disk and to a database, in sentences. Any other error is a defect and stays what it is."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import Unavailable

FULL = "The disk that holds Readroom's home is full; make room, then try again."
NOT_WRITABLE = "Readroom may not write to its home; give it write access, then try again."
FAILING = "The disk that holds Readroom's home does not answer as it should; look after it at once."

OF_THE_DISK = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: "The disk quota of Readroom's home is used up; have it raised, then try again.",
    errno.EROFS: "The disk that holds Readroom's home is read-only; mount it for writing, then try again.",
    errno.EACCES: NOT_WRITABLE,
    errno.EIO: FAILING,
}
# By SQLite's primary result code, or the extended one where that says more (https://www.sqlite.org/rescode.html).
OF_THE_DATABASE = {
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_BUSY: "Another program holds the database (a backup or virus scanner?); let it end, then try again.",
    sqlite3.SQLITE_READONLY: NOT_WRITABLE,
    sqlite3.SQLITE_CANTOPEN: "The database cannot be opened; is the disk of Readroom's home there? Then try again.",
    sqlite3.SQLITE_IOERR: FAILING,
    sqlite3.SQLITE_IOERR_SHMSIZE: FULL,  # no room for the shared memory beside a database that is just opened
}


def find_remedy(error: BaseException) -> str | None:
    """What to do about an error of the disk or of the database; None where it is neither."""
    if isinstance(error, OSError):
        return OF_THE_DISK.get(error.errno or 0)
    if isinstance(error, sqlite3.OperationalError):
        # An error that our own code raises, not SQLite, has no code.
        code = getattr(error, "sqlite_errorcode", 0)
        return OF_THE_DATABASE.get(code) or OF_THE_DATABASE.get(code & 0xFF)
    return None


@contextmanager
def troubles_named(where: object = None) -> Iterator[None]:
    """Turn what the machine does into `Unavailable`; `where` is what was being written, told instead of the error."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        remedy = find_remedy(error)
        if remedy is None:
            raise
        told = error if where is None else f"{where} ({getattr(error, 'strerror', None) or error})"
        raise Unavailable(f"{remedy} Nothing of this was stored. Received: {told}") from error
