"""Labels out as CSV and back."""

import csv
import io
import sqlite3
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.images.label_table import LATER_COLUMNS, map_columns, read_label_table
from core.images.records import Case, list_cases
from core.labels import exchange
from core.labels.exchange import (
    COLUMNS,
    ROWS_AT_ONCE,
    LabelImport,
    add_table_labels,
    answers_in_words,
    export_labels,
    import_labels,
    list_unusable_answers,
)
from core.labels.records import (
    Label,
    NewLabel,
    add_label,
    current_labels,
    find_current_label,
    find_reference,
    list_labels,
    new_event,
)
from core.labels.reference import set_reference_rule
from core.labels.schema import SchemaChange, change_schema
from core.people.accounts import ensure_user, find_user
from core.projects.records import Project, ReferenceRule, add_project
from core.projects.schema import Regression, make_classification, make_segmentation
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import opened, writing

MakeCase = Callable[..., Case]
Say = Callable[..., Label]
NOTES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    ["=1+1", "'=1", "''", "@x", 'a,b;"c"', "a\r\nb", "a\rb", "\n", " blank ", "-", "'"]
)


def twin(connection: sqlite3.Connection, project: Project, actor: Actor) -> Project:
    return add_project(connection, name=new_event(), task="classification", schema=project.schema, actor=actor)


ANSWERS = st.tuples(
    st.sampled_from(["anna", "ben"]),
    st.sampled_from([["a"], ["a", "b"], [], None]),
    st.booleans(),
    st.booleans(),
    NOTES,
)


@given(st.lists(ANSWERS, min_size=1, max_size=5))
@hypothesis_settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_exported_comes_back_to_the_last_byte(
    connection: sqlite3.Connection, make_case: MakeCase, actor: Actor, answers: list[tuple[Any, ...]]
) -> None:
    """From one project into another of the same images: labels that count, then the whole history."""
    schema = make_classification(["a", "b"], multi_label=True)
    with writing(connection):  # one commit for all, as 20 examples make some 300 rows
        first, second = (
            add_project(connection, name=new_event(), task="classification", schema=schema, actor=actor)
            for _ in range(2)
        )
        for reader in ("anna", "ben"):
            ensure_user(connection, reader)
        known = {"attributes": {"sex": "F", "Größe": "1,7"}, "given_split": "train"}
        cases = [make_case(f"x/{at}.png", into=first, **known) for at in range(2)]
        for at in range(2):
            make_case(f"x/{at}.png", into=second, **known)
        for at, (reader, classes, unsure, unusable, note) in enumerate(answers):
            value = None if classes is None else {"classes": classes}
            sent = NewLabel(new_event(), cases[at % 2].id, reader, value, unsure, unusable, note)
            add_label(connection, sent, actor)
        for history in (False, True):
            text = export_labels(connection, first, history=history)
            assert import_labels(connection, second, text, actor).refused == ()
            assert export_labels(connection, second, history=history) == text
            assert import_labels(connection, second, text, actor).added == 0


