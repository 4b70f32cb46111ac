"""Signing in, staying in, being sent away: by a clock that the test turns."""

import sqlite3

import pytest

from core.errors import InvalidInput, NotAllowed
from core.people import sessions
from core.people.accounts import User, ensure_user, get_user
from core.people.invitations import set_active
from core.people.sessions import (
    TryLater,
    change_password,
    end_session,
    end_sessions,
    find_session,
    forget_the_past,
    issue_token,
    list_last_seen,
    look_at_token,
    redeem_token,
    set_password,
    sign_in,
    touch_session,
)
from core.store.audit import Actor, list_audit
from tests.core.people.clock import TurnedClock

PASSWORD, WRONG = "seven blue horses", "eight grey horses"
WARD = "10.0.0.7"


@pytest.fixture(autouse=True)
def cheap_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """scrypt at full cost takes a tenth of a second; how it is kept is tested in test_passwords."""
    monkeypatch.setattr(sessions, "hash_password", lambda password: f"sum of {password}")
    monkeypatch.setattr(sessions, "is_password", lambda password, kept: kept == f"sum of {password}")


@pytest.fixture
def ben(connection: sqlite3.Connection, clock: TurnedClock) -> User:
    made = ensure_user(connection, "ben")
    set_password(connection, made, PASSWORD, actor=Actor("ben", "screen"))
    return get_user(connection, "ben")


def try_in(connection: sqlite3.Connection, password: str = WRONG, name: str = "ben", address: str = WARD) -> str:
    return sign_in(connection, name, password, hours=12, address=address)


def test_name_and_password_sign_in(connection: sqlite3.Connection, ben: User) -> None:
    assert find_session(connection, try_in(connection, PASSWORD, " ben ")) == ben


def test_a_refusal_does_not_say_whether_the_name_is_known(connection: sqlite3.Connection, ben: User) -> None:
    told = set()
    for name in ("ben", "nobody"):
        with pytest.raises(NotAllowed) as refused:
            try_in(connection, name=name)
        told.add(str(refused.value))
    assert len(told) == 1


def test_from_the_third_failure_on_each_attempt_waits_twice_as_long(
    connection: sqlite3.Connection, ben: User, clock: TurnedClock
) -> None:
    for _ in range(3):
        with pytest.raises(NotAllowed, match="wrong"):
            try_in(connection)
    for seconds in (2, 4, 8):
        with pytest.raises(TryLater) as refused:
            try_in(connection, PASSWORD)  # even the right one
        assert seconds <= refused.value.seconds <= seconds + 1
        clock.turn(seconds=seconds + 0.1)
        with pytest.raises(NotAllowed, match="wrong"):
            try_in(connection)


def test_ten_failures_lock_a_name_out_and_a_quarter_of_an_hour_opens_it(
    connection: sqlite3.Connection, ben: User, clock: TurnedClock
) -> None:
    now = clock.text()
    connection.executemany(
        "INSERT INTO sign_in_failures (at, account, address) VALUES (?, ?, ?)", [(now, "ben", WARD)] * 10
    )
    clock.turn(minutes=14)
    with pytest.raises(TryLater):
        try_in(connection, PASSWORD)
    clock.turn(minutes=1, seconds=1)
    assert try_in(connection, PASSWORD)


def test_a_name_nobody_bears_is_locked_out_just_the_same(connection: sqlite3.Connection, clock: TurnedClock) -> None:
    for _ in range(3):
        with pytest.raises(NotAllowed, match="wrong"):
            try_in(connection, name="nobody")
    with pytest.raises(TryLater):
        try_in(connection, name="nobody")


def test_one_readers_failures_do_not_keep_the_ward_out_but_sixty_do(
    connection: sqlite3.Connection, ben: User, clock: TurnedClock
) -> None:
    now = clock.text()
    rows = [(now, f"guess {number}", WARD) for number in range(59)]
    connection.executemany("INSERT INTO sign_in_failures (at, account, address) VALUES (?, ?, ?)", rows)
    assert try_in(connection, PASSWORD)
    connection.execute("INSERT INTO sign_in_failures (at, account, address) VALUES (?, 'one more', ?)", (now, WARD))
    with pytest.raises(TryLater):
        try_in(connection, PASSWORD)
    assert try_in(connection, PASSWORD, address="10.0.0.8")


def test_a_success_forgets_the_failures_of_the_name(
    connection: sqlite3.Connection, ben: User, clock: TurnedClock
) -> None:
    for _ in range(2):
        with pytest.raises(NotAllowed, match="wrong"):
            try_in(connection)
    try_in(connection, PASSWORD)
    for _ in range(2):
        with pytest.raises(NotAllowed, match="wrong"):
            try_in(connection)
    assert try_in(connection, PASSWORD)


def test_failures_are_in_the_audit_with_their_address_and_without_the_password(
    connection: sqlite3.Connection, ben: User
) -> None:
    with pytest.raises(NotAllowed):
        try_in(connection)
    (row,) = list_audit(connection, what="sign in refused")
    assert (row.who, row.address) == ("ben", WARD)
    assert WRONG not in "\n".join(connection.iterdump())


def test_an_idle_session_ends_and_a_touched_one_goes_on(
    connection: sqlite3.Connection, ben: User, clock: TurnedClock
) -> None:
    idle, busy = try_in(connection, PASSWORD), try_in(connection, PASSWORD)
    clock.turn(minutes=40)
    touch_session(connection, busy)
    clock.turn(minutes=40)
    assert find_session(connection, idle, idle_minutes=60) is None
    assert find_session(connection, busy, idle_minutes=60) == ben


