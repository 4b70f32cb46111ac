"""Large files that are read in parts: each is checked against its hash once, then trusted while it lies unchanged."""

import os
import threading
from collections import OrderedDict
from pathlib import Path

from core.errors import NotFound
from core.store.files import Files, Shelf

REMEMBERED = 10_000


class CheckedFiles:
    """What this process has found to be whole. Checking takes a second for half a gigabyte, a look at it none."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._seen: OrderedDict[Path, tuple[int, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._checking: dict[Path, threading.Lock] = {}

    def path(self, shelf: Shelf, content_hash: str) -> Path:
        """Where a file lies, whose content is or was found to be that of its hash.

        A file of another size or time than at its check is checked again. Whoever asks for a file that somebody
        else is checking waits for that, so that ten frames asked for at once cost one check.

        Raises:
            NotFound: there is no such file.
            CoreError: the file was altered on disk, or cannot be read.
        """
        path = self.files.path(shelf, content_hash)
        if self._is_trusted(path, shelf, content_hash):
            return path
        with self._lock:
            turn = self._checking.setdefault(path, threading.Lock())
        with turn:
            if self._is_trusted(path, shelf, content_hash):
                return path
            before = _stamp(path)
            self.files.check(shelf, content_hash)
            with self._lock:
                if before is not None:
                    self._seen[path] = before
                    while len(self._seen) > REMEMBERED:
                        self._seen.popitem(last=False)
                self._checking.pop(path, None)
        return path

    def _is_trusted(self, path: Path, shelf: Shelf, content_hash: str) -> bool:
        stamp = _stamp(path)
        if stamp is None:
            raise NotFound(f"file in {shelf}", content_hash)
        with self._lock:
            return self._seen.get(path) == stamp


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
