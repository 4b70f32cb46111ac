"""Files that are forced to disk together: each has its name only once all of them are there.

To force one file costs as much work as to write ten, most of it for the journal of the file system, which one turn
writes for all.
"""

import os
import threading
from pathlib import Path


class Together:
    """Files written under names of their own (`core.store.files.begin_part`) that still wait for their real ones.

    Threads may add to it while another one keeps what is there.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Path, Path]] = []
        self._one_at_a_time = threading.Lock()

    def add(self, part: Path, target: Path) -> None:
        """A part that is written whole, though perhaps not on disk yet, and what it is to be called."""
        with self._one_at_a_time:
            self._waiting.append((part, target))

    def keep(self) -> None:
        """All that was added so far is on disk under its name when this returns, also after a power cut.

        Raises:
            OSError: the disk is full or gone; what has no name yet is removed.
        """
        parts = self._taken()
        try:
            for part, _ in parts:
                _force(part, os.O_RDWR)
            for part, target in parts:
                part.replace(target)
            if os.name == "posix":  # elsewhere a folder cannot be opened
                for folder in {target.parent for _, target in parts}:
                    _force(folder, os.O_RDONLY)
        except BaseException:
            _remove(parts)
            raise

    def drop(self) -> None:
        """Remove what waits."""
        _remove(self._taken())

    def _taken(self) -> list[tuple[Path, Path]]:
        with self._one_at_a_time:
            parts, self._waiting = self._waiting, []
        return parts


def start_writing(handle: int, start: int = 0, length: int = 0) -> None:
    """Have the system begin to write a file, or a part of it, to disk, so that less is left to be forced."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(handle, start, length, os.POSIX_FADV_DONTNEED)


def _force(path: Path, flags: int) -> None:
    handle = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(parts: list[tuple[Path, Path]]) -> None:
    for part, _ in parts:
        part.unlink(missing_ok=True)
