"""What the owner of an account is told of it."""

import sqlite3

from core.people.accounts import ensure_user
from core.people.history import account_history
from core.store.audit import Actor, add_audit
from core.store.database import writing


def test_a_night_of_guessing_is_told_however_many_guesses_there_were(connection: sqlite3.Connection) -> None:
    user = ensure_user(connection, "ben")
    at_home, guesser = Actor("ben", "screen", "10.0.0.1"), Actor("ben", "screen", "10.0.0.9")
    with writing(connection):
        add_audit(connection, at_home, "sign in", "session", by="password")
        for _ in range(250):
            add_audit(connection, guesser, "sign in refused", "session")
        add_audit(connection, at_home, "sign in", "session", by="password")
    history = account_history(connection, user)
    assert history.refused == 250
    assert history.signed_in_before is not None
    assert history.signed_in_before.address == "10.0.0.1"
