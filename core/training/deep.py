"""Deep supervision: while it learns, a network that paints is asked for its answer at lower resolutions too.

As in nnU-Net (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z): a layer of size 1 on each map of the way up, its
loss counting half as much as that of the next finer one. These layers belong to the learner and not to the network, so
what is stored, exported and fine-tuned from is the same network with them and without.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

VOLUME_AXES = 5  # batch, depth, rows, columns, channels


def answer_deeply(network: Any, layers: Sequence[str], raw: str) -> tuple[Any, list[Any]]:
    """The model from a network's input to its raw output and to one at each of the layers, float32
    `(batch, rows, columns, k)` or `(batch, depth, rows, columns, k)`; and the variables that it has beside the
    network's own."""
    finest = network.get_layer(raw)
    convolution = keras.layers.Conv3D if len(finest.output.shape) == VOLUME_AXES else keras.layers.Conv2D
    heads = [convolution(finest.filters, 1, name=f"{raw}_{name}", dtype="float32") for name in layers]
    answers = [head(network.get_layer(name).output) for head, name in zip(heads, layers, strict=True)]
    model = keras.Model(network.input, [finest.output, *answers])
    return model, [variable for head in heads for variable in head.trainable_variables]


def halved_shares(answers: int) -> list[float]:
    """What each of so many answers counts, the finest first; 1 in all."""
    halved = [0.5**at for at in range(answers)]
    return [share / sum(halved) for share in halved]


def pool_masks(masks: Any, grid: Sequence[int]) -> Any:
    """Masks `(batch, ..., k)` on a coarser grid, float32: of each of its places the share that is painted.

    Args:
        grid: its sides, each of which divides that of the masks.
    """
    sides = [whole // part for whole, part in zip(masks.shape[1:-1], grid, strict=True)]
    masks = tf.cast(masks, tf.float32)
    return masks if max(sides) == 1 else tf.nn.avg_pool(masks, sides, sides, "VALID")
