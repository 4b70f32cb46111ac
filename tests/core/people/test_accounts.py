"""Everybody with a name."""

import os
import pwd
import sqlite3
import sys

import pytest

from core.errors import InvalidInput, NotFound
from core.people.accounts import ensure_user, get_user, list_users, operating_system_user
from core.people.passwords import hash_password


def test_a_user_is_made_once_and_keeps_kind_and_role(connection: sqlite3.Connection) -> None:
    made = ensure_user(connection, "anna", role="admin")
    assert ensure_user(connection, " anna ", kind="imported") == made
    assert [user.name for user in list_users(connection)] == ["anna"]


def test_a_user_without_a_name_is_refused(connection: sqlite3.Connection) -> None:
    with pytest.raises(InvalidInput, match="needs a name"):
        ensure_user(connection, "  ")


def test_an_unknown_user_is_not_found(connection: sqlite3.Connection) -> None:
    with pytest.raises(NotFound, match="There is no user bert"):
        get_user(connection, "bert")


def test_a_user_says_that_there_is_a_password_and_never_which(connection: sqlite3.Connection) -> None:
    assert not ensure_user(connection, "anna").has_password
    kept = hash_password("four words and more")
    connection.execute("UPDATE users SET password = ? WHERE name = 'anna'", (kept,))
    assert get_user(connection, "anna").has_password
    assert kept not in repr(get_user(connection, "anna"))


def test_the_command_line_s_user_is_who_the_system_says_and_not_who_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody else")
    assert operating_system_user() == pwd.getpwuid(os.geteuid()).pw_name


def test_a_user_without_a_name_in_the_system_acts_under_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_001)
    assert operating_system_user() == "uid 4000000001"


def test_where_the_system_has_no_table_of_users_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pwd", None)
    monkeypatch.setenv("LOGNAME", "anna")
    assert operating_system_user() == "anna"
