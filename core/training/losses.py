"""The losses by name: what a step makes smaller, and the number that is counted beside it for people to follow.

Each is taken on the raw outputs of a network, before the last activation or scaling. `terms` `(2, k)` come from the
task (`loss_terms`): for classification how much a case counts that is not, or is, of a class; for regression the mean
and the standard deviation of the training answers.
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


def _of_class(targets: Any, terms: Any) -> Any:
    return targets * terms[1] + (1 - targets) * terms[0]


def _standardised(targets: Any, terms: Any) -> Any:
    return (targets - terms[0]) / terms[1]


def _one_is_right(targets: Any, raw: Any, terms: Any) -> Any:
    return tf.cast(tf.equal(tf.argmax(targets, axis=1), tf.argmax(raw, axis=1)), tf.float32)


def _all_are_right(targets: Any, raw: Any, terms: Any) -> Any:
    return tf.cast(tf.reduce_all(tf.equal(targets > 0.5, raw > 0.0), axis=1), tf.float32)


def _absolute_error(targets: Any, raw: Any, terms: Any) -> Any:
    return tf.reduce_mean(tf.abs(raw * terms[1] + terms[0] - targets), axis=1)


LOSSES: dict[str, Loss] = {
    "softmax_cross_entropy": Loss(softmax_cross_entropy, _one_is_right, "accuracy"),
    "sigmoid_cross_entropy": Loss(sigmoid_cross_entropy, _all_are_right, "accuracy"),
    "softmax_focal": Loss(softmax_focal, _one_is_right, "accuracy"),
    "sigmoid_focal": Loss(sigmoid_focal, _all_are_right, "accuracy"),
    "huber": Loss(huber, _absolute_error, "mae"),
    "absolute": Loss(absolute, _absolute_error, "mae"),
    "squared": Loss(squared, _absolute_error, "mae"),
}
