"""No file of an import is left behind: what it writes is noted before, and what no case names in the end is removed.

Pixels, thumbnails and headers lie on disk before the transaction that names them, so a kill in between, or a row that
is refused, leaves files that belong to nothing.
"""

import sqlite3
import threading
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice

from core.images.records import list_unnamed
from core.store.database import writing
from core.store.files import Files, Shelf, clear_parts
from core.store.together import Together

SHELVES: tuple[Shelf, ...] = ("pixels", "thumbnails", "headers")
AT_ONCE = 1000


def list_notes(files: Files) -> list[int]:
    """The jobs whose imports have not finished; none of those that no job runs, whose numbers are negative."""
    names = [note.stem for note in (files.root / "imports").glob("*.stored")]
    return sorted(int(name) for name in names if name.isdecimal())


class StoredFiles:
    """The note of one import: `imports/<job>.stored`, a line for each file that was not there before.

    It outlives the process, not the machine: after a power cut it may lack its last lines. What is put into its `files`
    is there once they `keep` it, which is to be done before a row names it.
    """

    def __init__(self, files: Files, job: int) -> None:
        self._root = files.root
        self._note = files.root / "imports" / f"{job}.stored"
        if self._note.exists():  # this job was killed before
            clear_parts(files.root)
        self._note.parent.mkdir(parents=True, exist_ok=True)
        self._stream = self._note.open("a", encoding="ascii")
        self._one_at_a_time = threading.Lock()
        self._together = Together(files.root)
        self.files = replace(files, on_new=self._add, together=self._together)

    def _add(self, shelf: Shelf, content_hash: str) -> None:
        with self._one_at_a_time:  # threads store side by side
            self._stream.write(f"{shelf} {content_hash}\n")
            self._stream.flush()

    def finish(self, connection: sqlite3.Connection) -> int:
        """Remove what no case names, and the note; how many files went."""
        self._together.close()
        self._stream.close()
        gone = 0
        with self._note.open(encoding="ascii") as note:
            while lines := list(islice(note, AT_ONCE)):
                gone += self._remove_unnamed(connection, lines)
        self._note.unlink(missing_ok=True)
        return gone

    def _remove_unnamed(self, connection: sqlite3.Connection, lines: Sequence[str]) -> int:
        by_hash: dict[str, set[Shelf]] = defaultdict(set)
        for line in lines:
            shelf, _, content_hash = line.rstrip("\n").partition(" ")
            for one in SHELVES:
                if shelf == one and len(content_hash) == 64:  # a kill may have cut the last line
                    by_hash[content_hash].add(one)
        if not list_unnamed(connection, list(by_hash)):
            return 0
        gone = 0
        plain = Files(self._root)
        with writing(connection):  # nobody comes to need one of them meanwhile
            for content_hash in list_unnamed(connection, list(by_hash)):
                for shelf in by_hash[content_hash]:
                    with suppress(FileNotFoundError):
                        plain.path(shelf, content_hash).unlink()
                        gone += 1
        return gone
