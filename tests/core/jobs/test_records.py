"""The queue as a table: what each state allows, and that one claim wins."""

import multiprocessing
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from core.errors import Conflict, InvalidInput, NotFound
from core.jobs.records import (
    Job,
    add_job,
    beat_job,
    begin_job,
    claim_job,
    find_job,
    finish_job,
    get_job,
    has_queued,
    is_stop_requested,
    list_jobs,
    report_job,
    request_stop,
    requeue_job,
    resume_job,
)
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import opened


@pytest.fixture
def job(connection: sqlite3.Connection, actor: Actor) -> Job:
    return add_job(connection, "evaluate", {"model": 1, "split": "test"}, project=7, actor=actor)


@pytest.fixture
def running(connection: sqlite3.Connection, job: Job) -> Job:
    claimed = claim_job(connection, "work", "cpu")
    assert claimed is not None
    return claimed


def test_it_works(connection: sqlite3.Connection, job: Job) -> None:
    assert (job.state, job.lane, job.attempts_allowed, job.created_by) == ("queued", "work", 3, "anna")
    assert has_queued(connection, "work")
    assert not has_queued(connection, "train")
    claimed = claim_job(connection, "work", "cpu")
    assert claimed is not None
    assert (claimed.id, claimed.state, claimed.attempt, claimed.device) == (job.id, "running", 1, "cpu")
    begun = begin_job(connection, job.id, 1, 99, 12.5)
    assert begun is not None
    assert (begun.pid, begun.pid_started) == (99, 12.5)
    assert report_job(connection, begun, fraction=0.5, note="Half", facts={"epoch": 2})
    assert finish_job(connection, begun, "done", result={"auc": 0.9})
    done = get_job(connection, job.id)
    assert (done.state, done.fraction, done.facts, done.result) == ("done", 1.0, {"epoch": 2}, {"auc": 0.9})
    assert done.finished_at


def test_an_unknown_kind_is_refused(connection: sqlite3.Connection, actor: Actor) -> None:
    with pytest.raises(InvalidInput, match="Received: dance"):
        add_job(connection, "dance", {}, actor=actor)


def test_a_job_that_is_not_there(connection: sqlite3.Connection, actor: Actor) -> None:
    for act in (get_job, lambda c, i: request_stop(c, i, actor), lambda c, i: resume_job(c, i, actor)):
        with pytest.raises(NotFound, match="There is no job 9"):
            act(connection, 9)


def test_jobs_are_claimed_oldest_first_and_by_lane(connection: sqlite3.Connection, actor: Actor) -> None:
    train = add_job(connection, "train", {}, actor=actor)
    first, second = (add_job(connection, "import", {}, actor=actor) for _ in range(2))
    taken = [claim_job(connection, "work", "cpu") for _ in range(3)]
    assert [job and job.id for job in taken] == [first.id, second.id, None]
    assert get_job(connection, train.id).state == "queued"


def test_jobs_are_listed_newest_first_and_chosen(connection: sqlite3.Connection, actor: Actor) -> None:
    ids = [
        add_job(connection, kind, {}, project=project, actor=actor).id
        for kind, project in (("train", 1), ("import", 1), ("import", 2))
    ]
    claim_job(connection, "train", "cpu")
    assert [job.id for job in list_jobs(connection)] == ids[::-1]
    assert [job.id for job in list_jobs(connection, project=1)] == [ids[1], ids[0]]
    assert [job.id for job in list_jobs(connection, states=("running",))] == [ids[0]]
    assert [job.id for job in list_jobs(connection, kinds=("import",), states=("queued",), limit=1)] == [ids[2]]
    assert list_jobs(connection, states=()) == []


def test_a_job_is_found_by_what_was_asked(connection: sqlite3.Connection, actor: Actor, job: Job) -> None:
    assert find_job(connection, "evaluate", {"split": "test", "model": 1}) == job
    assert find_job(connection, "evaluate", {"split": "train", "model": 1}) is None
    assert find_job(connection, "predict", {"split": "test", "model": 1}) is None
    request_stop(connection, job.id, actor)
    assert find_job(connection, "evaluate", {"split": "test", "model": 1}) is None


def test_a_waiting_job_stops_at_once(connection: sqlite3.Connection, actor: Actor, job: Job) -> None:
    assert request_stop(connection, job.id, actor).state == "stopped"
    assert claim_job(connection, "work", "cpu") is None
    assert get_job(connection, job.id).finished_at


def test_a_running_job_is_asked_and_goes_on_until_it_hears(
    connection: sqlite3.Connection, actor: Actor, running: Job
) -> None:
    assert not is_stop_requested(connection, running)
    asked = request_stop(connection, running.id, actor)
    assert (asked.state, asked.stop_requested) == ("running", True)
    assert is_stop_requested(connection, running)


