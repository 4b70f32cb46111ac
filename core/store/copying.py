"""Copies that are whole or absent, and that only their owner may read."""

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from core.store.forcing import force_each

CHUNK_BYTES = 1 << 20
LEVELS = 3  # of folders above a file that a store or a backup makes: OUT/files/<shelf>/<two digits>


class Unreadable(Exception):
    """The file to be copied is not there or cannot be read: a fault of the source, not of the target."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path}: {error.strerror}")
        self.error = error


class Altered(Exception):
    """The file to be copied does not have the hash that it should have."""


def make_folder(path: Path) -> None:
    """A folder that only its owner may look into."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)


def copy_database(source: sqlite3.Connection, target: Path) -> None:
    """Copy a database that is in use into one file, by SQLite's backup API: what was committed, and nothing else."""
    make_folder(target.parent)
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    copy = sqlite3.connect(part)
    try:
        source.backup(copy, pages=-1)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    except BaseException:
        copy.close()
        part.unlink(missing_ok=True)
        raise
    copy.close()
    _replace(part, target)


def copy_file(source: Path, target: Path, *, expected: str | None = None) -> tuple[str, int]:
    """Copy a file while hashing it; the answer is its SHA-256 and its size.

    After a power cut its name is sure to be there only once `sync_folders` was called: once for many files.

    Raises:
        Unreadable: the source is not there or cannot be read.
        Altered: its hash is not the expected one; nothing appears under the name of the target.
        OSError: the target cannot be written.
    """
    make_folder(target.parent)
    part = target.with_name(f"{target.name}.part")
    digest, size = hashlib.sha256(), 0
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as out:
            for chunk in _chunks(source):
                digest.update(chunk)
                size += len(chunk)
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
        if expected is not None and digest.hexdigest() != expected:
            raise Altered(str(source))
        part.replace(target)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    return digest.hexdigest(), size


def hash_file(path: Path) -> str:
    """The SHA-256 of a file.

    Raises:
        Unreadable: it is not there or cannot be read.
    """
    digest = hashlib.sha256()
    for chunk in _chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def file_size(path: Path) -> int:
    """The size of a file.

    Raises:
        Unreadable: it is not there or cannot be looked at.
    """
    try:
        return path.stat().st_size
    except OSError as error:
        raise Unreadable(path, error) from error


def write_private(target: Path, content: bytes) -> None:
    """Write a file that is whole or absent, also after a power cut."""
    part = target.with_name(f"{target.name}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    _replace(part, target)


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise Unreadable(path, error) from error


def sync_folders(files: Iterable[Path]) -> None:
    """Force the names of files to disk, which lie in their folders, and the names of these; each folder once."""
    for folder in sorted({folder for file in files for folder in file.parents[:LEVELS]}):
        _sync_folder(folder)


def _replace(part: Path, target: Path) -> None:
    part.replace(target)
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # some network file systems do not flush folders, and one above may be closed to us
        force_each([folder], os.O_RDONLY)
