"""Signing in and staying signed in: one-time tokens, passwords, sessions on the server, and patience with guessers.

Only hashes of tokens and sessions are stored: a copy of the database signs nobody in.
"""

import hashlib
import secrets
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from core.clock import utc_now, utc_text
from core.errors import NotAllowed, Unavailable
from core.people.accounts import User, user_of
from core.people.callers import caller_of
from core.people.passwords import check_password, hash_password, is_password
from core.store.audit import Actor, add_audit
from core.store.database import waiting_at_most, writing

Purpose = Literal["link", "invitation", "reset"]
TOKEN_HOURS: dict[Purpose, int] = {"link": 24, "invitation": 72, "reset": 24}
# A guesser is slowed down from the third failure and locked out at the tenth; one address may serve a whole ward.
FREE_FAILURES, LOCKING_FAILURES, LOCKING_FAILURES_OF_AN_ADDRESS = 2, 10, 60
REMEMBERED_MINUTES = 15
TOUCH_SECONDS, TOUCH_MILLISECONDS = 30, 50
MOST_NAME_CHARACTERS = 80
WRONG = "Name or password is wrong."
SIGNED_OUT = "You were signed out meanwhile; sign in again."
# What people type as a name may be their password, and the audit keeps what it is told for ever.
UNKNOWN_NAME = "(unknown name)"


