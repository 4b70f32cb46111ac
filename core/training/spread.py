"""A step shared between several devices: each takes its part of the batch, and what they find is added up."""

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


def describe_devices(wanted: int, device: Device) -> tuple[str, ...]:
    """Which devices a run has, where it asked for several."""
    given = max(len(device.parts), 1)
    if wanted == given == 1:
        return ()
    if given < wanted:
        return (f"It asked for {wanted} GPUs, and this machine gave it {device.name}.",)
    return (f"{given} devices share each step: {device.name}.",)
