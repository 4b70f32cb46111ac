"""A step shared between several devices: each takes its part of the batch, and what they find is added up."""

import math
from typing import Any

import tensorflow as tf

from core.training.device import Device


def share_steps(device: Device) -> Any:
    """The `tf.distribute.MirroredStrategy` of a group of devices; None where a run has one device.

    Gradients are gathered outside of the devices' own code: gathered from within it (TensorFlow's default), those of
    several steps in one compiled loop met each other.
    """
    if len(device.parts) < 2:
        return None
    names = [f"{device.kind.upper()}:{at}" for at in range(len(device.parts))]
    gather = tf.distribute.NcclAllReduce() if device.kind == "gpu" else tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(names, cross_device_ops=gather)


def part_of(whole: Any, number: int | Any, devices: int) -> Any:
    """What one of several devices takes of a batch: every so-many-th case.

    A batch is sorted by its rows, and rows often come class by class, as they were imported. Halves of it would then be
    of one class each, and a normalisation by such a half takes away what tells the classes apart.
    """
    return whole[number::devices]


def share_overflow(gradients: list[Any]) -> list[Any]:
    """The gradients of one device, none of them finite if those of any device are not.

    Keras leaves a step out where half precision has overflown, and looks at the first device alone (3.15, as if the
    gradients were summed already); what overflows on another one would be added to the weights.
    """
    finite = [tf.reduce_all(tf.math.is_finite(one)) for one in gradients if one is not None]
    bad = tf.cast(tf.logical_not(tf.reduce_all(finite)), tf.float32)
    bad = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, bad)
    return [one if one is None else tf.where(bad > 0, tf.constant(math.inf, one.dtype), one) for one in gradients]


def share_statistics(variables: list[Any]) -> None:
    """On every device the mean of what the normalisation layers of all devices have gathered.

    Each gathers that of its own part of the batch, and what is validated and stored would be the first device's alone.
    """
    if variables:
        copies = [one.value for one in variables]
        means = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, copies)
        for variable, mean in zip(variables, means, strict=True):
            variable.assign(mean)


def part_chance(seeds: list[Any]) -> None:
    """Let each device drop other features: from the first one's state of a `keras.random.SeedGenerator`, which alone a
    checkpoint keeps, the others' are made. Alike, all would hide the same places of their parts of a batch."""
    for seed in seeds:
        first, *others = seed.value.values
        for number, copy in enumerate(others, start=1):
            copy.assign(first + tf.constant([number, 0], first.dtype))  # the second one counts


def describe_devices(wanted: int, device: Device) -> tuple[str, ...]:
    """Which devices a run has, where it asked for several."""
    given = max(len(device.parts), 1)
    if wanted == given == 1:
        return ()
    if given < wanted:
        return (f"It asked for {wanted} GPUs, and this machine gave it {device.name}.",)
    return (f"{given} devices share each step: {device.name}.",)
