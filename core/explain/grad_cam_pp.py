"""Grad-CAM++ (Chattopadhay et al. 2018, arXiv:1710.11063): every place of a layer weighs by its own slope."""

from typing import Any

import tensorflow as tf

from core.explain.grad_cam import GradCam, places_of


class GradCamPlusPlus(GradCam):
    """As `GradCam`, with the paper's closed form for the exponential of the raw output."""

    def _lay(self, features: Any, slopes: Any) -> Any:
        sums = tf.reduce_sum(features, axis=places_of(features), keepdims=True)
        below = 2 * slopes**2 + sums * slopes**3
        shares = tf.where(below != 0, slopes**2 / tf.where(below != 0, below, tf.ones_like(below)), 0.0)
        weights = tf.reduce_sum(shares * tf.nn.relu(slopes), axis=places_of(features), keepdims=True)
        return tf.reduce_sum(weights * features, axis=-1)
