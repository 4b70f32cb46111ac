"""The supervisor with real child processes: deaths, hangs, stops, restarts; nothing lost, nothing twice at once."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.errors import Conflict
from core.images.sealed_paths import seal
from core.jobs.context import job_folder
from core.jobs.kinds import KINDS
from core.jobs.launchers.local import is_alive
from core.jobs.records import (
    Job,
    add_job,
    begin_job,
    claim_job,
    get_job,
    list_jobs,
    list_running,
    request_stop,
    resume_job,
)
from core.jobs.worker import Worker, utc_clock, worker_alive
from core.settings import Settings, load_settings
from core.store.audit import Actor
from tests.core.jobs.bodies import PLACE
from tests.core.jobs.conftest import PATIENCE_SECONDS, wait_until

Settled = Callable[[Worker, Job], Job]
MakeWorker = Callable[..., Worker]


def begun(settings: Settings, job: Job, attempt: int = 1) -> Callable[[], bool]:
    return (job_folder(settings, job.id) / f"began-{attempt}").exists


# ---- deaths


def test_a_killed_child_is_tried_again(
    connection: sqlite3.Connection, actor: Actor, worker: Worker, settled: Settled
) -> None:
    job = settled(worker, add_job(connection, "die", {"times": 1}, lane="work", actor=actor))
    assert (job.state, job.attempt, job.result) == ("done", 2, {"attempt": 2})


def test_a_job_that_is_always_killed_fails_with_a_sentence(
    connection: sqlite3.Connection, actor: Actor, worker: Worker, settled: Settled
) -> None:
    added = add_job(connection, "die", {"times": 9}, lane="work", attempts_allowed=2, actor=actor)
    job = settled(worker, added)
    assert (job.state, job.attempt) == ("failed", 2)
    assert job.error == (
        "The job was killed by the system (exit -9, signal 9), often out of memory. It was tried 2 times."
    )
    assert job.remedy


@pytest.mark.parametrize(("kept", "attempts"), [(False, 1), (True, 2)])
def test_what_would_be_killed_again_for_memory_is_begun_again_only_from_what_it_kept(
    connection: sqlite3.Connection, actor: Actor, worker: Worker, settled: Settled, monkeypatch: pytest.MonkeyPatch,
    kept: bool, attempts: int,
) -> None:  # fmt: skip
    def has_kept(_: sqlite3.Connection, folder: Path, arguments: Mapping[str, Any]) -> bool:
        assert folder.is_dir()
        assert arguments == {"times": 1}
        return kept

    monkeypatch.setitem(KINDS, "die", replace(KINDS["train"], name="die", has_kept=has_kept))
    job = settled(worker, add_job(connection, "die", {"times": 1}, lane="train", attempts_allowed=3, actor=actor))
    assert job.attempt == attempts
    if kept:
        assert job.state == "done"
        return
    assert job.state == "failed"
    assert "killed by the system (exit -9, signal 9)" in (job.error or "")
    assert "kept nothing yet to go on from, so it was not begun again" in (job.error or "")
    assert "no memory left" in (job.why or "")
    assert job.remedy == KINDS["train"].remedy
    job = settled(worker, resume_job(connection, job.id, actor))
    assert job.state == "done", "somebody who made room may begin it again"


@pytest.mark.parametrize(("kind", "said"), [("crash", "signal 11, SIGSEGV"), ("leave", "exit code 3")])
def test_a_child_that_ends_without_an_answer_is_no_success(
    connection: sqlite3.Connection, actor: Actor, worker: Worker, settled: Settled, kind: str, said: str
) -> None:
    job = settled(worker, add_job(connection, kind, {}, lane="work", attempts_allowed=1, actor=actor))
    assert job.state == "failed"
    assert said in (job.error or "")


def test_a_child_that_the_system_ends_goes_on_later_and_it_does_not_count(
    connection: sqlite3.Connection, settings: Settings, actor: Actor, worker: Worker, settled: Settled
) -> None:
    job = add_job(connection, "wait", {}, lane="work", attempts_allowed=1, actor=actor)
    wait_until(begun(settings, job), worker.tick)
    pid = get_job(connection, job.id).pid
    assert pid
    os.kill(pid, signal.SIGTERM)
    wait_until(begun(settings, job, attempt=2), worker.tick)
    (job_folder(settings, job.id) / "go").touch()
    assert settled(worker, job).state == "done"


# ---- hangs


def test_a_hung_child_is_found_by_its_silence(
    connection: sqlite3.Connection, settings: Settings, actor: Actor, make_worker: MakeWorker, settled: Settled
) -> None:
    (settings.home / "settings.toml").write_text("heartbeat_seconds = 1.5")  # the child reads it itself
    worker = make_worker(settings=load_settings(settings.home))
    job = add_job(connection, "freeze", {}, lane="work", actor=actor)
    wait_until(lambda: get_job(connection, job.id).attempt == 2, worker.tick)
    assert "hung" in get_job(connection, job.id).note
    assert settled(worker, job).result == {"attempt": 2}


def test_a_machine_that_slept_did_not_hang(
    connection: sqlite3.Connection, settings: Settings, actor: Actor, make_worker: MakeWorker, settled: Settled
) -> None:
    slept = timedelta()
    worker = make_worker(clock=lambda: utc_clock() + slept)
    job = add_job(connection, "wait", {}, lane="work", actor=actor)
    wait_until(begun(settings, job), worker.tick)
    slept = timedelta(hours=8)
    worker.tick()
    worker.tick()
    (job_folder(settings, job.id) / "go").touch()
    assert settled(worker, job).result == {"attempt": 1}


def test_silence_while_the_worker_was_awake_ends_a_child(
    connection: sqlite3.Connection, settings: Settings, actor: Actor, make_worker: MakeWorker
) -> None:
    later = timedelta()
    worker = make_worker(clock=lambda: utc_clock() + later)
    job = add_job(connection, "freeze", {}, lane="work", actor=actor)
    wait_until(lambda: get_job(connection, job.id).pid, worker.tick)
    for seconds in range(0, 100, 20):  # ticks close enough together that nobody slept
        later = timedelta(seconds=seconds)
        worker.tick()
    wait_until(lambda: get_job(connection, job.id).attempt == 2, worker.tick)


# ---- stops


def test_a_running_job_stops_in_good_order_and_resumes(
    connection: sqlite3.Connection, settings: Settings, actor: Actor, worker: Worker, settled: Settled
) -> None:
    job = add_job(connection, "wait", {}, lane="work", actor=actor)
    wait_until(begun(settings, job), worker.tick)
    request_stop(connection, job.id, actor)
    stopped = settled(worker, job)
    assert (stopped.state, stopped.note, stopped.error) == ("stopped", "Stopped; nothing was lost.", None)
    resume_job(connection, job.id, actor)
    (job_folder(settings, job.id) / "go").touch()
    assert settled(worker, job).result == {"attempt": 2}


def test_what_a_stopped_training_leaves_is_kept(
    connection: sqlite3.Connection, settings: Settings, actor: Actor, worker: Worker, settled: Settled
) -> None:
    job = add_job(connection, "keep_best", {}, lane="train", actor=actor)
    wait_until(begun(settings, job), worker.tick)
    request_stop(connection, job.id, actor)
    stopped = settled(worker, job)
    assert stopped.state == "stopped"
    assert stopped.result == {"stopped": True, "model": "m"}
    with pytest.raises(Conflict, match="has kept its result"):
        resume_job(connection, job.id, actor)


def test_a_child_that_hears_nothing_is_killed_with_all_it_started(
    connection: sqlite3.Connection, settings: Settings, actor: Actor, make_worker: MakeWorker, settled: Settled
) -> None:
    worker = make_worker(stop_grace_seconds=0.5)
    job = add_job(connection, "ignore", {}, lane="work", actor=actor)
    helper = job_folder(settings, job.id) / "helper"
    wait_until(lambda: helper.exists() and helper.read_text(), worker.tick)
    request_stop(connection, job.id, actor)
    assert settled(worker, job).state == "stopped"
    wait_until(lambda: not is_alive(int(helper.read_text()), None))


# ---- quiet moments


def test_prepared_images_that_nobody_uses_go_when_no_job_runs_or_waits(
    connection: sqlite3.Connection, settings: Settings, actor: Actor, make_worker: MakeWorker
) -> None:
    (settings.home / "settings.toml").write_text("prepared_keep_days = 3")
    old, new = (settings.home / "prepared" / "ab" / name for name in ("old.npy", "new.npy"))
    old.parent.mkdir(parents=True)
    later = timedelta()
    for path, days in ((old, 3.1), (new, 2.9)):
        path.touch()
        moment = (utc_clock() - timedelta(days=days)).timestamp()
        os.utime(path, (moment, moment))
    worker = make_worker(settings=load_settings(settings.home), clock=lambda: utc_clock() + later)
    job = add_job(connection, "wait", {}, lane="work", actor=actor)
    wait_until(begun(settings, job), worker.tick)
    assert old.exists()
    (job_folder(settings, job.id) / "go").touch()
    wait_until(lambda: not old.exists(), worker.tick)
    assert new.exists()
    later = timedelta(days=0.2)
    worker.tick()
    assert not new.exists()


def test_paths_and_uploads_that_nobody_needs_go_each_hour_though_jobs_run(
    connection: sqlite3.Connection, settings: Settings, actor: Actor, make_worker: MakeWorker
) -> None:
    seal(settings, ["Doe"])
    (paths,) = (settings.home / "imports").iterdir()
    upload = settings.home / "uploads" / "token"
    (upload / "files").mkdir(parents=True)
    pulled = settings.home / "imports" / "pull-3" / "F0123456789abcdef" / "F0123456789abcde0.dcm"
    pulled.parent.mkdir(parents=True)
    pulled.write_bytes(b"Doe^Jane")
    later = timedelta()
    worker = make_worker(clock=lambda: utc_clock() + later)
    job = add_job(connection, "wait", {}, lane="work", actor=actor)
    wait_until(begun(settings, job), worker.tick)
    assert (paths.exists(), upload.exists()) == (True, True)
    later = timedelta(days=2, minutes=1)
    worker.tick()
    assert (paths.exists(), upload.exists(), pulled.exists()) == (True, False, True)
    later = timedelta(days=settings.paths_keep_days, minutes=1)
    worker.tick()
    assert not paths.exists()
    assert not (settings.home / "imports" / "pull-3").exists(), "what a failed pull fetched names its patients"


def test_paths_that_cannot_be_removed_do_not_end_the_worker(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied", "/uploads/Doe")

    monkeypatch.setattr("core.jobs.abandoned.forget_expired", refuse)
    worker.tick()
    assert "could not be removed: Permission denied" in caplog.text
    assert "Doe" not in caplog.text


def test_images_that_cannot_be_removed_do_not_end_the_worker(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError("read-only file system")

    monkeypatch.setattr("core.jobs.worker.remove_unused_images", refuse)
    worker.tick()
    assert "could not be removed: read-only" in caplog.text


# ---- slots


def test_lanes_have_their_own_slots(
    connection: sqlite3.Connection, settings: Settings, actor: Actor, worker: Worker, settled: Settled
) -> None:
    trains = [add_job(connection, "wait", {}, lane="train", actor=actor) for _ in range(2)]
    works = [add_job(connection, "wait", {}, lane="work", actor=actor) for _ in range(3)]
    for _ in range(3):
        worker.tick()
    running = [job.id for job in list_running(connection)]
    assert running == [trains[0].id, works[0].id, works[1].id]
    for job in (*trains, *works):
        job_folder(settings, job.id).mkdir(parents=True, exist_ok=True)
        (job_folder(settings, job.id) / "go").touch()
    assert {settled(worker, job).state for job in (*trains, *works)} == {"done"}


# ---- restarts


def test_a_new_worker_adopts_the_living_children_of_the_old(
    connection: sqlite3.Connection, settings: Settings, actor: Actor, make_worker: MakeWorker, settled: Settled
) -> None:
    old = make_worker()
    job = add_job(connection, "wait", {}, lane="train", actor=actor)
    waiting = add_job(connection, "wait", {}, lane="train", actor=actor)
    wait_until(begun(settings, job), old.tick)
    old.close()
    new = make_worker()
    for _ in range(3):
        new.tick()
    assert get_job(connection, waiting.id).state == "queued", "the adopted child keeps its slot"
    (job_folder(settings, job.id) / "go").touch()
    assert settled(new, job).result == {"attempt": 1}
    wait_until(begun(settings, waiting), new.tick)


def test_an_adopted_child_can_be_stopped(
    connection: sqlite3.Connection, settings: Settings, actor: Actor, make_worker: MakeWorker, settled: Settled
) -> None:
    old = make_worker()
    job = add_job(connection, "ignore", {}, lane="work", actor=actor)
    wait_until((job_folder(settings, job.id) / "helper").exists, old.tick)
    old.close()
    request_stop(connection, job.id, actor)
    assert settled(make_worker(stop_grace_seconds=0.2), job).state == "stopped"


def test_a_job_whose_worker_died_before_the_child_began_is_not_lost(
    connection: sqlite3.Connection, actor: Actor, worker: Worker, settled: Settled
) -> None:
    job = add_job(connection, "answer", {}, lane="work", attempts_allowed=1, actor=actor)
    claim_job(connection, "work", "cpu")
    assert settled(worker, job).state == "done"


def test_a_job_that_a_restart_of_the_machine_broke_off_goes_on(
    connection: sqlite3.Connection, actor: Actor, worker: Worker, settled: Settled
) -> None:
    job = add_job(connection, "answer", {}, lane="work", attempts_allowed=1, actor=actor)
    claim_job(connection, "work", "cpu")
    begin_job(connection, job.id, 1, os.getpid(), 1.0)  # our own number, which belonged to another long ago
    assert settled(worker, job).state == "done"


def test_one_worker_serves_a_home_and_the_next_stands_by(settings: Settings) -> None:
    assert not worker_alive(settings)
    first, second = start_worker(settings), None
    try:
        wait_until(lambda: worker_alive(settings))
        second = start_worker(settings)
        time.sleep(1.5)
        assert second.poll() is None
        first.send_signal(signal.SIGTERM)
        assert first.wait(PATIENCE_SECONDS) == 0
        wait_until(lambda: worker_alive(settings))
        second.send_signal(signal.SIGINT)
        assert second.wait(PATIENCE_SECONDS) == 0
        assert not worker_alive(settings)
    finally:
        for process in filter(None, (first, second)):
            process.kill()
            process.wait()


def test_killed_at_any_moment_nothing_is_lost_and_nothing_runs_twice_at_once(
    connection: sqlite3.Connection, settings: Settings, actor: Actor
) -> None:
    """Workers and children are killed again and again at random moments, until all work is done."""
    moments = random.Random(7)
    jobs = [
        add_job(connection, "note", {"seconds": 0.3}, lane=lane, attempts_allowed=50, actor=actor)
        for lane in ("work", "train", "work", "work") * 3
    ]
    worker = start_worker(settings)
    try:
        for _ in range(10):
            time.sleep(moments.uniform(0.1, 1.8))
            children = [job.pid for job in list_running(connection) if job.pid]
            if children and moments.random() < 0.5:
                kill(moments.choice(children))
            else:
                worker.kill()
                worker.wait()
                worker = start_worker(settings)
        wait_until(lambda: not list_jobs(connection, states=("queued", "running")))
    finally:
        worker.terminate()
        worker.wait()
    for job in jobs:
        assert get_job(connection, job.id).state == "done"
        trace = (settings.home / f"trace-{job.id}.txt").read_text().splitlines()
        assert trace[-1].startswith("end")
        assert not any(line.startswith("overlap") for line in trace)


def start_worker(settings: Settings) -> subprocess.Popen[bytes]:
    log = Path(settings.home / "worker-test.log").open("ab")  # noqa: SIM115
    with log:
        return subprocess.Popen(
            [sys.executable, "-m", "core.jobs.worker", "--home", str(settings.home), "--handlers", PLACE], stderr=log
        )


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it had just ended
