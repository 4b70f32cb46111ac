"""The slope of an answer at each pixel, for the methods that walk or shake the image.

Networks take whole numbers, and those have no slope: it is taken behind the first layer, which only scales them.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from core.errors import InvalidInput
from core.explain.maps import at_once

AT_ONCE = 16


class Slopes:
    """Slopes of one network, compiled once, at images that were scaled by its own first layer."""

    def __init__(self, network: Any, raw: str) -> None:
        self.network = network
        scaled = network.layers[1].output
        try:
            self._front = keras.Model(network.input, scaled)
            self._back = keras.Model(scaled, network.get_layer(raw).output)
        except ValueError as error:
            raise InvalidInput(
                f"Choose another method: slopes at the pixels need a network with one first layer. "
                f"Received: {network.name}"
            ) from error
        self.at_once = at_once(scaled.shape[1:], AT_ONCE)
        points = tf.TensorSpec((None, *scaled.shape[1:]), tf.float32)
        signature = [points, tf.TensorSpec((), tf.int32)]
        self._compiled = tf.function(self._compute, input_signature=signature, autograph=False)

    def scale(self, images: np.ndarray) -> np.ndarray:
        """uint8 images as the network's first layer hands them on, float32."""
        return np.asarray(self._front(images, training=False))

    def at(self, points: np.ndarray, class_index: int) -> tuple[np.ndarray, np.ndarray]:
        """Slopes, of the shape of the scaled images or volumes `(n, size, size, channels)`, and raw outputs `(n,)`."""
        found = [
            self._compiled(tf.constant(points[start : start + self.at_once], tf.float32), class_index)
            for start in range(0, len(points), self.at_once)
        ]
        return np.concatenate([slopes.numpy() for slopes, _ in found]), np.concatenate(
            [raw.numpy() for _, raw in found]
        )

    def _compute(self, points: Any, class_index: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(points)
            spoken = tf.gather(self._back(points, training=False), class_index, axis=1)
            together = tf.reduce_sum(spoken)
        return tape.gradient(together, points), spoken
