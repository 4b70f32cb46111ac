"""The trial of `readroom doctor --gpu`: some steps on the device a run would get."""

import pytest

from core.errors import CoreError
from core.training import trial
from core.training.device import CPU
from core.training.recipe import Recipe


def test_it_says_device_and_speed(monkeypatch: pytest.MonkeyPatch, capsys, small_recipe: Recipe) -> None:
    monkeypatch.setattr(trial, "named_recipe", lambda name: small_recipe)
    assert trial.main(["--steps", "2"]) == 0
    line = capsys.readouterr().out.strip()
    assert line.startswith("cpu CPU: 2 steps, ")
    assert line.endswith(" images/s")


def test_a_device_that_does_not_work_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def refuse(*_: object) -> float:
        raise CoreError("TensorFlow sees no GPU. Received: gpu:0")

    monkeypatch.setattr(trial, "try_device", refuse)
    monkeypatch.setattr(trial, "list_devices", lambda: (CPU,))
    assert trial.main([]) == 1
    assert capsys.readouterr().err == "TensorFlow sees no GPU. Received: gpu:0\n"
