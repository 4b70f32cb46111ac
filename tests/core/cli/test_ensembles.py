"""`readroom ensemble` and `train --ensemble`, up to the queue."""

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from core.cli.modelling import _metric_lines
from core.store.audit import Actor
from core.training.recipe import change_recipe, named_recipe
from core.training.records import add_model, add_run, get_model, get_run, list_runs

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


def test_the_members_numbers_and_their_spread_are_one_line() -> None:
    members = [{"name": "a", "metric": "auc", "value": 0.9}, {"name": "b", "metric": "auc", "value": None}]
    result = {
        "split": "test", "n_cases": 6, "n_patients": 5, "metrics": {}, "members": members,
        "spread": {"value": 0.0312, "n": 6},
    }  # fmt: skip
    assert _metric_lines(result).splitlines()[-1] == (
        "members, auc: a: 0.900, b: undefined; they are 0.031 apart on a case (mean standard deviation, n = 6)"
    )
