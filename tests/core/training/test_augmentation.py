"""Augmentation: the same seed gives the same images, each change does what it says."""

import numpy as np
import pytest
import tensorflow as tf

from core.training.augmentation import augment, augment_masks, is_augmented
from core.training.recipe import Recipe, change_recipe

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
