"""A run on two devices: two logical CPUs in a process of its own."""

import subprocess
import sys

import numpy as np
import pytest

from core.errors import InvalidInput
from core.progress import Silent
from core.settings import PROJECT_ROOT
from core.training import run as run_module
from core.training.batches import plan_epoch
from core.training.device import CPU, Device
from core.training.recipe import change_recipe, named_recipe
from core.training.records import get_model, get_run
from core.training.request import request_training
from core.training.run import run_training
from core.training.spread import describe_devices, part_of
from core.training.stored import load_network

CHILD = """
import sys
from dataclasses import replace
from pathlib import Path

import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from core.progress import Silent
from core.settings import Settings
from core.store.database import opened
from core.store.files import Files
from core.training.device import CPU, join_devices
from core.training.run import run_training

home = Path(sys.argv[1])
settings = Settings(home=home, onnx_memory_bytes=1)
both = join_devices([replace(CPU, name="cpu:0"), replace(CPU, name="cpu:1")])
with opened(settings) as connection:
    for number in sys.argv[2:]:
        run_training(connection, Files(home), settings, int(number), home / "jobs" / number, both, Silent())
"""
ON_BOTH = """
from dataclasses import replace

import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from core.projects.schema import Regression
from core.training.batches import Plan
from core.training.device import CPU, join_devices
from core.training.networks import build_network
from core.training.recipe import change_recipe, named_recipe
from core.training.spread import share_steps
from core.training.steps import Learner

small = {"input_size": 16, "stages": 1, "filters": "2", "dense_units": 2, "batch": 2, "loss": "squared"}
recipe = change_recipe(named_recipe("cnn"), {**small, "schedule": "constant", "warm_up": 0})
schema, terms = Regression("age", "years", 0.0, 1.0), np.array([[0.0], [1.0]], np.float32)
both = share_steps(join_devices([replace(CPU, name="cpu:0"), replace(CPU, name="cpu:1")]))
with both.scope():
    network = build_network(recipe, schema, terms)
    learner = Learner(network, recipe, schema, Plan(2, 1, 1), terms, scale_loss=True, spread=both)
images, seeds = tf.ones((1, 2, 16, 16, 1), tf.uint8), tf.zeros((1, 2), tf.int32)
before = network.get_weights()
for overflows in (1, 0):
    targets = np.zeros((1, 2, 1), np.float32)
    targets[0, overflows] = 1e37
    learner.train(images, tf.constant(targets), seeds)
    assert all(map(np.array_equal, before, network.get_weights())), "it was learnt from"
assert np.asarray(learner.optimizer.dynamic_scale) == 2.0**13, "halved with each, from 2 ** 15"
learner.train(images, tf.ones((1, 2, 1)), seeds)  # another answer than that of fresh weights
assert not all(map(np.array_equal, before, network.get_weights()))
assert learner.learning_rate == np.float32(recipe.learning_rate)

(seed,) = (one for one in network.variables if "seed" in one.path)
kept = np.asarray(seed)
learner.begin_epoch()
one, other = (np.asarray(copy) for copy in seed.value.values)
assert np.array_equal(one, kept)
assert one[0] != other[0], "both would hide the same features"

recipe = change_recipe(named_recipe("resnet"), {**STILL, **small})
with both.scope():
    network = build_network(recipe, schema, terms)
    learner = Learner(network, recipe, schema, Plan(2, 1, 1), terms, spread=both)
first = next(layer for layer in network.layers if "batch_norm" in layer.name)
black_and_white = np.zeros((1, 2, 16, 16, 1), np.uint8)
black_and_white[0, 1] = 255
learner.train(tf.constant(black_and_white), tf.zeros((1, 2, 1)), seeds)
learner.read_sums()
one, other = (np.asarray(copy) for copy in first.moving_mean.value.values)
assert np.array_equal(one, other)
np.testing.assert_allclose(one, 0, atol=1e-6)  # what a convolution says of black is minus what it says of white
"""
# Nothing random on the way, so that two halves of a batch give what the whole gives.
STILL = {
    "rotation": 0, "zoom": 0, "shift": 0, "contrast": 0, "noise": 0, "dropout": 0, "optimiser": "sgd",
    "learning_rate": 0.01, "class_weights": "none",
}  # fmt: skip


def test_two_devices_give_what_one_gives_and_the_same_twice(
    connection, files, settings, planted, actor, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(run_module, "make_onnx", lambda *_: (None, "left out in this test"))
    small = {"input_size": 16, "filters": "8", "dense_units": 8, "batch": 8, "epochs": 1}
    plain = change_recipe(named_recipe("cnn"), {**small, **STILL, "ema": 0.9})
    runs = []
    for _ in range(2):
        run, arguments = request_training(
            connection, planted.project, planted.snapshot, change_recipe(plain, {"devices": 2}), actor=actor
        )
        assert arguments == {"run": run.id, "devices": 2}
        runs.append(run.id)
    command = [sys.executable, "-c", CHILD, str(settings.home), *map(str, runs)]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert get_run(connection, runs[0]).device == "cpu:0+cpu:1"
    assert "2 devices share each step: cpu:0+cpu:1." in get_run(connection, runs[0]).told["preflight"]["notes"]
    shared, again = (
        load_network(files, get_model(connection, planted.project.id, get_run(connection, number).name)).get_weights()
        for number in runs
    )
    assert all(map(np.array_equal, shared, again))
    alone, _ = request_training(connection, planted.project, planted.snapshot, plain, actor=actor)
    result = run_training(connection, files, settings, alone.id, tmp_path / "alone", CPU, Silent())
    for one, other in zip(
        load_network(files, get_model(connection, None, result["model_id"])).get_weights(), shared, strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_what_overflows_on_one_device_is_learnt_from_on_none_and_both_normalise_alike() -> None:
    """Keras looks at the gradients of the first device alone, lets each device gather its own statistics, and lets all
    of them draw the same chance."""
    script = f"STILL = {STILL!r}\n{ON_BOTH}"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr


def test_no_device_gets_one_class_alone_of_cases_that_came_class_by_class() -> None:
    batch = np.sort(np.random.default_rng(0).permutation(100)[:16])  # as it is read from the disk
    parts = [part_of(batch, number, 2) for number in range(2)]
    assert sorted(np.concatenate(parts)) == batch.tolist()
    assert [len(part) for part in parts] == [8, 8]
    for part in parts:
        assert 0.2 < np.mean(part < 50) < 0.8


def test_a_run_says_what_it_got_of_what_it_asked_for() -> None:
    assert describe_devices(1, CPU) == ()
    assert describe_devices(2, Device("gpu:1", "gpu")) == ("It asked for 2 GPUs, and this machine gave it gpu:1.",)
    assert plan_epoch(23, change_recipe(named_recipe("cnn"), {"batch": 7}), 2).batch == 6  # parts of the same size
    with pytest.raises(InvalidInput, match=r"Take fewer GPUs.* 4 devices for 3 training images"):
        plan_epoch(3, named_recipe("cnn"), 4)
    with pytest.raises(InvalidInput, match="at least one image a device"):
        change_recipe(named_recipe("cnn"), {"devices": 4, "batch": 2})
    with pytest.raises(InvalidInput, match="from 1 to 16"):
        change_recipe(named_recipe("cnn"), {"devices": 0})
