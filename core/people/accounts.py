"""Users, the one-time tokens they sign in with, and their sessions.

Only hashes of tokens and sessions are stored: a copy of the database signs nobody in.
"""

import getpass
import hashlib
import secrets
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from core.clock import utc_now, utc_text
from core.errors import InvalidInput, NotAllowed, NotFound
from core.store.database import writing

UserKind = Literal["person", "imported", "simulated"]
Role = Literal["admin", "reader"]


@dataclass(frozen=True)
class User:
    """Somebody with a name. `imported` readers come from label tables, `simulated` ones from the demo."""

    id: int
    name: str
    kind: UserKind
    role: Role


def operating_system_user() -> str:
    """The name under which whoever started this process acts."""
    return getpass.getuser()


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
    row = connection.execute("SELECT id, name, kind, role FROM users WHERE name = ?", (name,)).fetchone()
    return User(**row) if row else None


def get_user(connection: sqlite3.Connection, name: str) -> User:
    """The user of this name.

    Raises:
        NotFound: there is none.
    """
    found = find_user(connection, name)
    if found is None:
        raise NotFound("user", name)
    return found


def list_users(connection: sqlite3.Connection) -> list[User]:
    """All users by name."""
    return [User(**row) for row in connection.execute("SELECT id, name, kind, role FROM users ORDER BY name")]


def issue_token(connection: sqlite3.Connection, user: User) -> str:
    """A token that signs this user in once."""
    token = secrets.token_urlsafe(32)
    with writing(connection):
        connection.execute(
            "INSERT INTO sign_in_tokens (token_hash, user, created_at) VALUES (?, ?, ?)",
            (_hash(token), user.id, utc_now()),
        )
    return token


def redeem_token(connection: sqlite3.Connection, token: str, *, hours: int) -> str:
    """A session id in exchange for a token; the token is worthless afterwards.

    Raises:
        NotAllowed: the token is unknown or was used before.
    """
    session_id = secrets.token_urlsafe(32)
    expires_at = utc_text(datetime.now(UTC) + timedelta(hours=hours))
    with writing(connection):
        row = connection.execute(
            "UPDATE sign_in_tokens SET used_at = ? WHERE token_hash = ? AND used_at IS NULL RETURNING user",
            (utc_now(), _hash(token)),
        ).fetchone()
        if row is None:
            raise NotAllowed("This sign-in link was used before or is unknown. Run `readroom link` for a new one.")
        connection.execute(
            "INSERT INTO sessions (session_hash, user, created_at, expires_at) VALUES (?, ?, ?, ?)",
            (_hash(session_id), row["user"], utc_now(), expires_at),
        )
    return session_id


def find_session(connection: sqlite3.Connection, session_id: str) -> User | None:
    """The user of a session that has not expired, or None."""
    row = connection.execute(
        """SELECT users.id, users.name, users.kind, users.role FROM sessions JOIN users ON users.id = sessions.user
           WHERE session_hash = ? AND expires_at > ?""",
        (_hash(session_id), utc_now()),
    ).fetchone()
    return User(**row) if row else None


def end_session(connection: sqlite3.Connection, session_id: str) -> None:
    """Sign out: the session is gone from the server, whatever the browser keeps."""
    with writing(connection):
        connection.execute("DELETE FROM sessions WHERE session_hash = ?", (_hash(session_id),))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
