"""Changes to training images, drawn anew at each step from a seed that names the step.

Flip, rotation, zoom and shift are one resampling, which costs a quarter of four. All is
stateless: the same (seed, epoch, step) gives the same images, so a resumed run goes on exactly.
"""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from core.training.moved_volumes import move_volumes
from core.training.recipe import Recipe


def is_augmented(recipe: Recipe) -> bool:
    """Whether the recipe changes images at all."""
    return _moves(recipe) or recipe.contrast > 0 or recipe.noise > 0


def _moves(recipe: Recipe) -> bool:
    return recipe.flip != "none" or recipe.rotation > 0 or recipe.zoom > 0 or recipe.shift > 0


def augment(images: Any, seed: Any, recipe: Recipe, proportions: float = 1.0) -> Any:
    """Augmented copies of a batch.

    Args:
        images: uint8 `(batch, rows, columns, channels)`, or volumes `(batch, depth, rows, columns, channels)`.
        seed: int32 `(2,)`, another one for each step.
        proportions: height to width of what was stretched into a square, in which images are turned; a turn of the
            square would be a shear of them. Volumes are turned in millimetres instead, where their spacing is known.

    Returns:
        uint8 of the same shape.
    """
    values = tf.cast(images, tf.float32)
    if _moves(recipe) and images.shape.rank == 5:
        values = move_volumes(values, _draws(seed), recipe)
    elif _moves(recipe):
        transforms = _transforms(tf.shape(images)[0], images.shape[1], images.shape[2], seed, recipe, proportions)
        values = _resample(values, transforms)
    if recipe.contrast > 0:
        one = [1] * (images.shape.rank - 1)
        mean = tf.reduce_mean(values, axis=list(range(1, images.shape.rank)), keepdims=True)
        factor = _uniform((tf.shape(images)[0], *one), seed, 5, 1 - recipe.contrast, 1 + recipe.contrast)
        values = (values - mean) * factor + mean
    if recipe.noise > 0:
        noise = tf.random.stateless_normal(tf.shape(values), _stream(seed, 6), stddev=recipe.noise * 255)
        values += noise
    return tf.cast(tf.round(tf.clip_by_value(values, 0.0, 255.0)), tf.uint8)


def augment_masks(masks: Any, seed: Any, recipe: Recipe, proportions: float = 1.0) -> Any:
    """Masks moved as `augment` moves the images of the same seed, uint8 `(batch, rows, columns, structures)`.

    What is painted stays painted or not: each pixel is that of the nearest place.
    """
    if not _moves(recipe):
        return masks
    if masks.shape.rank == 5:
        return move_volumes(masks, _draws(seed), recipe, nearest=True)
    transforms = _transforms(tf.shape(masks)[0], masks.shape[1], masks.shape[2], seed, recipe, proportions)
    return _resample(masks, transforms, "NEAREST")


def _stream(seed: Any, number: int) -> Any:
    """An independent seed for each kind of change, so that switching one off leaves the others as they were."""
    return tf.random.experimental.stateless_fold_in(seed, number)


def _uniform(shape: Any, seed: Any, stream: int, low: float, high: float) -> Any:
    return tf.random.stateless_uniform(shape, _stream(seed, stream), low, high)


def _draws(seed: Any) -> Callable[[Any, int], Any]:
    """From -1 to 1, by shape and stream."""
    return lambda shape, stream: _uniform(shape, seed, stream, -1.0, 1.0)


def _transforms(n: Any, rows: int, columns: int, seed: Any, recipe: Recipe, proportions: float) -> Any:
    """One projective transform `(n, 8)` an image, from output to input pixels, about the image's centre."""
    angle = _uniform((n,), seed, 0, -1.0, 1.0) * (recipe.rotation * math.pi / 180)
    scale = 1.0 / (1.0 + _uniform((n,), seed, 1, -1.0, 1.0) * recipe.zoom)
    move = _uniform((n, 2), seed, 2, -1.0, 1.0) * recipe.shift
    ones = tf.ones((n,))
    mirror = ones if recipe.flip in ("none", "up-down") else tf.sign(_uniform((n,), seed, 3, -1.0, 1.0) + 1e-9)
    invert = ones if recipe.flip in ("none", "left-right") else tf.sign(_uniform((n,), seed, 4, -1.0, 1.0) + 1e-9)
    a, b = tf.cos(angle) * scale * mirror, -tf.sin(angle) * scale * mirror
    c, d = tf.sin(angle) * scale * invert, tf.cos(angle) * scale * invert
    if proportions != 1.0:  # else the very same operations as ever
        b, c = b * proportions, c / proportions
    middle_x, middle_y = (columns - 1) / 2, (rows - 1) / 2
    x0 = middle_x - a * middle_x - b * middle_y + move[:, 0] * columns
    y0 = middle_y - c * middle_x - d * middle_y + move[:, 1] * rows
    return tf.stack([a, b, x0, c, d, y0, tf.zeros((n,)), tf.zeros((n,))], axis=1)


def _resample(values: Any, transforms: Any, interpolation: str = "BILINEAR") -> Any:
    # Beyond its edge the image is mirrored: black corners would tell the network how far it was turned.
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=values,
        transforms=transforms,
        output_shape=tf.shape(values)[1:3],
        fill_value=0.0,
        interpolation=interpolation,
        fill_mode="REFLECT",
    )
