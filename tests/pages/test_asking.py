"""What is asked of readers, on the pages: other tasks, classes that change, cases that are handed out."""

import sqlite3
from typing import Any

import pytest

from core.images.records import Case
from core.labels.assignments import list_assigned
from core.labels.case_lists import list_case_lists
from core.labels.records import find_current_label
from core.labels.schema import SchemaChange, change_schema
from core.people.accounts import ensure_user
from core.people.members import set_member
from core.projects.records import Project, get_project, list_projects
from core.projects.schema import Classification, Regression, Segmentation
from core.store.audit import Actor
from core.training.records import Model
from tests.pages.conftest import OpenPage, said


def test_a_project_of_structures_is_created_on_the_page(open_page: OpenPage, connection: sqlite3.Connection) -> None:
    app = open_page("projects")
    app.segmented_control(key="new_task").set_value("segmentation").run()
    app.text_input(key="new_name").set_value("Abdomen")
    app.button(key="structure_add").click().run()
    app.text_input(key="structure_name_0").set_value("liver")
    app.text_input(key="structure_name_1").set_value("lesion")
    app.button(key="new_create").click().run()
    assert not app.exception
    (made,) = list_projects(connection)
    assert isinstance(made.schema, Segmentation)
    assert (made.schema.names, made.reference_rule.kind) == (("liver", "lesion"), "only")


def test_a_project_of_a_measured_number_is_created_on_the_page(
    open_page: OpenPage, connection: sqlite3.Connection
) -> None:
    app = open_page("projects")
    app.segmented_control(key="new_task").set_value("regression").run()
    app.text_input(key="new_name").set_value("Widths")
    app.selectbox(key="new_measure").set_value("length").run()
    app.text_input(key="new_target").set_value("heart width")
    app.number_input(key="new_low").set_value(20.0)
    app.button(key="new_create").click().run()
    assert not app.exception
    (made,) = list_projects(connection)
    assert made.schema == Regression("heart width", "mm", 20.0, None, "length")
    assert "derived from a length" in said(open_page("overview", project=made.id))


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ("classification", "say which class an image"),
        ("segmentation", "paint structures"),
        ("regression", "tell a number with its unit"),
        ("generation", "draw images of each class"),
    ],
)
def test_each_task_is_told_in_the_words_of_a_ward(open_page: OpenPage, task: str, told: str) -> None:
    app = open_page("projects")
    app.segmented_control(key="new_task").set_value(task).run()
    assert f"A model learns to {told}" in said(app)


def test_a_class_without_a_name_is_asked_for_its_name_and_not_for_its_punctuation(
    open_page: OpenPage, connection: sqlite3.Connection
) -> None:
    app = open_page("projects")
    app.text_input(key="new_name").set_value("Chests")
    app.button(key="new_create").click().run()
    assert app.error[0].value == "Give each class a name. Received: ['', '']"
    assert list_projects(connection) == []


@pytest.mark.parametrize("task", ["segmentation", "regression"])
def test_what_is_incomplete_is_said_and_nothing_is_created(
    open_page: OpenPage, connection: sqlite3.Connection, task: str
) -> None:
    app = open_page("projects")
    app.segmented_control(key="new_task").set_value(task).run()
    app.text_input(key="new_name").set_value("Nothing")
    app.button(key="new_create").click().run()
    assert "Received" in app.error[0].value
    assert list_projects(connection) == []


def test_classes_change_on_the_overview(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, cases: list[Case]
) -> None:
    app = open_page("overview", project=project.id)
    app.selectbox(key="schema_one").set_value("pneumonia").run()
    app.text_input(key="schema_name_1_pneumonia").set_value("consolidation")
    app.button(key="schema_rename").click().run()
    assert not app.exception
    app.text_input(key="schema_new").set_value("effusion")
    app.button(key="schema_add").click().run()
    app.selectbox(key="schema_one").set_value("effusion").run()
    app.button(key="schema_retire").click().run()
    assert not app.exception
    now = get_project(connection, project.id)
    assert isinstance(now.schema, Classification)
    assert (now.schema_version, now.schema.names) == (4, ("normal", "consolidation", "effusion"))
    assert [label.name for label in now.schema.offered] == ["normal", "consolidation"]
    values = {str(label.value) for case in cases if (label := find_current_label(connection, case.id, "anna"))}
    assert values <= {"{'classes': ['normal']}", "{'classes': ['consolidation']}"}
    assert "consolidation" in str(values)
    app.selectbox(key="schema_one").set_value("normal").run()
    app.text_input(key="schema_name_4_normal").set_value("pneumonia")
    app.button(key="schema_rename").click().run()
    assert "bears or bore this name" in app.error[0].value


def test_every_page_draws_after_classes_changed_under_a_model(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, cases: list[Case], model: Model, actor: Actor
) -> None:
    now = change_schema(connection, project, SchemaChange("rename", "pneumonia", "consolidation"), actor)
    change_schema(connection, now, SchemaChange("add", "effusion"), actor)
    for name in ("overview", "cases", "label", "snapshots", "train", "models", "evaluate", "review"):
        app = open_page(name, project=project.id, result="all", split="test")
        assert not app.exception, name
        assert not app.error, name
    app = open_page("case", project=project.id, case=cases[0].id)
    assert not app.exception
    assert "consolidation" in said(app)


def test_cases_are_handed_out_and_kept_as_a_list_on_the_page(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, cases: list[Case], actor: Actor
) -> None:
    ensure_user(connection, "ben")
    set_member(connection, project.id, "ben", "reader", actor=actor)
    app = open_page("cases", project=project.id)
    app.selectbox(key="assign_reader").set_value("ben")
    app.button(key="assign_do").click().run()
    assert not app.exception
    (told,) = list_assigned(connection, project.id)
    assert (told.reader, told.cases) == ("ben", len(cases))
    app.text_input(key="list_name").set_value("again")
    app.button(key="list_keep").click().run()
    (kept,) = list_case_lists(connection, project.id)
    assert (kept.name, kept.cases) == ("again", len(cases))
    overview = open_page("overview", project=project.id)
    overview.button(key="unassign_ben").click().run()
    assert list_assigned(connection, project.id) == []


def test_a_model_for_drafts_is_chosen_on_the_overview(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, cases: list[Case], model: Model
) -> None:
    app = open_page("overview", project=project.id)
    app.selectbox(key="assist_model_None").set_value(model.id).run()
    assert not app.exception
    assert get_project(connection, project.id).assist_model == model.id
    jobs: list[Any] = connection.execute("SELECT kind FROM jobs WHERE kind = 'draft'").fetchall()
    assert len(jobs) <= 1
