"""Finding a case by its file's name although no name is stored: what people write is hashed and looked up.

For each case there is a token of its whole path, of each end of it, of the file's name and of that without extension.
"""

import sqlite3
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from core.images.label_table import clean_path
from core.images.names import name_parts
from core.images.pseudonyms import load_secret, path_token
from core.settings import Settings
from core.store.database import writing

Kind = Literal["path", "end", "name", "stem"]


def add_case_names(connection: sqlite3.Connection, project: int, case_id: int, path: str, secret: bytes) -> None:
    """Make a case findable by its file's path within the imported folder; in the caller's transaction."""
    with writing(connection):
        connection.executemany(
            "INSERT OR IGNORE INTO case_names (project, token, kind, case_id) VALUES (?, ?, ?, ?)",
            [(project, path_token(secret, text), kind, case_id) for kind, text in _names(plain(path))],
        )


def find_same_path(connection: sqlite3.Connection, project: int, path: str, secret: bytes) -> list[int]:
    """The cases whose file lay at just this path within its folder, oldest first."""
    return _with_tokens(connection, project, ("path",), [path_token(secret, plain(path))])


def find_named(connection: sqlite3.Connection, project: int, text: str, secret: bytes | None = None) -> list[int]:
    """The cases that somebody may mean by a path or the end of one; without a folder, by a file name or its stem.

    A path with a folder never means a file of this name in another folder: that would be another image.
    """
    secret = secret or secret_of(connection)
    path = plain(text)
    if not path or secret is None:
        return []
    token = path_token(secret, path)
    if found := _with_tokens(connection, project, ("path",), [token]):
        return found
    if "/" in path:
        inside = [path_token(secret, end) for end in _ends(path)]
        ending = _with_tokens(connection, project, ("end",), [token])
        return sorted({*ending, *_with_tokens(connection, project, ("path",), inside)})
    by_name = _with_tokens(connection, project, ("name",), [token])
    return by_name or _with_tokens(connection, project, ("stem",), [token])


def secret_of(connection: sqlite3.Connection) -> bytes | None:
    """The secret of the home that a connection belongs to; None for a database in memory."""
    file = next((row[2] for row in connection.execute("PRAGMA database_list") if row[1] == "main"), "")
    return load_secret(Settings(home=Path(file).parent)) if file else None


def plain(path: str) -> str:
    """A path as it is hashed: forward slashes, accents as one character."""
    return unicodedata.normalize("NFC", clean_path(path))


def _names(path: str) -> list[tuple[Kind, str]]:
    name, stem = PurePosixPath(path).name, name_parts(path)[0]
    return [("path", path), *(("end", end) for end in _ends(path)[1:]), ("name", name), ("stem", stem)]


def _ends(path: str) -> list[str]:
    """The path from each of its folders on, the mere name left out."""
    parts = path.split("/")
    return ["/".join(parts[at:]) for at in range(len(parts) - 1)]


def _with_tokens(
    connection: sqlite3.Connection, project: int, kinds: Sequence[Kind], tokens: Sequence[str]
) -> list[int]:
    found: set[int] = set()
    for token in tokens:
        rows = connection.execute(
            "SELECT kind, case_id FROM case_names WHERE project = ? AND token = ?", (project, token)
        )
        found |= {row["case_id"] for row in rows if row["kind"] in kinds}
    return sorted(found)
