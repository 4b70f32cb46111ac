"""From corrected labels to a training on the same splits, in one act."""

import sqlite3

import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import list_snapshot_cases
from core.errors import InvalidInput
from core.images.records import NewCase, insert_case
from core.jobs.correcting import ask_retraining
from core.labels.records import NewLabel, add_label, new_event
from core.progress import Silent
from core.reviews.corrections import find_corrections
from core.store.audit import Actor
from core.training.recipe import change_recipe, named_recipe
from core.training.records import add_model, add_run, get_run
from tests.core.reviews.conftest import Room, add_image, furnished_room, project, room, settings

__all__ = ["furnished_room", "project", "room", "settings"]  # fixtures


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


def test_drawn_images_stay_in_train_and_are_no_correction(
    connection: sqlite3.Connection, room: Room, actor: Actor
) -> None:
    drawn = [
        insert_case(
            connection,
            NewCase(
                project=room.project.id, source=f"synthetic/{number}.png", patient=f"s{number}", patient_from="table",
                pixel_hash=f"{number:064x}", file_hash=f"{number:064x}", perceptual_hash=None, rows=8, columns=8,
                channels=1, dtype="uint8", photometric="MONOCHROME2", imported_by="anna",
                synthetic={"class": ("normal", "pneumonia")[number % 2]},
            ),
        ).id
        for number in (900, 901, 902)
    ]  # fmt: skip
    asked = {"actor": actor, "progress": Silent()}
    more = freeze_snapshot(
        connection, room.files, room.project, "more", split_column="split", synthetic=2, **asked  # type: ignore[arg-type]
    )  # fmt: skip
    assert find_corrections(connection, more).sentence == ""
    add_label(connection, NewLabel(new_event(), room.cases[0].id, "anna", {"classes": ["pneumonia"]}), actor)
    assert find_corrections(connection, more).sentence == "1 normal to pneumonia"
    again = freeze_snapshot(connection, room.files, room.project, "again", like=more, **asked)  # type: ignore[arg-type]
    split_of = {case.case_id: case.split for case in list_snapshot_cases(connection, again.id)}
    assert split_of == {case.case_id: case.split for case in list_snapshot_cases(connection, more.id)}
    assert [split_of.get(case) for case in drawn] == ["train", "train", None]


def test_what_was_learnt_before_is_begun_from_again_and_an_ensemble_is_refused(
    connection: sqlite3.Connection, room: Room, actor: Actor
) -> None:
    asked = {"actor": actor, "progress": Silent()}
    learnt = room.files.put_bytes("models", b"photographs")
    sources = {"weights": {"hash": learnt, "said": "ImageNet", "form": "keras", "same_answer": False}}
    run = add_run(
        connection, project=room.project.id, snapshot=room.snapshot.id, name="begun", told={"sources": sources},
        recipe=change_recipe(named_recipe("densenet"), {"weights": learnt}), actor=actor,
    )  # fmt: skip
    facts = {"task": "classification", "classes": ["normal", "pneumonia"], "multi_label": False}
    model, ensemble = (
        add_model(
            connection, get_run(connection, of), keras_hash=learnt, onnx_left_out_because="it is a test", parameters=1,
            file_bytes=5, facts=facts | more, seconds=1.0, actor=actor,
        )
        for of, more in (
            (run.id, {}),
            (
                add_run(
                    connection, project=room.project.id, snapshot=room.snapshot.id, name="both",
                    recipe=named_recipe("cnn"), actor=actor,
                ).id,
                {"members": [{"name": "quick"}]},
            ),
        )
    )  # fmt: skip
    add_label(connection, NewLabel(new_event(), room.cases[0].id, "anna", {"classes": ["pneumonia"]}), actor)
    made = ask_retraining(connection, room.files, room.project, model, **asked)  # type: ignore[arg-type]
    assert get_run(connection, made.run.id).told["sources"] == sources
    with pytest.raises(InvalidInput, match="a member, quick"):
        ask_retraining(connection, room.files, room.project, ensemble, **asked)  # type: ignore[arg-type]
