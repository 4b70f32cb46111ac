"""Marks: stored once, changed by new rows, never lost."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace

import pytest

from core.errors import Conflict, Deleted, InvalidInput, NotAllowed, NotFound
from core.images.records import Case
from core.labels.marks import NewMark, add_mark, list_marks
from core.labels.records import new_event
from core.labels.schema import SchemaChange, change_schema
from core.people.accounts import ensure_user
from core.people.members import set_member
from core.projects.records import Project, get_project
from core.store.audit import Actor

BOX = {"x": 1.0, "y": 2.0, "width": 3.0, "height": 4.0}


@pytest.fixture
def case(make_case: Callable[..., Case], actor: Actor) -> Case:
    return make_case("a.png")


def new(case: Case, **fields: object) -> NewMark:
    known = {"event": new_event(), "case_id": case.id, "reader": "anna", "mark": "m1", "kind": "box", "geometry": BOX}
    return NewMark(**{**known, **fields})  # type: ignore[arg-type]


def test_a_mark_is_kept_with_all_it_says(connection: sqlite3.Connection, case: Case, actor: Actor) -> None:
    stored = add_mark(connection, new(case, label="pneumonia", active_seconds=4.5), actor)
    assert (stored.geometry, stored.label, stored.kind, stored.frame) == (BOX, "pneumonia", "box", 0)
    assert (stored.reader, stored.entered_by, stored.active_seconds) == ("anna", "anna", 4.5)
    assert list_marks(connection, case.id) == [stored]


def test_the_same_event_twice_is_one_mark_and_another_one_a_conflict(
    connection: sqlite3.Connection, case: Case, actor: Actor
) -> None:
    sent = new(case)
    assert add_mark(connection, sent, actor) == add_mark(connection, sent, actor)
    for change in ({"geometry": {**BOX, "x": 2}}, {"label": "normal"}, {"mark": "m2"}, {"deleted": True}):
        with pytest.raises(Conflict, match="another mark"):
            add_mark(connection, replace(sent, **change), actor)
    assert connection.execute("SELECT count(*) FROM marks").fetchone()[0] == 1


def test_the_newest_row_of_a_mark_counts_however_late_another_arrives(
    connection: sqlite3.Connection, case: Case, actor: Actor
) -> None:
    add_mark(connection, new(case, made_at="2026-01-01T00:00:02Z", geometry={**BOX, "x": 9}), actor)
    add_mark(connection, new(case, made_at="2026-01-01T00:00:01Z"), actor)
    add_mark(connection, new(case, mark="m2", made_at="2026-01-01T00:00:03Z"), actor)
    first, second = list_marks(connection, case.id, "anna")
    assert (first.mark, first.geometry["x"], second.mark) == ("m1", 9, "m2")


def test_a_change_counts_also_after_the_clock_of_the_server_was_set_back(
    connection: sqlite3.Connection, case: Case, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as ahead:
        ahead.setattr("core.labels.marks.utc_now", lambda: "2999-01-01T12:00:00.000Z")
        add_mark(connection, new(case, made_at="2999-01-01T12:00:00Z"), actor)
    add_mark(connection, new(case, geometry={**BOX, "x": 9}), actor)
    assert [mark.geometry["x"] for mark in list_marks(connection, case.id)] == [9]


def test_a_mark_that_is_taken_away_is_gone_and_can_come_back(
    connection: sqlite3.Connection, case: Case, actor: Actor
) -> None:
    add_mark(connection, new(case, made_at="2026-01-01T00:00:01Z"), actor)
    add_mark(connection, new(case, made_at="2026-01-01T00:00:02Z", deleted=True), actor)
    assert list_marks(connection, case.id) == []
    add_mark(connection, new(case, made_at="2026-01-01T00:00:03Z"), actor)
    assert [mark.mark for mark in list_marks(connection, case.id)] == ["m1"]
    assert connection.execute("SELECT count(*) FROM marks").fetchone()[0] == 3


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"geometry": {**BOX, "x": 15}}, "inside the image"),
        ({"kind": "arrow"}, "A mark is one of"),
        ({"frame": 1}, "has 1 frames"),
        ({"frame": -1}, "has 1 frames"),
        ({"label": "flu"}, "belongs to one of normal, pneumonia"),
        ({"mark": " "}, "needs an id"),
        ({"mark": "x" * 101}, "needs an id"),
        ({"event": "\ud800"}, "needs an id"),
        ({"made_at": "now"}, "A time reads"),
        ({"made_in": "elsewhere"}, "made in one of"),
        ({"active_seconds": -1.0}, "Active seconds"),
        ({"active_seconds": float("nan")}, "Active seconds"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_leaves_nothing(
    connection: sqlite3.Connection, case: Case, actor: Actor, wrong: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        add_mark(connection, new(case, **wrong), actor)
    assert connection.execute("SELECT count(*) FROM marks").fetchone()[0] == 0


def test_marks_on_no_case_or_a_deleted_one_are_refused(
    connection: sqlite3.Connection, case: Case, actor: Actor
) -> None:
    with pytest.raises(NotFound, match="There is no case 99"):
        add_mark(connection, replace(new(case), case_id=99), actor)
    connection.execute("INSERT INTO erased_cases VALUES (98)")
    with pytest.raises(Deleted, match=r"deleted for good.*case 98"):
        add_mark(connection, replace(new(case), case_id=98), actor)


def test_nobody_marks_in_another_s_name_without_being_allowed_to(
    connection: sqlite3.Connection, case: Case, project: Project, actor: Actor
) -> None:
    ensure_user(connection, "ben")
    set_member(connection, project.id, "ben", "reader", actor=actor)
    with pytest.raises(NotAllowed):
        add_mark(connection, new(case), Actor("ben", "screen"))
    add_mark(connection, new(case, reader="ben"), actor)  # an administrator may, and it is written down
    assert connection.execute("SELECT count(*) FROM audit WHERE what = 'add mark'").fetchone()[0] == 1


def test_a_renamed_class_renames_its_marks_and_an_old_page_may_still_use_the_old_name(
    connection: sqlite3.Connection, case: Case, project: Project, actor: Actor
) -> None:
    sent = new(case, label="pneumonia")
    add_mark(connection, sent, actor)
    change_schema(connection, project, SchemaChange("rename", "pneumonia", "consolidation"), actor)
    late = new(case, mark="m2", label="pneumonia", schema_version=1)
    assert add_mark(connection, late, actor).label == "consolidation"
    assert {mark.label for mark in list_marks(connection, case.id)} == {"consolidation"}
    assert add_mark(connection, sent, actor).label == "consolidation"  # sent again: the same mark


def test_a_mark_of_a_retired_class_can_be_moved_but_not_made(
    connection: sqlite3.Connection, case: Case, project: Project, actor: Actor
) -> None:
    wider = change_schema(connection, project, SchemaChange("add", "effusion"), actor)
    add_mark(connection, new(case, label="effusion", schema_version=2), actor)
    change_schema(connection, wider, SchemaChange("retire", "effusion"), actor)
    moved = new(case, label="effusion", geometry={**BOX, "x": 5})
    assert add_mark(connection, moved, actor).label == "effusion"
    with pytest.raises(InvalidInput, match="No longer offered"):
        add_mark(connection, new(case, mark="m2", label="effusion"), actor)
    with pytest.raises(Conflict, match="reload"):
        add_mark(connection, new(case, schema_version=get_project(connection, project.id).schema_version + 1), actor)


def test_marks_are_never_changed_or_deleted(connection: sqlite3.Connection, case: Case, actor: Actor) -> None:
    add_mark(connection, new(case), actor)
    for statement in ("DELETE FROM marks", "UPDATE marks SET label = 'x'"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
