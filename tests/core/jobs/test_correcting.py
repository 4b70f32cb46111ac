"""From corrected labels to a training on the same splits, in one act."""

import sqlite3

import pytest

from core.datasets.records import list_snapshot_cases
from core.errors import InvalidInput
from core.jobs.correcting import ask_retraining
from core.labels.records import NewLabel, add_label, new_event
from core.progress import Silent
from core.reviews.corrections import find_corrections
from core.store.audit import Actor
from core.training.records import get_run
from tests.core.reviews.conftest import Room, add_image, room

__all__ = ["room"]  # a fixture


def test_corrected_labels_are_learnt_on_the_splits_of_before(
    connection: sqlite3.Connection, room: Room, actor: Actor
) -> None:
    asked = {"actor": actor, "progress": Silent()}
    with pytest.raises(InvalidInput, match="has changed since"):
        ask_retraining(connection, room.files, room.project, room.model, **asked)  # type: ignore[arg-type]
    for case, value in ((room.cases[0], {"classes": ["pneumonia"]}), (room.cases[30], {"classes": ["pneumonia"]})):
        add_label(connection, NewLabel(new_event(), case.id, "anna", value), actor)
    add_label(connection, NewLabel(new_event(), room.cases[2].id, "anna", None), actor)
    add_image(connection, room.project, 41, actor)  # labelled since: it was in no split, so it stays out
    corrections = find_corrections(connection, room.snapshot)
    assert corrections.sentence == "2 normal to pneumonia; 1 without a reference now"
    made = ask_retraining(connection, room.files, room.project, room.model, **asked)  # type: ignore[arg-type]
    assert made.corrections == corrections
    before = {case.case_id: case for case in list_snapshot_cases(connection, room.snapshot.id)}
    after = {case.case_id: case for case in list_snapshot_cases(connection, made.snapshot.id)}
    assert set(after) == set(before) - {room.cases[2].id}
    assert all(case.split == before[case.case_id].split for case in after.values())
    assert after[room.cases[30].id].value == {"classes": ["pneumonia"]}
    assert (made.snapshot.name, made.run.name) == ("first, corrected", "quick, corrected")
    assert made.run.recipe == get_run(connection, room.model.run).recipe
    assert made.job.arguments["evaluate"] == "test"
    again = ask_retraining(connection, room.files, room.project, room.model, **asked)  # type: ignore[arg-type]
    assert (again.snapshot.name, again.run.name) == ("first, corrected 2", "quick, corrected 2")
