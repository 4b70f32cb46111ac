"""The table of users: everybody with a name, whether they sign in, come from a label table or are simulated."""

import getpass
import os
import sqlite3
from dataclasses import dataclass
from typing import Literal

from core.clock import utc_now
from core.errors import InvalidInput, NotFound
from core.store.database import writing

UserKind = Literal["person", "imported", "simulated"]
Role = Literal["admin", "reader"]


@dataclass(frozen=True)
class User:
    """Somebody with a name. `imported` readers come from label tables, `simulated` ones from the demo.

    `role` says whether a person administers this Readroom as a whole; what everybody else may do
    is said project by project (`core.people.members`). Who is not `active` cannot sign in.
    """

    id: int
    name: str
    kind: UserKind
    role: Role
    active: bool = True
    has_password: bool = False


def operating_system_user() -> str:
    """The name under which whoever started this process acts, for the audit.

    From the system's own table and not from LOGNAME or USER, which anybody may set to another's name.
    """
    try:
        import pwd
    except ModuleNotFoundError:  # a system without such a table: Windows
        return getpass.getuser()
    me = os.geteuid()
    try:
        return pwd.getpwuid(me).pw_name
    except KeyError:  # as in a container that was given a number only
        return f"uid {me}"


def ensure_user(connection: sqlite3.Connection, name: str, *, kind: UserKind = "person", role: Role = "reader") -> User:
    """The user of this name, made where there is none. An existing user keeps kind and role.

    Raises:
        InvalidInput: the name is empty.
    """
    name = name.strip()
    if not name:
        raise InvalidInput(f"A user needs a name. Received: {name!r}")
    found = find_user(connection, name)
    if found:
        return found
    with writing(connection):
        connection.execute(
            "INSERT INTO users (name, kind, role, created_at) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
            (name, kind, role, utc_now()),
        )
        return get_user(connection, name)


def find_user(connection: sqlite3.Connection, name: str) -> User | None:
    """The user of this name, or None."""
    row = connection.execute("SELECT * FROM users WHERE name = ?", (name,)).fetchone()
    return user_of(row) if row else None


def get_user(connection: sqlite3.Connection, name: str) -> User:
    """The user of this name.

    Raises:
        NotFound: there is none.
    """
    found = find_user(connection, name)
    if found is None:
        raise NotFound("user", name)
    return found


def list_users(connection: sqlite3.Connection, *, kind: UserKind | None = None) -> list[User]:
    """All users by name, or those of one kind."""
    rows = connection.execute("SELECT * FROM users WHERE ? IS NULL OR kind = ? ORDER BY name", (kind, kind))
    return [user_of(row) for row in rows]


def user_of(row: sqlite3.Row) -> User:
    """A user from a row of the table; the password never leaves it."""
    return User(
        id=row["id"],
        name=row["name"],
        kind=row["kind"],
        role=row["role"],
        active=bool(row["active"]),
        has_password=row["password"] is not None,
    )
