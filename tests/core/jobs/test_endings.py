"""What is said of a process that ended without settling its job."""

import sqlite3

import pytest

from core.jobs.endings import explain_ending
from core.jobs.kinds import KINDS
from core.jobs.records import add_job, begin_job, claim_job
from core.store.audit import Actor


@pytest.mark.parametrize(
    ("code", "silent", "rebooted", "said", "counts"),
    [
        (-9, None, False, "killed by the system (exit -9, signal 9), often out of memory", True),
        (-11, None, False, "signal 11, SIGSEGV", True),
        (-200, None, False, "signal 200, unknown", True),
        (-15, None, False, "signal 15", False),
        (1, None, False, "ended without an answer (exit code 1)", True),
        (0, None, False, "ended without an answer (exit code 0)", True),
        (None, None, False, "vanished", True),
        (None, None, True, "restarted", False),
        (-9, 61.7, False, "hung: it gave no sign of life for 62 seconds", True),
    ],
)
def test_each_ending_has_a_sentence_and_a_remedy(
    connection: sqlite3.Connection, actor: Actor, code: int | None, silent: float | None, rebooted: bool, said: str,
    counts: bool,
) -> None:  # fmt: skip
    job = add_job(connection, "train", {}, actor=actor)
    claim_job(connection, "train", "cpu")
    begun = begin_job(connection, job.id, 1, 77, 1.0)
    assert begun
    ending = explain_ending(begun, code, silent_seconds=silent, rebooted=rebooted)
    assert said in ending.sentence
    assert ending.counts is counts
    assert ending.remedy
    if code == -9:
        assert ending.remedy == KINDS["train"].remedy


def test_a_job_that_never_began_is_told_apart(connection: sqlite3.Connection, actor: Actor) -> None:
    add_job(connection, "train", {}, actor=actor)
    claimed = claim_job(connection, "train", "cpu")
    assert claimed
    assert not explain_ending(claimed, None, silent_seconds=None, rebooted=False).counts
    assert "could not start" in explain_ending(claimed, 1, silent_seconds=None, rebooted=False).sentence


@pytest.mark.parametrize(
    ("code", "silent", "why"), [(-9, None, "no memory left"), (-11, None, "library"), (-9, 61.0, "waited")]
)
def test_why_it_came_about_is_said_where_the_system_ended_it(
    connection: sqlite3.Connection, actor: Actor, code: int, silent: float | None, why: str
) -> None:
    add_job(connection, "train", {}, actor=actor)
    claimed = claim_job(connection, "train", "cpu", pid=77, pid_started=1.0)
    assert claimed
    assert why in explain_ending(claimed, code, silent_seconds=silent, rebooted=False).why
