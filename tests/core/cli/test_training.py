"""`readroom train` in its several forms, up to the queue; what the queue does with it is tested where it is done."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.jobs.records import list_jobs
from core.store.audit import Actor
from core.training.fingerprint import settle_auto, take_fingerprint
from core.training.records import Model, add_model, add_run, get_run, list_runs

Run = Callable[..., Any]


@pytest.fixture
def name(planted: Any) -> str:
    return str(planted.project.name)


@pytest.fixture
def model(connection: sqlite3.Connection, planted: Any, actor: Actor) -> Model:
    recipe, choice = settle_auto(take_fingerprint(connection, planted.snapshot), {"epochs": 2})
    made = add_run(
        connection, project=planted.project.id, snapshot=planted.snapshot.id, recipe=recipe, name="quick", fold=1,
        told={"choice": choice}, actor=actor,
    )  # fmt: skip
    return add_model(
        connection, made, keras_hash="0" * 64, onnx_left_out_because="none", parameters=10, file_bytes=40, facts={},
        seconds=1.0, actor=actor,
    )  # fmt: skip


def test_auto_is_the_recipe_where_none_is_named_and_its_reasons_stay(
    run: Run, connection: sqlite3.Connection, name: str
) -> None:
    asked = run("train", name, "--snapshot", "first", "--set", "epochs=2")
    stored = get_run(connection, asked["run"])
    assert (stored.recipe.input_size, stored.recipe.epochs) == (16, 2)
    assert stored.told["choice"]["changed"] == {"epochs": "2"}
    assert stored.told["choice"]["sentences"]
    asked = run("train", name, "--snapshot", "first", "--recipe", "cnn")
    assert get_run(connection, asked["run"]).told == {}


def test_folds_and_seeds_are_queued_together_or_not_at_all(
    run: Run, connection: sqlite3.Connection, planted: Any, name: str
) -> None:
    told = run("train", name, "--snapshot", "first", "--all-folds", "--seeds", "2", "--name", "m", "--set", "seed=4")
    assert [row["model"] for row in told["runs"]] == [
        f"m fold {fold} seed {seed}" for fold in (0, 1) for seed in (4, 5)
    ]
    runs = [get_run(connection, row["run"]) for row in told["runs"]]
    assert [(made.fold, made.recipe.seed) for made in runs] == [(0, 4), (0, 5), (1, 4), (1, 5)]
    assert len(list_jobs(connection, kinds=("train",))) == 4
    # The name of the third is taken, so none of the four is queued.
    run("train", name, "--snapshot", "first", "--name", "n fold 1 seed 0")
    run("train", name, "--snapshot", "first", "--all-folds", "--seeds", "2", "--name", "n", code=1)
    assert len(list_runs(connection, planted.project.id)) == 5


def test_a_model_is_asked_for_again_as_it_was(
    run: Run, connection: sqlite3.Connection, name: str, model: Model
) -> None:
    asked = run("train", name, "--repeat", "quick")
    again, before = get_run(connection, asked["run"]), get_run(connection, model.run)
    assert (again.recipe, again.fold, again.snapshot) == (before.recipe, before.fold, before.snapshot)
    assert list_jobs(connection, kinds=("train",))[0].arguments == {"run": again.id, "repeats": model.id}


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--snapshot", "first", "--repeat", "quick"),
        ("--repeat", "quick", "--set", "epochs=3"),
        ("--repeat", "quick", "--recipe", "cnn"),
        ("--snapshot", "first", "--fold", "1", "--all-folds"),
        ("--snapshot", "first", "--find-rate", "--seeds", "3"),
    ],
)
def test_what_contradicts_itself_is_bad_usage(run: Run, name: str, words: tuple[str, ...]) -> None:
    assert run("train", name, *words, code=2).exit_code == 2


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",  # no text
        b"{",
        b"[" * 100_000,
        b'{"epochs": 1' + b"0" * 400 + b"}",
        b'{"epochs": 1' + b"0" * 5000 + b"}",
        b'{"depth": 3}',
    ],
)
def test_a_recipe_file_that_cannot_be_meant_is_refused_with_a_sentence(
    run: Run, name: str, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "recipe.json"
    path.write_bytes(content)
    refused = run("train", name, "--snapshot", "first", "--recipe", str(path), code=1)
    assert "Received: " in str(refused.exception)


def test_models_say_why_their_recipe_was_chosen(run: Run, name: str, model: Model) -> None:
    (row,) = run("models", name)["models"]
    assert row["choice"]["recipe"] == "auto"
    assert row["recipe"]["epochs"] == 2
