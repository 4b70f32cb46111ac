"""The window of a recipe: the same values become black and white in training, in a volume and at prediction."""

import sqlite3
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.errors import InvalidInput
from core.images.decoded import Window
from core.images.render import PRESETS, InputSpec, model_input, refuse_window
from core.images.volumes import model_frames
from core.training.networks import input_of
from core.training.recipe import change_recipe
from core.training.request import request_training

UNITS = np.linspace(-1000, 1000, 16 * 16).reshape(16, 16).astype(np.int16)
FILES_OWN = (Window("file", 0, 4000),)


def test_a_preset_shows_its_units_whatever_the_file_says() -> None:
    seen = model_input(UNITS, "MONOCHROME2", FILES_OWN, InputSpec(16, window="lung"))[..., 0]
    wanted = np.clip((UNITS - (-600 - 750)) / 1500, 0, 1) * 255
    assert np.abs(seen - wanted).max() <= 1
    assert (PRESETS["brain"].centre, PRESETS["brain"].width) == (40, 80)


def test_percentiles_leave_the_file_s_window_aside_and_as_stored_keeps_it() -> None:
    stored, spread = (
        model_input(UNITS, "MONOCHROME2", FILES_OWN, InputSpec(16, window=window))
        for window in ("as stored", "percentiles")
    )
    assert np.array_equal(stored, model_input(UNITS, "MONOCHROME2", FILES_OWN, InputSpec(16)))
    assert stored.max() < 200
    assert (spread.min(), spread.max()) == (0, 255)


@pytest.mark.parametrize("window", ["percentiles", "lung"])
def test_all_frames_of_a_volume_go_by_one_window(window: str) -> None:
    volume = np.stack([UNITS, UNITS // 10])
    of: Any = SimpleNamespace(frames=2, photometric="MONOCHROME2", windows=FILES_OWN)
    first, second = model_frames(volume, of, InputSpec(16, window=window))
    assert second.min() > first.min()
    assert second.max() < first.max()


def test_units_are_for_ct_alone() -> None:
    refuse_window("lung", "CT", "int16")
    refuse_window("lung", None, "int16")  # NIfTI does not say
    refuse_window("percentiles", "MR", "uint16")
    with pytest.raises(InvalidInput, match="Received: MR"):
        refuse_window("lung", "MR", "int16")
    with pytest.raises(InvalidInput, match="unknown kind, uint8"):
        refuse_window("lung", None, "uint8")
    with pytest.raises(InvalidInput, match="'chest'"):
        InputSpec(16, window="chest")


def test_a_training_on_other_images_by_a_ct_window_is_refused_before_the_queue(
    connection: sqlite3.Connection, planted: Any, small_recipe: Any, actor: Any
) -> None:
    recipe = change_recipe(small_recipe, {"window": "soft tissue"})
    assert input_of(recipe).window == "soft tissue"
    with pytest.raises(InvalidInput, match="below zero"):
        request_training(connection, planted.project, planted.snapshot, recipe, actor=actor)
