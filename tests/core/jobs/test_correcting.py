"""From corrected labels to a training on the same splits, in one act."""

import os
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import list_snapshot_cases
from core.errors import InvalidInput
from core.evaluation.records import list_evaluations
from core.images.records import NewCase, insert_case
from core.jobs.bodies.review_again import run as review_again
from core.jobs.context import JobContext
from core.jobs.correcting import ask_retraining, list_followed
from core.jobs.records import claim_job, get_job, list_jobs
from core.jobs.waiting import read_log
from core.jobs.worker import Worker
from core.labels.records import NewLabel, add_label, new_event
from core.progress import Progress, Silent
from core.reviews.corrections import find_corrections
from core.reviews.meetings import count_test_looks, list_reviews
from core.reviews.remarks import list_remarks
from core.settings import Settings
from core.store.audit import Actor
from core.training.device import CPU
from core.training.recipe import change_recipe, named_recipe
from core.training.records import add_model, add_run, get_run
from tests.core.jobs.conftest import wait_until
from tests.core.reviews.conftest import Room, add_image, furnished_room, project, room, settings
from tests.core.reviews.retrained import correct_two, finish_training, opened_review

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
        connection, project=room.project.id, snapshot=room.snapshot.id, name="begun",
        told={"sources": sources, "preflight": {"batch": 4}},
        recipe=change_recipe(named_recipe("densenet"), {"weights": learnt, "devices": 8}), actor=actor,
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
    assert (made.run.recipe.batch, made.run.recipe.devices) == (4, 4), "what fitted on the one device that there was"
    moved = add_run(
        connection, project=room.project.id, snapshot=room.snapshot.id, name="from 0.300", told={"point_of": model.id},
        recipe=run.recipe, actor=actor,
    )  # fmt: skip
    point = add_model(
        connection, moved, keras_hash=learnt, onnx_left_out_because="it is a test", parameters=1, file_bytes=5,
        facts=facts | {"point_of": model.id}, seconds=1.0, actor=actor,
    )  # fmt: skip
    of_point = ask_retraining(connection, room.files, room.project, point, **asked)  # type: ignore[arg-type]
    assert get_run(connection, of_point.run.id).told["sources"] == sources, "those of the weights that it decides by"
    assert of_point.run.recipe == made.run.recipe
    with pytest.raises(InvalidInput, match="a member, quick"):
        ask_retraining(connection, room.files, room.project, ensemble, **asked)  # type: ignore[arg-type]


MOMENTS = ("Starting", "Measuring", "Comparing", "is prepared")  # what the body says last before each kill


class Deadly:
    """A progress that kills its process (signal 9) when the body says the word of this attempt."""

    def __init__(self, whole: Progress, word: str) -> None:
        self._whole, self._word = whole, word

    def report(self, fraction: float, note: str, **facts: object) -> None:
        self._whole.report(fraction, note, **facts)
        if self._word and self._word in note:
            os.kill(os.getpid(), signal.SIGKILL)

    def should_stop(self) -> bool:
        return self._whole.should_stop()


def review_and_die(context: JobContext) -> object:
    word = MOMENTS[context.job.attempt - 1] if context.job.attempt <= len(MOMENTS) else ""
    return review_again(replace(context, progress=Deadly(context.progress, word)))


BODIES = {"review_again": review_and_die}


def test_after_the_training_both_models_are_measured_and_one_new_review_is_prepared_however_often_it_is_killed(
    connection: sqlite3.Connection, settings: Settings, room: Room, actor: Actor
) -> None:
    review = opened_review(connection, room, actor)
    correct_two(connection, room, actor)
    asked = ask_retraining(
        connection, room.files, room.project, room.model, review=review, actor=actor, progress=Silent()
    )
    (one,) = list_followed(connection, review)
    assert (one.training.id, one.measuring, one.review, one.is_over) == (asked.job.id, None, None, False)
    model = finish_training(connection, room, asked.job, actor)
    assert list_jobs(connection, kinds=("evaluate",)) == []
    (job,) = list_jobs(connection, kinds=("review_again",))
    connection.execute("UPDATE jobs SET attempts_allowed = ? WHERE id = ?", (len(MOMENTS) + 1, job.id))
    with closing(Worker(settings, handlers=f"{__name__}:BODIES", devices=[CPU])) as worker:
        wait_until(lambda: not get_job(connection, job.id).is_active, worker.tick)
    ended = get_job(connection, job.id)
    assert (ended.state, ended.attempt) == ("done", len(MOMENTS) + 1), read_log(settings, job.id)
    made, old = list_reviews(connection, room.project.id)
    assert old.id == review.id
    assert ended.result is not None
    assert ended.result["review"] == made.id
    assert "Seed noise unknown" in ended.result["comparison"][0]
    assert (made.model, made.production, made.snapshot) == (model.id, room.model.id, asked.snapshot.id)
    assert (made.criteria, made.is_locked) == (review.criteria, False)
    for measured in (model, room.model):
        looks = [one for one in list_evaluations(connection, model_id=measured.id) if one.snapshot == made.snapshot]
        assert len(looks) == 1, measured.name
    looks = count_test_looks(connection, made)
    assert (looks.evaluations, looks.known_before) == (2, False)
    (note,) = list_remarks(connection, made)
    numbers = [room.cases[at].id for at in (0, 30, 2)]
    for part in (
        f"Retrained after review {review.id}",
        f"2 normal to pneumonia (cases {numbers[0]}, {numbers[1]}; train 1, test 1)",
        f"without a reference now: case {numbers[2]}; train 1.",
        "Cases: train 16 → 15, validation 8 → 8, test 16 → 16.",
    ):
        assert part in note.text
    (one,) = list_followed(connection, review)
    assert one.is_over
    assert one.review == made


def test_a_model_that_has_learnt_the_test_cases_is_not_measured_on_them(
    connection: sqlite3.Connection, room: Room, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    review = opened_review(connection, room, actor)
    correct_two(connection, room, actor)
    asked = ask_retraining(
        connection, room.files, room.project, room.model, review=review, actor=actor, progress=Silent()
    )
    model = finish_training(connection, room, asked.job, actor)
    job = claim_job(connection, "work", "cpu")
    assert job is not None
    connection.execute("UPDATE cases SET patient = 'p0' WHERE id = ?", (room.cases[30].id,))
    connection.execute("UPDATE snapshot_cases SET patient = 'p0' WHERE case_id = ?", (room.cases[30].id,))
    context = JobContext(connection, room.files, room.settings, job, room.settings.home, "cpu", actor, Silent())
    result = review_again(context)
    assert "was made with patients of this split" in result["comparison"][0]
    measured = [len([one for one in list_evaluations(connection, model_id=number) if one.snapshot == asked.snapshot.id])
                for number in (model.id, room.model.id)]  # fmt: skip
    assert measured == [1, 0]
