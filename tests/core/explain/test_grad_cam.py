"""Grad-CAM: the compiled map is the published formula, and it finds what was planted."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from core.explain.checks import pointing_game
from core.explain.grad_cam import GradCam


def by_hand(network, layer: str, image: np.ndarray, class_index: int) -> np.ndarray:
    """The formula, eager and for one image: relu of the sum of maps weighted by their mean slopes."""
    parts = keras.Model(network.input, [network.get_layer(layer).output, network.get_layer("logits").output])
    with tf.GradientTape() as tape:
        features, logits = parts(image[None])
        spoken = logits[0, class_index]
    slopes = tape.gradient(spoken, features)[0].numpy()
    values = np.maximum((features[0].numpy() * slopes.mean(axis=(0, 1))).sum(axis=-1), 0)
    return values / max(values.max(), 1e-12)


@pytest.mark.parametrize("layer", ["stage_1", "stage_2"])
def test_the_compiled_map_is_the_published_formula(finder, squares, layer: str) -> None:
    images, _ = squares
    maps, probabilities = GradCam(finder, layer, "logits").explain(images, np.ones(len(images), int))
    for image, values in zip(images, maps, strict=True):
        np.testing.assert_allclose(values, by_hand(finder, layer, image, 1), atol=1e-4)
    np.testing.assert_allclose(probabilities, np.asarray(finder(images)), atol=1e-5)


def test_the_map_lies_on_the_planted_square(finder, squares) -> None:
    images, masks = squares
    maps, probabilities = GradCam(finder, "stage_2", "logits").explain(images, np.ones(len(images), int))
    assert (probabilities[:, 1] > 0.5).all()
    assert pointing_game(maps, masks) == 1.0


def test_another_class_gives_another_map(finder, squares) -> None:
    images, _ = squares
    cam = GradCam(finder, "stage_2", "logits")
    of_one, of_other = (cam.explain(images[:1], np.array([at]))[0] for at in (0, 1))
    assert not np.allclose(of_one, of_other)


def test_maps_reach_from_zero_to_one_and_are_zero_where_nothing_speaks(finder, squares) -> None:
    images, _ = squares
    maps, _ = GradCam(finder, "stage_2", "logits").explain(images, np.ones(len(images), int))
    assert maps.dtype == np.float32
    assert maps.shape == (12, 12, 12)
    assert maps.min() >= 0
    np.testing.assert_allclose(maps.max(axis=(1, 2)), 1, rtol=1e-5)
    silent = keras.models.clone_model(finder)
    silent.set_weights([np.zeros_like(weight) for weight in finder.get_weights()])
    nothing, _ = GradCam(silent, "stage_2", "logits").explain(images[:1], np.array([1]))
    assert (nothing == 0).all()


def test_it_is_traced_once(finder, squares) -> None:
    cam = GradCam(finder, "stage_1", "logits")
    cam.warm()
    for n in (1, 3, 12):
        cam.explain(squares[0][:n], np.zeros(n, int))
    assert cam._compiled.experimental_get_tracing_count() == 1
