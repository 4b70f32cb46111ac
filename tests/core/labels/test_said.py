"""The audit names labels by number; the answers are told while they are there."""

import csv
import io
import sqlite3
from collections.abc import Callable

from core.images.records import Case
from core.labels.records import Label
from core.labels.said import say_answers
from core.store.audit import Actor, Said, list_audit, take_audit_along


def erase(connection: sqlite3.Connection, case: Case) -> None:
    connection.execute("INSERT INTO erasing (case_id) VALUES (?)", (case.id,))
    for table in ("current_labels", "reference_labels", "labels"):
        connection.execute(f"DELETE FROM {table} WHERE case_id = ?", (case.id,))


def test_a_row_says_the_answer_before_and_after_until_the_case_is_erased(
    connection: sqlite3.Connection, make_case: Callable[..., Case], answer: Callable[..., Label], actor: Actor
) -> None:
    case = make_case("a.png")
    answer(case, "normal")
    answer(case, "pneumonia", unsure=True)
    answer(case, unusable=True)
    answer(case)
    rows = list_audit(connection, what="add label")
    said = say_answers(connection, rows)
    assert [said[row.id] for row in reversed(rows)] == [
        Said("", "normal"),
        Said("normal", "pneumonia (unsure)"),
        Said("pneumonia (unsure)", "unusable"),
        Said("unusable", "withdrawn"),
    ]
    assert "normal" not in "".join(str(row.detail) for row in rows), "what stays when a case is erased names no answer"
    text, _ = take_audit_along(connection, actor, {"what": "add label"}, say=say_answers)
    last = next(iter(csv.DictReader(io.StringIO(text))))
    assert (last["answer before"], last["answer after"]) == ("unusable", "withdrawn")
    erase(connection, case)
    assert set(say_answers(connection, rows).values()) == {Said()}


def test_a_row_about_an_erased_case_never_says_the_answer_that_got_its_label_s_number(
    connection: sqlite3.Connection, make_case: Callable[..., Case], answer: Callable[..., Label]
) -> None:
    gone, stays = make_case("a.png"), make_case("b.png")
    erased = answer(gone, "normal")
    (row,) = list_audit(connection, what="add label")
    erase(connection, gone)
    assert answer(stays, "pneumonia").id == erased.id, "the number is free again"
    assert say_answers(connection, [row]) == {row.id: Said()}
    newer, older = list_audit(connection, what="add label")
    assert say_answers(connection, [newer, older]) == {newer.id: Said("", "pneumonia"), older.id: Said()}
