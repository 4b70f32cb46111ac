"""Losses against what they are defined to be."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from core.training.losses import LOSSES

LOGITS = np.array([[2.0, -1.0, 0.5], [0.1, 0.2, -3.0]], np.float32)
ONES = np.ones((2, 3), np.float32)
SCALE = np.array([[50.0], [10.0]], np.float32)  # mean and standard deviation
NUMBERS = np.array([[40.0], [50.0], [95.0]], np.float32)
RAW = np.array([[-1.5], [0.2], [0.5]], np.float32)


def test_the_focal_loss_of_one_class_is_that_of_keras() -> None:
    targets = np.eye(3, dtype=np.float32)[[0, 2]]
    expected = keras.losses.CategoricalFocalCrossentropy(from_logits=True, alpha=1.0, gamma=2.0, reduction="none")
    found = LOSSES["softmax_focal"].of_case(tf.constant(targets), LOGITS, ONES, 0.0)
    np.testing.assert_allclose(found, expected(targets, LOGITS), rtol=1e-5)


def test_the_focal_loss_of_several_labels_is_that_of_keras() -> None:
    targets = np.array([[1, 0, 1], [0, 0, 0]], np.float32)
    expected = keras.losses.BinaryFocalCrossentropy(
        from_logits=True, apply_class_balancing=False, gamma=2.0, reduction="none"
    )
    found = LOSSES["sigmoid_focal"].of_case(tf.constant(targets), LOGITS, ONES, 0.0)
    np.testing.assert_allclose(found, expected(targets, LOGITS), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("huber", keras.losses.Huber(delta=1.0, reduction="none")),
        ("absolute", keras.losses.MeanAbsoluteError(reduction="none")),
        ("squared", lambda truth, said: 0.5 * keras.losses.MeanSquaredError(reduction="none")(truth, said)),
    ],
)
def test_losses_of_numbers_are_those_of_keras_on_standardised_ones(name: str, expected: object) -> None:
    found = LOSSES[name].of_case(tf.constant(NUMBERS), RAW, SCALE, 0.0)
    np.testing.assert_allclose(found, expected((NUMBERS - 50) / 10, RAW), rtol=1e-5)  # type: ignore[operator]


def test_beside_the_loss_of_a_number_stands_its_error_in_the_unit() -> None:
    loss = LOSSES["huber"]
    assert loss.beside_name == "mae"
    np.testing.assert_allclose(loss.beside(tf.constant(NUMBERS), RAW, SCALE), [5.0, 2.0, 40.0], rtol=1e-5)


def test_beside_the_loss_of_classes_stands_the_share_that_is_right() -> None:
    one = LOSSES["softmax_cross_entropy"].beside(tf.constant(np.eye(3, dtype=np.float32)[[0, 2]]), LOGITS, ONES)
    assert one.numpy().tolist() == [1.0, 0.0]
    several = np.array([[1, 0, 1], [1, 1, 1]], np.float32)
    assert LOSSES["sigmoid_focal"].beside(tf.constant(several), LOGITS, ONES).numpy().tolist() == [1.0, 0.0]


def test_dice_and_cross_entropy_of_masks_by_hand() -> None:
    random = np.random.default_rng(0)
    masks = (random.random((3, 4, 4, 2)) > 0.5).astype(np.uint8)
    raw = random.normal(size=masks.shape).astype(np.float32)
    yes = 1 / (1 + np.exp(-raw))
    each = -np.where(masks == 1, np.log(yes), np.log1p(-yes)).mean(axis=(1, 2, 3))
    dice = (2 * (masks * yes).sum((0, 1, 2)) + 1) / (masks.sum((0, 1, 2)) + yes.sum((0, 1, 2)) + 1)
    loss = LOSSES["dice_cross_entropy"]
    np.testing.assert_allclose(loss.of_case(tf.constant(masks), raw, None, 0.0), each + 1 - dice.mean(), rtol=1e-4)
    np.testing.assert_allclose(LOSSES["pixel_cross_entropy"].of_case(masks, raw, None, 0.0), each, rtol=1e-4)
    hard = [2 * ((raw > 0) & (masks == 1))[at].sum() / ((raw > 0)[at].sum() + masks[at].sum()) for at in range(3)]
    np.testing.assert_allclose(loss.beside(tf.constant(masks), raw, None), hard, rtol=1e-5)


def test_an_image_with_nothing_painted_costs_nothing_where_nothing_is_answered() -> None:
    nothing, sure = tf.zeros((2, 4, 4, 1), tf.uint8), tf.fill((2, 4, 4, 1), -20.0)
    loss = LOSSES["dice_cross_entropy"]
    assert loss.of_case(nothing, sure, None, 0.0).numpy().max() < 1e-5
    assert loss.beside(nothing, sure, None).numpy().tolist() == [1, 1]
