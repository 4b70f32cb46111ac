"""What an administrator does to accounts: invite, give a new link, deactivate, make another administrator."""

import sqlite3

from core.errors import Conflict, InvalidInput
from core.people.accounts import Role, User, ensure_user, find_user, get_user
from core.people.members import set_member
from core.people.roles import ProjectRole, demand_of
from core.people.sessions import MOST_NAME_CHARACTERS, end_sessions, issue_token
from core.store.audit import Actor, add_audit
from core.store.database import writing


def invite_user(
    connection: sqlite3.Connection,
    name: str,
    *,
    actor: Actor,
    role: Role = "reader",
    project: int | None = None,
    project_role: ProjectRole = "reader",
) -> str:
    """Make an account and a one-time token with which the person sets a password.

    A reader of a label table who turns up in person keeps their name and their labels.

    Raises:
        Conflict: a person of this name is here already.
        InvalidInput: the name cannot be used.
        NotAllowed: the actor administers neither this Readroom nor, for a member of one project, that project.
    """
    name = name.strip()
    if not name or len(name) > MOST_NAME_CHARACTERS or any(ord(sign) < 32 for sign in name):
        raise InvalidInput(f"A user needs a name of at most {MOST_NAME_CHARACTERS} characters. Received: {name[:90]!r}")
    with writing(connection):
        demand_of(connection, actor, "administer", project if role == "reader" else None)
        found = find_user(connection, name)
        if found and found.kind != "imported":
            raise Conflict(f"There is a user of this name already; choose another. Received: {name}")
        user = ensure_user(connection, name, role=role)
        connection.execute("UPDATE users SET kind = 'person', role = ? WHERE id = ?", (role, user.id))
        add_audit(connection, actor, "invite user", f"user {user.id}", user=name, role=role)
        if project is not None:
            set_member(connection, project, name, project_role, actor=actor)
        return issue_token(connection, user, purpose="invitation")


def reset_user(connection: sqlite3.Connection, name: str, *, actor: Actor) -> str:
    """A one-time token with which the user sets a new password; what was open under the old one is closed.

    Raises:
        NotFound: there is no such user.
        NotAllowed: the actor is not an administrator.
    """
    with writing(connection):
        user = _person(connection, name, actor)
        end_sessions(connection, user)
        connection.execute("UPDATE users SET password = NULL WHERE id = ?", (user.id,))
        add_audit(connection, actor, "reset password", f"user {user.id}", user=name)
        return issue_token(connection, user, purpose="reset" if user.has_password else "invitation")


def set_active(connection: sqlite3.Connection, name: str, active: bool, *, actor: Actor) -> None:
    """Let nobody in under this name any more, or let them in again. Labels and acts stay as they are.

    Raises:
        NotFound: there is no such user.
        Conflict: nobody would be left to administer.
        NotAllowed: the actor is not an administrator.
    """
    with writing(connection):
        user = _person(connection, name, actor)
        connection.execute("UPDATE users SET active = ? WHERE id = ?", (int(active), user.id))
        if not active:
            end_sessions(connection, user)
        _keep_an_administrator(connection, name)
        what = "activate user" if active else "deactivate user"
        add_audit(connection, actor, what, f"user {user.id}", user=name, before=user.active, after=active)


def set_administrator(connection: sqlite3.Connection, name: str, role: Role, *, actor: Actor) -> None:
    """Make a user an administrator of this Readroom, or one no longer.

    Raises:
        NotFound: there is no such user.
        Conflict: nobody would be left to administer.
        NotAllowed: the actor is not an administrator.
    """
    with writing(connection):
        user = _person(connection, name, actor)
        connection.execute("UPDATE users SET role = ? WHERE id = ?", (role, user.id))
        _keep_an_administrator(connection, name)
        add_audit(connection, actor, "change administrator", f"user {user.id}", user=name, before=user.role, after=role)


def _person(connection: sqlite3.Connection, name: str, actor: Actor) -> User:
    demand_of(connection, actor, "administer", None)
    user = get_user(connection, name)
    if user.kind != "person":
        raise InvalidInput(f"{name} is a {user.kind} reader and has no account; invite a person of this name.")
    return user


def _keep_an_administrator(connection: sqlite3.Connection, name: str) -> None:
    query = "SELECT 1 FROM users WHERE kind = 'person' AND role = 'admin' AND active = 1 LIMIT 1"
    if connection.execute(query).fetchone() is None:
        raise Conflict(f"Make somebody else an administrator first. Received: {name}, the last one")
