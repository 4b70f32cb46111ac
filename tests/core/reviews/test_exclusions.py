"""Cases that a meeting excludes: answered as unusable, said in the review, and left out when it is learnt anew."""

import sqlite3

import pytest

from core.datasets.records import list_snapshot_cases
from core.errors import InvalidInput, NotAllowed, NotFound
from core.jobs.correcting import ask_retraining
from core.labels.records import NewLabel, add_label, current_labels, new_event
from core.people.accounts import ensure_user
from core.progress import Silent
from core.reviews.exclusions import exclude_cases
from core.reviews.meetings import add_review
from core.reviews.remarks import list_remarks
from core.store.audit import Actor
from tests.core.reviews.conftest import Room


def test_excluded_cases_are_left_out_of_the_next_training(
    connection: sqlite3.Connection, room: Room, actor: Actor
) -> None:
    review = add_review(connection, room.project, room.model, criteria=[], actor=actor)
    chosen = [room.cases[30].id, room.cases[31].id]
    done = exclude_cases(connection, review, [*chosen, chosen[0]], " cut  off ", actor=actor)
    assert (done.case_ids, done.outvoted) == (tuple(chosen), ())
    for case_id in chosen:
        (label,) = current_labels(connection, case_id)
        assert (label.reader, label.unusable, label.unusable_reason, label.made_in) == (
            "anna", True, "cut off", "review",
        )  # fmt: skip
    assert [(one.case_id, one.step, one.text) for one in list_remarks(connection, review)] == [
        (case_id, "failures", "Excluded: cut off") for case_id in chosen
    ]
    made = ask_retraining(connection, room.files, room.project, room.model, actor=actor, progress=Silent())
    before = {case.case_id for case in list_snapshot_cases(connection, room.snapshot.id)}
    assert {case.case_id for case in list_snapshot_cases(connection, made.snapshot.id)} == before - set(chosen)
    assert made.corrections.gone == tuple(chosen)


def test_who_is_outvoted_is_told(connection: sqlite3.Connection, room: Room, actor: Actor) -> None:
    review = add_review(connection, room.project, room.model, criteria=[], actor=actor)
    case_id = room.cases[30].id
    for name in ("ben", "cleo"):
        ensure_user(connection, name, role="admin")
        answer = NewLabel(new_event(), case_id, name, {"classes": ["normal"]})
        add_label(connection, answer, Actor(name, "screen"))
    assert exclude_cases(connection, review, [case_id], "cut off", actor=actor).outvoted == (case_id,)


def test_an_exclusion_that_cannot_be_is_no_half_one(connection: sqlite3.Connection, room: Room, actor: Actor) -> None:
    review = add_review(connection, room.project, room.model, criteria=[], actor=actor)
    case_id = room.cases[30].id
    with pytest.raises(InvalidInput, match="why they are excluded"):
        exclude_cases(connection, review, [case_id], "  ", actor=actor)
    with pytest.raises(InvalidInput, match="Received: none"):
        exclude_cases(connection, review, [], "cut off", actor=actor)
    ensure_user(connection, "dora")
    with pytest.raises(NotAllowed):
        exclude_cases(connection, review, [case_id], "cut off", actor=Actor("dora", "screen"))
    with pytest.raises(NotFound, match="no case 999999"):
        exclude_cases(connection, review, [case_id, 999_999], "cut off", actor=actor)
    assert list_remarks(connection, review) == []
    assert not any(label.unusable for label in current_labels(connection, case_id))
