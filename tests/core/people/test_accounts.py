import sqlite3

import pytest

from core.errors import InvalidInput, NotAllowed, NotFound
from core.people.accounts import (
    end_session,
    ensure_user,
    find_session,
    get_user,
    issue_token,
    list_users,
    redeem_token,
)


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


def test_a_token_signs_in_once(connection: sqlite3.Connection) -> None:
    anna = ensure_user(connection, "anna")
    token = issue_token(connection, anna)
    session_id = redeem_token(connection, token, hours=1)
    assert find_session(connection, session_id) == anna
    with pytest.raises(NotAllowed, match="used before"):
        redeem_token(connection, token, hours=1)


def test_a_made_up_token_signs_nobody_in(connection: sqlite3.Connection) -> None:
    with pytest.raises(NotAllowed):
        redeem_token(connection, "guess", hours=1)


def test_a_session_ends_on_sign_out_and_by_age(connection: sqlite3.Connection) -> None:
    anna = ensure_user(connection, "anna")
    session_id = redeem_token(connection, issue_token(connection, anna), hours=1)
    end_session(connection, session_id)
    assert find_session(connection, session_id) is None
    expired = redeem_token(connection, issue_token(connection, anna), hours=0)
    assert find_session(connection, expired) is None


def test_the_database_holds_no_secret(connection: sqlite3.Connection) -> None:
    token = issue_token(connection, ensure_user(connection, "anna"))
    session_id = redeem_token(connection, token, hours=1)
    dump = "\n".join(connection.iterdump())
    assert token not in dump
    assert session_id not in dump
