"""Signing in, staying in, being sent away: by a clock that the test turns."""

import sqlite3
from collections.abc import Callable

import pytest

from core.errors import InvalidInput, NotAllowed
from core.people import sessions
from core.people.accounts import User, ensure_user, get_user
from core.people.invitations import reset_user, set_active
from core.people.sessions import (
    UNKNOWN_NAME,
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
    sign_in,
    touch_session,
)
from core.settings import Settings
from core.store.audit import Actor, list_audit
from core.store.database import connect
from tests.core.people.clock import TurnedClock

PASSWORD, WRONG = "seven blue horses", "eight grey horses"
WARD = "10.0.0.7"
RUN_OUT = ("sessions", "sign_in_tokens", "sign_in_failures")


@pytest.fixture(autouse=True)
def cheap_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """scrypt at full cost takes a tenth of a second; how it is kept is tested in test_passwords."""
    monkeypatch.setattr(sessions, "hash_password", lambda password: f"sum of {password}")
    monkeypatch.setattr(sessions, "is_password", lambda password, kept: kept == f"sum of {password}")


@pytest.fixture
def ben(connection: sqlite3.Connection, clock: TurnedClock) -> User:
    made = ensure_user(connection, "ben")
    redeem_token(connection, issue_token(connection, made, purpose="invitation"), hours=1, new_password=PASSWORD)
    return get_user(connection, "ben")


def try_in(connection: sqlite3.Connection, password: str = WRONG, name: str = "ben", address: str = WARD) -> str:
    return sign_in(connection, name, password, hours=12, address=address)


def change(
    connection: sqlite3.Connection, user: User, old: str, session_id: str, new: str = "a better password"
) -> None:
    change_password(connection, user, old, new, actor=Actor(user.name, "screen", WARD), session_id=session_id)


def meanwhile(monkeypatch: pytest.MonkeyPatch, slow: str, act: Callable[[], object]) -> None:
    """Have something else happen, once, while a sum of a password is made; then the sum is as it was."""
    told = getattr(sessions, slow)

    def work(*given: object) -> object:
        monkeypatch.setattr(sessions, slow, told)
        act()
        return told(*given)

    monkeypatch.setattr(sessions, slow, work)


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


def test_what_is_typed_as_an_unknown_name_is_kept_nowhere(connection: sqlite3.Connection, ben: User) -> None:
    for name in (PASSWORD, "ben"):
        with pytest.raises(NotAllowed):
            try_in(connection, name=name)
    assert [row.who for row in list_audit(connection, what="sign in refused")] == ["ben", UNKNOWN_NAME]
    connection.execute("UPDATE users SET password = NULL")  # where this test's cheap sum tells it
    assert PASSWORD not in "\n".join(connection.iterdump())