@pytest.mark.parametrize("state", ["done", "failed", "stopped"])
def test_a_finished_job_is_never_changed_by_its_process(
    connection: sqlite3.Connection, actor: Actor, running: Job, state: str
) -> None:
    assert finish_job(connection, running, state, error="first")  # type: ignore[arg-type]
    before = get_job(connection, running.id)
    assert not finish_job(connection, running, "failed", error="second")
    assert not report_job(connection, running, fraction=0.1, note="late", facts={})
    assert not beat_job(connection, running)
    assert not requeue_job(connection, running, "late")
    assert begin_job(connection, running.id, running.attempt, 5, 1.0) is None
    assert request_stop(connection, running.id, actor) == before
    assert get_job(connection, running.id) == before


def test_an_attempt_that_was_given_up_cannot_touch_a_later_one(connection: sqlite3.Connection, running: Job) -> None:
    assert requeue_job(connection, running, "The process died.")
    later = claim_job(connection, "work", "cpu")
    assert later is not None
    assert (later.id, later.attempt) == (running.id, 2)
    assert not finish_job(connection, running, "done", result={})
    assert not report_job(connection, running, fraction=0.9, note="old", facts={})
    assert begin_job(connection, running.id, 1, 5, 1.0) is None
    assert is_stop_requested(connection, running), "the old process is told to end"
    assert not is_stop_requested(connection, later)


def test_a_job_that_a_process_took_up_meanwhile_is_not_queued_again(
    connection: sqlite3.Connection, running: Job
) -> None:
    begin_job(connection, running.id, 1, 5, 1.0)
    assert not requeue_job(connection, running, "It had not begun when I looked.")
    assert get_job(connection, running.id).state == "running"


def test_only_one_process_begins_an_attempt(connection: sqlite3.Connection, running: Job) -> None:
    assert begin_job(connection, running.id, 1, 5, 1.0) is not None
    assert begin_job(connection, running.id, 1, 6, 2.0) is None


def test_what_is_nobodys_fault_does_not_count(connection: sqlite3.Connection, running: Job) -> None:
    requeue_job(connection, running, "The machine was restarted.", counts=False)
    assert get_job(connection, running.id).attempts_allowed == 4


def test_a_broken_off_job_that_was_asked_to_stop_is_stopped(
    connection: sqlite3.Connection, actor: Actor, running: Job
) -> None:
    request_stop(connection, running.id, actor)
    requeue_job(connection, running, "The process died.")
    assert get_job(connection, running.id).state == "stopped"


def test_resume_queues_a_failed_or_stopped_job_with_fresh_attempts(
    connection: sqlite3.Connection, actor: Actor, running: Job
) -> None:
    request_stop(connection, running.id, actor)
    finish_job(connection, running, "failed", error="e", remedy="r", traceback="t")
    resumed = resume_job(connection, running.id, actor)
    assert (resumed.state, resumed.error, resumed.remedy, resumed.traceback) == ("queued", None, None, None)
    assert (resumed.stop_requested, resumed.finished_at, resumed.attempt, resumed.attempts_allowed) == (
        False, None, 1, 4,
    )  # fmt: skip
    assert (claim_job(connection, "work", "cpu") or resumed).attempt == 2


def test_only_a_failed_or_stopped_job_is_resumed(connection: sqlite3.Connection, actor: Actor, running: Job) -> None:
    with pytest.raises(Conflict, match="which is running"):
        resume_job(connection, running.id, actor)
    finish_job(connection, running, "done", result={})
    with pytest.raises(Conflict, match="which is done"):
        resume_job(connection, running.id, actor)


def test_numbers_of_numpy_and_infinities_are_stored_as_json(connection: sqlite3.Connection, running: Job) -> None:
    import numpy as np

    facts = {"loss": np.float32(0.5), "auc": float("inf"), "steps": np.int64(3), "per_class": [np.nan, 1.0]}
    report_job(connection, running, fraction=0.1, note="", facts=facts)
    assert get_job(connection, running.id).facts == {"loss": 0.5, "auc": None, "steps": 3, "per_class": [None, 1.0]}


def test_acts_of_people_are_in_the_audit_trail(connection: sqlite3.Connection, actor: Actor, job: Job) -> None:
    request_stop(connection, job.id, actor)
    resume_job(connection, job.id, actor)
    said = [row["what"] for row in connection.execute("SELECT what FROM audit WHERE subject = ?", (f"job {job.id}",))]
    assert said == ["queue evaluate", "stop job", "resume job"]


def claim_all(home: Path, out: "multiprocessing.Queue[list[int]]") -> None:
    taken = []
    with opened(Settings(home=home)) as connection:
        while job := claim_job(connection, "work", "cpu"):
            taken.append(job.id)
    out.put(taken)


def test_four_processes_claim_four_hundred_jobs_once_each(
    connection: sqlite3.Connection, settings: Settings, actor: Actor
) -> None:
    ids = [add_job(connection, "evaluate", {}, actor=actor).id for _ in range(400)]
    context = multiprocessing.get_context("spawn")
    out: multiprocessing.Queue[list[int]] = context.Queue()
    claimers = [context.Process(target=claim_all, args=(settings.home, out)) for _ in range(4)]
    for process in claimers:
        process.start()
    taken = Counter(job_id for _ in claimers for job_id in out.get(timeout=150))
    for process in claimers:
        process.join()
    assert taken == Counter(ids)
