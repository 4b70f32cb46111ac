"""Loss, schedules and optimisers against what they are defined to be."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from core.projects.schema import make_classification
from core.training.batches import Plan
from core.training.losses import LOSSES
from core.training.networks import build_network
from core.training.recipe import Recipe, change_recipe
from core.training.steps import Learner, make_optimizer, make_schedule

LOGITS = np.array([[2.0, -1.0, 0.5], [0.1, 0.2, -3.0]], np.float32)
ONES = np.ones((2, 3), np.float32)


def test_softmax_loss_is_that_of_keras() -> None:
    targets = np.eye(3, dtype=np.float32)[[0, 2]]
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1, reduction="none")
    found = LOSSES["softmax_cross_entropy"].of_case(tf.constant(targets), LOGITS, ONES, 0.1)
    np.testing.assert_allclose(found, expected(targets, LOGITS), rtol=1e-5)


def test_sigmoid_loss_is_that_of_keras() -> None:
    targets = np.array([[1, 0, 1], [0, 0, 0]], np.float32)
    expected = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1, reduction="none")
    found = LOSSES["sigmoid_cross_entropy"].of_case(tf.constant(targets), LOGITS, ONES, 0.1)
    np.testing.assert_allclose(found, expected(targets, LOGITS), rtol=1e-5)


def test_a_class_of_weight_three_counts_three_times() -> None:
    targets = np.eye(3, dtype=np.float32)[[0, 2]]
    weights = np.array([[1, 1, 1], [1, 1, 3]], np.float32)
    for name in ("softmax_cross_entropy", "sigmoid_cross_entropy"):
        plain = LOSSES[name].of_case(tf.constant(targets), LOGITS, ONES, 0).numpy()
        heavy = LOSSES[name].of_case(tf.constant(targets), LOGITS, weights, 0).numpy()
        assert heavy[0] == pytest.approx(plain[0])
        assert heavy[1] > plain[1]
    heavy = LOSSES["softmax_cross_entropy"].of_case(tf.constant(targets), LOGITS, weights, 0).numpy()
    plain = LOSSES["softmax_cross_entropy"].of_case(tf.constant(targets), LOGITS, ONES, 0).numpy()
    assert heavy[1] == pytest.approx(3 * plain[1])


def rates(schedule: str, steps: int = 100) -> list[float]:
    made = make_schedule(change_recipe(Recipe(), {"schedule": schedule, "learning_rate": 0.1}), steps)
    return [float(made(step)) if callable(made) else made for step in range(steps)]


def test_a_cosine_climbs_briefly_and_ends_near_nothing() -> None:
    found = rates("cosine")
    assert found[0] < 0.01
    assert max(found) == pytest.approx(0.1)
    assert found.index(max(found)) == 5
    assert found[5:] == sorted(found[5:], reverse=True)
    assert found[-1] < 0.001
    assert rates("cosine", 3)[0] == pytest.approx(0.1)  # too few steps to climb


def test_steps_fall_to_a_tenth_and_a_hundredth() -> None:
    found = rates("step")
    np.testing.assert_allclose([found[10], found[60], found[99]], [0.1, 0.01, 0.001], rtol=1e-5)
    assert set(rates("constant")) == {0.1}


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", "Adam"), ("adamw", "AdamW"), ("sgd", "SGD"), ("rmsprop", "RMSprop")]
)
def test_each_optimiser_is_the_one_named(name: str, kind: str) -> None:
    assert type(make_optimizer(change_recipe(Recipe(), {"optimiser": name}), 10)).__name__ == kind


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_validation_loss_is_the_training_loss_without_smoothing(multi_label: bool) -> None:
    schema = make_classification(["a", "b", "c"], multi_label=multi_label)
    recipe = change_recipe(Recipe(), {"input_size": 16, "filters": "4", "label_smoothing": 0.2})
    weights = np.array([[1, 2, 1], [1, 1, 3]], np.float32)
    network = build_network(recipe, schema, weights)
    learner = Learner(network, recipe, schema, Plan(2, 1, 1), weights)
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 1), np.uint8)
    targets = np.eye(3, dtype=np.float32)[[0, 2]]
    logits = keras.Model(network.input, network.get_layer("logits").output)(images)
    name = "sigmoid_cross_entropy" if multi_label else "softmax_cross_entropy"
    expected = LOSSES[name].of_case(tf.constant(targets), logits, weights, 0).numpy().mean()
    assert learner.validation_loss(targets, np.asarray(network(images))) == pytest.approx(expected, rel=1e-4)
