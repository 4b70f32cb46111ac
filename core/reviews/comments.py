"""The table of comments: what people say about a case, or about what a model makes of it."""

import sqlite3
from dataclasses import dataclass

from core.clock import utc_now
from core.errors import InvalidInput, NotFound
from core.images.records import get_case
from core.labels.incoming import is_no_text
from core.people.accounts import get_user
from core.people.roles import demand_of
from core.store.audit import Actor, add_audit
from core.store.database import writing

LONGEST_COMMENT = 10_000


@dataclass(frozen=True)
class Comment:
    """One remark; `model` is the model that was being looked at, if any."""

    id: int
    case_id: int
    model: int | None
    author: str
    text: str
    created_at: str


_SELECT = """SELECT comments.id, case_id, model, users.name AS author, text, comments.created_at
             FROM comments JOIN users ON users.id = comments.author"""


def add_comment(
    connection: sqlite3.Connection, case_id: int, text: str, *, actor: Actor, model: int | None = None
) -> Comment:
    """Keep what the actor, who must be a user, says about a case.

    Raises:
        InvalidInput: the comment is empty, too long or no plain text.
        NotFound: there is no such case, model or user.
        NotAllowed: the actor may not label in the project of the case.
    """
    text = text.strip()
    if not 0 < len(text) <= LONGEST_COMMENT:
        raise InvalidInput(f"A comment has 1 to {LONGEST_COMMENT} characters. Received: {len(text)}")
    if is_no_text(text):
        raise InvalidInput(f"A comment is plain text. Received: {text!r}")
    with writing(connection):
        for kind, table, number in (("case", "cases", case_id), ("model", "models", model)):
            known = connection.execute(f"SELECT 1 FROM {table} WHERE id = ?", (number,)).fetchone()
            if number is not None and known is None:
                raise NotFound(kind, number)
        demand_of(connection, actor, "label", get_case(connection, case_id).project)
        author = get_user(connection, actor.name)
        cursor = connection.execute(
            "INSERT INTO comments (case_id, model, author, text, created_at) VALUES (?, ?, ?, ?, ?)",
            (case_id, model, author.id, text, utc_now()),
        )
        add_audit(connection, actor, "comment", f"case {case_id}", comment=cursor.lastrowid, model=model)
        row = connection.execute(f"{_SELECT} WHERE comments.id = ?", (cursor.lastrowid,)).fetchone()
        return Comment(**row)


def list_comments(connection: sqlite3.Connection, case_id: int) -> list[Comment]:
    """What was said about a case, oldest first."""
    return [
        Comment(**row) for row in connection.execute(f"{_SELECT} WHERE case_id = ? ORDER BY comments.id", (case_id,))
    ]
