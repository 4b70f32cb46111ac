"""The backups on screen, drawn by themselves."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.clock import utc_now
from core.jobs.records import list_jobs
from core.people.accounts import User, ensure_user
from core.settings import Settings
from core.store.backups import record_backup
from dashboard import session
from tests.pages.conftest import as_in_the_web_process

__all__ = ["as_in_the_web_process"]  # a fixture, for the panel here
Draw = Callable[..., AppTest]


@pytest.fixture
def draw(settings: Settings, connection: sqlite3.Connection, tmp_path: Path) -> Iterator[Draw]:
    """`draw(who)` draws the panel in a home that has a folder for backups."""

    def drawn(who: User, *, folder: str = "/backups") -> AppTest:
        session.configure(replace(settings, backup_folder=folder), lambda connection: who)
        script = "from dashboard.backup_panel import draw_backup_panel\ndraw_backup_panel()\n"
        return AppTest.from_string(script, default_timeout=240).run()

    yield drawn
    session._Process.settings = session._Process.identify = None


@pytest.fixture
def anna(connection: sqlite3.Connection) -> User:
    return ensure_user(connection, "anna", role="admin")


def words(app: AppTest) -> str:
    return "\n".join(str(element.value) for element in (*app.markdown, *app.warning, *app.subheader))


def test_an_administrator_asks_for_a_backup_as_a_job(draw: Draw, anna: User, connection: sqlite3.Connection) -> None:
    app = draw(anna)
    assert "none yet" in words(app)
    assert "/backups" in words(app)
    app.button(key="backup_now").click().run()
    (job,) = list_jobs(connection)
    assert (job.kind, job.state, job.created_by) == ("backup", "queued", "anna")
    assert app.button(key="backup_now").disabled


def test_the_last_good_one_and_what_went_wrong_since_are_said(
    draw: Draw, anna: User, connection: sqlite3.Connection
) -> None:
    now = utc_now()
    record_backup(connection, folder="/backups", name="g", started_at=now, finished_at=now, files=1234)
    record_backup(connection, folder="/backups", name="", started_at=now, finished_at=now, error="The disk is full.")
    told = words(draw(anna))
    assert "1,234 files" in told
    assert "The disk is full." in told


def test_without_a_folder_the_panel_says_what_to_set(draw: Draw, anna: User) -> None:
    app = draw(anna, folder="")
    assert "backup_folder" in words(app)
    assert len(app.button) == 0


def test_a_reader_sees_nothing_of_backups(draw: Draw, connection: sqlite3.Connection) -> None:
    app = draw(ensure_user(connection, "ben"))
    assert (words(app), len(app.button)) == ("", 0)
