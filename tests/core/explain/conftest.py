"""A network that has learnt to find the planted square, trained once for all tests."""

import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from core.projects.schema import make_classification
from core.store.locks import take_lock
from core.training.networks import build_network
from core.training.recipe import Recipe, change_recipe, named_recipe
from core.training.records import Model, add_model, add_run
from core.training.stored import network_bytes

Drawing = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="session")
def finder_recipe() -> Recipe:
    return change_recipe(named_recipe("resnet"), {"input_size": 24, "filters": "8,16", "dropout": 0})


@pytest.fixture(scope="session")
def finder(finder_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Says "pneumonia" where there is a bright square of 5 pixels in 24; of several workers the first trains it."""
    keras.utils.set_random_seed(0)
    network = build_network(finder_recipe, make_classification(["normal", "pneumonia"]), np.ones((2, 2)))
    own = tmp_path_factory.getbasetemp()
    kept = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "finder.weights.h5"
    lock = take_lock(kept.with_suffix(".lock"), wait_seconds=200)
    assert lock is not None
    if kept.exists():
        network.load_weights(kept)
    else:
        train_finder(network)
        network.save_weights(kept)
    lock.release()
    return network


def train_finder(network: Any) -> None:
    random = np.random.default_rng(1)
    images = random.integers(0, 120, (256, 24, 24, 1), np.uint8)
    for image in images[1::2]:
        row, column = random.integers(0, 19, 2)
        image[row : row + 5, column : column + 5] = 230
    network.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    network.fit(images, np.arange(256) % 2, batch_size=32, epochs=8, verbose=0)


@pytest.fixture
def squares(planted_images: Callable[..., Drawing]) -> Drawing:
    """12 images with a square, and their masks."""
    images, masks = planted_images(24, side=24, seed=5)
    return images[1::2], masks[1::2]


@pytest.fixture
def keep_network(connection, files, planted, actor, finder_recipe) -> Callable[[Any], Model]:
    """Stores a network as a model of the planted project."""

    def keep(network: Any) -> Model:
        run = add_run(
            connection, project=planted.project.id, snapshot=planted.snapshot.id, recipe=finder_recipe, actor=actor
        )
        content = network_bytes(network)
        facts = {
            "input": {"size": 24, "channels": 1, "resize": "stretch"},
            "classes": ["normal", "pneumonia"],
            "multi_label": False,
            "feature_layers": ["stage_1", "stage_2"],
        }
        return add_model(
            connection, run, keras_hash=files.put_bytes("models", content), onnx_left_out_because="left out",
            parameters=1, file_bytes=len(content), facts=facts, seconds=1.0, actor=actor,
        )  # fmt: skip

    return keep


@pytest.fixture
def model(keep_network, finder) -> Model:
    return keep_network(finder)
