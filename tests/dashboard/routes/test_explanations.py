"""Asking for an explanation: once, however many ask; then by the job's own word."""

import json
import os
import sqlite3
import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from core.errors import NotFound
from core.explain.records import keep_evidence
from core.images.records import Case
from core.jobs.records import Job, claim_job, finish_job, list_jobs
from core.jobs.worker import beat_path, worker_lock_path
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.store.locks import take_lock
from core.training.records import Model
from dashboard.routes import explanations

PATH = "/api/v1/explanations"
KEY = "cd" * 32


@pytest.fixture
def model(project: Project, monkeypatch: pytest.MonkeyPatch) -> Model:
    made = Model(
        5,
        project.id,
        1,
        "resnet 1",
        "ef" * 32,
        None,
        "it needs too much memory",
        10,
        20,
        {},
        "2026-11-22T10:42:03.123Z",
    )

    def get_model(connection: sqlite3.Connection, project_id: int | None, name_or_id: int) -> Model:
        if name_or_id != made.id:
            raise NotFound("model", name_or_id)
        return made

    monkeypatch.setattr(explanations, "get_model", get_model)
    return made


def asked(model: Model, case: Case, /, **changes: Any) -> dict[str, Any]:
    return {"model": model.id, "case": case.id, "class": "pneumonia", "method": "grad_cam"} | changes


def finish(connection: sqlite3.Connection, result: dict[str, Any] | None, **failure: str) -> Job:
    job = claim_job(connection, "explain", "cpu")
    assert job is not None
    assert finish_job(connection, job, "done" if result else "failed", result=result, **failure)
    return job


def test_a_first_question_becomes_a_job_and_its_answer_an_address(
    client: TestClient, case: Case, model: Model, connection: sqlite3.Connection, files: Files
) -> None:
    first = client.post(PATH, json=asked(model, case))
    assert first.status_code == 202
    job = first.json()["job"]
    assert client.get(f"/api/v1/jobs/{job}").json()["state"] == "queued"
    files.put_under("explanations", KEY, b"map")
    finish(connection, {"explanation": KEY, "check": {"passed": True, "sentence": "It follows the weights."}})
    second = client.post(PATH, json=asked(model, case))
    assert second.status_code == 200
    assert second.json()["url"] == f"/api/v1/explanations/{KEY}.npy"
    assert second.json()["check"]["passed"] is True
    assert client.get(second.json()["url"]).content == b"map"


def test_a_wait_is_told_when_worker_or_job_was_last_heard(
    client: TestClient, case: Case, model: Model, connection: sqlite3.Connection, settings: Settings
) -> None:
    first = client.post(PATH, json=asked(model, case)).json()
    assert first["silent_seconds"] is None  # no worker runs
    job = f"/api/v1/jobs/{first['job']}"
    assert claim_job(connection, "explain", "cpu")
    assert 0 <= client.get(job).json()["silent_seconds"] < 60
    connection.execute("UPDATE jobs SET heartbeat_at = '2020-01-01T00:00:00.000Z'")
    connection.commit()
    assert client.get(job).json()["silent_seconds"] > 1e6
    lock = take_lock(worker_lock_path(settings))
    assert lock is not None
    beat_path(settings).touch()
    assert client.get(job).json()["silent_seconds"] < 60
    os.utime(beat_path(settings), (time.time() - 100, time.time() - 100))
    assert 100 <= client.get(job).json()["silent_seconds"] < 200
    lock.release()


def test_evidence_gathered_since_speaks_with_a_map_that_was_made_before(
    client: TestClient, case: Case, model: Model, connection: sqlite3.Connection, files: Files, actor: Actor
) -> None:
    client.post(PATH, json=asked(model, case))
    files.put_under("explanations", KEY, b"map")
    finish(connection, {"explanation": KEY, "check": {"passed": True, "sentence": "It follows the weights."}})
    numbers = {
        "randomisation": {"value": 0.9, "low": 0.8, "high": 1.0},
        "faithfulness": {"value": 0.2, "low": 0.1, "high": 0.3},
        "stability": {"value": 0.9, "low": 0.8, "high": 1.0},
    }
    connection.execute("PRAGMA foreign_keys = OFF")  # the model is not in the database
    keep_evidence(connection, model.id, "grad_cam", {"n_cases": 60, "measures": numbers}, actor)
    told = client.post(PATH, json=asked(model, case)).json()["check"]
    assert told["passed"] is False
    assert told["n"] == 60
    assert "Grad-CAM: Not reliable for this model" in told["sentence"]


def test_the_same_question_shares_one_job(
    client: TestClient, case: Case, model: Model, connection: sqlite3.Connection
) -> None:
    jobs = {client.post(PATH, json=asked(model, case)).json()["job"] for _ in range(3)}
    other = client.post(PATH, json=asked(model, case) | {"class": "normal"}).json()["job"]
    assert len(jobs) == 1
    assert other not in jobs
    assert len(list_jobs(connection, kinds=("explain",))) == 2


def test_a_failed_or_lost_explanation_is_made_again(
    client: TestClient, case: Case, model: Model, connection: sqlite3.Connection
) -> None:
    first = client.post(PATH, json=asked(model, case)).json()["job"]
    finish(connection, None, error="It broke.", remedy="Ask again.", traceback="Traceback: patient name")
    told = client.get(f"/api/v1/jobs/{first}")
    assert (told.json()["error"], told.json()["remedy"]) == ("It broke.", "Ask again.")
    assert "Traceback" not in told.text
    second = client.post(PATH, json=asked(model, case)).json()["job"]
    assert second != first
    finish(connection, {"explanation": KEY})  # its file is not there
    assert client.post(PATH, json=asked(model, case)).json()["job"] not in (first, second)


def test_of_a_measured_number_the_quantity_is_explained_and_nothing_else(
    client: TestClient, connection: sqlite3.Connection, case: Case, model: Model
) -> None:
    age = json.dumps({"target": "age", "unit": "years", "low": None, "high": None, "measure": None})
    connection.execute("UPDATE projects SET task = 'regression', label_schema = ?", (age,))
    model.facts["target"] = "age"
    assert client.post(PATH, json=asked(model, case, **{"class": "age"})).status_code == 202
    assert client.post(PATH, json=asked(model, case)).status_code == 422
    assert [job.arguments["class"] for job in list_jobs(connection)] == ["age"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"model": 99}, 404),
        ({"case": 99}, 404),
        ({"model": "5"}, 422),
        ({"case": True}, 422),
        ({"case": 1 << 70}, 422),
        ({"class": "cat"}, 422),
        ({"class": None}, 422),
        ({"method": "tea leaves"}, 422),
    ],
)
def test_a_question_without_sense_is_refused(
    client: TestClient, case: Case, model: Model, connection: sqlite3.Connection, changes: dict[str, Any], status: int
) -> None:
    answer = client.post(PATH, json=asked(model, case, **changes))
    assert answer.status_code == status
    assert answer.json()["reason"]
    assert list_jobs(connection) == []
