"""A reviewed model whose labels were corrected since, and what its retraining leaves."""

import sqlite3

from core.datasets.records import get_snapshot
from core.evaluation.records import store_predictions
from core.jobs.bodies import train
from core.jobs.context import JobContext
from core.jobs.records import Job, claim_job, finish_job
from core.labels.records import NewLabel, add_label, new_event
from core.progress import Silent
from core.reviews.criteria import parse_criterion
from core.reviews.meetings import Review, add_review, open_results
from core.store.audit import Actor
from core.training.records import Model, add_model, get_run
from tests.core.reviews.conftest import Room, scores


def opened_review(connection: sqlite3.Connection, room: Room, actor: Actor) -> Review:
    criteria = [parse_criterion(text) for text in ("accuracy at least 0.8", "accuracy by sex at least 0.7")]
    made = add_review(connection, room.project, room.model, criteria=criteria, actor=actor)
    return open_results(connection, made, actor=actor)


def correct_two(connection: sqlite3.Connection, room: Room, actor: Actor) -> None:
    for case in (room.cases[0], room.cases[30]):
        add_label(connection, NewLabel(new_event(), case.id, "anna", {"classes": ["pneumonia"]}), actor)
    add_label(connection, NewLabel(new_event(), room.cases[2].id, "anna", None), actor)


def finish_training(connection: sqlite3.Connection, room: Room, asked: Job, actor: Actor) -> Model:
    """What a training leaves, and what it queues at its end, twice: an attempt may be killed behind it."""
    run = get_run(connection, asked.arguments["run"])
    model = add_model(
        connection, run, keras_hash=room.files.put_bytes("models", b"again"),
        onnx_left_out_because="it is a test", parameters=1, file_bytes=5, facts=room.model.facts, seconds=1.0,
        actor=actor,
    )  # fmt: skip
    answers = {case.id: scores(at) for at, case in enumerate(room.cases)}
    schema = get_snapshot(connection, room.project.id, run.snapshot).schema
    store_predictions(connection, model, schema, answers)  # type: ignore[arg-type]
    job = claim_job(connection, "train", "cpu")
    assert job is not None
    context = JobContext(connection, room.files, room.settings, job, room.settings.home, "cpu", actor, Silent())
    for _ in range(2):
        train._queue_evaluation(context, model.id, run.id)
    finish_job(connection, job, "done", result={"model": model.name, "model_id": model.id})
    return model
