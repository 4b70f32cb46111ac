"""A running average of the weights (Polyak and Juditsky 1992, doi:10.1137/0330046), exponential, beside the live ones.

The averages of normalisation layers are averaged too: they belong to the weights that made them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf


class WeightAverage:
    """`mean` holds the averages in the order of the network's weights; they are state that a checkpoint keeps."""

    def __init__(self, network: Any, decay: float) -> None:
        self._live, self._decay = list(network.weights), decay
        self.mean = [tf.Variable(np.asarray(weight), trainable=False) for weight in self._live]

    def follow(self, step: Any) -> None:
        """Move towards the live weights once. Early steps count for more, or the first weights would stay for long."""
        done = tf.cast(step, tf.float32)
        take = 1 - tf.minimum(self._decay, (1 + done) / (10 + done))
        for mean, live in zip(self.mean, self._live, strict=True):
            mean.assign_add(take * (live.value - mean))

    def weights(self) -> list[np.ndarray]:
        return [mean.numpy() for mean in self.mean]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within, the network answers with its averages; afterwards it is what it was, to the bit."""
        kept = [np.array(np.asarray(weight)) for weight in self._live]
        _assign(self._live, self.weights())
        try:
            yield
        finally:
            _assign(self._live, kept)


def _assign(variables: list[Any], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
