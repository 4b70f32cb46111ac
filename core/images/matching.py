"""Which row of a label table belongs to which file."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from core.images.label_table import TableRow, clean_path

NAMED_AT_MOST = 5


@dataclass(frozen=True)
class MatchedRows:
    """Rows by the source of their file, and sentences on what did not fit."""

    rows: dict[str, TableRow]
    warnings: tuple[str, ...]


def match_rows(table: Mapping[str, TableRow] | None, sources: Sequence[str]) -> MatchedRows:
    """Find each row's file: by its path, else by its file name, else by its name without extension, where unique."""
    if not table:
        return MatchedRows({}, ())
    found: dict[str, TableRow] = {}
    left = {_plain(path): row for path, row in table.items()}
    free = {_plain(source): source for source in sources}
    for path in [path for path in left if path in free]:
        found[free.pop(path)] = left.pop(path)
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


def _grouped(paths: Iterable[str], key_of: object) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        key = key_of(path)  # type: ignore[operator]
        if key:
            grouped[key].append(path)
    return grouped


def _plain(path: str) -> str:
    # macOS writes accents as two characters, everyone else as one.
    return unicodedata.normalize("NFC", clean_path(path))


def _name(path: str) -> str:
    return PurePosixPath(path).name


def _stem(path: str) -> str:
    return PurePosixPath(path).stem


def _unknown(paths: list[str]) -> list[str]:
    if not paths:
        return []
    return [f"{len(paths)} rows of the label table name no imported file; check the paths. Received: {_some(paths)}"]


def _ambiguous(paths: list[str]) -> list[str]:
    if not paths:
        return []
    return [
        f"{len(paths)} rows of the label table fit several files or share one; write whole paths. "
        f"Received: {_some(paths)}"
    ]


def _some(paths: list[str]) -> str:
    more = f" and {len(paths) - NAMED_AT_MOST} more" if len(paths) > NAMED_AT_MOST else ""
    return ", ".join(paths[:NAMED_AT_MOST]) + more