def test_an_export_is_of_one_moment_while_an_import_goes_on(
    connection: sqlite3.Connection, settings: Settings, project: Project, make_case: MakeCase, actor: Actor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """It ended at the label of a case that had come in after it had listed the cases."""
    make_case("a.png", into=project)

    def list_and_go_on(reading: sqlite3.Connection, project_id: int) -> list[Case]:
        known = list(list_cases(reading, project_id))
        late = make_case("b.png", into=project)
        add_label(connection, NewLabel("late", late.id, actor.name, {"classes": ["normal"]}), actor)
        return known

    monkeypatch.setattr(exchange, "list_cases", list_and_go_on)
    with opened(settings) as other:
        assert len(export_labels(other, project).splitlines()) == 1
        assert not other.in_transaction
    monkeypatch.undo()
    assert "b.png,normal" in export_labels(connection, project)


def test_a_class_and_a_rule_that_change_while_a_table_comes_in_count_for_its_other_rows(
    connection: sqlite3.Connection, actor: Actor, make_case: MakeCase
) -> None:
    """The import began before: its rows were kept under the name of then, and counted by the rule of then."""
    schema = make_classification(["fluid", "nodule"], multi_label=True)
    began = add_project(connection, name="Both", task="classification", schema=schema, actor=actor)
    case = make_case("a.png", into=began)
    renamed = change_schema(connection, began, SchemaChange("rename", "fluid", "effusion"), actor)
    ensure_user(connection, "ben")
    set_reference_rule(connection, renamed, ReferenceRule("reader", "ben"), actor)
    table = "path,label,reader\na.png,nodule,anna\na.png,fluid,ben\n"
    assert import_labels(connection, began, table, actor).refused == ()
    label, reference = find_current_label(connection, case.id, "ben"), find_reference(connection, case.id)
    assert label is not None
    assert label.value == {"classes": ["effusion"]}
    assert label.schema_version == renamed.schema_version
    assert reference is not None
    assert reference.value == {"classes": ["effusion"]}


@pytest.mark.parametrize("order", [(True,), (False, True)])
def test_of_two_answers_of_one_moment_the_correction_counts_wherever_the_history_is_read(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, actor: Actor, order: tuple[bool, ...]
) -> None:
    """A clock that was set back makes such: each answer until it has caught up is made when the last one was."""
    other, at = twin(connection, project, actor), "2026-01-01T00:00:00.000Z"
    here, there = make_case("a.png", into=project), make_case("a.png", into=other)
    for event, name in (("z", "normal"), ("a", "pneumonia")):
        add_label(connection, NewLabel(event, here.id, actor.name, {"classes": [name]}, made_at=at), actor)
    for history in order:
        import_labels(connection, other, export_labels(connection, project, history=history), actor)
    counts = [find_current_label(connection, case.id, actor.name) for case in (here, there)]
    assert [label and label.value for label in counts] == [{"classes": ["pneumonia"]}] * 2


def test_nothing_that_goes_out_starts_a_formula_and_all_of_it_comes_back(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, actor: Actor
) -> None:
    other = twin(connection, project, actor)
    for into in (project, other):
        known = {"patient": "@p1", "attributes": {"=site": "+A1", "change": "-1.5"}}
        case = make_case("=cmd|x/-1.png", into=into, **known)
        if into == project:
            ensure_user(connection, "-eve")
            sent = NewLabel("=event", case.id, "-eve", {"classes": ["normal"]}, note="\tfaint")
            add_label(connection, sent, actor)
    text = export_labels(connection, project)
    header, row = csv.reader(io.StringIO(text, newline=""))
    assert row[0] == "'=cmd|x/-1.png"
    assert dict(zip(header, row, strict=True))["change"] == "-1.5"
    assert not [cell for cell in (*header, *row) if cell[:1] in "=+-@\t" and cell not in ("", "-1.5")]
    assert import_labels(connection, other, text, actor).added == 1
    assert export_labels(connection, other) == text
    # As the table of an image import, too.
    (read,) = map_columns(read_label_table(text.encode())).values()
    assert (read.path, read.patient, read.reader, read.attributes["=site"]) == ("=cmd|x/-1.png", "@p1", "-eve", "+A1")


def test_export_and_import_into_a_twin_are_equal(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, answer: Say, actor: Actor
) -> None:
    other = twin(connection, project, actor)
    case_a, case_b = make_case("a.png", patient="p1", attributes={"sex": "F"}), make_case("b.png")
    make_case("a.png", into=other, patient="p1", attributes={"sex": "F"})
    make_case("b.png", into=other)
    answer(case_a, "normal", note="=SUM(A1)", unsure=True)
    answer(case_a, "pneumonia", reader="ben")
    answer(case_b, "normal")
    answer(case_b)
    answer(case_b, unusable=True, reader="ben")
    for history in (False, True):
        text = export_labels(connection, project, history=history)
        import_labels(connection, other, text, actor)
        assert export_labels(connection, other, history=history) == text
    assert "'=SUM(A1)" in text
    assert text.count("\r\n") == 6


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_an_export_that_a_spreadsheet_saved_again_comes_back_with_every_name(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, answer: Say, actor: Actor,
    encoding: str, separator: str,
) -> None:  # fmt: skip
    other = twin(connection, project, actor)
    ensure_user(connection, "Dr. Müller–Lüdenscheidt")
    source = make_case("Köln/a.png", attributes={"Größe": "1"})
    copy = make_case("Köln/a.png", into=other, attributes={"Größe": "1"})
    said = answer(source, "normal", reader="Dr. Müller–Lüdenscheidt", note="=Ödem; “links”, 5 €")
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows(csv.reader(io.StringIO(export_labels(connection, project))))
    assert import_labels(connection, other, text.getvalue().encode(encoding), actor) == LabelImport(1, 0, ())
    (label,) = current_labels(connection, copy.id)
    assert (label.reader, label.note, label.event) == (said.reader, said.note, said.event)
    assert import_labels(connection, project, text.getvalue().encode(encoding), actor) == LabelImport(0, 1, ())


def test_the_export_can_be_the_label_table_of_an_image_import(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, answer: Say, actor: Actor
) -> None:
    source = make_case("a.png", patient="p1")
    label = answer(source, "normal", note="faint", unsure=True)
    rows = map_columns(read_label_table(export_labels(connection, project).encode()))
    other = twin(connection, project, actor)
    (added,) = add_table_labels(connection, other, make_case("a.png", into=other), rows["a.png"], actor)
    assert (added.event, added.value, added.note, added.unsure, added.made_at) == (
        label.event, label.value, "faint", True, label.made_at,
    )  # fmt: skip


def test_a_foreign_table_labels_cases_that_are_there(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, actor: Actor
) -> None:
    cases = [make_case(f"{name}.png") for name in "abc"]
    table = "\ufefffilename;label;rater\na.png;normal;Dr. Ü\nb.png;flu;Dr. Ü\nz.png;normal;Dr. Ü\nc.png;;\n"
    done = import_labels(connection, project, table.encode(), actor)
    assert (done.added, done.unchanged, len(done.refused)) == (1, 0, 2)
    assert "b.png: The classes are normal, pneumonia" in done.refused[0]
    assert "z.png: No image of this path" in done.refused[1]
    label = find_current_label(connection, cases[0].id, "Dr. Ü")
    assert label is not None
    assert (label.made_in, label.entered_by) == ("import", "anna")
    reader = find_user(connection, "Dr. Ü")
    assert reader is not None
    assert reader.kind == "imported"
    again = import_labels(connection, project, table.encode(), actor)
    assert (again.added, again.unchanged) == (0, 1)


def test_columns_of_any_name_can_be_told(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, actor: Actor
) -> None:
    case = make_case("a.png")
    table = "bild;befund\na.png;normal\n"
    assert import_labels(connection, project, table, actor, columns={"path": "bild", "label": "befund"}).added == 1
    assert answers_in_words(connection, [case]) == {case.id: ["normal"]}


def test_a_table_can_restore_what_a_reader_has_changed(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, answer: Say, actor: Actor
) -> None:
    case = make_case("a.png")
    table = "path,label,reader\na.png,normal,anna\n"
    import_labels(connection, project, table, actor)
    answer(case, "pneumonia")
    assert import_labels(connection, project, table, actor) == LabelImport(1, 0, ())
    assert [label.value for label in current_labels(connection, case.id)] == [{"classes": ["normal"]}]
    assert len(list_labels(connection, case.id)) == 3


def test_what_is_no_table_is_refused(connection: sqlite3.Connection, project: Project, actor: Actor) -> None:
    with pytest.raises(InvalidInput):
        import_labels(connection, project, b"\x89PNG", actor)
    broken = export_labels(connection, project) + "a.png,normal\r\n"
    with pytest.raises(InvalidInput, match="cut off"):
        import_labels(connection, project, broken, actor)


def test_two_images_of_one_path_are_not_guessed_at(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, answer: Say, actor: Actor
) -> None:
    first = make_case("a.png")
    make_case("a.png", pixels=np.zeros((8, 8), np.uint8))
    answer(first, "normal")
    assert (
        import_labels(connection, project, "path,label\na.png,normal\n", actor).refused[0].startswith("a.png: Several")
    )
    assert import_labels(connection, project, export_labels(connection, project), actor) == LabelImport(0, 1, ())


def test_a_case_says_in_words_what_is_said_of_it(
    connection: sqlite3.Connection, make_case: MakeCase, answer: Say
) -> None:
    case, other = make_case("a.png"), make_case("b.png")
    answer(case, "normal")
    answer(case, unusable=True, reader="ben")
    assert answers_in_words(connection, [case, other]) == {case.id: ["normal", "unusable"], other.id: []}


def test_labels_find_their_images_by_the_end_of_a_path_or_by_file_name(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, actor: Actor
) -> None:
    cases = [make_case(source) for source in ("s/a/x.png", "s/b/x.png", "s/b/y.png", "12.png")]
    table = "path,label\na/x.png,normal\n/data/s/b/x.png,pneumonia\ny,normal\n12,pneumonia\n"
    assert import_labels(connection, project, table, actor) == LabelImport(4, 0, ())
    said = answers_in_words(connection, cases)
    assert [said[case.id] for case in cases] == [["normal"], ["pneumonia"], ["normal"], ["pneumonia"]]


def test_a_name_of_several_images_is_refused_with_them(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, actor: Actor
) -> None:
    for at in range(7):
        make_case(f"{at}/x.png")
    done = import_labels(connection, project, "path,label\nx.png,normal\n1/x.png,normal\n9/x.png,normal\n", actor)
    assert done.added == 1
    assert done.refused == (
        "x.png: Several images go by this name; write whole paths. "
        "Received: 0/x.png, 1/x.png, 2/x.png, 3/x.png, 4/x.png and 2 more",
        "9/x.png: No image of this path is in the project; import it first.",
    )


def test_a_number_is_a_case_in_a_column_of_cases_and_never_in_one_of_paths(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, answer: Say, actor: Actor
) -> None:
    cases = [make_case(f"{name}.png") for name in "abc"]
    done = import_labels(connection, project, f"case,label\n{cases[1].id},normal\nc,normal\n", actor)
    assert done == LabelImport(2, 0, ())
    said = answers_in_words(connection, cases)
    assert [said[case.id] for case in cases] == [[], ["normal"], ["normal"]]
    done = import_labels(connection, project, f"path,label\n{cases[0].id},pneumonia\n", actor)
    assert (done.added, len(done.refused)) == (0, 1)


def test_a_case_of_another_project_is_not_labelled_by_its_number(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, actor: Actor
) -> None:
    theirs = make_case("a.png", into=twin(connection, project, actor))
    done = import_labels(connection, project, f"case,label\n{theirs.id},normal\n{'9' * 30},normal\n", actor)
    assert (done.added, len(done.refused)) == (0, 2)


def test_answers_that_are_none_in_the_project_are_told_with_their_files(
    connection: sqlite3.Connection, project: Project
) -> None:
    text = "path,label,reader\na,Normal,anna\nb,flu,anna\nb,flu,ben\nc,flu,anna\nd,normal|pneumonia,anna\ne,,anna\n"
    rows = map_columns(read_label_table(text.encode()))
    found = list_unusable_answers(connection, project, rows.values())
    assert found == {"flu": ["b", "c"], "normal|pneumonia": ["d"]}


def test_how_answers_came_about_comes_back_to_the_last_byte(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, answer: Say, actor: Actor
) -> None:
    """Confidence, reason, seconds and drafts; also where the models of the drafts are not."""
    other = twin(connection, project, actor)
    case = make_case("a.png")
    copy = make_case("a.png", into=other)
    answer(case, "normal", confidence=4, active_seconds=12.25)
    answer(case, unusable=True, unusable_reason="=blurred", reader="ben", active_seconds=0.1)
    draft = {"model": 7, "outcome": "edited", "value": {"classes": ["pneumonia"]}}
    answer(case, "normal", reader="cleo", draft=draft, made_in="import")
    text = export_labels(connection, project)
    assert import_labels(connection, other, text, actor).refused == ()
    assert export_labels(connection, other) == text
    assert import_labels(connection, other, text, actor) == LabelImport(0, 3, ())
    told = {label.reader: label for label in current_labels(connection, copy.id)}
    assert (told["anna"].confidence, told["anna"].active_seconds) == (4, 12.25)
    assert (told["ben"].unusable_reason, told["cleo"].draft) == ("=blurred", draft)
    rows = map_columns(read_label_table(text.encode()))
    third = twin(connection, project, actor)
    with writing(connection):
        added = add_table_labels(connection, third, make_case("a.png", into=third), rows["a.png"], actor)
    assert [label.confidence for label in added] == [4, None, None]
    assert rows["a.png"].attributes == {}


def test_a_table_of_before_and_a_stranger_s_column_of_the_same_name_are_read_as_ever(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, actor: Actor
) -> None:
    case = make_case("a.png")
    ours = "path,label,patient,split,reader,unsure,unusable,note,event,made_at,confidence\r\n"
    ours += "a.png,normal,p,,ben,,,,e1,2026-01-01T00:00:00.000Z,high\r\n"
    assert import_labels(connection, project, ours, actor) == LabelImport(1, 0, ())
    rows = map_columns(read_label_table(b"path,label,confidence\na.png,normal,0.87\n"))
    assert rows["a.png"].attributes == {"confidence": "0.87"}
    label = find_current_label(connection, case.id, "ben")
    assert label is not None
    assert label.confidence is None


@pytest.mark.parametrize("cells", ["6,,,", "x,,,", ",dark,,", ",,-1,", ",,x,", ",,,[]", ",,,{", ',,,"{""model"":1}"'])
def test_a_row_that_says_what_cannot_be_is_refused_alone(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, actor: Actor, cells: str
) -> None:
    make_case("a.png")
    head = ",".join((*COLUMNS, *LATER_COLUMNS))
    table = f"{head}\r\na.png,normal,p,,ben,,,,e1,,{cells}\r\na.png,normal,p,,zoe,,,,e2,,,,,\r\n"
    done = import_labels(connection, project, table, actor)
    assert (done.added, len(done.refused)) == (1, 1)
    assert "Received" in done.refused[0]


def test_answers_of_a_segmentation_and_of_a_number_come_back(
    connection: sqlite3.Connection, make_case: MakeCase, actor: Actor
) -> None:
    for task, schema, values in (
        ("segmentation", make_segmentation(["liver", "lesion"]), [{"structures": []}, {"structures": ["lesion"]}]),
        ("regression", Regression("age", "years", 0, 120), [{"value": 0.1}, {"value": 119.999999999}]),
    ):
        first, second = (
            add_project(connection, name=new_event(), task=task, schema=schema, actor=actor)  # type: ignore[arg-type]
            for _ in range(2)
        )
        for at, value in enumerate(values):
            case = make_case(f"{at}.png", into=first)
            make_case(f"{at}.png", into=second)
            add_label(connection, NewLabel(new_event(), case.id, "anna", value), actor)
        text = export_labels(connection, first)
        assert import_labels(connection, second, text, actor).refused == ()
        assert export_labels(connection, second) == text


def test_two_answers_of_one_reader_in_a_table_without_events_do_not_pile_up(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, actor: Actor
) -> None:
    case = make_case("a.png")
    head = ",".join(COLUMNS)
    table = f"{head}\na.png,normal,,,anna,,,,,\na.png,pneumonia,,,anna,,,,,\na.png,pneumonia,,,ben,,,,,\n"
    for added in (2, 0):
        said = import_labels(connection, project, table, actor)
        assert (said.added, len(said.refused)) == (added, 1)
        assert "An earlier row gives another answer of this reader" in said.refused[0]
    label = find_current_label(connection, case.id, "anna")
    assert label is not None
    assert label.value == {"classes": ["normal"]}


def test_a_history_without_events_comes_in_once(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, actor: Actor
) -> None:
    case = make_case("a.png")
    rows = [f"a.png,{name},,,anna,,,,,2026-01-0{day}T00:00:00Z" for day, name in ((1, "normal"), (2, "pneumonia"))]
    table = "\n".join([",".join(COLUMNS), *rows, ""])
    for added in (2, 0):
        said = import_labels(connection, project, table, actor)
        assert (said.added, said.refused) == (added, ())
    label = find_current_label(connection, case.id, "anna")
    assert label is not None
    assert label.value == {"classes": ["pneumonia"]}


def test_a_history_from_before_a_rename_is_read_where_there_never_was_one(
    connection: sqlite3.Connection, make_case: MakeCase, actor: Actor
) -> None:
    def made(name: str, classes: list[str]) -> Project:
        schema = make_classification(classes)
        return add_project(connection, name=name, task="classification", schema=schema, actor=actor)

    here, there = made("here", ["fluid", "none"]), made("there", ["effusion", "none"])
    case, its_twin = make_case("a.png", into=here), make_case("a.png", into=there)
    for name in ("fluid", "none", "fluid"):
        add_label(connection, NewLabel(new_event(), case.id, actor.name, {"classes": [name]}), actor)
    here = change_schema(connection, here, SchemaChange("rename", "fluid", "effusion"), actor)
    text = export_labels(connection, here, history=True)
    assert "fluid" not in text
    assert import_labels(connection, there, text, actor).refused == ()
    assert len(list_labels(connection, its_twin.id)) == len(list_labels(connection, case.id))
    label = find_current_label(connection, its_twin.id, actor.name)
    assert label is not None
    assert label.value == {"classes": ["effusion"]}
    assert import_labels(connection, here, text, actor).added == 0


@pytest.mark.parametrize("end", ["a.png,norm", 'a.png,"normal'])
def test_of_a_table_that_breaks_off_nothing_comes_in(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, actor: Actor, end: str
) -> None:
    """Its first rows were stored, and no row of the audit told of them."""
    case = make_case("a.png")
    rows = ["a.png,normal,,,anna,,,,,"] * (ROWS_AT_ONCE + 1)
    with pytest.raises(InvalidInput, match=r"cut off|not a CSV"):
        import_labels(connection, project, "\n".join([",".join(COLUMNS), *rows, end]), actor)
    assert list_labels(connection, case.id) == []


def test_blank_lines_and_a_draft_that_is_none_keep_no_other_row_out(
    connection: sqlite3.Connection, project: Project, make_case: MakeCase, actor: Actor
) -> None:
    make_case("a.png")
    head, row = ",".join([*COLUMNS, *LATER_COLUMNS]), "a.png,normal,,,{},,,,,,,,,{}"
    table = "\n".join([head, "", row.format("anna", "[" * 50_000), row.format("ben", ""), "", ""])
    said = import_labels(connection, project, table, actor)
    assert (said.added, len(said.refused)) == (1, 1)
    assert "A draft is a JSON object" in said.refused[0]