def test_a_touch_is_written_at_most_every_half_minute(
    connection: sqlite3.Connection, ben: User, clock: TurnedClock
) -> None:
    session_id = try_in(connection, PASSWORD)
    began = list_last_seen(connection)[ben.id]
    clock.turn(seconds=20)
    touch_session(connection, session_id)
    assert list_last_seen(connection)[ben.id] == began
    clock.turn(seconds=20)
    touch_session(connection, session_id)
    assert list_last_seen(connection)[ben.id] == clock.text()


def test_a_session_ends_by_age_however_busy_it_is(
    connection: sqlite3.Connection, ben: User, clock: TurnedClock
) -> None:
    session_id = try_in(connection, PASSWORD)
    for _ in range(23):
        clock.turn(minutes=30)
        touch_session(connection, session_id)
    assert find_session(connection, session_id, idle_minutes=60) == ben
    clock.turn(minutes=31)
    touch_session(connection, session_id)
    assert find_session(connection, session_id, idle_minutes=60) is None


def test_signing_out_ends_this_session_and_no_other(connection: sqlite3.Connection, ben: User) -> None:
    first, second = try_in(connection, PASSWORD), try_in(connection, PASSWORD)
    end_session(connection, first)
    assert find_session(connection, first) is None
    assert find_session(connection, second) == ben


def test_everything_of_a_user_can_be_revoked_at_once(connection: sqlite3.Connection, ben: User) -> None:
    session_id, token = try_in(connection, PASSWORD), issue_token(connection, ben)
    end_sessions(connection, ben)
    assert find_session(connection, session_id) is None
    with pytest.raises(NotAllowed):
        look_at_token(connection, token)


def test_a_deactivated_user_is_out_at_once_and_stays_out(
    connection: sqlite3.Connection, ben: User, shell: Actor
) -> None:
    ensure_user(connection, "anna", role="admin")
    session_id = try_in(connection, PASSWORD)
    set_active(connection, "ben", False, actor=shell)
    assert find_session(connection, session_id) is None
    with pytest.raises(NotAllowed, match="wrong"):
        try_in(connection, PASSWORD)
    with pytest.raises(NotAllowed):
        redeem_token(connection, issue_token(connection, ben), hours=1)
    set_active(connection, "ben", True, actor=shell)
    assert try_in(connection, PASSWORD)


def test_a_token_signs_in_once(connection: sqlite3.Connection, ben: User) -> None:
    token = issue_token(connection, ben)
    assert find_session(connection, redeem_token(connection, token, hours=1)) == ben
    with pytest.raises(NotAllowed, match="used before"):
        redeem_token(connection, token, hours=1)
    with pytest.raises(NotAllowed):
        redeem_token(connection, "guess", hours=1)


@pytest.mark.parametrize(("purpose", "hours"), [("link", 24), ("invitation", 72), ("reset", 24)])
def test_a_token_is_good_for_its_hours(
    connection: sqlite3.Connection, ben: User, clock: TurnedClock, purpose: sessions.Purpose, hours: int
) -> None:
    token = issue_token(connection, ben, purpose=purpose)
    clock.turn(hours=hours - 1)
    assert look_at_token(connection, token).purpose == purpose
    clock.turn(hours=1)
    with pytest.raises(NotAllowed, match="too old"):
        look_at_token(connection, token)


def test_a_bad_password_leaves_the_token_good(connection: sqlite3.Connection, ben: User) -> None:
    token = issue_token(connection, ben, purpose="reset")
    with pytest.raises(InvalidInput):
        redeem_token(connection, token, hours=1, new_password="short")
    assert redeem_token(connection, token, hours=1, new_password="a better password")
    assert try_in(connection, "a better password")


def test_a_new_password_ends_every_session(connection: sqlite3.Connection, ben: User) -> None:
    session_id = try_in(connection, PASSWORD)
    change_password(connection, ben, PASSWORD, "a better password", actor=Actor("ben", "screen"))
    assert find_session(connection, session_id) is None
    with pytest.raises(NotAllowed):
        try_in(connection, PASSWORD)


def test_changing_a_password_takes_the_old_one_and_guesses_at_it_are_slowed_down(
    connection: sqlite3.Connection, ben: User, clock: TurnedClock
) -> None:
    for _ in range(3):
        with pytest.raises(NotAllowed, match="present password is wrong"):
            change_password(connection, ben, WRONG, "a better password", actor=Actor("ben", "screen"))
    with pytest.raises(TryLater):
        change_password(connection, ben, PASSWORD, "a better password", actor=Actor("ben", "screen"))


def test_the_database_holds_no_secret(connection: sqlite3.Connection, ben: User) -> None:
    token = issue_token(connection, ben)
    session_id = redeem_token(connection, token, hours=1)
    dump = "\n".join(connection.iterdump())
    assert token not in dump
    assert session_id not in dump


def test_what_has_run_out_is_forgotten(connection: sqlite3.Connection, ben: User, clock: TurnedClock) -> None:
    try_in(connection, PASSWORD)
    issue_token(connection, ben)
    with pytest.raises(NotAllowed):
        try_in(connection)
    clock.turn(days=40)
    forget_the_past(connection)
    for table in ("sessions", "sign_in_tokens", "sign_in_failures"):
        assert connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] == 0
