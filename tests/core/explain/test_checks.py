"""The checks tell good maps from bad ones."""

import numpy as np
import pytest

from core.explain.checks import (
    check_randomised,
    choose_layer,
    measure_drop,
    pointing_game,
    rank_correlation,
    resize_map,
    shuffle_weights,
)
from core.explain.grad_cam import GradCam
from core.explain.maps import explained_outputs
from core.training.networks import feature_layers


class Fixed:
    """Maps that were drawn beforehand, whatever the weights."""

    def __init__(self, network, maps: np.ndarray) -> None:
        self.network, self._maps, self.layer, self.raw = network, maps.astype(np.float32), "drawn", "logits"

    def explain(self, images: np.ndarray, classes: np.ndarray):
        return self._maps[: len(images)], np.asarray(self.network(images))


def test_hiding_what_a_true_map_marks_changes_the_answer(finder, squares) -> None:
    images, masks = squares
    ones = np.ones(len(images), int)
    true, false = measure_drop(Fixed(finder, masks), images, ones), measure_drop(Fixed(finder, ~masks), images, ones)
    assert true > 1
    assert false < true / 2


def test_the_layer_chosen_is_the_one_whose_map_points_best(finder, finder_recipe, squares) -> None:
    images, masks = squares
    layers = feature_layers(finder_recipe)
    cam, choice = choose_layer(finder, layers, "logits", images)
    assert cam.layer == choice.layer == max(choice.drops, key=choice.drops.__getitem__)
    assert set(choice.drops) == set(layers)
    assert choice.n == 12
    hits = {
        layer: pointing_game(GradCam(finder, layer, "logits").explain(images, np.ones(12, int))[0], masks)
        for layer in layers
    }
    assert hits[choice.layer] == max(hits.values())


def test_a_map_that_hangs_on_the_weights_passes(finder, squares) -> None:
    images, _ = squares
    check = check_randomised(GradCam(finder, "stage_2", "logits"), images)
    assert check.passed
    assert check.n == 12
    assert f"{check.similarity:.2f}" in check.sentence
    assert "n=12" in check.sentence


def test_a_map_that_only_shows_the_image_fails(finder, squares, monkeypatch: pytest.MonkeyPatch) -> None:
    images, _ = squares
    drawn = images[..., 0] / 255
    monkeypatch.setattr("core.explain.checks.GradCam", lambda network, layer, raw: Fixed(network, drawn))
    check = check_randomised(Fixed(finder, drawn), images)  # type: ignore[arg-type]
    assert check.similarity == pytest.approx(1)
    assert not check.passed
    assert "do not trust" in check.sentence


def test_shuffled_weights_hold_the_same_values_in_another_order(finder) -> None:
    shuffled = shuffle_weights(finder, seed=0)
    for before, after in zip(finder.get_weights(), shuffled.get_weights(), strict=True):
        np.testing.assert_array_equal(np.sort(before, axis=None), np.sort(after, axis=None))
    assert not np.array_equal(finder.get_weights()[0], shuffled.get_weights()[0])


def test_pointing_counts_maxima_inside_the_object() -> None:
    masks = np.zeros((2, 8, 8), bool)
    masks[:, 0:4, 0:4] = True
    maps = np.zeros((2, 4, 4), np.float32)
    maps[0, 0, 0] = maps[1, 3, 3] = 1
    assert pointing_game(maps, masks) == 0.5


def test_the_likeliest_class_is_explained_and_of_several_quantities_the_first() -> None:
    images, said = np.zeros((2, 4, 4, 1), np.uint8), np.array([[0.2, 0.8], [0.7, 0.3]])
    assert explained_outputs(lambda _: said, images, is_number=False).tolist() == [1, 0]
    assert explained_outputs(lambda _: said, images, is_number=True).tolist() == [0, 0], "units are not compared"


def test_rank_correlation_of_a_flat_map_is_zero() -> None:
    rising = np.arange(9.0).reshape(3, 3)
    assert rank_correlation(rising, rising**3) == pytest.approx(1)
    assert rank_correlation(rising, -rising) == pytest.approx(-1)
    assert rank_correlation(rising, np.zeros((3, 3))) == 0


def test_a_map_keeps_its_place_when_it_is_resized() -> None:
    values = np.zeros((4, 4), np.float32)
    values[1, 2] = 1
    assert np.unravel_index(resize_map(values, 40, 80).argmax(), (40, 80)) in {
        (r, c) for r in (14, 15) for c in (49, 50)
    }
