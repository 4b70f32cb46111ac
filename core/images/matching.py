"""Which row of a label table belongs to which file, and which image somebody means by a shortened path."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from core.errors import some_of
from core.images.label_table import TableRow, clean_path
from core.images.names import name_parts
from core.images.pseudonyms import path_token

NAMED_AT_MOST = 5


@dataclass(frozen=True)
class MatchedRows:
    """Rows by the source of their file, and sentences on what did not fit."""

    rows: dict[str, TableRow]
    warnings: tuple[str, ...]


def match_rows(table: Mapping[str, TableRow] | None, sources: Sequence[str]) -> MatchedRows:
    """Find each row's file: by its path, else by the end of its path, else by its file name, else by that name
    without extension; all but the first only where unique.
    """
    if not table:
        return MatchedRows({}, ())
    found: dict[str, TableRow] = {}
    left = {_plain(path): row for path, row in table.items()}
    free = {_plain(source): source for source in sources}
    for path in [path for path in left if path in free]:
        found[free.pop(path)] = left.pop(path)
    for path, source in _pairs_by_end(left, free):
        found[free.pop(source)] = left.pop(path)
    ambiguous: list[str] = []
    for key_of in (_name, _stem):
        rows_by, files_by = _grouped(left, key_of), _grouped(free, key_of)
        for key, paths in rows_by.items():
            if len(paths) == len(files_by[key]) == 1:
                found[free.pop(files_by[key][0])] = left.pop(paths[0])
            elif files_by[key] and key_of is _name:
                ambiguous += paths
    left = {path: row for path, row in left.items() if path not in ambiguous}
    return MatchedRows(found, (*_unknown(list(left)), *_ambiguous(ambiguous)))


class SourceNames:
    """The sources of a project, found again by what people write for them.

    With the home's `secret` those are found too that go by tokens.
    """

    def __init__(self, sources: Iterable[str], secret: bytes | None = None) -> None:
        self._secret = secret
        paths = {_plain(source): source for source in sources}
        self._sources = paths
        self._by_end = _grouped_by_ends(paths)
        self._by_name, self._by_stem = _grouped(paths, _name), _grouped(paths, _stem)

    def find(self, text: str) -> list[str]:
        """What is meant by a path or the end of one; without a folder, by a file name with or without extension.

        A path with a folder never means a file of this name in another folder: that would be another image.
        """
        path = _plain(text)
        return self._find(path) or (self._find(path_token(self._secret, path)) if self._secret else [])

    def _find(self, path: str) -> list[str]:
        if path in self._sources:
            found = [path]
        elif "/" in path:
            found = sorted(_same_ends(path, self._sources, self._by_end))
        else:
            found = self._by_name.get(path) or self._by_stem.get(path) or []
        return [self._sources[one] for one in found]


def _pairs_by_end(rows: Iterable[str], files: Mapping[str, str]) -> list[tuple[str, str]]:
    """Rows and files of which one's path ends in the other's, where neither has another partner."""
    by_end = _grouped_by_ends(files)
    pairs = [(row, file) for row in rows for file in _same_ends(row, files, by_end)]
    of_row, of_file = Counter(row for row, _ in pairs), Counter(file for _, file in pairs)
    return [(row, file) for row, file in pairs if of_row[row] == of_file[file] == 1]


def _same_ends(path: str, files: Mapping[str, str], by_end: Mapping[str, list[str]]) -> set[str]:
    """The files whose path ends in this one, and those in whose path this one ends."""
    return {*by_end.get(path, ()), *(end for end in _ends(path) if end in files)}


def _ends(path: str) -> list[str]:
    """The path from each of its folders on: a/b/x.png and b/x.png, but not the mere name x.png."""
    parts = path.split("/")
    return ["/".join(parts[at:]) for at in range(len(parts) - 1)]


def _grouped_by_ends(paths: Iterable[str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        for end in _ends(path):
            grouped[end].append(path)
    return grouped


def _grouped(paths: Iterable[str], key_of: Callable[[str], str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        key = key_of(path)
        if key:
            grouped[key].append(path)
    return grouped


def _plain(path: str) -> str:
    # macOS writes accents as two characters, everyone else as one.
    return unicodedata.normalize("NFC", clean_path(path))


def _name(path: str) -> str:
    return PurePosixPath(path).name


def _stem(path: str) -> str:
    return name_parts(path)[0]


def _unknown(paths: list[str]) -> list[str]:
    if not paths:
        return []
    named = some_of(paths, NAMED_AT_MOST)
    rows = "1 row of the label table names" if len(paths) == 1 else f"{len(paths):,} rows of the label table name"
    return [f"{rows} no imported file; check the paths. Received: {named}"]


def _ambiguous(paths: list[str]) -> list[str]:
    if not paths:
        return []
    return [
        f"{len(paths)} rows of the label table fit several files or share one; write whole paths. "
        f"Received: {some_of(paths, NAMED_AT_MOST)}"
    ]