def test_guesses_sent_at_once_are_no_more_than_guesses_one_by_one(
    connection: sqlite3.Connection, settings: Settings, ben: User, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = connect(settings)
    begun: list[str] = []

    def guess_beside(password: str, kept: str | None) -> bool:
        """While this sum is made, the next guess arrives."""
        begun.append(password)
        with pytest.raises(NotAllowed):
            try_in(other)
        return False

    monkeypatch.setattr(sessions, "is_password", guess_beside)
    with pytest.raises(NotAllowed, match="wrong"):
        try_in(connection)
    assert len(begun) == 3, "the fourth was told to wait"
    other.close()


def test_guesses_at_the_present_password_sent_at_once_are_counted_too(
    connection: sqlite3.Connection, ben: User, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = try_in(connection, PASSWORD)
    begun: list[str] = []

    def guess_beside(password: str, kept: str | None) -> bool:
        begun.append(password)
        with pytest.raises(NotAllowed):
            change(connection, ben, WRONG, session_id)
        return False

    monkeypatch.setattr(sessions, "is_password", guess_beside)
    with pytest.raises(NotAllowed, match="wrong"):
        change(connection, ben, WRONG, session_id)
    assert len(begun) == 3


def test_a_sign_in_during_a_reset_or_a_deactivation_fails(
    connection: sqlite3.Connection, ben: User, shell: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_user(connection, "anna", role="admin")
    meanwhile(monkeypatch, "is_password", lambda: set_active(connection, "ben", False, actor=shell))
    with pytest.raises(NotAllowed, match="wrong"):
        try_in(connection, PASSWORD)
    set_active(connection, "ben", True, actor=shell)
    meanwhile(monkeypatch, "is_password", lambda: reset_user(connection, "ben", actor=shell))
    with pytest.raises(NotAllowed, match="wrong"):
        try_in(connection, PASSWORD)
    assert connection.execute("SELECT COUNT(*) FROM sessions").fetchone()[0] == 0


def test_an_ipv6_caller_counts_by_the_half_that_is_given_out_and_the_audit_tells_the_whole(
    connection: sqlite3.Connection, ben: User, clock: TurnedClock
) -> None:
    rows = [(clock.text(), f"guess {number}", "20010db800010002::/64") for number in range(59)]
    connection.executemany("INSERT INTO sign_in_failures (at, account, address) VALUES (?, ?, ?)", rows)
    with pytest.raises(NotAllowed, match="wrong"):
        try_in(connection, name="nobody", address="2001:db8:1:2::7")
    assert list_audit(connection, what="sign in refused")[0].address == "2001:db8:1:2::7"
    with pytest.raises(TryLater):
        try_in(connection, PASSWORD, address="2001:db8:1:2:ffff::1")
    assert try_in(connection, PASSWORD, address="2001:db8:1:3::7")


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
    change(connection, ben, PASSWORD, session_id)
    assert find_session(connection, session_id) is None
    with pytest.raises(NotAllowed):
        try_in(connection, PASSWORD)


def test_whoever_was_signed_out_by_a_reset_sets_no_password_without_the_old_one(
    connection: sqlite3.Connection, ben: User, shell: Actor
) -> None:
    session_id = try_in(connection, PASSWORD)
    token = reset_user(connection, "ben", actor=shell)
    with pytest.raises(NotAllowed, match="signed out meanwhile"):
        change(connection, ben, "", session_id)
    assert not get_user(connection, "ben").has_password
    assert look_at_token(connection, token)


def test_a_reset_while_the_new_password_is_made_up_wins(
    connection: sqlite3.Connection, ben: User, shell: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = try_in(connection, PASSWORD)
    meanwhile(monkeypatch, "hash_password", lambda: reset_user(connection, "ben", actor=shell))
    with pytest.raises(NotAllowed, match="signed out meanwhile"):
        change(connection, ben, PASSWORD, session_id)
    assert not get_user(connection, "ben").has_password


def test_a_session_changes_its_own_users_password_and_not_after_another_change(
    connection: sqlite3.Connection, ben: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    carla = ensure_user(connection, "carla")
    with pytest.raises(NotAllowed, match="signed out meanwhile"):
        change(connection, carla, "", try_in(connection, PASSWORD))
    session_id = try_in(connection, PASSWORD)
    write = "UPDATE users SET password = 'another' WHERE name = 'ben'"
    meanwhile(monkeypatch, "hash_password", lambda: connection.execute(write))
    with pytest.raises(NotAllowed, match="signed out meanwhile"):
        change(connection, ben, PASSWORD, session_id)


def test_others_write_while_a_sum_is_made(
    connection: sqlite3.Connection, settings: Settings, ben: User, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sqlite3.connect(settings.database_path, timeout=0, isolation_level=None)

    def write() -> None:
        other.execute("UPDATE users SET role = role")

    meanwhile(monkeypatch, "hash_password", write)
    session_id = redeem_token(connection, issue_token(connection, ben), hours=1, new_password=PASSWORD)
    meanwhile(monkeypatch, "hash_password", write)
    change(connection, ben, PASSWORD, session_id, PASSWORD)
    meanwhile(monkeypatch, "is_password", write)
    assert try_in(connection, PASSWORD)
    other.close()


def test_a_token_used_while_the_password_is_made_up_is_used(
    connection: sqlite3.Connection, ben: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issue_token(connection, ben, purpose="reset")
    meanwhile(monkeypatch, "hash_password", lambda: redeem_token(connection, token, hours=1))
    with pytest.raises(NotAllowed, match="used before"):
        redeem_token(connection, token, hours=1, new_password="a better password")
    assert try_in(connection, PASSWORD)


def test_changing_a_password_takes_the_old_one_and_guesses_at_it_are_slowed_down(
    connection: sqlite3.Connection, ben: User, clock: TurnedClock
) -> None:
    session_id = try_in(connection, PASSWORD)
    for _ in range(3):
        with pytest.raises(NotAllowed, match="present password is wrong"):
            change(connection, ben, WRONG, session_id)
    with pytest.raises(TryLater):
        change(connection, ben, PASSWORD, session_id)
    clock.turn(seconds=3)
    change(connection, ben, PASSWORD, session_id)


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
    for table in RUN_OUT:
        assert connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] == 0


def test_what_has_run_out_is_forgotten_by_itself(connection: sqlite3.Connection, ben: User, clock: TurnedClock) -> None:
    try_in(connection, PASSWORD)
    issue_token(connection, ben)
    with pytest.raises(NotAllowed):
        try_in(connection)
    clock.turn(days=40)
    with pytest.raises(NotAllowed):
        try_in(connection, name="nobody")
    left = {table: connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in RUN_OUT}
    assert left == {"sessions": 0, "sign_in_tokens": 0, "sign_in_failures": 1}
    clock.turn(days=1)
    redeem_token(connection, issue_token(connection, ben), hours=1)
    assert connection.execute("SELECT COUNT(*) FROM sign_in_failures").fetchone()[0] == 0
