"""Locks of the operating system on files: they go with the process, so a kill never leaves one behind."""

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path

RETRY_SECONDS = 0.05


@dataclass(frozen=True)
class FileLock:
    """A lock that is held; children do not inherit it."""

    path: Path
    handle: int

    def release(self) -> None:
        os.close(self.handle)


def take_lock(path: Path, *, wait_seconds: float = 0.0) -> FileLock | None:
    """The lock on `path`, or None where another process keeps it for longer than we wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + wait_seconds
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if _try_flock(handle, fcntl.LOCK_EX):
            return FileLock(path, handle)
        os.close(handle)
        if time.monotonic() >= until:
            return None
        time.sleep(RETRY_SECONDS)


def is_held(path: Path) -> bool:
    """Whether some process holds the lock on `path`."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two who only ask do not take each other for the holder.
        return not _try_flock(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def _try_flock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
