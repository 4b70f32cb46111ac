"""What to say of an error that the device or the machine raised while a run learnt; none of it is the run's fault."""

from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import CoreError
from core.training.device import Device
from core.training.networks import sized_by, tell_input
from core.training.recipe import Recipe

# What drivers write when a GPU is gone (NVIDIA's Xid errors reach TensorFlow as one of these words).
GPU_IS_GONE = ("cuda", "cudnn", "cublas", "gpu", "device is lost", "stream", "xid")
READING_FAILED = ("oserror", "unavailable:", "input/output error", "errno")


@contextmanager
def failures_explained(recipe: Recipe, device: Device) -> Iterator[None]:
    """Within, what the machine does to a run is raised as its sentence; a defect as it is.

    Raises:
        CoreError: what `explain_failure` makes of it.
    """
    import tensorflow as tf

    try:
        yield
    except (tf.errors.OpError, MemoryError) as error:
        known = explain_failure(error, recipe, device)
        if known is None:
            raise
        raise known from error


def explain_failure(error: BaseException, recipe: Recipe, device: Device) -> CoreError | None:
    """The sentence, why, and what to do; None for an error that is a defect."""
    import tensorflow as tf

    text = str(error)
    if isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError)):
        return CoreError(
            f"The device has too little memory: start again with a smaller batch, {sized_by(recipe)} or network. "
            f"Received: batch {recipe.batch}, {tell_input(recipe)}, {recipe.network} on {device.name}",
            why="What the layers say of a whole batch is kept until its gradients are known, and that is more than "
            "is free beside other programs.",
            remedy="Close other programs on the device and resume, it goes on from its checkpoint where it has one; or "
            "start a new run with a smaller batch.",
        )
    if any(word in text.lower() for word in READING_FAILED):
        return CoreError(
            f"The prepared images could not be read while the run learnt. Received: {_first_line(text)}",
            why="They lie on the disk of Readroom's home and are read batch by batch; the disk was taken away, is full "
            "of errors, or the file was removed.",
            remedy="Look after the disk, then resume: it goes on from its checkpoint, and images are prepared anew.",
        )
    defects = (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError, tf.errors.NotFoundError)
    # A defect on a GPU names its device, too.
    if device.kind == "gpu" and not isinstance(error, defects) and any(word in text.lower() for word in GPU_IS_GONE):
        return CoreError(
            f"The GPU was lost while the run learnt. Received: {device.name} {device.title}, {_first_line(text)}",
            why="The driver no longer answers for it: it was reset, overheated, was taken by another program, or the "
            "machine slept.",
            remedy="Look at it with readroom doctor --gpu, then resume: it goes on from its checkpoint, on another "
            "device if this one stays away.",
        )
    return None


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["no words"])[0][:200]
