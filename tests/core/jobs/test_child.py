"""One attempt in a real child process: what it sees, what it stores, how each ending reads."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable

import pytest

from core.errors import InvalidInput, NotFound, Unavailable
from core.jobs.child import _failure
from core.jobs.context import job_folder
from core.jobs.records import Job, add_job, claim_job, finish_job, get_job, resume_job
from core.jobs.reporting import GIVEN_AWAY, read_events
from core.jobs.waiting import read_log
from core.jobs.worker import Worker
from core.settings import Settings
from core.store.audit import Actor
from core.training.device import CPU, Device
from core.training.preflight import PreflightFailed

Settled = Callable[[Worker, Job], Job]


def test_it_works(
    connection: sqlite3.Connection, settings: Settings, actor: Actor, worker: Worker, settled: Settled
) -> None:
    job = settled(worker, add_job(connection, "answer", {"say": "hello"}, lane="work", actor=actor))
    assert (job.state, job.fraction, job.note) == ("done", 1.0, "More")
    assert job.facts == {"epoch": 1, "loss": None}
    assert job.result is not None
    assert job.result["said"] == "hello"
    assert job.result["actor"] == ["anna", "job"]
    assert job.pid == job.result["pid"] == job.result["group"], "it leads a group of its own"
    assert "printed by the body" in read_log(settings, job.id)
    events = read_events(job_folder(settings, job.id))
    assert [event.get("event") for event in events] == ["started", None, "done"]


def test_a_cpu_child_sees_no_gpu_and_is_nice(
    connection: sqlite3.Connection, actor: Actor, worker: Worker, settled: Settled
) -> None:
    job = settled(worker, add_job(connection, "answer", {}, lane="train", actor=actor))
    assert job.result is not None
    assert job.result["cuda"] == "-1"
    assert not job.result["tensorflow"]
    assert job.result["nice"] >= os.nice(0) + 10
    assert job.device == "cpu"


def test_a_training_sees_its_own_gpu_and_no_other(
    connection: sqlite3.Connection, actor: Actor, make_worker: Callable[..., Worker], settled: Settled
) -> None:
    gpus = [Device("gpu:0", "gpu", "A", "GPU-aa", 8), Device("gpu:1", "gpu", "B", "GPU-bb", 16)]
    worker = make_worker(devices=gpus)
    jobs = [add_job(connection, "answer", {}, lane="train", actor=actor) for _ in range(2)]
    other = add_job(connection, "answer", {}, lane="work", actor=actor)
    seen = {(job.device, job.result["cuda"]) for job in (settled(worker, job) for job in jobs) if job.result}
    assert seen == {("gpu:0", "GPU-aa"), ("gpu:1", "GPU-bb")}
    assert (settled(worker, other).result or {})["cuda"] == "-1"


def test_a_training_gets_no_gpu_that_was_lost_since_the_worker_began_and_gets_one_that_is_back(
    connection: sqlite3.Connection,
    actor: Actor,
    make_worker: Callable[..., Worker],
    settled: Settled,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    small, large = Device("gpu:0", "gpu", "A", "GPU-aa", 8), Device("gpu:1", "gpu", "B", "GPU-bb", 16)
    there = [small, large]
    monkeypatch.setattr("core.jobs.worker.list_devices", lambda: tuple(there) or (CPU,))
    worker = make_worker(devices=None)

    def given() -> str | None:
        return settled(worker, add_job(connection, "answer", {}, lane="train", actor=actor)).device

    there.remove(large)
    assert given() == "gpu:0", "resumed, a run that lost its GPU goes on elsewhere"
    assert "has other devices than before: gpu:0; it had gpu:0, gpu:1" in caplog.text
    there.clear()
    assert given() == "cpu"
    there += [small, large]
    assert given() == "gpu:1"


def test_a_refusal_is_its_sentence(
    connection: sqlite3.Connection, actor: Actor, worker: Worker, settled: Settled
) -> None:
    job = settled(worker, add_job(connection, "refuse", {}, lane="work", actor=actor))
    assert (job.state, job.error) == ("failed", "Choose another snapshot. Received: s1")
    assert job.remedy
    assert "InvalidInput" in (job.traceback or "")
    assert job.attempt == 1, "a refusal is not tried again"


def test_a_refusal_says_what_to_change_and_not_to_resume(
    connection: sqlite3.Connection, actor: Actor, worker: Worker, settled: Settled
) -> None:
    refused = settled(worker, add_job(connection, "refuse", {}, lane="work", actor=actor))
    assert refused.would_repeat
    assert (refused.remedy or "").startswith("Change what the sentence names and ask for it anew")
    assert refused.can_resume, "somebody may know better"
    defect = settled(worker, add_job(connection, "fault", {}, lane="work", actor=actor))
    assert not defect.would_repeat
    again = settled(worker, resume_job(connection, refused.id, actor))
    assert (again.attempt, again.would_repeat) == (2, True)


@pytest.mark.parametrize(
    ("kind", "error", "repeats"),
    [
        ("import", InvalidInput("Name a folder. Received: none"), True),
        ("train", NotFound("snapshot", 4), True),
        ("train", PreflightFailed("Changed.", "Freeze a new one.", would_repeat=True), True),
        ("train", PreflightFailed("Full.", "Make room, then resume."), False),
        ("pull", InvalidInput("Enter the address that it leads to. Received: 301"), False),
        ("import", Unavailable("The disk is full. Received: it"), False),
        ("import", MemoryError(), False),
    ],
)
def test_only_what_is_mended_outside_a_job_is_resumed(
    connection: sqlite3.Connection, actor: Actor, kind: str, error: Exception, repeats: bool
) -> None:
    told = _failure(add_job(connection, kind, {}, actor=actor), error)
    assert told["would_repeat"] is repeats
    assert ("then resume" in told["remedy"] or "Resume" in told["remedy"]) is not repeats


def test_a_job_that_was_killed_after_a_refusal_is_resumed(
    connection: sqlite3.Connection, actor: Actor, worker: Worker, settled: Settled
) -> None:
    refused = settled(worker, add_job(connection, "refuse", {}, lane="work", actor=actor))
    resume_job(connection, refused.id, actor)
    claimed = claim_job(connection, "work", "cpu")
    assert claimed is not None
    assert finish_job(connection, claimed, "failed", error="The job was killed by the system.")
    assert not get_job(connection, refused.id).would_repeat


@pytest.mark.parametrize(("kind", "said"), [("fault", "ZeroDivisionError"), ("exhaust", "not enough memory")])
def test_a_defect_keeps_its_traceback(
    connection: sqlite3.Connection, actor: Actor, worker: Worker, settled: Settled, kind: str, said: str
) -> None:
    job = settled(worker, add_job(connection, kind, {}, lane="work", actor=actor))
    assert job.state == "failed"
    assert said in (job.error or "")
    assert "Traceback" in (job.traceback or "")
    assert job.remedy


def run_child(settings: Settings, job: Job, attempt: int) -> int:
    arguments = [str(job.id), "--home", str(settings.home), "--attempt", str(attempt)]
    return subprocess.run(
        [sys.executable, "-m", "core.jobs.child", *arguments, "--handlers", "tests.core.jobs.bodies:BODIES"],
        check=False,
        capture_output=True,
    ).returncode


def test_a_child_of_an_older_attempt_does_nothing(
    connection: sqlite3.Connection, settings: Settings, actor: Actor
) -> None:
    job = add_job(connection, "note", {}, lane="work", actor=actor)
    claim_job(connection, "work", "cpu")
    assert run_child(settings, job, 2) == GIVEN_AWAY
    assert not (settings.home / f"trace-{job.id}.txt").exists()
    assert run_child(settings, job, 1) == 0
    assert get_job(connection, job.id).state == "done"
    assert run_child(settings, job, 1) == GIVEN_AWAY, "a settled job is not run again"
    assert (settings.home / f"trace-{job.id}.txt").read_text().count("begin") == 1
