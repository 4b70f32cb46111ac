"""A file that kills the process that reads it (a decoder's crash, no memory left) must not do so for ever."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOST_ATTEMPTS = 2
AT_ONCE = 16  # files that went well and of which the note is told together


class Attempts:
    """Remembers, outside the process, which files were begun and not finished, and how often.

    A file in whose reading the process died is tried once more, after all others: whoever
    kills an import by chance hardly meets the same file twice. The note is not forced to
    disk: it must outlive the process, not the machine.
    """

    def __init__(self, note: Path) -> None:
        self._note = note
        self._begun = self._read()
        self._own = set[str]()
        self._ended = 0  # since the note was written
        self.doubtful = frozenset(self._begun)
        self.left_out = frozenset(path for path, count in self._begun.items() if count >= MOST_ATTEMPTS)

    @contextmanager
    def of(self, path: str, *, only_header: bool = False) -> Iterator[bool]:
        """Around the reading of a file; the answer is whether reading it ended the process too often.

        Args:
            only_header: the rest is still to be read, so that what is known of the file is not forgotten.
        """
        before = self._begun.get(path, 0)
        self.begin(path)
        try:
            yield before >= MOST_ATTEMPTS
        finally:  # an exception is not a crash: whoever raised it is alive to say so
            if only_header and before:
                self._begun[path] = before
                self._own.discard(path)
                self._write()
            else:
                self.end(path)

    def begin(self, *paths: str) -> None:
        """Files are about to be read; several may be on their way."""
        self._own.update(paths)
        for path in paths:
            self._begun[path] = self._begun.get(path, 0) + 1
        self._write()

    def end(self, *paths: str) -> None:
        """It is known what became of these files."""
        for path in paths:
            self._begun.pop(path, None)
        self._own.difference_update(paths)
        self._ended += len(paths)
        # that a file went well may be written a little later: it would only be read again, by itself
        if not self._begun or self._ended >= AT_ONCE or not self.doubtful.isdisjoint(paths):
            self._write()

    def close(self) -> None:
        """What is still on its way was not what ended anything: whoever calls this is alive."""
        if self._own:
            self.end(*self._own)

    def _write(self) -> None:
        self._ended = 0
        if self._begun:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            self._note.write_text(json.dumps(self._begun), "utf-8")
        else:
            self._note.unlink(missing_ok=True)

    def _read(self) -> dict[str, int]:
        try:
            return {str(path): int(count) for path, count in json.loads(self._note.read_text("utf-8")).items()}
        except (FileNotFoundError, json.JSONDecodeError):  # a kill may have cut the note itself
            return {}
