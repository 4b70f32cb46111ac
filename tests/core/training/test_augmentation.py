"""Augmentation: the same seed gives the same images, each change does what it says."""

import json

import numpy as np
import pytest
import tensorflow as tf

from core.images.render import InputSpec
from core.images.volume_input import VolumeSpec
from core.progress import Silent
from core.training.augmentation import augment, augment_masks, is_augmented
from core.training.batches import read_chunk
from core.training.ensemble import views_of
from core.training.recipe import Recipe, change_recipe
from core.training.request import training_cases
from core.training.run import build_fit, gather_material
from core.training.settling import measure_proportions
from core.training.views import move

OFF = {"flip": "none", "rotation": 0, "zoom": 0, "shift": 0, "contrast": 0, "noise": 0}


def changed(images: np.ndarray, seed: tuple[int, int] = (0, 0), **changes: object) -> np.ndarray:
    result = augment(tf.constant(images), tf.constant(seed, tf.int32), change_recipe(Recipe(), {**OFF, **changes}))
    assert result.dtype == tf.uint8
    return result.numpy()


@pytest.fixture
def images() -> np.ndarray:
    """A gradient to the right with a bright corner above left."""
    image = np.tile(np.arange(50, 114, 2, dtype=np.uint8), (32, 1))
    image[:8, :8] = 250
    return np.stack([image] * 16)[..., None]


def test_nothing_asked_changes_nothing(images: np.ndarray) -> None:
    assert not is_augmented(change_recipe(Recipe(), OFF))
    assert is_augmented(Recipe())
    np.testing.assert_array_equal(changed(images), images)


@pytest.mark.parametrize(
    "changes", [{"flip": "both"}, {"rotation": 20}, {"zoom": 0.3}, {"shift": 0.2}, {"contrast": 0.5}, {"noise": 0.1}]
)
def test_the_same_seed_gives_the_same_images_and_another_others(images: np.ndarray, changes: dict) -> None:
    once = changed(images, (3, 7), **changes)
    np.testing.assert_array_equal(once, changed(images, (3, 7), **changes))
    assert not np.array_equal(once, changed(images, (3, 8), **changes))
    assert len({image.tobytes() for image in once}) > 1  # each image has its own


def test_a_flip_mirrors_some_and_leaves_the_rest(images: np.ndarray) -> None:
    for flip, axis in (("left-right", 2), ("up-down", 1)):
        kinds = {
            "as it was" if np.array_equal(image, images[0]) else "mirrored"
            for image in changed(images, flip=flip)
            if np.array_equal(image, images[0]) or np.array_equal(image, np.flip(images, axis)[0])
        }
        assert kinds == {"as it was", "mirrored"}


def test_a_rotation_keeps_the_middle(images: np.ndarray) -> None:
    images[:, 14:18, 14:18] = 0
    turned = changed(images, rotation=90)
    assert (turned[:, 15:17, 15:17] < 20).all()


def test_no_black_comes_in_from_outside(images: np.ndarray) -> None:
    moved = changed(images, rotation=45, zoom=0.3, shift=0.2)
    assert moved.min() >= images.min()


def test_contrast_keeps_the_mean_and_changes_the_spread(images: np.ndarray) -> None:
    images[:, :8, :8] = 60
    pressed = changed(images, contrast=0.5)
    np.testing.assert_allclose(pressed.mean(axis=(1, 2, 3)), images.mean(axis=(1, 2, 3)), atol=1)
    assert pressed.std(axis=(1, 2, 3)).max() > images[0].std() > pressed.std(axis=(1, 2, 3)).min()


def test_noise_has_the_spread_asked_for() -> None:
    grey = np.full((4, 64, 64, 3), 128, np.uint8)
    assert changed(grey, noise=0.05).std() == pytest.approx(0.05 * 255, rel=0.05)


def test_a_zoom_scales_about_the_middle() -> None:
    square = np.zeros((32, 33, 33, 1), np.uint8)
    square[:, 11:22, 11:22] = 255
    areas = (changed(square, zoom=0.3) > 127).sum(axis=(1, 2, 3))
    assert 7 * 7 <= areas.min() < 121 < areas.max() <= 15 * 15


def test_masks_move_as_their_images_do(images: np.ndarray) -> None:
    """Where the bright corner went, its mask went too, and stays 0 or 1."""
    recipe = change_recipe(Recipe(), {**OFF, "flip": "both", "rotation": 30, "zoom": 0.2, "shift": 0.1})
    flat = np.where(images == 250, 250, 0).astype(np.uint8)
    masks = np.concatenate([flat == 250, flat == 0], axis=-1).astype(np.uint8)
    seed = tf.constant((3, 7), tf.int32)
    seen, moved = augment(tf.constant(flat), seed, recipe).numpy(), augment_masks(tf.constant(masks), seed, recipe)
    moved = moved.numpy()
    assert moved.dtype == np.uint8
    assert set(np.unique(moved)) == {0, 1}
    agree = (seen[..., 0] > 125) == (moved[..., 0] == 1)
    assert agree.mean() > 0.995  # but for ties half-way between two pixels
    assert not np.array_equal(moved, masks)
    still = augment_masks(tf.constant(masks), seed, change_recipe(Recipe(), {**OFF, "contrast": 0.5}))
    np.testing.assert_array_equal(still, masks)


