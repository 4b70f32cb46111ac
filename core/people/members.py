"""The table of members: which role a user has in a project."""

import sqlite3
from dataclasses import dataclass

from core.errors import InvalidInput
from core.people.accounts import User, get_user, user_of
from core.people.roles import ROLES, ProjectRole, demand_of
from core.store.audit import Actor, add_audit
from core.store.database import writing


@dataclass(frozen=True)
class Member:
    """A user with a role in one project."""

    user: User
    role: ProjectRole


def list_members(connection: sqlite3.Connection, project: int) -> list[Member]:
    """The members of a project by name."""
    rows = connection.execute(
        """SELECT users.*, members.role AS role_here FROM members JOIN users ON users.id = members.user
           WHERE project = ? ORDER BY users.name""",
        (project,),
    )
    return [Member(user_of(row), row["role_here"]) for row in rows]


def list_administrators(connection: sqlite3.Connection, project: int | None = None) -> list[str]:
    """Whom to ask for a role: who administers this Readroom, and, where a project is named, who administers it."""
    rows = connection.execute(
        """SELECT name FROM users WHERE kind = 'person' AND active = 1 AND (role = 'admin' OR id IN
               (SELECT user FROM members WHERE project = ? AND role = 'admin')) ORDER BY name""",
        (project,),
    )
    return [row["name"] for row in rows]


def list_roles(connection: sqlite3.Connection, user: User) -> dict[int, ProjectRole]:
    """What a user is, by project; an administrator of the whole Readroom needs no row here."""
    rows = connection.execute("SELECT project, role FROM members WHERE user = ?", (user.id,))
    return {row["project"]: row["role"] for row in rows}


def set_member(
    connection: sqlite3.Connection, project: int, name: str, role: ProjectRole | None, *, actor: Actor
) -> None:
    """Give a user a role in a project, another one, or none (they then are a stranger to it).

    Raises:
        NotFound: there is no such user.
        InvalidInput: the role is unknown, or the user is not a person.
        NotAllowed: the actor may not administer the project.
    """
    if role is not None and role not in ROLES:
        raise InvalidInput(f"A role is one of {', '.join(ROLES)}. Received: {role}")
    with writing(connection):
        demand_of(connection, actor, "administer", project)
        user = get_user(connection, name)
        if user.kind != "person":
            raise InvalidInput(f"Only a person can have a role. Received: {name}, who is {user.kind}")
        before = list_roles(connection, user).get(project)
        if before == role:
            return
        connection.execute("DELETE FROM members WHERE project = ? AND user = ?", (project, user.id))
        if role is not None:
            connection.execute("INSERT INTO members (project, user, role) VALUES (?, ?, ?)", (project, user.id, role))
        add_audit(connection, actor, "change role", f"project {project}", user=name, before=before, after=role)
