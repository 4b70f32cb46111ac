"""Grad-CAM (Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74): which part of an image raised a class's logit, or the
number that a model says."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from core.explain.maps import at_once

AT_ONCE = 64  # images; of volumes fewer


class GradCam:
    """Grad-CAM of one network at one layer, compiled once.

    Eager it takes ten times as long; the first call traces for some seconds, so call `warm` before anybody waits.
    It is taken on the raw outputs (`raw`, the task's `RAW`): behind a softmax a sure answer has no slope left.
    """

    def __init__(self, network: Any, layer: str, raw: str) -> None:
        self.network, self.layer, self.raw = network, layer, raw
        outputs = [network.get_layer(layer).output, network.get_layer(raw).output, network.output]
        self._parts = keras.Model(network.input, outputs)
        images = tf.TensorSpec((None, *network.input_shape[1:]), tf.uint8)
        self._compiled = tf.function(
            self._compute,
            input_signature=[images, tf.TensorSpec((None,), tf.int32)],
            jit_compile=False,
            autograph=False,
        )

    def warm(self) -> None:
        """Pay for the tracing now."""
        self.explain(np.zeros((1, *self.network.input_shape[1:]), np.uint8), np.zeros(1, np.int32))

    def explain(self, images: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Maps and scores of a batch.

        Args:
            images: uint8 `(n, size, size, channels)`, or volumes `(n, depth, size, size, channels)`.
            classes: for each image the index of the class to be explained, `(n,)`; of a number always 0.

        Returns:
            maps `(n, rows, columns)` or `(n, depth, rows, columns)` float32, 0 to 1 within each map (all 0 where
            nothing spoke for the class), at the resolution of the layer; scores `(n, k)`.
        """
        step = at_once(images.shape[1:], AT_ONCE)
        found = [
            self._compiled(tf.constant(images[at : at + step]), tf.constant(classes[at : at + step], tf.int32))
            for at in range(0, len(images), step)
        ]
        return np.concatenate([maps.numpy() for maps, _ in found]), np.concatenate([one.numpy() for _, one in found])

    def _compute(self, images: Any, classes: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            features, raw, scores = self._parts(images, training=False)
            # Images do not speak to each other, so the slope of the sum holds the slope of each.
            spoken = tf.reduce_sum(tf.gather(raw, classes, batch_dims=1))
        maps = tf.nn.relu(self._lay(features, tape.gradient(spoken, features)))
        highest = tf.reduce_max(maps, axis=range(1, maps.shape.rank), keepdims=True)
        return maps / tf.maximum(highest, 1e-12), scores

    def _lay(self, features: Any, slopes: Any) -> Any:
        """The map before what spoke against is cut away; the methods of this family differ in this line."""
        return tf.reduce_sum(tf.reduce_mean(slopes, axis=places_of(slopes), keepdims=True) * features, axis=-1)


def places_of(features: Any) -> range:
    """The axes of place: rows and columns, of a volume also the frames."""
    return range(1, features.shape.rank - 1)
