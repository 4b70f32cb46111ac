"""Volumes and their masks, moved together."""

import numpy as np
import tensorflow as tf

from core.training.augmentation import augment, augment_masks
from core.training.moved_volumes import move_volumes
from core.training.recipe import Recipe, change_recipe, named_recipe

STILL = {"rotation": 0, "zoom": 0, "shift": 0, "contrast": 0, "noise": 0}
SEED = tf.constant([3, 7])


def recipe_of(**changes: object) -> Recipe:
    return change_recipe(named_recipe("unet3d"), {**STILL, **changes})


def balls() -> np.ndarray:
    """Two volumes (2, 12, 16, 20, 1) with a ball each, uint8."""
    z, y, x = np.mgrid[:12, :16, :20]
    made = [((z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2) <= 10 for a, b, c in ((5, 6, 13), (6, 9, 5))]
    return np.stack(made)[..., None].astype(np.uint8) * 255


def test_image_and_mask_move_alike_and_a_mask_stays_a_mask() -> None:
    images, recipe = balls(), recipe_of(rotation=40, zoom=0.2, shift=0.1, flip="both")
    masks = np.concatenate([images // 255, 1 - images // 255], axis=-1)
    moved, painted = augment(tf.constant(images), SEED, recipe).numpy(), augment_masks(tf.constant(masks), SEED, recipe)
    painted = painted.numpy()
    assert set(np.unique(painted)) == {0, 1}
    assert (painted.sum(axis=-1) == 1).all()
    assert (painted[..., :1] != images // 255).mean() > 0.01, "they did move"
    assert ((moved > 127) == painted[..., :1]).mean() > 0.985
    assert np.array_equal(moved, augment(tf.constant(images), SEED, recipe).numpy())


def test_nothing_moves_where_nothing_is_asked_and_a_flip_only_mirrors() -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 4, 5, 6, 1), np.uint8)
    still = move_volumes(tf.constant(images, tf.float32), lambda shape, _: tf.zeros(shape), recipe_of()).numpy()
    np.testing.assert_allclose(still, images, atol=1e-3)
    moved = augment(tf.constant(images), SEED, recipe_of(flip="left-right")).numpy()
    mirrored = [np.array_equal(after, before[:, :, ::-1]) for after, before in zip(moved, images, strict=True)]
    as_was = [np.array_equal(after, before) for after, before in zip(moved, images, strict=True)]
    assert all(one or other for one, other in zip(mirrored, as_was, strict=True))
    assert any(mirrored)
    assert any(as_was)


def test_turning_is_in_millimetres_so_that_thick_slices_are_not_sheared() -> None:
    """A rod along the columns, 10 mm long, turned a right angle about the rows stands along the frames, 10 mm long (the
    outermost frames show its mirrored image)."""
    rod = np.zeros((1, 15, 5, 15, 1), np.uint8)
    rod[0, 7, 2, 2:13] = 1

    def a_right_angle(shape: tuple, stream: int) -> tf.Tensor:
        return tf.constant([[0.0, 1.0, 0.0]]) if stream == 0 else tf.zeros(shape)

    for frame_mm, frames in ((1.0, 7), (2.0, 5)):
        recipe = recipe_of(rotation=90, spacing_mm=f"{frame_mm},1,1")
        turned = move_volumes(tf.constant(rod), a_right_angle, recipe, nearest=True).numpy()[0, 4:11, 2, :, 0]
        assert (turned.sum(axis=1) > 0).sum() == frames
        assert (turned.sum(axis=0) > 0).sum() == 1


def test_contrast_and_noise_change_each_volume_by_itself() -> None:
    changed = augment(tf.constant(balls()), SEED, recipe_of(contrast=0.5, noise=0.05)).numpy()
    assert changed.shape == (2, 12, 16, 20, 1)
    assert changed[0].max() != changed[1].max() or changed[0].std() != changed[1].std()