def bar_of(image: np.ndarray, proportions: float) -> tuple[float, float]:
    """Length and angle (degrees) of what is bright, in the image's own proportions and shares of its width."""
    rows, columns = np.nonzero(image[16:48] > 125)  # beyond, the bar is seen again, mirrored at an edge
    places = np.stack([columns / 64, rows / 64 * proportions])
    spread, axes = np.linalg.eigh(np.cov(places))
    return float(np.sqrt(12 * spread[1])), float(np.degrees(np.arctan2(axes[1, 1], axes[0, 1])) % 180)


def test_what_was_stretched_is_turned_in_its_own_proportions() -> None:
    """A bar along an image twice as high as wide keeps its length when it is turned, which a sheared one does not."""
    upright = np.zeros((8, 64, 64, 1), np.uint8)
    upright[:, 24:40, 30:34] = 250
    recipe, seed = change_recipe(Recipe(), {**OFF, "rotation": 80}), tf.constant((0, 0), tf.int32)
    own = [bar_of(one[..., 0], 2.0) for one in augment(tf.constant(upright), seed, recipe, 2.0).numpy()]
    square = [bar_of(one[..., 0], 2.0) for one in augment(tf.constant(upright), seed, recipe).numpy()]
    assert np.ptp([angle for _, angle in own]) > 30, "they are turned"
    assert [length for length, _ in own] == pytest.approx([0.5] * 8, rel=0.1)
    assert min(length for length, _ in square) < 0.4
    stream = tf.random.experimental.stateless_fold_in(seed, 0)
    angles = np.array(tf.random.stateless_uniform((8,), stream, -1.0, 1.0)) * 80
    apart = (np.array([angle for _, angle in own]) - 90 + angles + 90) % 180 - 90
    assert abs(apart).max() < 5, "and by as much as was drawn"
    masks = augment_masks(tf.constant((upright > 0).astype(np.uint8)), seed, recipe, 2.0).numpy()
    seen = augment(tf.constant(upright), seed, recipe, 2.0).numpy() > 125
    assert (seen == (masks == 1)).mean() > 0.995


def test_images_that_were_not_stretched_are_turned_as_ever_to_the_bit(images: np.ndarray) -> None:
    recipe = change_recipe(Recipe(), {**OFF, "rotation": 30, "zoom": 0.2, "flip": "both"})
    once = augment(tf.constant(images), tf.constant((3, 7), tf.int32), recipe).numpy()
    np.testing.assert_array_equal(once, augment(tf.constant(images), tf.constant((3, 7), tf.int32), recipe, 1.0))


def test_proportions_are_the_median_of_what_is_stretched(connection, files, planted, small_recipe, monkeypatch) -> None:
    train, _ = training_cases(connection, planted.snapshot, None)
    stretched, padded = InputSpec(16), InputSpec(16, resize="pad")
    assert measure_proportions(connection, train, stretched) == 1.0
    ids = [case.case_id for case in train]
    connection.execute(
        "UPDATE cases SET spacing_mm = '[3.0, 1.5]' WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(ids),)
    )
    assert measure_proportions(connection, train, stretched) == 2.0
    assert measure_proportions(connection, train, padded) == 1.0
    assert measure_proportions(connection, train, VolumeSpec(8, 16)) == 1.0
    material = gather_material(connection, files, planted.snapshot, small_recipe, None, Silent(), checked=True)
    fit, used = build_fit(small_recipe, planted.snapshot, material, "float32"), []
    monkeypatch.setattr("core.training.steps.augment", lambda images, seed, recipe, told: used.append(told) or images)
    fit.learner.train(*map(tf.constant, read_chunk(material.train, small_recipe, fit.plan, 0)))
    assert used == [2.0]


def test_test_time_augmentation_turns_as_training_did() -> None:
    recipe = change_recipe(Recipe(), {**OFF, "rotation": 60})
    assert all("proportions" not in view for view in views_of(recipe))
    _, left, right = views_of(recipe, 2.0)
    upright = np.zeros((1, 64, 64, 1), np.uint8)
    upright[:, 24:40, 30:34] = 250
    for view in (left, right):
        length, angle = bar_of(move(upright, view)[0, ..., 0], 2.0)
        assert length == pytest.approx(0.5, rel=0.1)
        assert abs(angle - 90) == pytest.approx(30, abs=5)
