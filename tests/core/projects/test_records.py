import sqlite3

import pytest

from core.errors import Conflict, InvalidInput, NotFound
from core.labels.reference import set_reference_rule
from core.projects.records import Project, ReferenceRule, add_project, change_project, get_project, list_projects
from core.projects.schema import (
    Generation,
    LabelSchema,
    Regression,
    Task,
    make_classification,
    make_generation,
    make_segmentation,
)
from core.store.audit import Actor, list_audit


def test_a_project_is_found_by_name_and_by_id(connection: sqlite3.Connection, project: Project) -> None:
    assert get_project(connection, "Chest") == get_project(connection, project.id) == project
    assert get_project(connection, str(project.id)) == project
    assert list_projects(connection) == [project]


def test_a_name_of_digits_is_a_name_first(connection: sqlite3.Connection, project: Project, actor: Actor) -> None:
    schema = make_classification(["a", "b"])
    named = add_project(connection, name=str(project.id), task="classification", schema=schema, actor=actor)
    assert get_project(connection, str(project.id)) == named
    assert get_project(connection, project.id) == project


def test_a_second_project_of_the_same_name_is_refused(
    connection: sqlite3.Connection, project: Project, actor: Actor
) -> None:
    with pytest.raises(Conflict, match="Chest"):
        add_project(connection, name="Chest ", task="classification", schema=project.schema, actor=actor)


def test_images_are_drawn_of_at_least_one_class(connection: sqlite3.Connection, actor: Actor) -> None:
    with pytest.raises(InvalidInput, match="at least one class"):
        add_project(connection, name="Faces", task="generation", schema=Generation(()), actor=actor)
    made = add_project(connection, name="Faces", task="generation", schema=make_generation(["calm"]), actor=actor)
    assert get_project(connection, made.id).schema == make_generation(["calm"])
    with pytest.raises(InvalidInput, match="schema of its task"):
        add_project(connection, name="Moods", task="classification", schema=made.schema, actor=actor)


def test_an_unknown_project_is_not_found(connection: sqlite3.Connection) -> None:
    with pytest.raises(NotFound, match="There is no project Brain"):
        get_project(connection, "Brain")


def test_texts_can_change_and_the_change_is_audited(
    connection: sqlite3.Connection, project: Project, actor: Actor
) -> None:
    changed = change_project(
        connection, project, description="Children", intended_use="Triage", digit_advances=False, actor=actor
    )
    assert (changed.description, changed.intended_use, changed.digit_advances) == ("Children", "Triage", False)
    whats = [row["what"] for row in connection.execute("SELECT what FROM audit ORDER BY id")]
    assert whats == ["create project", "change project"]


def test_blind_first_is_kept_until_it_is_changed_and_the_audit_has_before_and_after(
    connection: sqlite3.Connection, project: Project, actor: Actor
) -> None:
    texts = {"description": project.description, "intended_use": "Triage", "digit_advances": True}
    assert not project.blind_first
    assert change_project(connection, project, **texts, blind_first=True, actor=actor).blind_first
    assert change_project(connection, project, **texts, actor=actor).blind_first
    second, first = list_audit(connection, what="change project")
    assert first.detail["before"] == {"intended_use": "", "blind_first": False}
    assert first.detail["after"] == {"intended_use": "Triage", "blind_first": True}
    assert second.detail == {"before": {}, "after": {}}


@pytest.mark.parametrize(("kind", "reader"), [("reader", None), ("majority", "anna")])
def test_a_reference_rule_that_says_two_things_is_refused(kind: str, reader: str | None) -> None:
    with pytest.raises(InvalidInput):
        ReferenceRule(kind, reader)  # type: ignore[arg-type]


OTHER_TASKS: dict[Task, tuple[LabelSchema, ReferenceRule]] = {
    "segmentation": (make_segmentation(["liver"]), ReferenceRule("only")),
    "regression": (Regression("heart width", "mm", 0, 300, "length"), ReferenceRule("median")),
}


@pytest.mark.parametrize("task", OTHER_TASKS)
def test_a_project_of_another_task_is_created_with_the_rule_of_its_task(
    connection: sqlite3.Connection, actor: Actor, task: Task
) -> None:
    schema, rule = OTHER_TASKS[task]
    made = add_project(connection, name=task, task=task, schema=schema, actor=actor)
    assert (made.task, made.schema, made.reference_rule) == (task, schema, rule)
    with pytest.raises(InvalidInput, match="no majority of numbers or of painted masks"):
        add_project(connection, name="x", task=task, schema=schema, reference_rule=ReferenceRule(), actor=actor)
    named = ReferenceRule("reader", "anna")
    assert add_project(connection, name="y", task=task, schema=schema, reference_rule=named, actor=actor)


def test_a_schema_of_another_task_is_refused(connection: sqlite3.Connection, actor: Actor) -> None:
    with pytest.raises(InvalidInput, match="schema of its task"):
        add_project(connection, name="x", task="regression", schema=make_classification(["a", "b"]), actor=actor)


def test_a_rule_that_the_task_has_not_is_refused(
    connection: sqlite3.Connection, project: Project, actor: Actor
) -> None:
    with pytest.raises(InvalidInput, match="settled by majority or reader"):
        set_reference_rule(connection, project, ReferenceRule("median"), actor)
    with pytest.raises(InvalidInput, match="A reference rule is one of"):
        ReferenceRule("vote")  # type: ignore[arg-type]
