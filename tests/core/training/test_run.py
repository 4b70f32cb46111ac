"""From a run's row to a model's row, and what may go wrong on the way."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from core.errors import Conflict, CoreError, InvalidInput
from core.progress import Silent
from core.settings import PROJECT_ROOT
from core.store.files import Files
from core.training import run as run_module
from core.training.checkpoint import NAME
from core.training.device import CPU
from core.training.recipe import Recipe, change_recipe, named_recipe
from core.training.records import get_model, get_run, list_epochs, list_models, list_watched
from core.training.request import request_training
from core.training.run import run_training
from core.training.samples import list_samples, sample_path
from core.training.stored import load_network, model_spec

pytestmark = pytest.mark.usefixtures("no_onnx")


class Listening(Silent):
    """Keeps what is said; asks to stop after so many questions."""

    def __init__(self, stop_after: int = 10**9) -> None:
        self.said: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self._left = stop_after

    def report(self, fraction: float, note: str, **facts: object) -> None:
        assert 0 <= fraction <= 1
        self.notes.append(note)
        if facts:
            self.said.append(facts)

    def should_stop(self) -> bool:
        self._left -= 1
        return self._left < 0


def weights_of(connection: sqlite3.Connection, files: Files, result: dict[str, Any]) -> list[np.ndarray]:
    return load_network(files, get_model(connection, None, result["model_id"])).get_weights()


def same(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_run_leaves_a_model_that_learnt(connection, files, planted, train, small_recipe) -> None:
    listening = Listening()
    result = train(change_recipe(small_recipe, {"epochs": 12}), name="squares", progress=listening)
    assert result == {
        "model": "squares", "model_id": 1, "run": 1, "snapshot": "first", "seconds": result["seconds"], "epochs": 12,
        "best_epoch": result["best_epoch"], "stopped": False, "ended_because": "all epochs done",
    }  # fmt: skip
    model = get_model(connection, planted.project.id, "squares")
    assert model.facts["classes"] == ["normal", "pneumonia"]
    assert model.facts["validation"]["auc"] > 0.9
    began = model.facts["beginning"]
    assert set(began) == {"queue", "process", "data", "trial", "first_step", "seconds"}
    assert began["trial"] > 0
    assert began["seconds"] == pytest.approx(sum(began.values()) - began["seconds"], abs=0.02)
    assert all(0 <= epoch["input_share"] < 1 for epoch in list_epochs(connection, 1))
    assert model.onnx_left_out_because == "left out in this test"
    assert {epoch for epoch, _ in list_watched(connection, 1).values()} == {12}
    gap = model.facts["gap"]
    assert gap["validation"]["loss"] == pytest.approx(
        min(epoch["validation_loss"] for epoch in list_epochs(connection, 1))
    )
    assert gap["validation"]["patients"] == gap["validation"]["cases"] < gap["training"]["cases"]
    assert model.facts["advice"]["verdict"] == "cannot be told"  # from a dozen patients
    assert model_spec(model).size == 16
    network = load_network(files, model)
    assert network.output_names == ["probabilities"]
    assert network.input.dtype == "uint8"
    assert model.parameters == network.count_params()
    epochs = list_epochs(connection, 1)
    assert [epoch["epoch"] for epoch in epochs] == list(range(1, 13))
    assert epochs[result["best_epoch"] - 1]["validation_loss"] == min(epoch["validation_loss"] for epoch in epochs)
    run = get_run(connection, 1)
    assert run.device == "cpu"
    assert run.environment["packages"]["keras"] == keras.__version__
    assert run.environment["precision"] == run.told["preflight"]["precision"] == "float32"
    assert run.seconds == pytest.approx(sum(epoch["seconds"] for epoch in epochs))
    *_, last = (told for told in listening.said if "epoch" in told)
    assert {"epochs", "batch", "batches", "loss", "images_per_second", "seconds_left", "memory_bytes"} <= set(last)
    ends = [told["seconds_left"] for told in listening.said if "epoch" not in told and "seconds_left" in told]
    assert ends[1] > ends[2] > ends[3] > 0, "what is left is told while the model is stored, exported and explained"


def test_the_classic_stack_trains_on_a_fold(connection, planted, train) -> None:
    recipe = change_recipe(named_recipe("cnn"), {"input_size": 16, "filters": "4,8", "dense_units": 16, "epochs": 2})
    result = train(change_recipe(recipe, {"class_weights": "none", "optimiser": "sgd", "schedule": "step"}), fold=1)
    assert get_run(connection, result["run"]).fold == 1
    assert list_models(connection, planted.project.id)[0].name == "cnn 1"


EVERYTHING = {
    "schedule": "plateau",
    "plateau_patience": 1,
    "learning_rate": 1.0,
    "ema": 0.8,
    "mixup": 0.4,
    "class_weights": "sampling",
}


def test_an_interrupted_run_ends_with_the_weights_of_an_unbroken_one_whatever_it_was_asked_for(
    connection, files, settings, actor, planted, train, small_recipe, tmp_path, monkeypatch
) -> None:
    recipe = change_recipe(small_recipe, {"epochs": 5, "noise": 0.05, "dropout": 0.5, **EVERYTHING})
    unbroken = weights_of(connection, files, train(recipe, folder="whole"))
    monkeypatch.setattr("core.training.checkpoint.COST_SHARE", 1e9)  # a checkpoint after every epoch
    run, _ = request_training(connection, planted.project, planted.snapshot, recipe, actor=actor)

    class Struck(Silent):
        def report(self, fraction: float, note: str, **facts: Any) -> None:
            if facts.get("epoch") == 4:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_training(connection, files, settings, run.id, tmp_path / "broken", CPU, Struck())
    assert (tmp_path / "broken" / NAME).exists()
    listening = Listening()
    result = run_training(connection, files, settings, run.id, tmp_path / "broken", CPU, listening)
    assert "Going on after epoch 3" in listening.notes
    assert same(unbroken, weights_of(connection, files, result))
    # what a plateau left of the rate had to be brought back too
    rates = [epoch["learning_rate"] for epoch in list_epochs(connection, run.id)]
    assert rates[-1] < rates[0]
    assert rates[2] < rates[0], "nothing was to be brought back"
    assert len(rates) == 5
    assert not (tmp_path / "broken" / NAME).exists()


CHILD = """
import sys
from pathlib import Path
from core.progress import Silent
from core.settings import Settings
from core.store.database import opened
from core.store.files import Files
from core.training import checkpoint, run
from core.training.device import CPU
checkpoint.COST_SHARE = 1e9
run.make_onnx = lambda *_: (None, "left out in this test")
settings = Settings(home=Path(sys.argv[1]))
with opened(settings) as connection:
    run.run_training(connection, Files(settings.home), settings, int(sys.argv[2]), Path(sys.argv[3]), CPU, Silent())
