"""`readroom link`: where the running server is, and for whom."""

import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from core.cli.app import app
from core.errors import NotAllowed
from core.people.accounts import ensure_user, find_user, get_user, operating_system_user
from core.people.invitations import set_active
from core.people.sessions import look_at_token, redeem_token
from core.settings import Settings
from core.store.audit import Actor, list_audit

Link = Callable[..., str]
PASSWORD = "grey horses sleep standing"


@pytest.fixture
def link(settings: Settings) -> Link:
    def ask(*words: str) -> str:
        result = CliRunner().invoke(app, ["link", *words, "--home", str(settings.home), "--json"])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return str(json.loads(result.stdout)["url"])

    return ask


def token_of(url: str) -> str:
    return url.partition("?token=")[2]


@pytest.mark.parametrize(
    ("running", "words", "shown"),
    [
        (None, [], "http://127.0.0.1:8501"),
        (None, ["--port", "8600"], "http://127.0.0.1:8600"),
        (None, ["--host", "::1"], "http://[::1]:8501"),
        ("https://ward.example:8443", [], "https://ward.example:8443"),
        ("https://ward.example", [], "https://ward.example"),
        ("https://ward.example", ["--port", "8443"], "https://ward.example:8443"),
        ("https://ward.example:8443", ["--host", "10.0.0.7"], "https://10.0.0.7:8443"),
        ("http://[::1]:8501", ["--port", "8600"], "http://[::1]:8600"),
        ("https://ward.example/readroom", [], "https://ward.example/readroom"),
        ("https://ward.example/readroom", ["--host", "10.0.0.7"], "https://10.0.0.7/readroom"),
    ],
)
def test_it_leads_to_the_running_server_unless_told_otherwise(
    settings: Settings, link: Link, running: str | None, words: list[str], shown: str
) -> None:
    if running:
        (settings.home / "up.json").write_text(json.dumps({"url": running, "services": []}), "utf-8")
    assert link(*words).startswith(f"{shown}/sign-in?token=")


def test_without_a_name_it_is_for_whoever_asks(link: Link, connection: sqlite3.Connection) -> None:
    token = look_at_token(connection, token_of(link()))
    assert (token.user.name, token.user.role, token.purpose) == (operating_system_user(), "admin", "link")


def test_a_new_name_becomes_an_administrator_who_chooses_a_password(link: Link, connection: sqlite3.Connection) -> None:
    token = look_at_token(connection, token_of(link("--user", "Dr. Okafor")))
    assert (token.user.name, token.user.role, token.purpose) == ("Dr. Okafor", "admin", "invitation")
    said: dict[str, Any] = dict(connection.execute("SELECT * FROM audit WHERE what = 'invite user'").fetchone())
    assert said["via"] == "command line"


def test_a_known_name_is_signed_in_as_what_it_is(link: Link, connection: sqlite3.Connection) -> None:
    redeem_token(connection, token_of(link("--user", "ben")), hours=1, new_password=PASSWORD)
    connection.execute("UPDATE users SET role = 'reader' WHERE name = 'ben'")
    token = look_at_token(connection, token_of(link("--user", "ben")))
    assert (token.user.role, token.purpose) == ("reader", "link")
    assert get_user(connection, "ben").has_password, "the link took nothing away"


def test_a_forgotten_password_is_replaced(link: Link, connection: sqlite3.Connection) -> None:
    redeem_token(connection, token_of(link("--user", "ben")), hours=1, new_password=PASSWORD)
    token = look_at_token(connection, token_of(link("--user", "ben", "--new-password")))
    assert token.purpose == "reset"
    assert not get_user(connection, "ben").has_password


def test_nobody_gets_in_whose_account_was_closed(link: Link, connection: sqlite3.Connection) -> None:
    link("--user", "anna")
    link("--user", "ben")
    set_active(connection, "ben", False, actor=Actor("anna", "command line"))
    with pytest.raises(NotAllowed, match="Received: ben"):
        link("--user", "ben")
    found = find_user(connection, "ben")
    assert found
    assert not found.active


@pytest.mark.parametrize("words", [[], ["--user", "ben"], ["--user", "carla"], ["--user", "ben", "--new-password"]])
def test_every_link_is_on_record_and_its_token_is_not(
    link: Link, connection: sqlite3.Connection, words: list[str]
) -> None:
    ensure_user(connection, "ben")
    token = token_of(link(*words))
    (row,) = list_audit(connection, what="issue link")
    name = words[1] if words else operating_system_user()
    assert (row.who, row.via, row.detail) == (operating_system_user(), "command line", {"user": name})
    assert row.subject == f"user {get_user(connection, name).id}"
    assert token not in "\n".join(connection.iterdump())
