"""Signing in by password, setting one by invitation, being locked out, and one's own account, over HTTP."""

import asyncio
import sqlite3
import threading
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from core.clock import utc_text
from core.people import sessions
from core.people.accounts import User, get_user
from core.people.history import account_history
from core.people.invitations import invite_user, reset_user, set_active
from core.people.sessions import find_session, issue_token, look_at_token, redeem_token
from core.settings import Settings
from core.store.audit import Actor, list_audit
from core.store.database import opened
from dashboard.database import ask_in_turn
from dashboard.routes.account import sign_out_everywhere
from tests.dashboard.conftest import COOKIE

PASSWORD = "seven blue horses"


@pytest.fixture(autouse=True)
def cheap_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "hash_password", lambda password: f"sum of {password}")
    monkeypatch.setattr(sessions, "is_password", lambda password, kept: kept == f"sum of {password}")


@pytest.fixture
def known(connection: sqlite3.Connection, anna: User) -> User:
    redeem_token(connection, issue_token(connection, anna, purpose="invitation"), hours=1, new_password=PASSWORD)
    return get_user(connection, "anna")


def sign_in(client: TestClient, password: str = PASSWORD, name: str = "anna", back: str = "/label"):  # type: ignore[no-untyped-def]
    return client.post("/sign-in", data={"name": name, "password": password, "next": back})


def test_name_and_password_let_in_and_lead_back(stranger: TestClient, known: User) -> None:
    assert 'autocomplete="current-password"' in stranger.get("/sign-in").text
    answer = sign_in(stranger)
    assert answer.status_code == 200
    assert 'content="0;url=/label"' in answer.text
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert stranger.get("/api/v1/cases/1").status_code == 404  # signed in: only the case is missing


def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(stranger: TestClient, known: User) -> None:
    answers = [sign_in(stranger, password="eight grey horses"), sign_in(stranger, name="nobody")]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].text == answers[1].text
    assert COOKIE not in stranger.cookies


def test_ten_failures_are_answered_429_with_the_time_to_wait(
    stranger: TestClient, known: User, connection: sqlite3.Connection
) -> None:
    now = utc_text(datetime.now(UTC))
    rows = [(now, "anna", "10.0.0.7")] * 10
    connection.executemany("INSERT INTO sign_in_failures (at, account, address) VALUES (?, ?, ?)", rows)
    answer = sign_in(stranger)
    assert answer.status_code == 429
    assert 800 < int(answer.headers["retry-after"]) <= 900
    assert "Try again in" in answer.text
    assert COOKIE not in stranger.cookies


def test_an_invitation_asks_for_a_password_and_then_lets_in(
    stranger: TestClient, known: User, connection: sqlite3.Connection
) -> None:
    token = invite_user(connection, "ben", actor=Actor("anna", "screen"))
    form = stranger.get(f"/sign-in?token={token}")
    assert form.status_code == 200
    assert 'name="new_password"' in form.text
    assert COOKIE not in stranger.cookies
    for chosen, repeated in (("short", "short"), (PASSWORD, PASSWORD + "!")):
        refused = stranger.post("/sign-in", data={"token": token, "new_password": chosen, "repeated": repeated})
        assert refused.status_code == 422
        assert 'role="alert"' in refused.text
        assert chosen not in refused.text
    taken = stranger.post("/sign-in", data={"token": token, "new_password": PASSWORD, "repeated": PASSWORD})
    assert taken.status_code == 200
    assert COOKIE in taken.cookies
    stranger.cookies.clear()
    assert stranger.get(f"/sign-in?token={token}").status_code == 401
    assert sign_in(stranger, name="ben").status_code == 200


def test_a_deactivated_user_is_out_with_the_next_request(
    stranger: TestClient, known: User, connection: sqlite3.Connection
) -> None:
    shell = Actor("root", "command line")
    token = invite_user(connection, "ben", actor=shell)
    stranger.post("/sign-in", data={"token": token, "new_password": PASSWORD, "repeated": PASSWORD})
    assert stranger.get("/account").status_code == 200
    set_active(connection, "ben", False, actor=shell)
    assert stranger.get("/account").status_code == 401
    assert sign_in(stranger, name="ben").status_code == 401


def test_an_idle_session_is_401_and_the_answer_is_taken_after_the_next_sign_in(
    stranger: TestClient, known: User, connection: sqlite3.Connection
) -> None:
    sign_in(stranger)
    connection.execute("UPDATE sessions SET last_seen_at = '2026-01-01T00:00:00.000Z'")
    event = {"event": "e1", "type": "label", "case": 1}
    assert stranger.post("/api/v1/events", json={"events": [event]}).status_code == 401
    sign_in(stranger)
    assert stranger.post("/api/v1/events", json={"events": [event]}).status_code == 422


