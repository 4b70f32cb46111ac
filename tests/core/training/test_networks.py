"""The two networks: what goes in, what comes out, and that every setting reaches them."""

import keras
import numpy as np
import pytest

from core.projects.schema import make_classification
from core.training.networks import build_network, feature_layers
from core.training.recipe import RECIPE_NAMES, change_recipe, named_recipe

TWO = make_classification(["a", "b"])
SMALL = {"input_size": 16, "filters": "4,8", "dense_units": 16}


def built(name: str, schema=TWO, **changes):
    return build_network(change_recipe(named_recipe(name), {**SMALL, **changes}), schema)


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_uint8_goes_in_and_probabilities_come_out(name: str) -> None:
    network = built(name, channels=3)
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    scores = np.asarray(network(images))
    assert network.input.dtype == "uint8"
    assert network.output_names == ["probabilities"]
    assert scores.shape == (3, 2)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_several_labels_are_independent(name: str) -> None:
    network = built(name, make_classification(["a"], multi_label=True))
    assert network.get_layer("probabilities").activation is keras.activations.sigmoid
    assert network.output_shape == (None, 1)


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_the_layers_for_explanations_are_there(name: str) -> None:
    network = built(name)
    for layer in feature_layers(change_recipe(named_recipe(name), SMALL)):
        assert len(network.get_layer(layer).output.shape) == 4


def test_the_classic_stack_has_the_weights_it_should() -> None:
    recipe = change_recipe(named_recipe("cnn"), {"input_size": 64, "channels": 3})
    network = build_network(recipe, TWO)
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.filters for layer in convolutions] == [32, 64, 128]
    assert [layer.kernel_size for layer in convolutions] == [(3, 3)] * 3
    # Three convolutions, 8 x 8 x 128 features into 1024 units, two classes.
    expected = (9 * 3 + 1) * 32 + (9 * 32 + 1) * 64 + (9 * 64 + 1) * 128 + (8 * 8 * 128 + 1) * 1024 + 1025 * 2
    assert network.count_params() == expected


def test_every_setting_of_the_classic_stack_reaches_it() -> None:
    network = built(
        "cnn", kernel_size=5, pooling="average", pool_size=3, activation="tanh", dropout=0.25, l2=0.01, filters="4"
    )
    kinds = {type(layer): layer for layer in network.layers}
    assert kinds[keras.layers.AveragePooling2D].pool_size == (3, 3)
    assert kinds[keras.layers.Conv2D].kernel_size == (5, 5)
    assert kinds[keras.layers.Conv2D].kernel_regularizer.l2 == pytest.approx(0.01)
    assert network.get_layer("stage_1").activation is keras.activations.tanh
    assert network.get_layer("dropout").rate == 0.25
    assert len(network.losses) == 3


def test_a_residual_network_grows_with_its_blocks() -> None:
    assert built("resnet", blocks=2).count_params() > built("resnet", blocks=1).count_params()
    assert built("resnet").get_layer("stage_2").output.shape[1] == 8


def test_large_images_are_halved_at_once_and_small_ones_are_not() -> None:
    assert built("resnet", input_size=64).get_layer("stage_1").output.shape[1] == 32
    assert built("resnet", input_size=28).get_layer("stage_1").output.shape[1] == 28