"""


def test_the_same_seed_gives_the_same_model_to_a_run_killed_by_force_too_and_another_seed_another(
    connection, files, settings, actor, planted, train, small_recipe, tmp_path
) -> None:
    recipe = change_recipe(small_recipe, {"epochs": 20, "noise": 0.05, "dropout": 0.5})
    assert recipe.schedule == "cosine"
    unbroken = weights_of(connection, files, train(recipe, folder="whole"))
    run, _ = request_training(connection, planted.project, planted.snapshot, recipe, actor=actor)
    folder = tmp_path / "killed"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(settings.home), str(run.id), str(folder)],
        cwd=PROJECT_ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    while not (folder / NAME).exists():
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    done_before = len(list_epochs(connection, run.id))
    assert 1 <= done_before < 20
    listening = Listening()
    result = run_training(connection, files, settings, run.id, folder, CPU, listening)
    assert any(note.startswith("Going on after epoch ") for note in listening.notes)
    assert same(unbroken, weights_of(connection, files, result))
    assert len(list_epochs(connection, run.id)) == 20
    assert not (folder / NAME).exists()
    other = weights_of(connection, files, train(change_recipe(recipe, {"seed": 1}), folder="other"))
    assert not same(unbroken, other)


def test_stopping_keeps_the_best_weights_and_leaves_a_model(connection, train, small_recipe, monkeypatch) -> None:
    monkeypatch.setattr("core.training.callbacks.SECONDS_BETWEEN_REPORTS", 0)
    result = train(change_recipe(small_recipe, {"epochs": 1000}), progress=Listening(stop_after=30))
    assert result["stopped"] is True
    assert 1 <= result["epochs"] < 1000
    model = get_model(connection, None, result["model_id"])
    assert model.facts["best_epoch"] <= model.facts["epochs"]
    assert model.facts["ended_because"] == "asked to stop"


def test_epochs_that_a_kill_took_back_are_not_told_of_a_run_that_is_stopped_before_it_repeats_them(
    connection, files, settings, actor, planted, small_recipe, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("core.training.checkpoint.COST_SHARE", 1e-9)  # one checkpoint, after the first epoch
    run, _ = request_training(
        connection, planted.project, planted.snapshot, change_recipe(small_recipe, {"epochs": 5}), actor=actor
    )

    class Struck(Silent):
        def report(self, fraction: float, note: str, **facts: Any) -> None:
            if facts.get("epoch") == 5:
                raise KeyboardInterrupt

    class StoppedInTheSecond(Silent):
        asked = False

        def report(self, fraction: float, note: str, **facts: Any) -> None:
            self.asked = self.asked or facts.get("epoch") == 2

        def should_stop(self) -> bool:
            return self.asked

    with pytest.raises(KeyboardInterrupt):
        run_training(connection, files, settings, run.id, tmp_path / "broken", CPU, Struck())
    assert len(list_epochs(connection, run.id)) >= 4
    samples = [sample_path(tmp_path / "broken", epoch) for epoch in range(1, 6)]  # as of a run that draws
    samples[0].parent.mkdir()
    for path in samples:
        path.touch()
    result = run_training(connection, files, settings, run.id, tmp_path / "broken", CPU, StoppedInTheSecond())
    assert result["epochs"] < 4
    epochs = list_epochs(connection, run.id)
    assert [epoch["epoch"] for epoch in epochs] == list(range(1, result["epochs"] + 1))
    assert result["seconds"] == pytest.approx(sum(epoch["seconds"] for epoch in epochs))
    assert all(epoch <= result["epochs"] for epoch, _ in list_watched(connection, run.id).values())
    assert list_samples(tmp_path / "broken") == samples[:1]  # of the epoch that the checkpoint was of


def test_stopping_in_the_first_epoch_still_leaves_a_model(connection, train, small_recipe) -> None:
    class AtOnce(Listening):
        def should_stop(self) -> bool:
            return any(note.startswith("Building") for note in self.notes)

    result = train(small_recipe, progress=AtOnce())
    assert (result["stopped"], result["epochs"]) == (True, 1)
    assert len(list_models(connection, 1)) == 1


def test_a_finished_run_is_not_trained_again(connection, files, settings, train, small_recipe, tmp_path) -> None:
    first = train(small_recipe)
    again = run_training(connection, files, settings, first["run"], tmp_path / "job", CPU, Silent())
    assert again == first


def test_early_stopping_ends_a_run_that_gets_no_better(train, small_recipe) -> None:
    # A rate this small leaves the weights as they are, and batch statistics settle within a few epochs.
    recipe = change_recipe(small_recipe, {"learning_rate": 1e-7, "epochs": 300, "early_stopping": 2, "rotation": 0})
    result = train(recipe)
    assert result["epochs"] < 300
    assert result["ended_because"] == "no lower validation loss for 2 epochs"
    assert result["epochs"] - result["best_epoch"] == 2


def test_a_loss_that_is_no_number_says_what_to_do(train, connection, small_recipe) -> None:
    changes = {"learning_rate": 10, "optimiser": "sgd", "network": "cnn", "activation": "elu", "l2": 1, "epochs": 50}
    with pytest.raises(CoreError, match="lower learning rate, for example 1") as refusal:
        train(change_recipe(small_recipe, {**changes, "dense_units": 64, "schedule": "constant"}))
    assert "resumed, this one would end in the same way" in refusal.value.remedy
    assert list_models(connection, 1) == []


@pytest.mark.parametrize(("chosen", "weight"), [("balanced", 3.0), ("none", 1.0)])
def test_class_weights_reach_the_loss_where_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, train: Any, small_recipe: Recipe, chosen: str, weight: float
) -> None:
    class Seen(Exception):
        pass

    def look(network: Any, recipe: Recipe, schema: Any, plan: Any, weights: np.ndarray, **_: Any) -> None:
        raise Seen(weights.tolist())

    monkeypatch.setattr("core.tasks.classification.class_weights", lambda *_: np.full((2, 2), 3.0, np.float32))
    monkeypatch.setattr(run_module, "Learner", look)
    with pytest.raises(Seen) as seen:
        train(change_recipe(small_recipe, {"class_weights": chosen}))
    assert seen.value.args == ([[weight, weight]] * 2,)


def test_a_fold_that_is_not_there_is_refused(connection, actor, planted) -> None:
    with pytest.raises(InvalidInput, match="Received: 7"):
        request_training(connection, planted.project, planted.snapshot, Recipe(), fold=7, actor=actor)


def test_a_name_that_is_taken_is_refused(connection, actor, planted) -> None:
    request_training(connection, planted.project, planted.snapshot, Recipe(), name="mine", actor=actor)
    with pytest.raises(Conflict, match="Received: mine"):
        request_training(connection, planted.project, planted.snapshot, Recipe(), name="mine", actor=actor)


def test_half_precision_learns_and_leaves_a_model_of_full_precision(
    connection, files, train, small_recipe, monkeypatch
) -> None:
    monkeypatch.setattr(run_module, "prepare_device", lambda device: "mixed_float16")
    result = train(change_recipe(small_recipe, {"epochs": 3}))
    network = load_network(files, get_model(connection, None, result["model_id"]))
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    assert np.isfinite([epoch["loss"] for epoch in list_epochs(connection, result["run"])]).all()
    assert keras.config.dtype_policy().name == "float32"


def test_the_recipe_of_a_run_is_stored_whole(connection, actor, planted) -> None:
    recipe = change_recipe(named_recipe("cnn"), {"filters": "8,8", "rotation": 3})
    run, arguments = request_training(connection, planted.project, planted.snapshot, recipe, actor=actor)
    assert get_run(connection, arguments["run"]).recipe == recipe
    assert run.recipe == recipe


def test_a_device_without_memory_says_what_to_make_smaller(train, small_recipe, monkeypatch) -> None:
    def exhaust(*_: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(run_module, "fit_network", exhaust)
    with pytest.raises(CoreError, match=r"smaller batch.*Received: batch 8, 16 pixels, resnet on cpu"):
        train(small_recipe)
