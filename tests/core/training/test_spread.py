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
from core.training.spread import describe_devices
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


def test_a_run_says_what_it_got_of_what_it_asked_for() -> None:
    assert describe_devices(1, CPU) == ()
    assert describe_devices(2, Device("gpu:1", "gpu")) == ("It asked for 2 GPUs, and this machine gave it gpu:1.",)
    assert plan_epoch(23, change_recipe(named_recipe("cnn"), {"batch": 7}), 2).batch == 6  # parts of the same size
    with pytest.raises(InvalidInput, match="at least one image a device"):
        change_recipe(named_recipe("cnn"), {"devices": 4, "batch": 2})
    with pytest.raises(InvalidInput, match="from 1 to 16"):
        change_recipe(named_recipe("cnn"), {"devices": 0})
