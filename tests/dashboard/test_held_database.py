"""While a backup tool or a virus scanner holds the database, reading goes on and writing says why not."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.testclient import TestClient

from core.images.records import Case
from core.people.sessions import TOUCH_SECONDS
from core.settings import Settings
from core.store.database import connect
from tests.dashboard.conftest import COOKIE

HELD = "Another program holds the database"
EVENT = {"type": "label", "made_at": "2026-11-22T10:00:00.000Z", "schema_version": 1, "made_in": "label page"}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.store.database.BUSY_SECONDS", 0.2)


@contextmanager
def held(settings: Settings) -> Iterator[None]:
    other = connect(settings)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@pytest.fixture
def quiet(client: TestClient, connection: sqlite3.Connection, settings: Settings) -> TestClient:
    """Anna, whose last click is so long ago that the next one would be written down."""
    seen = f"strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-{TOUCH_SECONDS + 5} seconds')"
    connection.execute(f"UPDATE sessions SET last_seen_at = {seen}")
    return client


def last_seen(connection: sqlite3.Connection) -> str:
    return str(connection.execute("SELECT last_seen_at FROM sessions").fetchone()[0])


def test_what_is_only_read_is_read_and_what_is_written_says_why_not(
    quiet: TestClient, settings: Settings, connection: sqlite3.Connection, case: Case
) -> None:
    event = {**EVENT, "event": "e1", "case": case.id, "value": {"classes": ["normal"]}}
    before = last_seen(connection)
    with held(settings):
        assert quiet.get(f"/api/v1/cases/{case.id}").status_code == 200
        assert quiet.get(f"/api/v1/pixels/{case.pixel_hash}.npy").status_code == 200
        assert quiet.get("/account").status_code == 200
        refused = quiet.post("/api/v1/events", json={"events": [event]})
    assert refused.status_code == 503
    assert HELD in refused.json()["reason"]
    assert last_seen(connection) == before
    assert quiet.post("/api/v1/events", json={"events": [event]}).status_code == 200
    assert last_seen(connection) > before, "the next click that can be written is"


def test_a_form_sent_meanwhile_is_answered_by_a_page(
    quiet: TestClient, settings: Settings, connection: sqlite3.Connection
) -> None:
    forms = {
        "/account": {"new_password": "seven blue horses", "repeated": "seven blue horses"},
        "/account/sign-out-everywhere": {},
        "/sign-out": {},
        "/sign-in": {"name": "anna", "password": "seven blue horses"},
    }
    with held(settings):
        for path, form in forms.items():
            answer = quiet.post(path, data=form)
            assert answer.status_code == 503, path
            assert HELD in answer.text
            assert 'role="alert"' in answer.text
    assert COOKIE in quiet.cookies, "nobody was signed out"
    assert quiet.get("/account").status_code == 200


def test_a_link_opened_meanwhile_is_still_good(
    stranger: TestClient, settings: Settings, connection: sqlite3.Connection
) -> None:
    from core.people.accounts import ensure_user
    from core.people.sessions import issue_token

    token = issue_token(connection, ensure_user(connection, "anna", role="admin"))
    with held(settings):
        answer = stranger.get(f"/sign-in?token={token}")
        assert answer.status_code == 503
        assert HELD in answer.text
    assert stranger.get(f"/sign-in?token={token}").status_code == 200


def test_a_database_that_cannot_even_be_read_signs_nobody_out(
    quiet: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        error = sqlite3.OperationalError("unable to open database file")
        error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("dashboard.middleware.find_session", gone)
        answer = quiet.get("/api/v1/cases/1")
    assert answer.status_code == 503
    assert "cannot be opened" in answer.json()["reason"]
    assert quiet.get("/account").status_code == 200