class TryLater(NotAllowed):
    """Too many failures. `seconds` says how long to wait."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many failed attempts. Try again in {_duration(seconds)}.")
        self.seconds = seconds


@dataclass(frozen=True)
class Token:
    """A token that still works: whom it signs in, and whether a password is to be set first."""

    user: User
    purpose: Purpose


def issue_token(connection: sqlite3.Connection, user: User, *, purpose: Purpose = "link") -> str:
    """A token that signs this user in once, for a while."""
    token = secrets.token_urlsafe(32)
    expires_at = _in(hours=TOKEN_HOURS[purpose])
    with writing(connection):
        connection.execute(
            "INSERT INTO sign_in_tokens (token_hash, user, created_at, purpose, expires_at) VALUES (?, ?, ?, ?, ?)",
            (_hash(token), user.id, utc_now(), purpose, expires_at),
        )
    return token


def look_at_token(connection: sqlite3.Connection, token: str) -> Token:
    """Whom a token signs in, without using it up.

    Raises:
        NotAllowed: it is unknown, used, too old, or its user was deactivated.
    """
    row = connection.execute(
        """SELECT users.*, purpose FROM sign_in_tokens JOIN users ON users.id = sign_in_tokens.user
           WHERE token_hash = ? AND used_at IS NULL AND expires_at > ? AND active = 1""",
        (_hash(token), utc_now()),
    ).fetchone()
    if row is None:
        raise NotAllowed(
            "This sign-in link was used before, is too old or is unknown. Ask an administrator for a new one; "
            "on the machine that serves Readroom, `readroom link` prints one."
        )
    return Token(user_of(row), row["purpose"])


def redeem_token(
    connection: sqlite3.Connection, token: str, *, hours: int, new_password: str | None = None, address: str = ""
) -> str:
    """A session id in exchange for a token, which is worthless afterwards; a new password is set on the way.

    Raises:
        NotAllowed: the token is not good any more.
        InvalidInput: the password is not good enough; the token stays good.
    """
    found = look_at_token(connection, token)
    # The sum is slow on purpose: nobody else's answer may wait for it, so it is made before the transaction.
    kept = None if new_password is None else _kept_form(new_password, found.user)
    with writing(connection):
        found = look_at_token(connection, token)
        if kept is not None:
            _keep_password(connection, found.user, kept, actor=Actor(found.user.name, "screen", address))
        connection.execute("UPDATE sign_in_tokens SET used_at = ? WHERE token_hash = ?", (utc_now(), _hash(token)))
        return _begin_session(connection, found.user, hours, address, how=found.purpose)


def sign_in(connection: sqlite3.Connection, name: str, password: str, *, hours: int, address: str = "") -> str:
    """A session id in exchange for name and password.

    Raises:
        TryLater: there were too many failures under this name or from this address.
        NotAllowed: name or password is wrong; which of the two is not said.
    """
    name = name.strip()[:MOST_NAME_CHARACTERS]
    _count_as_failed(connection, name, address)
    asked = _row_of(connection, name)
    is_right = is_password(password, asked["password"] if asked else None)
    with writing(connection):
        row = _row_of(connection, name)
        # While the sum was made, the password may have been reset or the account closed.
        if is_right and asked and row and row["active"] and row["password"] == asked["password"]:
            connection.execute("DELETE FROM sign_in_failures WHERE account = ?", (name,))
            return _begin_session(connection, user_of(row), hours, address, how="password")
        add_audit(connection, Actor(name if row else UNKNOWN_NAME, "screen", address), "sign in refused", "session")
    raise NotAllowed(WRONG)


def seconds_to_wait(connection: sqlite3.Connection, name: str, address: str) -> int:
    """How long whoever tries this name from this address must wait; 0 is: not at all.

    After the third failure 2 s, then 4, 8, ...; after the tenth until the oldest is forgotten.
    """
    return max(
        _wait(connection, "account", _counted_name(connection, name), LOCKING_FAILURES, doubling=True),
        _wait(connection, "address", caller_of(address), LOCKING_FAILURES_OF_AN_ADDRESS, doubling=False)
        if address
        else 0,
    )


def change_password(
    connection: sqlite3.Connection,
    user: User,
    old: str,
    new: str,
    *,
    actor: Actor,
    session_id: str,
    idle_minutes: int = 60,
) -> None:
    """Set a new password for somebody who knows the old one; who has none yet sets the first.

    The session counts again when the password is written: a request whose session was found good may be held
    back, and after a reset it would be taken for somebody who has no password yet.

    Raises:
        TryLater: the old password was guessed at too often.
        NotAllowed: the old password is wrong, or the session ended meanwhile.
        InvalidInput: the new one is not good enough.
    """
    check_password(new, user.name)
    before = connection.execute("SELECT password FROM users WHERE id = ?", (user.id,)).fetchone()["password"]
    if before is not None:
        _count_as_failed(connection, user.name, actor.address)
        if not is_password(old, before):
            add_audit(connection, actor, "sign in refused", "session")
            raise NotAllowed("The present password is wrong.")
    kept = _kept_form(new, user)
    with writing(connection):
        holder = find_session(connection, session_id, idle_minutes=idle_minutes)
        now = connection.execute("SELECT password FROM users WHERE id = ?", (user.id,)).fetchone()["password"]
        if holder is None or holder.id != user.id or now != before:
            raise NotAllowed(SIGNED_OUT)
        _keep_password(connection, user, kept, actor=actor)


def confirm_password(connection: sqlite3.Connection, user: User, password: str, *, actor: Actor) -> None:
    """Let somebody who signs show once more who they are; guesses are counted as at the sign-in.

    Raises:
        TryLater: the password was guessed at too often.
        NotAllowed: it is wrong, the account is closed, or it has no password yet.
    """
    row = connection.execute("SELECT password, active FROM users WHERE id = ?", (user.id,)).fetchone()
    if row is None or not row["active"]:
        raise NotAllowed(f"This account is closed. Received: {user.name}")
    if row["password"] is None:
        raise NotAllowed(
            f"Set a password first, on the page of your account: a signature is made with it. Received: {user.name}, "
            "who has none"
        )
    _count_as_failed(connection, user.name, actor.address)
    if not is_password(password, row["password"]):
        add_audit(connection, actor, "signature refused", f"user {user.id}")
        raise NotAllowed("The password is wrong; nothing was signed.")
    with writing(connection):
        connection.execute("DELETE FROM sign_in_failures WHERE account = ?", (user.name,))


def find_session(connection: sqlite3.Connection, session_id: str, *, idle_minutes: int = 60) -> User | None:
    """The user of a session that is neither over nor idle, or None."""
    row = connection.execute(
        """SELECT users.* FROM sessions JOIN users ON users.id = sessions.user
           WHERE session_hash = ? AND expires_at > ? AND last_seen_at > ? AND active = 1""",
        (_hash(session_id), utc_now(), _in(minutes=-idle_minutes)),
    ).fetchone()
    return user_of(row) if row else None


def touch_session(connection: sqlite3.Connection, session_id: str) -> None:
    """The person did something: the session is not idle. Written at most every half minute, and only where it can be:
    while a backup tool holds the database or the disk is full, whoever only looks must not wait for a note of it.
    """
    seen = connection.execute(
        "SELECT 1 FROM sessions WHERE session_hash = ? AND last_seen_at > ?",
        (_hash(session_id), _in(seconds=-TOUCH_SECONDS)),
    ).fetchone()
    if seen is None:
        with suppress(Unavailable), waiting_at_most(connection, TOUCH_MILLISECONDS), writing(connection):
            connection.execute(
                "UPDATE sessions SET last_seen_at = ? WHERE session_hash = ?", (utc_now(), _hash(session_id))
            )


def list_last_seen(connection: sqlite3.Connection) -> dict[int, str]:
    """When each user who is signed in, by id, last did something."""
    rows = connection.execute("SELECT user, MAX(last_seen_at) AS at FROM sessions GROUP BY user")
    return {row["user"]: row["at"] for row in rows}


def end_session(connection: sqlite3.Connection, session_id: str, *, address: str = "") -> None:
    """Sign out: the session is gone from the server, whatever the browser keeps."""
    with writing(connection):
        row = connection.execute(
            "DELETE FROM sessions WHERE session_hash = ? RETURNING user", (_hash(session_id),)
        ).fetchone()
        if row:
            name = connection.execute("SELECT name FROM users WHERE id = ?", (row["user"],)).fetchone()["name"]
            add_audit(connection, Actor(name, "screen", address), "sign out", "session")


def end_sessions(connection: sqlite3.Connection, user: User) -> None:
    """Sign a user out everywhere, and let no link that was given to them sign them in."""
    with writing(connection):
        connection.execute("DELETE FROM sessions WHERE user = ?", (user.id,))
        connection.execute(
            "UPDATE sign_in_tokens SET used_at = ? WHERE user = ? AND used_at IS NULL", (utc_now(), user.id)
        )


def forget_the_past(connection: sqlite3.Connection) -> None:
    """Remove what has run out: sessions, tokens, failures. The audit keeps that they were."""
    with writing(connection):
        connection.execute("DELETE FROM sessions WHERE expires_at < ?", (utc_now(),))
        connection.execute("DELETE FROM sign_in_tokens WHERE expires_at < ?", (_in(hours=-24 * 30),))
        connection.execute("DELETE FROM sign_in_failures WHERE at < ?", (_in(minutes=-REMEMBERED_MINUTES),))


def _begin_session(connection: sqlite3.Connection, user: User, hours: int, address: str, *, how: str) -> str:
    forget_the_past(connection)
    session_id = secrets.token_urlsafe(32)
    connection.execute(
        "INSERT INTO sessions (session_hash, user, created_at, expires_at, last_seen_at) VALUES (?, ?, ?, ?, ?)",
        (_hash(session_id), user.id, utc_now(), _in(hours=hours), utc_now()),
    )
    add_audit(connection, Actor(user.name, "screen", address), "sign in", "session", by=how)
    return session_id


def _count_as_failed(connection: sqlite3.Connection, name: str, address: str) -> None:
    """Let an attempt begin, and count it as failed until it has succeeded.

    Looking and counting are one transaction before the slow sum: of many guesses sent at once, each sees those
    before it.

    Raises:
        TryLater: there were too many failures.
    """
    with writing(connection):
        wait = seconds_to_wait(connection, name, address)
        if wait:
            raise TryLater(wait)
        forget_the_past(connection)
        connection.execute(
            "INSERT INTO sign_in_failures (at, account, address) VALUES (?, ?, ?)",
            (utc_now(), _counted_name(connection, name), caller_of(address)),
        )


def _counted_name(connection: sqlite3.Connection, name: str) -> str:
    """Under what failures of a name are counted; a name that nobody bears may be a password, so its hash."""
    return name if _row_of(connection, name) else _hash(name)


def _row_of(connection: sqlite3.Connection, name: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute("SELECT * FROM users WHERE name = ?", (name,)).fetchone()
    return row


def _kept_form(password: str, user: User) -> str:
    """What is stored of a password that is good enough."""
    check_password(password, user.name)
    return hash_password(password)


def _keep_password(connection: sqlite3.Connection, user: User, kept: str, *, actor: Actor) -> None:
    """Store it and end every session of the user, whoever holds them."""
    with writing(connection):
        connection.execute("UPDATE users SET password = ? WHERE id = ?", (kept, user.id))
        end_sessions(connection, user)
        connection.execute("DELETE FROM sign_in_failures WHERE account = ?", (user.name,))
        add_audit(connection, actor, "set password", f"user {user.id}", user=user.name)


def _wait(connection: sqlite3.Connection, column: str, value: str, locking: int, *, doubling: bool) -> int:
    now = datetime.now(UTC)
    rows = connection.execute(
        f"SELECT at FROM sign_in_failures WHERE {column} = ? AND at > ? ORDER BY at",
        (value, utc_text(now - timedelta(minutes=REMEMBERED_MINUTES))),
    ).fetchall()
    failures = [datetime.fromisoformat(row["at"]) for row in rows]
    if len(failures) >= locking:
        until = failures[-locking] + timedelta(minutes=REMEMBERED_MINUTES)
    elif doubling and len(failures) > FREE_FAILURES:
        until = failures[-1] + timedelta(seconds=2 ** (len(failures) - FREE_FAILURES))
    else:
        return 0
    left = (until - now).total_seconds()
    return max(0, min(int(left) + 1, REMEMBERED_MINUTES * 60)) if left > 0 else 0


def _in(*, hours: int = 0, minutes: int = 0, seconds: int = 0) -> str:
    return utc_text(datetime.now(UTC) + timedelta(hours=hours, minutes=minutes, seconds=seconds))


def _duration(seconds: int) -> str:
    return f"{seconds} seconds" if seconds < 90 else f"{round(seconds / 60)} minutes"


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
