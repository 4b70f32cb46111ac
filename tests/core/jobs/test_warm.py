"""The warm child: one process for many explanations, kept, ended, replaced."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable

import pytest

from core.jobs.launchers import local
from core.jobs.records import Job, add_job, get_job
from core.jobs.warm import find_warm_process, is_warm_wanted, request_warm
from core.jobs.worker import Worker
from core.settings import Settings, load_settings
from core.store.audit import Actor
from tests.core.jobs.conftest import wait_until

Settled = Callable[[Worker, Job], Job]


@pytest.fixture
def ask(connection: sqlite3.Connection, actor: Actor) -> Callable[..., Job]:
    def ask(**arguments: object) -> Job:
        return add_job(connection, "explain", arguments, actor=actor)

    return ask


def test_one_process_answers_and_keeps_what_it_loaded(
    settings: Settings, worker: Worker, settled: Settled, ask: Callable[..., Job]
) -> None:
    answers = [settled(worker, ask(case=case)) for case in range(3)]
    assert {job.state for job in answers} == {"done"}
    assert len({job.pid for job in answers}) == 1
    assert [(job.result or {})["loads"] for job in answers] == [1, 1, 1]
    assert not (settings.home / "jobs" / str(answers[0].id)).exists(), "an explanation leaves no folder"


def test_once_warm_it_answers_without_the_worker(
    connection: sqlite3.Connection, worker: Worker, settled: Settled, ask: Callable[..., Job]
) -> None:
    settled(worker, ask())
    job = ask()
    wait_until(lambda: get_job(connection, job.id).state == "done")


def test_it_takes_no_slot(
    connection: sqlite3.Connection, actor: Actor, worker: Worker, ask: Callable[..., Job]
) -> None:
    for lane in ("train", "work", "work"):
        add_job(connection, "ignore", {}, lane=lane, actor=actor)
    job = ask()
    wait_until(lambda: get_job(connection, job.id).state == "done", worker.tick)


def test_a_wish_loads_the_model_ahead_and_leaves_no_job(
    connection: sqlite3.Connection, settings: Settings, worker: Worker, settled: Settled, ask: Callable[..., Job]
) -> None:
    request_warm(settings, 5)
    assert is_warm_wanted(settings)
    wait_until(lambda: not is_warm_wanted(settings), worker.tick)
    assert connection.execute("SELECT count(*) FROM jobs").fetchone()[0] == 0
    assert settled(worker, ask()).result["loads"] == 0  # type: ignore[index]


def test_it_ends_when_nobody_asks(
    settings: Settings, make_worker: Callable[..., Worker], settled: Settled, ask: Callable[..., Job]
) -> None:
    (settings.home / "settings.toml").write_text("explain_idle_seconds = 1")
    worker = make_worker(settings=load_settings(settings.home))
    first = settled(worker, ask())
    wait_until(lambda: find_warm_process(settings) is None, worker.tick)
    second = settled(worker, ask())
    assert (second.state, second.pid == first.pid) == ("done", False)


def test_killed_in_the_middle_another_answers(
    connection: sqlite3.Connection, worker: Worker, settled: Settled, ask: Callable[..., Job]
) -> None:
    job = ask(seconds=1.0)
    wait_until(lambda: get_job(connection, job.id).pid, worker.tick)
    first = get_job(connection, job.id).pid
    assert first
    os.kill(first, signal.SIGKILL)
    done = settled(worker, job)
    assert (done.state, done.attempt) == ("done", 2)
    assert done.pid != first


def test_it_ends_with_the_worker_after_the_answer_in_hand(
    connection: sqlite3.Connection, settings: Settings, make_worker: Callable[..., Worker], ask: Callable[..., Job]
) -> None:
    worker = make_worker()
    job = ask(seconds=0.5)
    wait_until(lambda: get_job(connection, job.id).pid, worker.tick)
    worker.close()
    assert find_warm_process(settings) is None
    assert get_job(connection, job.id).state == "done"


def test_a_new_worker_uses_the_warm_child_of_a_killed_one(
    settings: Settings, make_worker: Callable[..., Worker], settled: Settled, ask: Callable[..., Job]
) -> None:
    first = settled(make_worker(), ask())
    second = settled(make_worker(), ask())  # the old worker is not asked any more, as if it were killed
    assert first.pid == second.pid


def test_where_it_cannot_start_a_question_is_refused_instead_of_left_waiting(
    connection: sqlite3.Connection, worker: Worker, ask: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.jobs.keeping_warm.RETRY_SECONDS", 0.0)
    broken = [sys.executable, "-c", "raise SystemExit(1)"]
    monkeypatch.setattr(local, "start_warm", lambda *_: subprocess.Popen(broken))
    job = ask()
    wait_until(lambda: not get_job(connection, job.id).is_active, worker.tick)
    failed = get_job(connection, job.id)
    assert failed.state == "failed"
    assert "3 times" in (failed.error or "")


def test_a_second_warm_child_leaves(
    settings: Settings, worker: Worker, settled: Settled, ask: Callable[..., Job]
) -> None:
    settled(worker, ask())
    found = find_warm_process(settings)
    assert found
    command = [sys.executable, "-m", "core.jobs.warm", "--home", str(settings.home)]
    done = subprocess.run(command, check=False, capture_output=True, timeout=60)
    assert done.returncode == 0
    assert find_warm_process(settings) == found