def test_ones_own_account_sets_another_password_and_signs_out_everywhere(stranger: TestClient, known: User) -> None:
    sign_in(stranger)
    form = {"password": "eight grey horses", "new_password": "a better password", "repeated": "a better password"}
    assert stranger.post("/account", data=form).status_code == 403
    assert stranger.post("/account", data=form | {"password": PASSWORD, "repeated": "x"}).status_code == 422
    kept = stranger.cookies[COOKIE]
    assert stranger.post("/account", data=form | {"password": PASSWORD}).status_code == 303
    stranger.cookies.set(COOKIE, kept)
    assert stranger.get("/account").status_code == 401
    stranger.cookies.clear()
    assert sign_in(stranger, password="a better password").status_code == 200


def test_ones_own_account_says_what_became_of_it_lately(
    stranger: TestClient, known: User, connection: sqlite3.Connection
) -> None:
    """Readroom sends no mail: that somebody else signed in, guessed, or set the password is read here."""
    sign_in(stranger)
    assert sign_in(stranger, password="eight grey horses").status_code == 401
    sign_in(stranger)
    newest = [row.at for row in list_audit(connection, who="anna") if row.what == "sign in"]
    text = stranger.get("/account").text
    for at in newest[:2]:
        assert f"{at[:10]} {at[11:16]} UTC from testclient" in text
    assert "Refused since then: 1." in text
    (was_set,) = [row.at for row in list_audit(connection, what="set password")]
    assert f"last set {was_set[:10]} {was_set[11:16]} UTC" in text
    history = account_history(connection, known)
    assert history.signed_in is not None
    assert (history.signed_in.at, history.refused) == (newest[0], 1)


def test_signing_out_everywhere_ends_the_other_device_too(stranger: TestClient, known: User) -> None:
    sign_in(stranger)
    other = stranger.cookies[COOKIE]
    stranger.cookies.clear()
    sign_in(stranger)
    assert stranger.post("/account/sign-out-everywhere").status_code == 303
    stranger.cookies.clear()
    stranger.cookies.set(COOKIE, other)
    assert stranger.get("/account").status_code == 401


def test_looking_whether_a_link_is_there_does_not_use_it_up(
    stranger: TestClient, anna: User, connection: sqlite3.Connection
) -> None:
    token = issue_token(connection, anna)
    looked = stranger.head(f"/sign-in?token={token}")
    assert looked.status_code == 200
    assert "set-cookie" not in looked.headers
    assert look_at_token(connection, token)
    assert COOKIE in stranger.get(f"/sign-in?token={token}").cookies


def test_a_form_held_back_over_a_reset_sets_no_password(
    stranger: TestClient, known: User, settings: Settings, connection: sqlite3.Connection
) -> None:
    """The session is looked at when the headers arrive; the body comes after the administrator's reset."""
    sign_in(stranger)
    resets: list[str] = []

    async def receive_late() -> Message:
        with opened(settings) as another:
            resets.append(reset_user(another, "anna", actor=Actor("root", "command line")))
        body = b"new_password=a+better+password&repeated=a+better+password"
        return {"type": "http.request", "body": body, "more_body": False}

    async def held_back(scope: Scope, receive: Receive, send: Send) -> None:
        await stranger.app(scope, receive_late, send)

    late = TestClient(held_back, base_url=str(stranger.base_url), follow_redirects=False)
    late.cookies.set(COOKIE, stranger.cookies[COOKIE])
    answer = late.post("/account", headers={"content-type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 403
    assert "signed out meanwhile" in answer.text
    assert not get_user(connection, "anna").has_password
    assert look_at_token(connection, resets[0]), "the link of the reset is still good"


def test_signing_out_everywhere_from_a_session_that_is_over_voids_no_new_link(
    stranger: TestClient, known: User, connection: sqlite3.Connection
) -> None:
    sign_in(stranger)
    token = reset_user(connection, "anna", actor=Actor("root", "command line"))
    sign_out_everywhere(connection, known, "", session_id=stranger.cookies[COOKIE])
    assert find_session(connection, stranger.cookies[COOKIE]) is None
    assert look_at_token(connection, token)


@pytest.mark.parametrize("charset", ["utf-7", "punycode", "undefined", "no-such"])
def test_a_form_in_an_odd_encoding_is_refused_and_breaks_nothing(
    stranger: TestClient, known: User, charset: str
) -> None:
    parts = [f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n' for name in ("name", "password")]
    body = "".join(part + "+2AA-\r\n" for part in parts) + "--x--\r\n"
    kind = f"multipart/form-data; boundary=x; charset={charset}"
    answer = stranger.post("/sign-in", content=body.encode(), headers={"content-type": kind})
    assert answer.status_code in (401, 422)


def test_who_waits_for_a_sum_holds_no_thread_that_others_need(settings: Settings) -> None:
    at_once, most, lock, go = 0, 0, threading.Lock(), threading.Event()

    def sum_up(connection: sqlite3.Connection) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        go.wait(30)
        with lock:
            at_once -= 1

    async def walk() -> None:
        sums = [asyncio.create_task(ask_in_turn(settings, sum_up)) for _ in range(12)]
        while at_once < 4:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        go.set()
        await asyncio.gather(*sums)

    asyncio.run(walk())
    assert most == 4
