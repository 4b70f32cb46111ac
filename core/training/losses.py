"""The losses by name: what a step makes smaller, and the number that is counted beside it for people to follow.

Each is taken on the raw outputs of a network, before the last activation or scaling. `terms` `(2, k)` come from the
task (`loss_terms`): for classification how much a case counts that is not, or is, of a class; for regression the mean
and the standard deviation of the training answers. Of a segmentation targets and raw outputs are maps `(batch, size,
size, k)`, of volumes `(batch, depth, rows, columns, k)`, and terms say nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

HUBER_DELTA = 1.0  # in standard deviations of the training answers; beyond it an error counts by its size alone
FOCUS = 2.0  # the exponent of the focal loss (Lin et al. 2017, doi:10.1109/ICCV.2017.324)


@dataclass(frozen=True)
class Loss:
    """`of_case(targets, raw, terms, smoothing)` and `beside(targets, raw, terms)`, each `(batch,)`.

    `beside_name` is what the second one is stored under in the facts of an epoch.
    """

    of_case: Callable[[Any, Any, Any, float], Any]
    beside: Callable[[Any, Any, Any], Any]
    beside_name: str


def softmax_cross_entropy(targets: Any, raw: Any, terms: Any, smoothing: float) -> Any:
    smooth = targets * (1 - smoothing) + smoothing / targets.shape[-1]
    of_case = tf.reduce_sum(targets * terms[1], axis=1)
    return tf.nn.softmax_cross_entropy_with_logits(labels=smooth, logits=raw) * of_case


def sigmoid_cross_entropy(targets: Any, raw: Any, terms: Any, smoothing: float) -> Any:
    smooth = targets * (1 - smoothing) + 0.5 * smoothing
    each = tf.nn.sigmoid_cross_entropy_with_logits(labels=smooth, logits=raw)
    return tf.reduce_mean(each * _of_class(targets, terms), axis=1)


def softmax_focal(targets: Any, raw: Any, terms: Any, smoothing: float) -> Any:
    sure = tf.reduce_sum(targets * tf.nn.softmax(raw), axis=1)
    return softmax_cross_entropy(targets, raw, terms, smoothing) * (1 - sure) ** FOCUS


def sigmoid_focal(targets: Any, raw: Any, terms: Any, smoothing: float) -> Any:
    smooth = targets * (1 - smoothing) + 0.5 * smoothing
    yes = tf.nn.sigmoid(raw)
    sure = targets * yes + (1 - targets) * (1 - yes)
    each = tf.nn.sigmoid_cross_entropy_with_logits(labels=smooth, logits=raw) * (1 - sure) ** FOCUS
    return tf.reduce_mean(each * _of_class(targets, terms), axis=1)


def huber(targets: Any, raw: Any, terms: Any, smoothing: float) -> Any:
    error = tf.abs(raw - _standardised(targets, terms))
    within = tf.minimum(error, HUBER_DELTA)
    return tf.reduce_mean(within * (error - 0.5 * within), axis=1)


def absolute(targets: Any, raw: Any, terms: Any, smoothing: float) -> Any:
    return tf.reduce_mean(tf.abs(raw - _standardised(targets, terms)), axis=1)


def squared(targets: Any, raw: Any, terms: Any, smoothing: float) -> Any:
    return tf.reduce_mean(0.5 * tf.square(raw - _standardised(targets, terms)), axis=1)


def dice_cross_entropy(targets: Any, raw: Any, terms: Any, smoothing: float) -> Any:
    """Cross entropy of each pixel, and one minus Dice of the whole batch: alone an empty image has no Dice, and a
    small one a wild one (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z)."""
    painted, yes = tf.cast(targets, tf.float32), tf.nn.sigmoid(raw)
    places = list(range(len(raw.shape) - 1))  # of the whole batch
    both = tf.reduce_sum(painted * yes, axis=places)
    either = tf.reduce_sum(painted + yes, axis=places)
    dice = (2 * both + 1) / (either + 1)  # of each structure; 1 where nothing is painted, rightly
    return pixel_cross_entropy(targets, raw, terms, smoothing) + 1 - tf.reduce_mean(dice)


def pixel_cross_entropy(targets: Any, raw: Any, terms: Any, smoothing: float) -> Any:
    smooth = tf.cast(targets, tf.float32) * (1 - smoothing) + 0.5 * smoothing
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=smooth, logits=raw), axis=_of_case(raw))


def _of_case(raw: Any) -> list[int]:
    """All axes of maps but that of the cases."""
    return list(range(1, len(raw.shape)))


def _of_class(targets: Any, terms: Any) -> Any:
    return targets * terms[1] + (1 - targets) * terms[0]


def _standardised(targets: Any, terms: Any) -> Any:
    return (targets - terms[0]) / terms[1]


def _one_is_right(targets: Any, raw: Any, terms: Any) -> Any:
    return tf.cast(tf.equal(tf.argmax(targets, axis=1), tf.argmax(raw, axis=1)), tf.float32)


def _all_are_right(targets: Any, raw: Any, terms: Any) -> Any:
    return tf.cast(tf.reduce_all(tf.equal(targets > 0.5, raw > 0.0), axis=1), tf.float32)


def _absolute_error(targets: Any, raw: Any, terms: Any) -> Any:
    if raw.shape[-1] > 1:  # of several quantities in standard deviations: their units have no mean
        return absolute(targets, raw, terms, 0.0)
    return tf.reduce_mean(tf.abs(raw * terms[1] + terms[0] - targets), axis=1)


def _overlap(targets: Any, raw: Any, terms: Any) -> Any:
    """Dice of each image over all structures; 1 where nothing is painted, rightly."""
    painted, yes = tf.cast(targets, tf.float32), tf.cast(raw > 0.0, tf.float32)
    either = tf.reduce_sum(painted + yes, axis=_of_case(raw))
    return tf.where(either > 0, 2 * tf.reduce_sum(painted * yes, axis=_of_case(raw)) / tf.maximum(either, 1.0), 1.0)


def _sum_of_parts(targets: Any, raw: Any, terms: Any, smoothing: float) -> Any:
    """What a network that draws has worked out by itself, `(batch, parts)`."""
    return tf.reduce_sum(raw, axis=1)


def _first_part(targets: Any, raw: Any, terms: Any) -> Any:
    return raw[:, 0]


LOSSES: dict[str, Loss] = {
    "softmax_cross_entropy": Loss(softmax_cross_entropy, _one_is_right, "accuracy"),
    "sigmoid_cross_entropy": Loss(sigmoid_cross_entropy, _all_are_right, "accuracy"),
    "softmax_focal": Loss(softmax_focal, _one_is_right, "accuracy"),
    "sigmoid_focal": Loss(sigmoid_focal, _all_are_right, "accuracy"),
    "huber": Loss(huber, _absolute_error, "mae"),
    "absolute": Loss(absolute, _absolute_error, "mae"),
    "squared": Loss(squared, _absolute_error, "mae"),
    "dice_cross_entropy": Loss(dice_cross_entropy, _overlap, "dice"),
    "pixel_cross_entropy": Loss(pixel_cross_entropy, _overlap, "dice"),
    "own": Loss(_sum_of_parts, _first_part, "drawing_error"),
}
