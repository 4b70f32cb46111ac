"""Deleting on screen: a dialog names what goes, asks to type its name, and leads on to what is left."""

import sqlite3
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core.images.records import Case, list_cases
from core.people.accounts import User, ensure_user
from core.people.members import set_member
from core.projects.records import Project, list_projects
from core.settings import Settings
from core.store.audit import Actor, list_audit
from core.training.records import Model
from dashboard import session

OpenPage = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit's stand-in for a browser has no network address, only a mock that no database takes."""
    monkeypatch.setattr(session, "actor", lambda: Actor(session.current_user().name, "screen"))


def press(app: AppTest, key: str) -> AppTest:
    """Press the button of this key, in a form or outside."""
    return next(button for button in app.button if button.key == key).click().run()


def texts(app: AppTest) -> str:
    return "\n".join(element.value for element in (*app.markdown, *app.error, *app.warning, *app.caption))


def keys(app: AppTest) -> set[str | None]:
    return {button.key for button in app.button}


def test_a_patient_is_deleted_once_its_name_was_typed(
    connection: sqlite3.Connection, project: Project, cases: list[Case], model: Model, open_page: OpenPage
) -> None:
    app = press(open_page("case", case=cases[0].id), f"delete_patient_{cases[0].id}")
    said = texts(app).replace("\\", "")
    assert "patient P0" in said
    assert "2 cases of 1 patient" in said
    assert "Snapshot first becomes incomplete" in said
    assert "Backups made before keep all of it" in said
    app = press(app, "delete_do")
    assert "just as it stands here" in texts(app)
    assert len(list(list_cases(connection, project.id))) == 24
    app.text_input(key="delete_typed").input("P0")
    app.text_input(key="delete_reason").input("asked for")
    app = press(app, "delete_do")
    assert not app.exception
    assert "P0" not in {case.patient for case in list_cases(connection, project.id)}
    assert list_audit(connection, what="erase patient")[0].detail["reason"] == "asked for"


def test_one_case_is_deleted_by_its_number(
    connection: sqlite3.Connection, project: Project, cases: list[Case], open_page: OpenPage
) -> None:
    app = press(open_page("case", case=cases[3].id), f"delete_case_{cases[3].id}")
    app.text_input(key="delete_typed").input(str(cases[3].id))
    app = press(app, "delete_do")
    assert not app.exception
    assert cases[3].id not in {case.id for case in list_cases(connection, project.id)}


def test_a_project_is_deleted_by_its_name(
    connection: sqlite3.Connection, cases: list[Case], model: Model, open_page: OpenPage, project: Project
) -> None:
    app = press(open_page("overview", project=project.id), "delete_project")
    assert "Models with their files: quick" in texts(app).replace("\\", "")
    app.text_input(key="delete_typed").input("Chest")
    app = press(app, "delete_do")
    assert not app.exception
    assert list_projects(connection) == []


@pytest.mark.parametrize(("role", "sees"), [("reader", False), ("reviewer", False), ("admin", True)])
def test_only_an_administrator_of_the_project_sees_the_buttons(
    connection: sqlite3.Connection,
    settings: Settings,
    project: Project,
    cases: list[Case],
    open_page: OpenPage,
    role: str,
    sees: bool,
) -> None:
    paul: User = ensure_user(connection, "paul")
    set_member(connection, project.id, "paul", role, actor=Actor("anna", "screen"))  # type: ignore[arg-type]
    session.configure(settings, lambda connection: paul)
    assert (f"delete_patient_{cases[0].id}" in keys(open_page("case", case=cases[0].id))) is sees
    assert "delete_project" not in keys(open_page("overview", project=project.id))


def test_a_snapshot_that_lost_cases_says_so_on_every_screen_that_uses_it(
    connection: sqlite3.Connection, project: Project, cases: list[Case], model: Model, open_page: OpenPage
) -> None:
    connection.execute("UPDATE snapshots SET incomplete_since = '2026-11-22T10:00:00.000Z', erased_cases = 3")
    connection.execute("UPDATE evaluations SET erased_cases = 3")
    said = "Incomplete since 2026-11-22: 3 cases were erased."
    for page in ("snapshots", "train", "evaluate"):
        assert said in texts(open_page(page, project=project.id)), page
    assert "3 of its cases were erased since" in texts(open_page("evaluate", project=project.id))
    start = next(button for button in open_page("train", project=project.id).button if button.key == "train_start")
    assert start.disabled
