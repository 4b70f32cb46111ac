"""The users page: a link that is shown once, roles by project, and who may do what there."""

import sqlite3
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core.people.accounts import User, ensure_user, find_user, get_user
from core.people.members import list_roles, set_member
from core.people.sessions import look_at_token
from core.projects.records import Project
from core.store.audit import Actor
from dashboard import session
from tests.pages.conftest import OpenPage, said


def submit(app: AppTest, key: str) -> AppTest:
    button = next(button for button in app.button if (button.key or "").startswith(key) or key in str(button.key))
    return button.click().run()


def test_an_invitation_gives_a_link_once(open_page: OpenPage, connection: sqlite3.Connection, project: Project) -> None:
    app = open_page("users", project=project.id)
    app.text_input(key="invite_name").set_value("ben")
    app.selectbox(key="invite_role").select("reviewer")
    submit(app, "invite_send")
    assert not app.exception
    (code,) = app.code
    token = code.value.partition("token=")[2]
    assert look_at_token(connection, token).user.name == "ben"
    assert list_roles(connection, get_user(connection, "ben")) == {project.id: "reviewer"}
    app.run()
    assert not app.code
    assert token not in said(app)


def test_a_name_that_is_taken_is_refused_in_words(open_page: OpenPage, project: Project) -> None:
    app = open_page("users", project=project.id)
    app.text_input(key="invite_name").set_value("anna")
    submit(app, "invite_send")
    assert "already" in app.error[0].value
    assert not app.code


def test_a_role_is_given_and_taken(open_page: OpenPage, connection: sqlite3.Connection, project: Project) -> None:
    ben = ensure_user(connection, "ben")
    for role, expected in (("scientist", {project.id: "scientist"}), ("no role", {})):
        app = open_page("users", project=project.id)
        app.text_input(key="role_name").set_value("ben")
        app.selectbox(key="role_role").select(role)
        submit(app, "role_send")
        assert not app.exception
        assert not app.error
        assert list_roles(connection, ben) == expected


def test_an_account_is_deactivated_and_let_in_again(open_page: OpenPage, connection: sqlite3.Connection) -> None:
    ensure_user(connection, "ben")
    for active in (False, True):
        app = open_page("users")
        app.selectbox(key="person").select("ben").run()
        app.button(key="person_active").click().run()
        assert get_user(connection, "ben").active == active


def test_a_reset_gives_a_link_and_an_administrator_is_made(open_page: OpenPage, connection: sqlite3.Connection) -> None:
    ensure_user(connection, "ben")
    app = open_page("users")
    app.selectbox(key="person").select("ben").run()
    app.button(key="person_admin").click().run()
    assert get_user(connection, "ben").role == "admin"
    app.button(key="person_reset").click().run()
    assert "token=" in app.code[0].value


@pytest.fixture
def as_user(open_page: OpenPage, connection: sqlite3.Connection) -> Callable[[str], User]:
    def sign_in(name: str) -> User:
        user = get_user(connection, name)
        session.configure(session.settings(), lambda _: user)
        return user

    return sign_in


def test_a_projects_administrator_sees_its_members_and_invites_into_it(
    open_page: OpenPage,
    as_user: Callable[[str], User],
    connection: sqlite3.Connection,
    project: Project,
    actor: Actor,
) -> None:
    for name, role in (("ben", "admin"), ("carla", "reader")):
        ensure_user(connection, name)
        set_member(connection, project.id, name, role, actor=actor)  # type: ignore[arg-type]
    ensure_user(connection, "zoe")
    as_user("ben")
    app = open_page("users", project=project.id)
    assert not app.exception
    assert list(app.dataframe[0].value["name"]) == ["ben", "carla"]
    keys = {element.key for element in (*app.toggle, *app.selectbox, *app.button)}
    assert not keys & {"invite_admin", "person", "person_reset"}
    app.text_input(key="invite_name").set_value("dora")
    submit(app, "invite_send")
    dora = find_user(connection, "dora")
    assert dora is not None
    assert list_roles(connection, dora) == {project.id: "reader"}
