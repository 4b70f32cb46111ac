"""A run and its job come together."""

import sqlite3
from typing import Any

import pytest

from core.errors import Conflict
from core.jobs import asking
from core.jobs.asking import ask_training
from core.jobs.records import get_job, list_jobs
from core.store.audit import Actor
from core.training.recipe import Recipe
from core.training.records import get_run, list_runs


def test_run_and_job_know_of_each_other(connection: sqlite3.Connection, planted: Any, actor: Actor) -> None:
    run, job = ask_training(connection, planted.project, planted.snapshot, Recipe(), name="mine", fold=1, actor=actor)
    assert run.job == get_run(connection, run.id).job == job.id
    assert (run.name, run.fold) == ("mine", 1)
    assert get_job(connection, job.id).arguments == {"run": run.id}
    assert job.project == planted.project.id


def test_an_evaluation_may_follow(connection: sqlite3.Connection, planted: Any, actor: Actor) -> None:
    run, job = ask_training(connection, planted.project, planted.snapshot, Recipe(), evaluate="test", actor=actor)
    assert job.arguments == {"run": run.id, "evaluate": "test"}


def test_a_refusal_leaves_neither(connection: sqlite3.Connection, planted: Any, actor: Actor) -> None:
    ask_training(connection, planted.project, planted.snapshot, Recipe(), name="mine", actor=actor)
    with pytest.raises(Conflict):
        ask_training(connection, planted.project, planted.snapshot, Recipe(), name="mine", actor=actor)
    assert len(list_runs(connection, planted.project.id)) == len(list_jobs(connection, kinds=("train",))) == 1


def test_without_a_job_there_is_no_run(
    connection: sqlite3.Connection, planted: Any, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(asking, "add_job", fail)
    with pytest.raises(OSError, match="full"):
        ask_training(connection, planted.project, planted.snapshot, Recipe(), name="mine", actor=actor)
    assert list_runs(connection, planted.project.id) == []
