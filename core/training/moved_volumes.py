"""Volumes turned, mirrored, zoomed and shifted, and their masks with them: one resampling inside TensorFlow, because
Keras's spatial layers refuse volumes.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from core.training.recipe import Recipe


def move_volumes(values: Any, draw: Callable[[Any, int], Any], recipe: Recipe, *, nearest: bool = False) -> Any:
    """A batch moved as the recipe's `rotation` (about each axis), `zoom`, `shift` and `flip` say.

    Turning is done in millimetres where the recipe knows the spacing, so that thick slices are not sheared. Beyond
    its edge a volume is mirrored.

    Args:
        values: `(batch, depth, rows, columns, channels)`, float32, or with `nearest` of any type.
        draw: random numbers from -1 to 1, by shape and stream; the same ones for an image and its mask.
    """
    n, sides, channels = tf.shape(values)[0], tuple(values.shape[1:4]), values.shape[4]
    axes = [tf.range(side, dtype=tf.float32) - (side - 1) / 2 for side in sides]
    places = tf.reshape(tf.stack(tf.meshgrid(*axes, indexing="ij"), axis=-1), (1, -1, 3))
    size = tf.constant(sides, tf.float32)
    wanted = tf.linalg.matmul(tf.tile(places, (n, 1, 1)), _matrices(n, draw, recipe), transpose_b=True)
    wanted += (size - 1) / 2 + draw((n, 1, 3), 2) * recipe.shift * size
    wanted = _mirrored(wanted, size)
    flat = tf.reshape(values, (n, -1, channels))
    if nearest:
        moved = _values_at(flat, tf.round(wanted), size)
    else:
        low = tf.floor(wanted)
        part = wanted - low
        moved = tf.zeros_like(flat)
        for corner in itertools.product((0.0, 1.0), repeat=3):
            share = tf.reduce_prod(tf.where(tf.constant(corner) > 0, part, 1 - part), axis=-1, keepdims=True)
            moved += share * _values_at(flat, tf.minimum(low + corner, size - 1), size)
    return tf.reshape(moved, tf.shape(values))


def _matrices(n: Any, draw: Callable[[Any, int], Any], recipe: Recipe) -> Any:
    """From output to input voxels about the centre, `(n, 3, 3)`: turned in millimetres, mirrored and zoomed."""
    angles = draw((n, 3), 0) * (recipe.rotation * math.pi / 180)
    turned = tf.eye(3, batch_shape=[n])
    for axis in range(3):
        turned = tf.linalg.matmul(turned, _about(axis, angles[:, axis]))
    spacing = tf.constant(recipe.spacing_mm if all(recipe.spacing_mm) else (1.0, 1.0, 1.0), tf.float32)
    turned = turned * spacing[None, None, :] / spacing[None, :, None]
    ones = tf.ones((n,))
    columns = ones if recipe.flip in ("none", "up-down") else tf.sign(draw((n,), 3) + 1e-9)
    rows = ones if recipe.flip in ("none", "left-right") else tf.sign(draw((n,), 4) + 1e-9)
    scale = 1.0 / (1.0 + draw((n,), 1) * recipe.zoom)
    return turned * (tf.stack([ones, rows, columns], axis=1) * scale[:, None])[:, None, :]


def _about(axis: int, angle: Any) -> Any:
    """Rotations about one axis, `(n, 3, 3)`."""
    one, nothing, cos, sin = tf.ones_like(angle), tf.zeros_like(angle), tf.cos(angle), tf.sin(angle)
    rows = [[one, nothing, nothing], [nothing, cos, -sin], [nothing, sin, cos]]
    order = [(at - axis) % 3 for at in range(3)]  # the first of these rows and columns is the axis itself
    return tf.stack([tf.stack([rows[row][column] for column in order], axis=-1) for row in order], axis=1)


def _mirrored(places: Any, size: Any) -> Any:
    """Places beyond an edge, as far within it."""
    turned = tf.math.floormod(places + 0.5, 2 * size)
    return tf.clip_by_value(tf.minimum(turned, 2 * size - turned) - 0.5, 0.0, size - 1)


def _values_at(flat: Any, places: Any, size: Any) -> Any:
    """`(n, voxels, channels)` at whole places `(n, voxels, 3)`."""
    whole, sides = tf.cast(places, tf.int32), tf.cast(size, tf.int32)
    return tf.gather(flat, (whole[..., 0] * sides[1] + whole[..., 1]) * sides[2] + whole[..., 2], batch_dims=1)
