"""Waiting for a job from a script, with and without a worker of the home."""

import sqlite3
import threading
from collections.abc import Callable
from functools import partial

import pytest

from core.errors import NotFound
from core.jobs.context import job_folder
from core.jobs.records import Job, add_job, get_job
from core.jobs.waiting import read_log, wait_for_job
from core.jobs.worker import Worker, worker_alive, worker_lock_path
from core.settings import Settings
from core.store.audit import Actor
from core.store.locks import take_lock
from core.training.device import CPU
from tests.core.jobs.bodies import PLACE

OWN_WORKER = partial(Worker, handlers=PLACE, devices=[CPU])


def test_without_a_worker_the_waiting_process_is_one(
    connection: sqlite3.Connection, settings: Settings, actor: Actor
) -> None:
    job = add_job(connection, "answer", {"say": 1}, lane="work", actor=actor)
    seen: list[Job] = []
    ended = wait_for_job(settings, job.id, seen.append, worker=OWN_WORKER)
    assert ended.state == "done"
    assert seen[0].state == "queued"
    assert seen[-1] == ended
    assert not worker_alive(settings), "the home is free again"


def test_a_failure_is_given_back_not_raised(connection: sqlite3.Connection, settings: Settings, actor: Actor) -> None:
    job = add_job(connection, "refuse", {}, lane="work", actor=actor)
    assert wait_for_job(settings, job.id, worker=OWN_WORKER).error == "Choose another snapshot. Received: s1"


def test_it_takes_over_where_the_worker_ends(connection: sqlite3.Connection, settings: Settings, actor: Actor) -> None:
    job = add_job(connection, "answer", {}, lane="work", actor=actor)
    lock = take_lock(worker_lock_path(settings))
    assert lock
    threading.Timer(0.5, lock.release).start()
    assert wait_for_job(settings, job.id, worker=OWN_WORKER).state == "done"


def test_when_the_wait_is_broken_off_the_job_runs_on(
    connection: sqlite3.Connection, settings: Settings, actor: Actor, make_worker: Callable[..., Worker],
    settled: Callable[[Worker, Job], Job],
) -> None:  # fmt: skip
    job = add_job(connection, "wait", {}, lane="work", actor=actor)

    def break_off(now: Job) -> None:
        if now.pid:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wait_for_job(settings, job.id, break_off, worker=OWN_WORKER)
    assert get_job(connection, job.id).state == "running"
    assert not worker_alive(settings)
    (job_folder(settings, job.id) / "go").touch()
    assert settled(make_worker(), job).result == {"attempt": 1}


def test_a_job_that_is_not_there(settings: Settings) -> None:
    with pytest.raises(NotFound):
        wait_for_job(settings, 9)


def test_a_log_is_read_whole_or_from_its_end(settings: Settings) -> None:
    assert read_log(settings, 3) == ""
    job_folder(settings, 3).mkdir(parents=True)
    (job_folder(settings, 3) / "log.txt").write_bytes(b"begin\n\xff end")
    assert read_log(settings, 3) == "begin\n\ufffd end"
    assert read_log(settings, 3, last_bytes=4) == " end"
