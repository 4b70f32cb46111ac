"""The same again: a model repeated is the same to the bit, and the test split has no part in it."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot, list_snapshot_cases
from core.jobs.asking import ask_repetition
from core.jobs.bodies import train as train_body
from core.labels.records import NewLabel, add_label, new_event
from core.people.accounts import ensure_user
from core.progress import Silent
from core.projects.records import add_project
from core.projects.schema import Regression
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.training import find_rate
from core.training import run as run_module
from core.training.device import CPU
from core.training.learning_curve import run_learning_curve
from core.training.recipe import Recipe, change_recipe, named_recipe, recipe_to_json, with_batch
from core.training.records import Model, add_model, add_run, get_model, get_run, set_run_told
from core.training.repeat import compare_repetition
from core.training.request import request_training
from core.training.run import run_training
from core.training.stored import network_bytes
from tests.core.conftest import PaintedSquares

RUBBISH = b"this is no image"
NOWHERE = "f" * 64  # the hash of what is not there


@pytest.fixture(autouse=True)
def _no_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "make_onnx", lambda *_: (None, "left out in this test"))


@pytest.fixture
def trained(
    connection: sqlite3.Connection, files: Files, settings: Settings, actor: Actor, planted: Any, tmp_path: Path
) -> Any:
    def train(recipe: Recipe) -> Model:
        run, _ = request_training(connection, planted.project, planted.snapshot, recipe, actor=actor)
        result = run_training(connection, files, settings, run.id, tmp_path / str(run.id), CPU, Silent())
        return get_model(connection, None, result["model_id"])

    return train


def answered_otherwise(schema: Any, value: dict[str, Any]) -> dict[str, Any]:
    if "value" in value:
        return {"value": value["value"] + 1000.0}
    (key,) = value
    return {key: [name for name in schema.names if name not in value[key]]}


def poison(connection: sqlite3.Connection, files: Files, snapshot: Snapshot) -> None:
    """Nothing of the test split can be read any more, and what is said of it is wrong."""
    test = list_snapshot_cases(connection, snapshot.id, split="test")
    assert test
    for case in test:
        path = files.path("pixels", case.pixel_hash)
        path.chmod(0o600)
        path.write_bytes(RUBBISH)
        here = (snapshot.id, case.case_id)
        wrong = json.dumps(answered_otherwise(snapshot.schema, case.value))
        connection.execute("UPDATE snapshot_cases SET value = ? WHERE snapshot = ? AND case_id = ?", (wrong, *here))
        # Not the file of a mask: an empty one is that of training cases too.
        connection.execute(
            "UPDATE snapshot_masks SET mask_hash = ?, pixels = 9 WHERE snapshot = ? AND case_id = ?", (NOWHERE, *here)
        )
    assert all(
        now.value != then.value
        for now, then in zip(list_snapshot_cases(connection, snapshot.id, split="test"), test, strict=True)
    )
    for prepared in (files.root / "prepared").glob("*/*"):
        prepared.unlink()  # whatever is read is read from the pixels again


def test_a_poisoned_test_split_changes_neither_weights_nor_calibration_nor_thresholds(
    connection: sqlite3.Connection, files: Files, planted: Any, trained: Any, small_recipe: Recipe
) -> None:
    recipe = change_recipe(small_recipe, {"epochs": 3, "ema": 0.8, "class_weights": "sampling"})
    clean = trained(recipe)
    poison(connection, files, planted.snapshot)
    poisoned = trained(recipe)
    found = compare_repetition(
        files, clean, get_run(connection, clean.run), poisoned, get_run(connection, poisoned.run)
    )
    assert (found.identical, found.largest_difference, found.same_calibration) == (True, 0.0, True)
    assert poisoned.calibration["thresholds"] == clean.calibration["thresholds"] != {}
    assert poisoned.calibration["temperature"] == clean.calibration["temperature"]
    assert "bit-identical" in found.sentence


def test_a_poisoned_test_split_changes_neither_weights_nor_thresholds_of_what_is_painted(
    connection: sqlite3.Connection, files: Files, actor: Actor, painted_squares: PaintedSquares, train_on: Any
) -> None:
    project = painted_squares.project
    snapshot = freeze_snapshot(
        connection, files, project, "first", ratios=(0.5, 0.25, 0.25), actor=actor, progress=Silent()
    )
    changes = {"input_size": 16, "filters": "8", "batch": 4, "epochs": 4, "learning_rate": 0.02, "ema": 0.8}
    recipe = change_recipe(named_recipe("unet2d"), changes)
    clean = train_on(project, snapshot, recipe)
    poison(connection, files, snapshot)
    poisoned = train_on(project, snapshot, recipe)
    found = compare_repetition(
        files, clean, get_run(connection, clean.run), poisoned, get_run(connection, poisoned.run)
    )
    assert (found.identical, found.largest_difference, found.same_calibration) == (True, 0.0, True)
    assert poisoned.calibration == clean.calibration
    assert clean.calibration["thresholds"]["square"]["dice"] > 0, "a threshold was chosen on what is painted"
    for key in ("gap", "advice", "validation", "best_epoch"):
        assert poisoned.facts[key] == clean.facts[key]


def test_a_poisoned_test_split_changes_nothing_in_the_test_of_learning_rates(
    connection: sqlite3.Connection, files: Files, planted: Any, small_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find_rate, "STEPS", 12)
    monkeypatch.setattr(find_rate, "rising_rates", lambda: np.geomspace(1e-4, 1e-1, 12))

    def tried() -> find_rate.RateTest:
        return find_rate.run_rate_test(connection, files, planted.snapshot, small_recipe, None, CPU, Silent())

    clean = tried()
    poison(connection, files, planted.snapshot)
    assert tried() == clean
    assert len(clean.losses) > 5


def test_a_poisoned_test_split_changes_nothing_in_the_learning_curve(
    connection: sqlite3.Connection, files: Files, planted: Any, small_recipe: Recipe, tmp_path: Path
) -> None:
    recipe, parts = change_recipe(small_recipe, {"epochs": 1}), (0.5, 0.75, 1.0)

    def made(folder: str) -> dict[str, Any]:
        return run_learning_curve(
            connection, files, planted.snapshot, recipe, None, parts, None, tmp_path / folder, CPU, Silent()
        )

    clean = made("clean")
    poison(connection, files, planted.snapshot)
    poisoned = made("poisoned")
    assert [point["cases"] for point in clean["points"]] == [12, 18, 24]
    assert poisoned == clean


def test_a_poisoned_test_split_changes_nothing_in_a_prediction_interval(
    connection: sqlite3.Connection, files: Files, actor: Actor, make_case: Any, train_on: Any, small_recipe: Recipe
) -> None:
    ensure_user(connection, actor.name)
    schema = Regression("brightness", "units", None, None)
    project = add_project(connection, name="Numbers", task="regression", schema=schema, actor=actor)
    random = np.random.default_rng(0)
    for at in range(40):
        pixels = random.integers(4 * at, 4 * at + 60, (16, 16), np.uint8)
        case = make_case(f"{at}.png", pixels=pixels, into=project)
        add_label(connection, NewLabel(new_event(), case.id, actor.name, {"value": float(at)}), actor)
    snapshot = freeze_snapshot(
        connection, files, project, "first", ratios=(0.4, 0.5, 0.1), allow_leaks="they are noise", actor=actor,
        progress=Silent(),
    )  # fmt: skip
    recipe = change_recipe(small_recipe, {"epochs": 2})
    clean = train_on(project, snapshot, recipe)
    poison(connection, files, snapshot)
    poisoned = train_on(project, snapshot, recipe)
    assert clean.calibration["interval"]["n"] == 20
    assert poisoned.calibration == clean.calibration


@pytest.fixture
def stored(connection: sqlite3.Connection, files: Files, actor: Actor, planted: Any) -> Any:
    """A model row around a network of one layer whose weights are all `value`."""

    def store(value: float, *, units: int = 2) -> Model:
        network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units)])
        network.set_weights([np.full_like(weight, value) for weight in network.get_weights()])
        recipe = change_recipe(Recipe(), {"epochs": 1})
        run = add_run(
            connection, project=planted.project.id, snapshot=planted.snapshot.id, recipe=recipe, fold=1, actor=actor
        )
        return add_model(
            connection, run, keras_hash=files.put_bytes("models", network_bytes(network)), onnx_left_out_because="none",
            parameters=8, file_bytes=9, facts={}, seconds=1.0, actor=actor,
        )  # fmt: skip

    return store


def test_a_repetition_is_asked_for_as_the_model_was_and_compared_with_it(
    connection: sqlite3.Connection, files: Files, planted: Any, stored: Any, actor: Actor
) -> None:
    first, other = stored(1.0), stored(1.5)
    run, job = ask_repetition(connection, planted.project, first, actor=actor)
    before = get_run(connection, first.run)
    assert (run.recipe, run.snapshot, run.fold) == (before.recipe, before.snapshot, 1)
    assert job.arguments == {"run": run.id, "repeats": first.id}
    context: Any = SimpleNamespace(connection=connection, files=files, job=job)
    found = train_body._compare(context, other.id)
    assert (found["identical"], found["largest_difference"]) == (False, 0.5)
    assert found["sentence"] == f"The weights differ from those of {first.name}, by 0.5 at most."
    assert get_model(connection, None, other.id).facts["repetition"] == found
    wider = compare_repetition(files, first, before, stored(1.0, units=3), before)
    assert (wider.identical, wider.largest_difference) == (False, None)
    assert "built differently" in wider.sentence


def test_another_operating_point_is_repeated_by_the_training_of_its_weights(
    connection: sqlite3.Connection, files: Files, planted: Any, stored: Any, actor: Actor
) -> None:
    first = stored(1.0)
    begun = {"start_from": {"hash": NOWHERE, "said": "the file theirs.keras", "form": "keras"}}
    recipe = change_recipe(get_run(connection, first.run).recipe, {"start_from": NOWHERE})
    connection.execute(
        "UPDATE runs SET recipe = ?, told = ?, environment = ? WHERE id = ?",
        (
            json.dumps(recipe_to_json(recipe)), json.dumps({"sources": begun, "preflight": {"batch": 4}}),
            json.dumps({"python": "2.7"}), first.run,
        ),
    )  # fmt: skip
    moved = add_run(
        connection, project=first.project, snapshot=planted.snapshot.id, recipe=recipe, fold=1,
        told={"point_of": first.id}, actor=actor,
    )  # fmt: skip
    point = add_model(
        connection, moved, keras_hash=first.keras_hash, onnx_left_out_because="none", parameters=8, file_bytes=9,
        facts={"point_of": first.id}, seconds=1.0, actor=actor,
    )  # fmt: skip
    run, job = ask_repetition(connection, planted.project, point, actor=actor)
    assert (run.recipe.batch, run.recipe.start_from, run.told["sources"]) == (4, NOWHERE, begun)
    context: Any = SimpleNamespace(connection=connection, files=files, job=job)
    again = stored(1.0)
    connection.execute("UPDATE runs SET environment = ? WHERE id = ?", (json.dumps({"python": "3"}), again.run))
    assert "Python" in train_body._compare(context, again.id)["different"]


def test_what_was_different_from_then_is_named(
    connection: sqlite3.Connection, files: Files, planted: Any, stored: Any, actor: Actor
) -> None:
    model = stored(1.0)
    before = get_run(connection, model.run)
    elsewhere = replace(before, environment={**before.environment, "python": "2.7"})
    told = compare_repetition(files, model, elsewhere, model, before)
    assert told.sentence == f"The weights are bit-identical to those of {model.name}. Different from then: Python."
    here = {"deterministic_operations": False, "cores": 2, "platform": "Linux-6.8-x86_64"}
    there = {"deterministic_operations": True, "cores": 64, "platform": "Darwin-24.1-arm64"}
    then, now = (replace(before, environment={**before.environment, **machine}) for machine in (here, there))
    assert compare_repetition(files, model, then, stored(1.5), now).sentence.endswith(
        "by 0.5 at most. Different from then: whether operations are deterministic, number of cores, operating system."
    )
    assert compare_repetition(files, model, now, model, now).different == ()
    halved = replace(before, told={"preflight": {"batch": 4}})
    assert compare_repetition(files, model, halved, model, before).different == ("batch",)
    stopped, whole = (replace(model, facts={"stopped": epochs == 2, "epochs": epochs}) for epochs in (2, 9))
    assert compare_repetition(files, stopped, before, whole, before).sentence.endswith(
        f"Different from then: number of epochs ({model.name} was stopped after 2)."
    )
    set_run_told(connection, model.run, "preflight", {"batch": 4})
    again, _ = ask_repetition(connection, planted.project, model, actor=actor)
    assert again.recipe == change_recipe(before.recipe, {"batch": 4})
    assert with_batch(change_recipe(before.recipe, {"batch": 8, "devices": 8}), 4).devices == 4  # with an image each
