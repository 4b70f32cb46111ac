"""What is said of a model without an ONNX file while its run lives, and afterwards."""

import sqlite3
from typing import Any

import pytest

from core.jobs.exporting import why_no_onnx
from core.jobs.records import Job, add_job, claim_job, finish_job
from core.store.audit import Actor
from core.training.onnx_export import EXPORT_INTERRUPTED
from core.training.recipe import named_recipe
from core.training.records import Model, add_model, get_model, set_onnx, set_run_job
from core.training.request import request_training


@pytest.fixture
def exporting(connection: sqlite3.Connection, planted: Any, actor: Actor) -> tuple[Model, Job]:
    """A model whose file was to be made when it was stored, and the job of its run, which waits."""
    run, arguments = request_training(connection, planted.project, planted.snapshot, named_recipe("cnn"), actor=actor)
    job = add_job(connection, "train", arguments, project=planted.project.id, actor=actor)
    set_run_job(connection, run.id, job.id)
    model = add_model(
        connection, run, keras_hash="0" * 64, onnx_left_out_because=EXPORT_INTERRUPTED, parameters=1, file_bytes=1,
        facts={}, seconds=1.0, actor=actor,
    )  # fmt: skip
    return model, job


def test_the_words_are_those_that_homes_hold_already() -> None:
    assert EXPORT_INTERRUPTED == "The export was interrupted."


def test_an_export_is_under_way_while_the_run_lives_and_interrupted_once_it_ended_without_one(
    connection: sqlite3.Connection, exporting: tuple[Model, Job], actor: Actor
) -> None:
    model, job = exporting
    assert why_no_onnx(connection, model) == "The export is under way.", "a run that will go on makes it then"
    running = claim_job(connection, "train", "cpu")
    assert running is not None
    assert running.id == job.id
    assert why_no_onnx(connection, model) == "The export is under way."
    finish_job(connection, running, "failed", error="killed")
    assert why_no_onnx(connection, model) == "The export was interrupted."


def test_a_reason_that_was_found_is_told_while_the_run_lives_too(
    connection: sqlite3.Connection, exporting: tuple[Model, Job]
) -> None:
    model, _ = exporting
    set_onnx(connection, model.id, None, "The export may use 2 GB.")
    assert why_no_onnx(connection, get_model(connection, None, model.id)) == "The export may use 2 GB."
    set_onnx(connection, model.id, None, None)
    assert why_no_onnx(connection, get_model(connection, None, model.id)) == "It was not made yet."
