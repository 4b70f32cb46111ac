"""What a command says when the job that it waited for has ended."""

import json
import os
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from core.cli import door as door_module
from core.cli.door import Door, answer, ask_model, cases_named, model_named, wait_and_tell
from core.errors import CoreError, NotFound
from core.jobs.records import Job, add_job, claim_job, finish_job, get_job
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.training.records import Model

End = Callable[..., dict[str, Any]]


@pytest.fixture
def end(
    connection: sqlite3.Connection, settings: Settings, files: Files, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> End:
    """Wait for a training that ends as told."""

    def wait(state: Any, **outcome: Any) -> dict[str, Any]:
        job = add_job(connection, "train", {"run": 1}, actor=actor)
        running = claim_job(connection, "train", "cpu")
        assert running
        finish_job(connection, running, state, **outcome)

        def ended(settings: Settings, job_id: int, on_progress: Callable[[Job], None]) -> Job:
            found = get_job(connection, job_id)
            on_progress(found)
            return found

        monkeypatch.setattr(door_module, "wait_for_job", ended)
        return wait_and_tell(Door(settings, connection, files, actor), job)

    return wait


def test_a_stopped_training_gives_the_model_it_kept(end: End) -> None:
    assert end("stopped", result={"model": "m", "stopped": True}) == {"model": "m", "stopped": True}


def test_what_was_stopped_and_left_nothing_is_said(end: End) -> None:
    with pytest.raises(CoreError, match="was stopped"):
        end("stopped")


def test_a_failure_is_its_sentence_and_remedy(end: End) -> None:
    with pytest.raises(CoreError, match=r"^Too little memory. Take a smaller batch.$"):
        end("failed", error="Too little memory.", remedy="Take a smaller batch.")


def test_a_question_to_a_model_is_a_job_of_its_project(
    connection: sqlite3.Connection, settings: Settings, files: Files, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answered(settings: Settings, job_id: int, _: object) -> Job:
        running = claim_job(connection, "work", "cpu")
        assert running
        finish_job(connection, running, "done", result={"job": job_id})
        return get_job(connection, job_id)

    monkeypatch.setattr(door_module, "wait_for_job", answered)
    model = Model(5, 3, 1, "m", "0" * 64, None, None, 1, 1, {}, "2026-11-22T10:00:00Z")
    result = ask_model(Door(settings, connection, files, actor), "evaluate", model, {"split": "test"})
    job = get_job(connection, result["job"])
    assert (job.kind, job.project, job.arguments) == ("evaluate", 3, {"model": 5, "split": "test"})


def test_a_model_is_named_with_its_project(
    connection: sqlite3.Connection, settings: Settings, files: Files, actor: Actor, project: Project
) -> None:
    door = Door(settings, connection, files, actor)
    with pytest.raises(NotFound, match="There is no project Knees"):
        model_named(door, "Knees", "m")
    for name in ("m", "9" * 40, "9" * 5000):
        with pytest.raises(NotFound, match=f"There is no model {name}"):
            model_named(door, project.name, name)


def test_a_range_is_of_plain_digits(
    connection: sqlite3.Connection, settings: Settings, files: Files, actor: Actor, project: Project
) -> None:
    door = Door(settings, connection, files, actor)
    assert cases_named(door, project.id, "3-5,8-9") == [3, 4, 5, 8, 9]
    with pytest.raises(NotFound, match="There is no case 1-²"):
        cases_named(door, project.id, "1-²")


def test_a_file_whose_name_is_no_utf_8_is_told_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"path": os.fsdecode(b"M\xfcller.png"), "class": "Blässe"}
    answer(document, document["path"], as_json=True)
    assert json.loads(capsys.readouterr().out) == document
    answer(document, document["path"], as_json=False)
    assert capsys.readouterr().out == "M\\udcfcller.png\n"
