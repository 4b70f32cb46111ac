"""Mixup (Zhang et al. 2018, arXiv:1710.09412): a step learns from blends of its images, and from both answers.

The loss of a blend is the blend of the losses, which is the paper's mixed target where the loss is linear in it, and
serves those that are not.
"""

from typing import Any

import tensorflow as tf

STREAM = 7  # of the step's seed; 0 to 6 are those of `core.training.augmentation`


def draw_mixture(seed: Any, batch: int, alpha: float) -> tuple[Any, Any]:
    """How much of each image stays, one share for the step from Beta(alpha, alpha), and each one's partner.

    Args:
        seed: int32 `(2,)`, another one for each step.

    Returns:
        The share, a float32 scalar of at least a half, since the partner's part is the same blend seen from the
        other side; the partners, int32 `(batch,)`.
    """
    first, second, order = (tf.random.experimental.stateless_fold_in(seed, STREAM + at) for at in range(3))
    left = tf.random.stateless_gamma((), first, alpha)
    right = tf.random.stateless_gamma((), second, alpha)
    share = tf.math.divide_no_nan(left, left + right)  # tiny alphas may round both to nothing
    return tf.maximum(share, 1 - share), tf.random.experimental.stateless_shuffle(tf.range(batch), order)


def mix_images(images: Any, share: Any, partner: Any) -> Any:
    """Blends of uint8 `(batch, ...)` with their partners, uint8."""
    values = tf.cast(images, tf.float32)
    return tf.cast(tf.round(share * values + (1 - share) * tf.gather(values, partner)), tf.uint8)
