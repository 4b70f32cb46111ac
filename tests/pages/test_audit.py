"""The audit page: what an administrator sees of it, and what a look at it leaves behind."""

import sqlite3

from core.images.records import Case, set_flag
from core.people.accounts import User, ensure_user
from core.projects.records import Project, change_project
from core.store.audit import Actor, add_audit, list_audit
from dashboard import audit_view, session
from tests.pages.conftest import OpenPage, said


def test_an_act_is_shown_with_what_was_before_and_after(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, actor: Actor, anna: User
) -> None:
    change_project(connection, project, description="Old films", intended_use="", digit_advances=False, actor=actor)
    table = open_page("audit").dataframe[0].value
    row = table[table["did"] == "change project"].iloc[0]
    assert (row["who"], row["about"], row["door"]) == ("anna", f"project {project.id}", "screen")
    assert row["before"] == "description: –, digit advances: yes"
    assert row["after"] == "description: Old films, digit advances: no"


def test_an_answer_is_shown_and_not_its_number_alone(open_page: OpenPage, cases: list[Case]) -> None:
    table = open_page("audit").dataframe[0].value
    row = table[table["did"] == "add label"].iloc[-1]
    assert row["after"] == "normal (label 1)"
    assert row["before"] == ""


def test_filters_narrow_the_rows(
    open_page: OpenPage, connection: sqlite3.Connection, cases: list[Case], actor: Actor
) -> None:
    set_flag(connection, cases[0].id, True, actor)
    add_audit(connection, Actor("ben", "command line"), "export labels", "project 1")
    app = open_page("audit")
    app.selectbox(key="audit_who").set_value("ben").run()
    assert list(app.dataframe[0].value["did"]) == ["export labels"]
    app.selectbox(key="audit_who").set_value(None).run()
    app.text_input(key="audit_subject").set_value(f"case {cases[0].id}").run()
    assert list(app.dataframe[0].value["did"]) == ["flag case", "add label"]
    app.text_input(key="audit_subject").set_value("nothing").run()
    assert "Nothing was written that fits" in said(app)


def test_the_check_says_whole_and_is_remembered(open_page: OpenPage, project: Project) -> None:
    app = open_page("audit")
    assert "never checked" in said(app)
    app.button(key="audit_check").click().run()
    assert "The chain is whole" in app.success[0].value
    assert "never checked" not in said(app)


def test_the_check_names_an_altered_row(open_page: OpenPage, connection: sqlite3.Connection, project: Project) -> None:
    connection.execute("DROP TRIGGER audit_is_never_changed")
    connection.execute("UPDATE audit SET who = 'ben' WHERE id = 1")
    app = open_page("audit")
    app.button(key="audit_check").click().run()
    assert "Row 1 " in app.error[0].value
    assert "was altered" in app.error[0].value


def test_a_reader_sees_nothing_of_it(open_page: OpenPage, connection: sqlite3.Connection, project: Project) -> None:
    ben = ensure_user(connection, "ben")
    session.configure(session.settings(), lambda connection: ben)
    app = open_page("audit")
    assert not app.dataframe
    assert "not open to you" in said(app)


def test_a_csv_that_is_taken_along_is_a_row_too(connection: sqlite3.Connection, project: Project, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(session, "db", lambda: connection)
    monkeypatch.setattr(session, "may", lambda action: True)
    monkeypatch.setattr(session, "actor", lambda: Actor("anna", "screen", "10.0.0.7"))
    text = audit_view.csv_of({"what": "create project", "who": ""})()
    assert "create project" in text
    newest = list_audit(connection, limit=1)[0]
    assert (newest.what, newest.address) == ("export audit", "10.0.0.7")
    assert newest.detail == {"rows": 1, "filters": {"what": "create project"}}


def test_values_are_said_without_brackets() -> None:
    assert audit_view.say({"before_it": [1, 2], "on": True, "none": None}) == "before it: 1, 2, on: yes, none: –"
