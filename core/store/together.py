"""Files that are forced to disk together: each has its name only once all of them are there.

To force one file costs as much work as to write ten, most of it for the journal of the file system, which one turn
writes for all.
"""

import os
import threading
from collections.abc import Collection
from pathlib import Path

from core.store.forcing import MANY, force_each, open_whole

LEAST_TO_START = 1 << 18  # bytes


class Together:
    """Files written under names of their own (`core.store.files.name_part`) that still wait for their real ones.

    Threads may add to it while another one keeps what is there.

    Args:
        home: where all of them will lie; then many are forced to disk by one call, where that can be.
    """

    def __init__(self, home: Path | None = None) -> None:
        self._disk = open_whole(home) if home else None
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
            self._force([part for part, _ in parts], os.O_RDWR)
            folders = {target.parent for _, target in parts}
            for part, target in parts:
                if _rename(part, target):
                    folders.add(target.parent.parent)
            if os.name == "posix":  # elsewhere a folder cannot be opened
                self._force(folders, os.O_RDONLY)
        except BaseException:
            _remove(parts)
            raise

    def close(self) -> None:
        """Remove what waits; nothing is added any more."""
        _remove(self._taken())
        if self._disk:
            self._disk.close()

    def _force(self, paths: Collection[Path], flags: int) -> None:
        if self._disk is None or len(paths) < MANY or not self._disk.force():
            force_each(paths, flags)

    def _taken(self) -> list[tuple[Path, Path]]:
        with self._one_at_a_time:
            parts, self._waiting = self._waiting, []
        return parts


def start_writing(handle: int, start: int, length: int) -> None:
    """Have the system begin to write a part of a file to disk, so that less is left to be forced; not of a small one,
    for which that is no less work."""
    if length >= LEAST_TO_START and hasattr(os, "posix_fadvise"):
        os.posix_fadvise(handle, start, length, os.POSIX_FADV_DONTNEED)


def _rename(part: Path, target: Path) -> bool:
    """Whether its folder had to be made for it."""
    try:
        part.replace(target)
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.replace(target)
        return True
    return False


def _remove(parts: list[tuple[Path, Path]]) -> None:
    for part, _ in parts:
        part.unlink(missing_ok=True)
