"""Lists of cases kept by name, such as the mistakes found in a review: to be read again, to be sent as an address."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from core.clock import utc_now
from core.errors import InvalidInput, NotFound
from core.people.roles import demand_of
from core.projects.records import Project
from core.store.audit import Actor, add_audit
from core.store.database import writing

LONGEST_NAME = 200


@dataclass(frozen=True)
class CaseList:
    """A kept list; `cases` is how many of its cases are still there."""

    id: int
    project: int
    name: str
    cases: int
    made_by: str
    made_at: str


_SELECT = """SELECT case_lists.*, (SELECT count(*) FROM case_list_cases WHERE list = case_lists.id) AS cases
             FROM case_lists"""


def add_case_list(
    connection: sqlite3.Connection, project: Project, name: str, case_ids: Sequence[int], *, actor: Actor
) -> CaseList:
    """Keep cases of a project as a list, in the order given.

    Raises:
        InvalidInput: there is no name or no case, or one of the cases is not in the project.
        NotAllowed: the actor may not label in the project.
    """
    name, ids = name.strip(), list(dict.fromkeys(case_ids))
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidInput(f"A list needs a name of at most {LONGEST_NAME} characters. Received: {name[:220]!r}")
    if not ids:
        raise InvalidInput(f"A list needs at least one case. Received: none for {name!r}")
    with writing(connection):
        demand_of(connection, actor, "label", project.id)
        cursor = connection.execute(
            "INSERT INTO case_lists (project, name, made_by, made_at) VALUES (?, ?, ?, ?)",
            (project.id, name, actor.name, utc_now()),
        )
        list_id = int(cursor.lastrowid or 0)
        check_cases(connection, project, ids)
        connection.executemany(
            "INSERT INTO case_list_cases (list, position, case_id) VALUES (?, ?, ?)",
            [(list_id, position, case_id) for position, case_id in enumerate(ids)],
        )
        add_audit(connection, actor, "keep list", f"project {project.id}", list=list_id, cases=len(ids))
        return get_case_list(connection, project.id, list_id)


def get_case_list(connection: sqlite3.Connection, project_id: int, list_id: int) -> CaseList:
    """A kept list of a project.

    Raises:
        NotFound: the project has none of this number.
    """
    row = connection.execute(f"{_SELECT} WHERE id = ? AND project = ?", (list_id, project_id)).fetchone()
    if row is None:
        raise NotFound("list", list_id)
    return CaseList(**dict(row))


def list_case_lists(connection: sqlite3.Connection, project_id: int) -> list[CaseList]:
    """The kept lists of a project, newest first."""
    rows = connection.execute(f"{_SELECT} WHERE project = ? ORDER BY id DESC", (project_id,))
    return [CaseList(**dict(row)) for row in rows]


def list_cases_of(connection: sqlite3.Connection, project_id: int, list_id: int) -> list[int]:
    """The cases of a kept list in its order.

    Raises:
        NotFound: the project has none of this number.
    """
    found = get_case_list(connection, project_id, list_id)
    rows = connection.execute("SELECT case_id FROM case_list_cases WHERE list = ? ORDER BY position", (found.id,))
    return [row["case_id"] for row in rows]


def check_cases(connection: sqlite3.Connection, project: Project, case_ids: Sequence[int]) -> None:
    """Raises `InvalidInput` where one of the cases is not in the project."""
    wrong = [number for number in case_ids if not 0 < number < 1 << 63]
    known: set[int] = set()
    for start in range(0, 0 if wrong else len(case_ids), 500):
        some = case_ids[start : start + 500]
        rows = connection.execute(
            f"SELECT id FROM cases WHERE project = ? AND id IN ({', '.join('?' * len(some))})", (project.id, *some)
        )
        known |= {row["id"] for row in rows}
    missing = wrong or [number for number in case_ids if number not in known]
    if missing:
        named = ", ".join(str(number)[:20] for number in missing[:5])
        raise InvalidInput(f"Name cases of this project by their numbers. Received: {named}")
