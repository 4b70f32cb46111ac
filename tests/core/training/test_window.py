"""The window of a recipe: the same values become black and white in training, in a volume and at prediction."""

import json
import sqlite3
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.datasets.records import list_snapshot_cases
from core.errors import InvalidInput
from core.images.decoded import Window
from core.images.records import get_case
from core.images.render import PRESETS, InputSpec, model_input, refuse_window
from core.images.volume_input import PatchSpec, VolumeSpec, resampled_frames, spec_of, volume_input
from core.images.volumes import model_frames
from core.progress import Silent
from core.store.files import Files
from core.training.ensemble import plan_ensemble
from core.training.networks import input_of
from core.training.recipe import change_recipe
from core.training.request import request_training
from core.training.settling import settle_input

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
    of: Any = SimpleNamespace(frames=2, photometric="MONOCHROME2", windows=FILES_OWN, spacing_mm=None)
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


def test_the_training_set_s_window_is_measured_on_the_training_cases_and_on_no_other(
    connection: sqlite3.Connection, files: Files, planted: Any, small_recipe: Any
) -> None:
    recipe = change_recipe(small_recipe, {"window": "training set"})
    cases = list_snapshot_cases(connection, planted.snapshot.id)
    train = [case for case in cases if case.split == "train"]
    for other in cases:  # poisoned: whoever reads one of them fails
        if other.split != "train":
            files.path("pixels", get_case(connection, other.case_id).pixel_hash).write_bytes(b"poison")
    settled = settle_input(connection, files, recipe, train, Silent())
    learnt = [files.read_array("pixels", get_case(connection, case.case_id).pixel_hash) for case in train]
    values = np.concatenate([pixels.ravel() for pixels in learnt])
    assert settled.window_values == pytest.approx((values.mean(), 6 * values.std()), rel=1e-5)
    assert settle_input(connection, files, settled, train[:1], Silent()) is settled, "a window that is told stays"
    spec = input_of(settled)
    assert spec_of(json.loads(json.dumps(spec.to_json()))) == spec, "as the model keeps it"
    assert input_of(recipe) != spec


@pytest.mark.parametrize("spec", [InputSpec(4096 // 16, 1), VolumeSpec(2, 64), PatchSpec((2, 8, 8), (1.0, 1.0, 1.0))])
def test_by_the_training_set_s_window_equal_values_look_equal_in_every_image(spec: Any) -> None:
    spec = replace(spec, window="training set", window_values=(100.0, 600.0))
    dim, bright = np.full((2, 8, 8), 100, np.int16), np.full((2, 8, 8), 400, np.int16)
    dim[0, 0, 0] = bright[0, 0, 0] = 3000  # percentiles would bend to it
    of: Any = SimpleNamespace(
        frames=2, photometric="MONOCHROME2", windows=FILES_OWN, spacing_mm=(1.0, 1.0), slice_spacing_mm=1.0
    )
    for volume, grey in ((dim, 128), (bright, 255)):
        if isinstance(spec, InputSpec):
            seen = model_frames(volume, of, spec)
        elif isinstance(spec, VolumeSpec):
            seen = volume_input(volume, of, spec)
        else:
            seen = np.stack(list(resampled_frames(volume, of, (2, 8, 8), spec)))
        assert np.median(seen) == grey


def test_a_window_of_the_training_set_has_a_width_and_grey_images(
    connection: sqlite3.Connection, planted: Any, small_recipe: Any, actor: Any
) -> None:
    for wrong in ("5,0", "5", "0,-1"):
        with pytest.raises(InvalidInput, match="Received"):
            change_recipe(small_recipe, {"window": "training set", "window_values": wrong})
    with connection:
        connection.execute("UPDATE cases SET channels = 3 WHERE id = (SELECT max(case_id) FROM snapshot_cases)")
    recipe = change_recipe(small_recipe, {"window": "training set"})
    with pytest.raises(InvalidInput, match="for grey images"):
        request_training(connection, planted.project, planted.snapshot, recipe, actor=actor)


def test_folds_that_would_each_measure_a_window_of_their_own_become_no_ensemble(
    connection: sqlite3.Connection, small_recipe: Any
) -> None:
    recipe = change_recipe(small_recipe, {"window": "training set"})
    runs: Any = [SimpleNamespace(fold=fold, recipe=recipe) for fold in (0, 1)]
    with pytest.raises(InvalidInput, match="give one for all"):
        plan_ensemble(connection, "both", runs)


def test_a_training_on_other_images_by_a_ct_window_is_refused_before_the_queue(
    connection: sqlite3.Connection, planted: Any, small_recipe: Any, actor: Any
) -> None:
    recipe = change_recipe(small_recipe, {"window": "soft tissue"})
    assert input_of(recipe).window == "soft tissue"
    with pytest.raises(InvalidInput, match="below zero"):
        request_training(connection, planted.project, planted.snapshot, recipe, actor=actor)
