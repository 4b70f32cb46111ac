"""Classes change; what was said under them stays and goes on counting."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace

import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import list_snapshot_cases
from core.errors import Conflict, InvalidInput, NotAllowed
from core.images.records import Case
from core.labels.exchange import export_labels, import_labels
from core.labels.records import (
    Label,
    NewLabel,
    add_label,
    find_current_label,
    find_reference,
    get_label,
    list_labels,
    new_event,
)
from core.labels.schema import SchemaChange, change_schema, count_answers_with
from core.labels.worklist import Worklist, list_case_ids
from core.people.accounts import ensure_user
from core.people.members import set_member
from core.progress import Silent
from core.projects.records import Project, get_project
from core.projects.schema import Classification
from core.store.audit import Actor, list_audit
from core.store.files import Files

MakeCase = Callable[..., Case]
Say = Callable[..., Label]
RENAME = SchemaChange("rename", "pneumonia", "consolidation")


def test_a_rename_gives_each_answer_that_counts_a_new_row_and_keeps_the_old(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, answer: Say, actor: Actor
) -> None:
    first, second = make_case("a.png"), make_case("b.png")
    replaced = answer(first, "pneumonia", made_at="2026-01-01T00:00:00Z")
    old = answer(first, "pneumonia", made_at="2026-01-01T00:00:01Z", note="left", confidence=4, active_seconds=9.5)
    untouched = answer(second, "normal")
    changed = change_schema(connection, project, RENAME, actor)
    assert changed.schema_version == 2
    now = find_current_label(connection, first.id, "anna")
    assert now is not None
    assert (now.value, now.replaces, now.schema_version) == ({"classes": ["consolidation"]}, old.id, 2)
    same = ("reader", "note", "confidence", "active_seconds", "made_at", "made_in", "unsure")
    assert [getattr(now, name) for name in same] == [getattr(old, name) for name in same]
    assert [label.id for label in list_labels(connection, first.id)] == [now.id, old.id, replaced.id]
    assert get_label(connection, old.id) == old
    assert find_current_label(connection, second.id, "anna") == untouched
    reference = find_reference(connection, first.id)
    assert reference is not None
    assert (reference.value, reference.label_ids) == ({"classes": ["consolidation"]}, (now.id,))
    assert count_answers_with(connection, changed) == {"consolidation": 1, "normal": 1}
    (row,) = list_audit(connection, what="change classes")
    assert row.detail == {"kind": "rename", "name": "pneumonia", "to": "consolidation", "version": 2, "answers": 1}


def test_a_rename_is_not_in_the_way_of_an_imported_answer_that_was_renamed_elsewhere(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, answer: Say, actor: Actor
) -> None:
    case = make_case("a.png")
    ours = answer(case, "pneumonia")
    # what an earlier version called the answer that took the place of its first one, exported with the labels
    answer(case, "pneumonia", reader="ben", event=f"schema-2-{ours.id}", made_in="import")
    change_schema(connection, project, RENAME, actor)
    reference = find_reference(connection, case.id)
    assert reference is not None
    assert reference.value == {"classes": ["consolidation"]}


def test_two_readers_agree_whichever_page_they_answered_on(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, answer: Say, actor: Actor
) -> None:
    case = make_case("a.png")
    answer(case, "pneumonia")
    change_schema(connection, project, RENAME, actor)
    late = answer(case, "pneumonia", reader="ben", schema_version=1)
    assert (late.value, late.schema_version) == ({"classes": ["consolidation"]}, 2)
    assert list_case_ids(connection, project, Worklist("disagreements"), "anna") == []
    answer(case, "consolidation", reader="cleo", schema_version=2)
    reference = find_reference(connection, case.id)
    assert reference is not None
    assert reference.value == {"classes": ["consolidation"]}


def test_an_answer_made_before_a_rename_and_delivered_after_it_is_put_in_its_place(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, answer: Say, actor: Actor
) -> None:
    case = make_case("a.png")
    answer(case, "pneumonia", made_at="2026-01-01T00:00:02Z")
    change_schema(connection, project, RENAME, actor)
    answer(case, "normal", made_at="2026-01-01T00:00:01Z")  # older than what counts
    now = find_current_label(connection, case.id, "anna")
    assert now is not None
    assert now.value == {"classes": ["consolidation"]}
    answer(case, "normal", made_at="2026-01-01T00:00:03Z")
    now = find_current_label(connection, case.id, "anna")
    assert now is not None
    assert now.value == {"classes": ["normal"]}


def test_an_event_sent_again_after_a_rename_or_a_retirement_is_the_same_answer(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, actor: Actor
) -> None:
    wider = change_schema(connection, project, SchemaChange("add", "effusion"), actor)
    case = make_case("a.png")
    sent = NewLabel(new_event(), case.id, "anna", {"classes": ["effusion"]}, schema_version=2)
    first = add_label(connection, sent, actor)
    renamed = change_schema(connection, wider, SchemaChange("rename", "effusion", "fluid"), actor)
    change_schema(connection, renamed, SchemaChange("retire", "fluid"), actor)
    assert add_label(connection, sent, actor) == first
    with pytest.raises(Conflict, match="another answer"):
        add_label(connection, replace(sent, value={"classes": ["normal"]}), actor)


def test_a_retired_class_is_offered_no_more_and_its_answers_stay(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, answer: Say, actor: Actor
) -> None:
    wider = change_schema(connection, project, SchemaChange("add", "effusion", "#123456"), actor)
    case, other = make_case("a.png"), make_case("b.png")
    kept = answer(case, "effusion", schema_version=2)
    narrow = change_schema(connection, wider, SchemaChange("retire", "effusion"), actor)
    with pytest.raises(InvalidInput, match="No longer offered"):
        answer(other, "effusion", schema_version=2)
    assert find_current_label(connection, case.id, "anna") == kept
    assert isinstance(narrow.schema, Classification)
    assert [label.name for label in narrow.schema.offered] == ["normal", "pneumonia"]
    back = change_schema(connection, narrow, SchemaChange("restore", "effusion"), actor)
    assert answer(other, "effusion", schema_version=back.schema_version).value == {"classes": ["effusion"]}


def test_a_table_exported_before_a_change_comes_back_without_a_change(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, answer: Say, actor: Actor
) -> None:
    answer(make_case("a.png"), "pneumonia")
    before = export_labels(connection, project)
    changed = change_schema(connection, project, RENAME, actor)
    report = import_labels(connection, changed, before, actor)
    assert (report.added, report.unchanged, report.refused) == (0, 1, ())
    by_hand = import_labels(connection, changed, "path,label,reader\na.png,Pneumonia,zoe\n", actor)
    assert (by_hand.added, by_hand.refused) == (1, ())


def test_snapshots_of_before_stay_and_new_ones_leave_retired_classes_out(
    connection: sqlite3.Connection, files: Files, project: Project, make_case: MakeCase, answer: Say, actor: Actor
) -> None:
    wider = change_schema(connection, project, SchemaChange("add", "effusion"), actor)
    for at in range(12):
        name = ("normal", "pneumonia", "effusion")[at % 3]
        answer(make_case(f"{at}.png"), name, schema_version=2)

    def freeze(now: Project, name: str):  # type: ignore[no-untyped-def]
        ratios = (0.5, 0.25, 0.25)
        return freeze_snapshot(connection, files, now, name, ratios=ratios, actor=actor, progress=Silent())

    first = freeze(wider, "first")
    stored = list_snapshot_cases(connection, first.id)
    renamed = change_schema(connection, wider, RENAME, actor)
    narrow = change_schema(connection, renamed, SchemaChange("retire", "effusion"), actor)
    assert list_snapshot_cases(connection, first.id) == stored
    second = freeze(narrow, "second")
    assert isinstance(second.schema, Classification)
    assert second.schema.names == ("normal", "consolidation")
    assert len(list_snapshot_cases(connection, second.id)) == 8
    assert "4 cases were left out: of a retired class." in second.split_rule["notes"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (SchemaChange("rename", "flu", "cold"), "The project has normal, pneumonia"),
        (SchemaChange("rename", "pneumonia", "Normal"), "bears or bore this name"),
        (SchemaChange("rename", "pneumonia", "pneumonia"), "its name already"),
        (SchemaChange("rename", "pneumonia", " "), "needs a name"),
        (SchemaChange("rename", "pneumonia", "a|b"), r"without \| or comma"),
        (SchemaChange("add", "pneumonia"), "bears or bore this name"),
        (SchemaChange("add", "flu", "red"), "A colour reads like"),
        (SchemaChange("recolour", "pneumonia", "red"), "A colour reads like"),
        (SchemaChange("retire", "pneumonia"), "at least two classes"),
        (SchemaChange("restore", "pneumonia"), "offered already"),
        (SchemaChange("key", "pneumonia", "1"), "its own digit"),
        (SchemaChange("key", "pneumonia", "x"), "its own digit"),
    ],
)
def test_a_change_that_would_mix_answers_up_is_refused_and_changes_nothing(
    connection: sqlite3.Connection, project: Project, actor: Actor, change: SchemaChange, sentence: str
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        change_schema(connection, project, change, actor)
    assert get_project(connection, project.id) == project


def test_a_name_never_passes_from_one_class_to_another(
    connection: sqlite3.Connection, project: Project, actor: Actor
) -> None:
    renamed = change_schema(connection, project, RENAME, actor)
    with pytest.raises(InvalidInput, match="consolidation bears or bore this name"):
        change_schema(connection, renamed, SchemaChange("add", "Pneumonia"), actor)
    with pytest.raises(InvalidInput, match="consolidation bears or bore this name"):
        change_schema(connection, renamed, SchemaChange("rename", "normal", "pneumonia"), actor)
    back = change_schema(connection, renamed, SchemaChange("rename", "consolidation", "pneumonia"), actor)
    assert back.schema == project.schema


def test_two_administrators_at_once_do_not_overwrite_each_other(
    connection: sqlite3.Connection, project: Project, actor: Actor
) -> None:
    change_schema(connection, project, SchemaChange("add", "effusion"), actor)
    with pytest.raises(Conflict, match="meanwhile"):
        change_schema(connection, project, SchemaChange("add", "nodule"), actor)


def test_a_retired_class_frees_its_digit_and_takes_a_free_one_when_it_comes_back(
    connection: sqlite3.Connection, project: Project, actor: Actor
) -> None:
    wider = change_schema(connection, project, SchemaChange("add", "effusion"), actor)
    narrow = change_schema(connection, wider, SchemaChange("retire", "normal"), actor)
    other = change_schema(connection, narrow, SchemaChange("add", "nodule"), actor)
    assert isinstance(other.schema, Classification)
    assert {label.name: label.key for label in other.schema.offered} == {
        "pneumonia": "2",
        "effusion": "3",
        "nodule": "1",
    }
    back = change_schema(connection, other, SchemaChange("restore", "normal"), actor)
    assert isinstance(back.schema, Classification)
    assert back.schema.classes[0].key == "4"


def test_only_administrators_of_the_project_change_it(
    connection: sqlite3.Connection, project: Project, actor: Actor
) -> None:
    ensure_user(connection, "ben")
    set_member(connection, project.id, "ben", "scientist", actor=actor)
    with pytest.raises(NotAllowed):
        change_schema(connection, project, RENAME, Actor("ben", "screen"))
