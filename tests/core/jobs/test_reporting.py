"""How a body's words reach the row: seldom, in the end all, and never for another's attempt."""

import sqlite3
import threading
import time
from pathlib import Path

import pytest

from core.clock import utc_now
from core.jobs.records import Job, add_job, claim_job, get_job, request_stop, requeue_job
from core.jobs.reporting import REPORT_SECONDS, JobProgress, read_events, write_event
from core.settings import Settings
from core.store.audit import Actor
from tests.core.jobs.conftest import wait_until


@pytest.fixture
def running(connection: sqlite3.Connection, actor: Actor) -> Job:
    add_job(connection, "train", {}, actor=actor)
    claimed = claim_job(connection, "train", "cpu")
    assert claimed
    return claimed


def test_the_last_word_is_always_stored_and_the_database_is_spared(
    connection: sqlite3.Connection, settings: Settings, tmp_path: Path, running: Job
) -> None:
    with JobProgress(settings, running, tmp_path) as progress:
        began, reports = time.monotonic(), 0
        while time.monotonic() - began < 2.5 or reports <= 500:
            reports += 1
            progress.report(reports / 1e9, "Working", batch=reports)
            time.sleep(0.001)
        progress.report(7.0, "Nearly", loss=0.25)
    seconds = time.monotonic() - began
    job = get_job(connection, running.id)
    assert (job.fraction, job.note, job.facts) == (1.0, "Nearly", {"batch": reports, "loss": 0.25})
    assert 2 <= len(read_events(tmp_path)) <= seconds / REPORT_SECONDS + 2


def test_a_silent_body_beats(connection: sqlite3.Connection, tmp_path: Path, settings: Settings, running: Job) -> None:
    quick = Settings(home=settings.home, heartbeat_seconds=1.2)
    before = utc_now()
    with JobProgress(quick, running, tmp_path):
        wait_until(lambda: (get_job(connection, running.id).heartbeat_at or "") > before)


def test_a_wish_to_stop_is_heard(
    connection: sqlite3.Connection, settings: Settings, tmp_path: Path, actor: Actor, running: Job
) -> None:
    with JobProgress(settings, running, tmp_path) as progress:
        assert not progress.should_stop()
        request_stop(connection, running.id, actor)
        wait_until(progress.should_stop)


def test_a_process_whose_attempt_was_given_away_leaves(
    connection: sqlite3.Connection, settings: Settings, tmp_path: Path, running: Job
) -> None:
    said: list[str] = []
    with JobProgress(settings, running, tmp_path, leave=said.append) as progress:
        requeue_job(connection, running, "Taken for dead.")
        progress.report(0.9, "Still here")
        wait_until(lambda: said)
        assert progress.should_stop()
    assert "another process" in said[0]
    assert get_job(connection, running.id).note == "Taken for dead."


def test_asked_to_end_by_the_system_it_goes_back_into_the_queue(
    connection: sqlite3.Connection, settings: Settings, tmp_path: Path, running: Job
) -> None:
    said: list[str] = []
    terminated = threading.Event()
    with JobProgress(settings, running, tmp_path, terminated=terminated, leave=said.append):
        terminated.set()
        wait_until(lambda: said)
    job = get_job(connection, running.id)
    assert (job.state, job.attempts_allowed) == ("queued", running.attempts_allowed + 1)


def test_an_event_cut_short_by_a_kill_is_left_out(tmp_path: Path) -> None:
    write_event(tmp_path, event="started", loss=float("nan"))
    with (tmp_path / "events.jsonl").open("a") as stream:
        stream.write('{"at": "2026')
    write_event(tmp_path, event="lost with the stump")
    write_event(tmp_path, event="done")
    assert [event["event"] for event in read_events(tmp_path)] == ["started", "done"]
    assert read_events(tmp_path / "none") == []
