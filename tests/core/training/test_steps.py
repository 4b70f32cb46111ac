"""Loss, schedules and optimisers against what they are defined to be."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from core.projects.schema import make_classification
from core.training.batches import Examples, Plan
from core.training.losses import LOSSES
from core.training.mixing import draw_mixture, mix_images
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


def rates(schedule: str, steps: int = 100, factor: float = 1.0, **changes: object) -> list[float]:
    recipe = change_recipe(Recipe(), {"schedule": schedule, "learning_rate": 0.1, **changes})
    made = make_schedule(recipe, steps, factor)
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
    assert set(rates("constant", warm_up=0)) == {0.1}


@pytest.mark.parametrize("schedule", ["constant", "cosine", "step", "plateau"])
def test_every_schedule_climbs_for_its_warm_up(schedule: str) -> None:
    found = rates(schedule, warm_up=0.2)
    np.testing.assert_allclose([found[0], found[10], found[20]], [0.005, 0.0525, 0.1], rtol=1e-5)
    assert rates(schedule, warm_up=0)[0] == pytest.approx(0.1)


def test_a_plateau_leaves_the_rate_to_its_factor() -> None:
    np.testing.assert_allclose(rates("plateau", factor=0.3)[5:], 0.03, rtol=1e-5)


def trained(steps: int, **changes: object) -> tuple[Learner, list[list[np.ndarray]]]:
    """A tiny learner after so many steps on noise, and its weights after each."""
    schema, ones = make_classification(["a", "b"]), np.ones((2, 2), np.float32)
    tiny = {"input_size": 16, "filters": "4", "rotation": 0, "zoom": 0, "shift": 0, "contrast": 0, "noise": 0}
    recipe = change_recipe(Recipe(), {**tiny, "dropout": 0, **changes})
    keras.utils.set_random_seed(0)
    learner = Learner(build_network(recipe, schema, ones), recipe, schema, Plan(4, max(steps, 1), 1), ones)
    images = np.random.default_rng(0).integers(0, 256, (1, 4, 16, 16, 1), np.uint8)
    targets = np.eye(2, dtype=np.float32)[[[0, 1, 0, 1]]]
    seen = []
    for step in range(steps):
        learner.train(tf.constant(images), tf.constant(targets), tf.constant([[0, step]]))
        seen.append(learner.network.get_weights())
    return learner, seen


def test_the_average_of_the_weights_is_what_it_is_defined_to_be_and_gives_the_live_ones_back() -> None:
    learner, seen = trained(4, ema=0.25)
    mean = trained(0, ema=0.25)[0].network.get_weights()
    for step, weights in enumerate(seen):
        decay = min(0.25, (1 + step) / (10 + step))
        mean = [decay * old + (1 - decay) * new for old, new in zip(mean, weights, strict=True)]
    for found, expected in zip(learner.kept_weights(), mean, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    with learner.averaged():
        assert all(map(np.array_equal, learner.network.get_weights(), learner.kept_weights()))
    assert all(map(np.array_equal, learner.network.get_weights(), seen[-1]))


@pytest.mark.parametrize(("side", "expected"), [(16, [40]), (256, [16, 16, 8])])
def test_large_images_are_predicted_a_few_at_a_time(side: int, expected: list[int]) -> None:
    """The step that was tried holds four; sixty-four of 1,024 pixels would take what no smaller batch gives back."""
    learner, _ = trained(0, input_size=side, filters="1")
    asked: list[int] = []
    learner._scores = lambda images: asked.append(len(images)) or tf.zeros((len(images), 2))
    images = SimpleNamespace(read=lambda rows: np.zeros((len(rows), side, side, 1), np.uint8))
    assert learner.predict(Examples(images, np.arange(40), np.zeros((40, 2), np.float32))).shape == (40, 2)
    assert asked == expected


def test_mixup_blends_images_and_answers_in_the_same_parts() -> None:
    images = tf.constant(np.arange(0, 200, 50, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8))
    shares = []
    for step in range(200):
        share, partner = draw_mixture(tf.constant([0, step]), 4, 0.4)
        assert sorted(partner.numpy().tolist()) == [0, 1, 2, 3]
        expected = share * np.arange(0, 200, 50) + (1 - share) * 50 * partner.numpy()
        assert np.abs(mix_images(images, share, partner).numpy()[:, 0, 0, 0] - expected).max() <= 0.5
        shares.append(float(share))
    assert min(shares) >= 0.5
    larger = np.random.default_rng(0).beta(0.4, 0.4, 100_000)
    assert np.mean(shares) == pytest.approx(np.maximum(larger, 1 - larger).mean(), abs=0.04)


def test_a_step_with_mixup_learns_something_else_and_counts_every_image() -> None:
    (plain, first), (mixed, second) = trained(2), trained(2, mixup=1.0)
    assert plain.read_sums()[2] == mixed.read_sums()[2] == 8
    assert not all(map(np.array_equal, first[-1], second[-1]))
    assert np.isfinite(mixed.read_sums()[0])


def test_after_a_held_epoch_the_step_that_was_compiled_before_is_taken_again() -> None:
    learner, _ = trained(0)
    variables, traced = len(learner.network.trainable_variables), list[int]()

    def train(steps: int) -> None:
        images, targets = np.zeros((steps, 4, 16, 16, 1), np.uint8), np.tile(np.eye(2, dtype=np.float32), (steps, 2, 1))
        learner.train(*map(tf.constant, (images, targets, np.zeros((steps, 2), np.int32))))

    step = learner._step
    learner._step = lambda *batch: (traced.append(len(learner.network.trainable_variables)), step(*batch))[1]
    train(3)
    train(2)
    assert traced == [variables], "of any length: the last chunk of an epoch is shorter"
    learner.begin_epoch(hold=True)
    train(3)
    assert traced[1:] == [2], "of the last layer"
    learner.begin_epoch()
    train(3)
    assert len(traced) == 2
    assert len(learner.network.trainable_variables) == variables


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
