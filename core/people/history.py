"""What became of an account lately, for its owner: Readroom sends no mail, so the account's own page says it.

The audit is the source: it keeps every sign-in, every refusal and every password that was set.
"""

import sqlite3
from dataclasses import dataclass

from core.people.accounts import User
from core.store.audit import AuditRow, list_audit


@dataclass(frozen=True)
class SignIn:
    """When somebody signed in, and from which address."""

    at: str
    address: str


@dataclass(frozen=True)
class AccountHistory:
    """The newest sign-in, the one before it, how many were refused since that one, and when the password was set."""

    signed_in: SignIn | None = None
    signed_in_before: SignIn | None = None
    refused: int = 0
    password_set_at: str | None = None


def account_history(connection: sqlite3.Connection, user: User) -> AccountHistory:
    """What the audit knows of an account."""
    # all of them: the refusals of a night of guessing would hide the sign-ins before them, and so themselves
    rows = list_audit(connection, who=user.name, what="sign in", limit=None)
    done = [row for row in rows if row.what == "sign in"]
    before = done[1].id if len(done) > 1 else 0
    refused = sum(row.what == "sign in refused" and row.id > before for row in rows)
    passwords = list_audit(connection, what="set password", subject=f"user {user.id}", limit=1)
    return AccountHistory(
        _sign_in(done, 0), _sign_in(done, 1), refused, passwords[0].at if passwords and user.has_password else None
    )


def _sign_in(rows: list[AuditRow], at: int) -> SignIn | None:
    return SignIn(rows[at].at, rows[at].address) if at < len(rows) else None
