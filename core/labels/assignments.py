"""The table of assignments: who is asked to read which cases. It asks; it forbids nobody to read others."""

import random
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from core.clock import utc_now
from core.errors import InvalidInput
from core.labels.case_lists import check_cases
from core.people.accounts import get_user
from core.people.roles import demand_of, may
from core.projects.records import Project
from core.store.audit import Actor, add_audit
from core.store.database import writing


@dataclass(frozen=True)
class Assigned:
    """How much one reader was asked to read, and how much of it is done."""

    reader: str
    cases: int
    answered: int


def assign_cases(
    connection: sqlite3.Connection, project: Project, reader: str, case_ids: Sequence[int], *, actor: Actor
) -> int:
    """Ask a reader to read these cases; how many of them are new to the reader.

    Raises:
        NotFound: there is no such reader.
        InvalidInput: the reader may not label here, or one of the cases is not in the project.
        NotAllowed: the actor does not administer the project.
    """
    ids = list(dict.fromkeys(case_ids))
    with writing(connection):
        demand_of(connection, actor, "administer", project.id)
        user = get_user(connection, reader)
        if user.kind != "person" or not may(connection, user, "label", project.id):
            raise InvalidInput(f"Give the reader a role in this project first. Received: {reader}")
        if not ids:
            raise InvalidInput(f"Name the cases to read. Received: none for {reader}")
        check_cases(connection, project, ids)
        before = _count(connection, project.id, user.id)
        connection.executemany(
            """INSERT INTO assignments (project, case_id, reader, assigned_by, assigned_at) VALUES (?, ?, ?, ?, ?)
               ON CONFLICT (case_id, reader) DO NOTHING""",
            [(project.id, case_id, user.id, actor.name, utc_now()) for case_id in ids],
        )
        new = _count(connection, project.id, user.id) - before
        add_audit(connection, actor, "assign cases", f"project {project.id}", reader=reader, asked=len(ids), new=new)
        return new


def unassign_cases(
    connection: sqlite3.Connection,
    project: Project,
    reader: str,
    case_ids: Sequence[int] | None = None,
    *,
    actor: Actor,
) -> int:
    """Ask a reader no longer to read these cases, or any of the project; how many that were. Answers stay.

    Raises:
        NotFound: there is no such reader.
        NotAllowed: the actor does not administer the project.
    """
    with writing(connection):
        demand_of(connection, actor, "administer", project.id)
        user = get_user(connection, reader)
        before = _count(connection, project.id, user.id)
        if case_ids is None:
            connection.execute("DELETE FROM assignments WHERE project = ? AND reader = ?", (project.id, user.id))
        else:
            check_cases(connection, project, case_ids)
            connection.executemany(
                "DELETE FROM assignments WHERE project = ? AND reader = ? AND case_id = ?",
                [(project.id, user.id, case_id) for case_id in case_ids],
            )
        gone = before - _count(connection, project.id, user.id)
        add_audit(connection, actor, "unassign cases", f"project {project.id}", reader=reader, cases=gone)
        return gone


def draw_unread(
    connection: sqlite3.Connection, project: Project, reader: str, count: int, *, seed: int = 0
) -> list[int]:
    """Cases by chance that nobody is asked to read and this reader has not answered; the same for the same seed.

    Raises:
        NotFound: there is no such reader.
        InvalidInput: fewer than that are left.
    """
    user = get_user(connection, reader)
    rows = connection.execute(
        """SELECT id FROM cases WHERE project = :project AND held = 0 AND synthetic IS NULL
           AND id NOT IN (SELECT case_id FROM assignments WHERE project = :project)
           AND id NOT IN (SELECT case_id FROM current_labels WHERE project = :project AND reader = :reader)
           ORDER BY id""",
        {"project": project.id, "reader": user.id},
    )
    free = [row["id"] for row in rows]
    if not 0 < count <= len(free):
        raise InvalidInput(f"{len(free)} cases are free to be given to {reader}. Received: {count}")
    return sorted(random.Random(seed).sample(free, count))


def list_assigned(connection: sqlite3.Connection, project_id: int) -> list[Assigned]:
    """What each reader was asked to read, by name."""
    rows = connection.execute(
        """SELECT users.name AS reader, count(*) AS cases, count(current_labels.label) AS answered
           FROM assignments JOIN users ON users.id = assignments.reader
           LEFT JOIN current_labels ON current_labels.case_id = assignments.case_id
               AND current_labels.reader = assignments.reader
           WHERE assignments.project = ? GROUP BY users.name ORDER BY users.name""",
        (project_id,),
    )
    return [Assigned(**dict(row)) for row in rows]


def _count(connection: sqlite3.Connection, project_id: int, reader: int) -> int:
    query = "SELECT count(*) FROM assignments WHERE project = ? AND reader = ?"
    return int(connection.execute(query, (project_id, reader)).fetchone()[0])
