"""What pages get from their process: a connection of their own thread, the person, the project."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.people.accounts import User
from core.projects.records import Project
from core.settings import Settings
from dashboard import session
from tests.pages.conftest import as_in_the_web_process

__all__ = ["as_in_the_web_process"]  # a fixture, for the pages here


@pytest.fixture
def signed_in(settings: Settings, anna: User) -> Iterator[None]:
    session.configure(settings, lambda connection: anna)
    yield
    session._Process.settings = session._Process.identify = None


def in_thread(work) -> list:  # type: ignore[no-untyped-def,type-arg]
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.extend(work()))
    thread.start()
    thread.join()
    return found


def test_a_thread_has_one_connection_that_ends_with_it(signed_in: None, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[int] = []

    class Watched(sqlite3.Connection):
        def close(self) -> None:
            super().close()  # in any other thread than its own this raises
            closed.append(threading.get_ident())

    monkeypatch.setattr(session, "connect", lambda settings: sqlite3.connect(settings.database_path, factory=Watched))
    same, own = in_thread(lambda: [session.db() is session.db(), threading.get_ident()])
    assert same
    assert closed == [own]


def test_a_server_keeps_its_name_and_two_homes_have_two(signed_in: None, tmp_path: Path, anna: User) -> None:
    name = session.server_id()
    assert session.server_id() == name
    (tmp_path / "second").mkdir()
    session.configure(Settings(home=tmp_path / "second"), lambda connection: anna)
    assert session.server_id() != name


def test_without_a_door_nothing_is_served() -> None:
    with pytest.raises(RuntimeError, match="readroom up"):
        session.settings()


def page() -> None:
    import streamlit as st

    from dashboard import session

    project = session.current_project()
    st.write(f"{session.actor().name} in {project.name if project else 'no project'}")


@pytest.mark.parametrize(
    ("asked", "said"), [("1", "anna in Chest"), ("99", "anna in no project"), ("x", "anna in no project")]
)
def test_a_page_knows_its_reader_and_project(signed_in: None, project: Project, asked: str, said: str) -> None:
    app = AppTest.from_function(page, default_timeout=240)
    app.query_params["project"] = asked
    app.run()
    assert app.markdown[0].value == said


def test_the_project_stays_open_in_its_tab(signed_in: None, project: Project) -> None:
    app = AppTest.from_function(page, default_timeout=240)
    app.query_params["project"] = str(project.id)
    app.run()
    app.query_params.clear()
    app.run()
    assert app.markdown[0].value == "anna in Chest"


def test_a_signed_out_reader_is_told_and_sees_nothing(settings: Settings, signed_in: None) -> None:
    session.configure(settings, lambda connection: None)
    app = AppTest.from_function(page, default_timeout=240).run()
    assert "signed out" in app.info[0].value
    assert [text.value for text in app.markdown] == ["[Sign in](/sign-in)"]
