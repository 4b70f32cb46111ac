"""`readroom ensemble` and `train --ensemble`, up to the queue."""

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from core.cli.modelling import _metric_lines
from core.cli.training import _tell_models
from core.jobs.bodies import train
from core.jobs.context import JobContext
from core.jobs.records import add_job
from core.progress import Silent
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.training.ensemble import plan_ensemble
from core.training.recipe import change_recipe, named_recipe
from core.training.records import add_model, add_run, get_model, get_run, list_runs, set_model_fact

Run = Callable[..., Any]
FACTS = {
    "input": {"size": 16, "channels": 1, "resize": "stretch"},
    "classes": ["normal", "pneumonia"],
    "multi_label": False,
}


@pytest.fixture
def names(connection: sqlite3.Connection, planted: Any, actor: Actor) -> list[str]:
    """Two models of two seeds."""
    for seed in (0, 1):
        recipe = change_recipe(named_recipe("resnet"), {"seed": seed, "input_size": 16})
        run = add_run(
            connection, project=planted.project.id, snapshot=planted.snapshot.id, recipe=recipe, name=f"seed {seed}",
            actor=actor,
        )  # fmt: skip
        add_model(
            connection, run, keras_hash=f"{seed}" * 64, onnx_left_out_because="none", parameters=10, file_bytes=40,
            facts=FACTS, seconds=1.0, actor=actor,
        )  # fmt: skip
    return ["seed 0", "seed 1"]


def test_models_are_made_one_and_listed_so(run: Run, connection: sqlite3.Connection, planted: Any, names: list[str]):
    made = run("ensemble", planted.project.name, "both", *names)
    assert made["members"] == names
    assert get_model(connection, planted.project.id, "both").parameters == 20
    assert run("models", planted.project.name)["models"][0]["members"] == names
    refused = run("export", planted.project.name, "model", "both", "--out", "x", code=1)
    assert "download those of its members" in str(refused.exception)
    run("ensemble", planted.project.name, "both", *names, code=1)
    run("ensemble", planted.project.name, "one", names[0], code=1)


def test_trainings_are_planned_to_become_one(run: Run, connection: sqlite3.Connection, planted: Any) -> None:
    asked = ("train", planted.project.name, "--snapshot", "first", "--set", "epochs=2")
    told = run(*asked, "--seeds", "2", "--ensemble", "mean")
    runs = [row["run"] for row in told["runs"]]
    assert [get_run(connection, number).told["joins"] for number in runs] == [{"name": "mean", "runs": runs}] * 2
    run(*asked, "--name", "taken")
    run(*asked, "--all-folds", "--ensemble", "taken", code=1)
    run(*asked, "--ensemble", "of one", code=2)
    assert len(list_runs(connection, planted.project.id)) == 3


@pytest.mark.parametrize("stopped", [False, True])
def test_the_last_training_makes_the_ensemble_also_when_it_was_stopped_or_says_why_not(
    connection: sqlite3.Connection, files: Files, settings: Settings, planted: Any, names: list[str], actor: Actor,
    monkeypatch: pytest.MonkeyPatch, *, stopped: bool,
) -> None:  # fmt: skip
    class Asked(Silent):
        def should_stop(self) -> bool:
            return stopped

    members = [get_model(connection, planted.project.id, name) for name in names]
    plan_ensemble(connection, "mean", [get_run(connection, member.run) for member in members])
    left = {"model": members[1].name, "model_id": members[1].id}
    monkeypatch.setattr("core.training.run.run_training", lambda *_: left)
    monkeypatch.setattr("core.training.device.list_devices", list)
    monkeypatch.setattr("core.training.device.device_named", lambda *_: None)
    monkeypatch.setattr(train, "_check_explanations", lambda *_: None)
    job = add_job(connection, "train", {"run": members[1].run}, project=planted.project.id, actor=actor)
    context = JobContext(connection, files, settings, job, settings.home, "cpu", actor, Asked())
    set_model_fact(connection, members[0].id, "input", {"size": 8})
    assert "differ in input" in train.run(context)["no_ensemble"]
    set_model_fact(connection, members[0].id, "input", members[1].facts["input"])
    assert train.run(context) == {**left, "ensemble": "mean"}


def test_the_members_numbers_and_their_spread_are_one_line() -> None:
    members = [{"name": "a", "metric": "auc", "value": 0.9}, {"name": "b", "metric": "auc", "value": None}]
    result = {
        "split": "test", "n_cases": 6, "n_patients": 5, "metrics": {}, "members": members,
        "spread": {"value": 0.0312, "n": 6},
    }  # fmt: skip
    assert _metric_lines(result).splitlines()[-1] == (
        "members, auc: a: 0.900, b: undefined; they are 0.031 apart on a case (mean standard deviation, n = 6)"
    )


@pytest.mark.parametrize(
    ("left", "sentence"),
    [
        ({"ensemble": "all 2"}, "Ensemble all 2 is the mean of them."),
        ({"no_ensemble": "They see other windows."}, "The ensemble was not made: They see other windows."),
        ({}, ""),
    ],
)
def test_the_last_of_several_trainings_says_what_became_of_their_ensemble(
    left: dict[str, str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _tell_models([{"model": "seed 1", "seconds": 9.0, "epochs": 3, **left}], as_json=False)
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == "Model seed 1 trained in 9 s, 3 epochs."
    assert rest == ([sentence] if sentence else [])
