"""A page draws while its click cannot be written down."""

import sqlite3

import pytest
from streamlit.runtime.context import ContextProxy

from core.people.accounts import User
from core.people.sessions import issue_token, redeem_token
from core.projects.records import Project
from core.settings import Settings
from core.store.database import connect
from dashboard import session
from tests.pages.conftest import OpenPage, said


def test_a_page_draws_while_a_backup_tool_holds_the_database(
    open_page: OpenPage, settings: Settings, connection: sqlite3.Connection, anna: User, project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    mine = redeem_token(connection, issue_token(connection, anna), hours=1)
    connection.execute("UPDATE sessions SET last_seen_at = '2026-01-01T00:00:00.000Z'")
    monkeypatch.setattr(ContextProxy, "cookies", property(lambda _: {"readroom": mine}))
    session.configure(settings, lambda _: anna, cookie="readroom")
    other = connect(settings)
    other.execute("BEGIN EXCLUSIVE")
    try:
        app = open_page("projects")
    finally:
        other.execute("ROLLBACK")
        other.close()
        session._Process.cookie = None
    assert not app.exception
    assert not app.error
    assert project.name in said(app)
    (seen,) = connection.execute("SELECT last_seen_at FROM sessions").fetchone()
    assert seen.startswith("2026-01-01"), "the click could not be written, and nobody waited for it"
