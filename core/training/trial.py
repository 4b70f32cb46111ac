"""`python -m core.training.trial --steps 20`: train a few steps on the device a run would get; say how fast."""

import argparse
import os
import sys
import time

import numpy as np

from core.errors import CoreError
from core.projects.schema import make_classification
from core.training.device import Device, choose_device, list_devices, prepare_device
from core.training.recipe import Recipe, change_recipe, named_recipe

WARM_UP_STEPS = 3  # the first call builds the graph


def main(arguments: list[str]) -> int:
    """Print one line: device and images per second."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int)
    given = parser.parse_args(arguments)
    steps, recipe = given.steps, named_recipe("resnet")
    device = choose_device(list_devices(), busy=[])
    assert device is not None  # a machine has at least its CPU
    os.environ.update(device.environment())
    try:
        speed = try_device(device, change_recipe(recipe, {"batch": given.batch}) if given.batch else recipe, steps)
    except CoreError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{device.name} {device.title}: {steps} steps, {speed:.0f} images/s\n")
    return 0


def try_device(device: Device, recipe: Recipe, steps: int) -> float:
    """Images per second over `steps` real training steps on random images."""
    policy = prepare_device(device)
    import keras
    import tensorflow as tf

    from core.training.batches import Plan
    from core.training.networks import build_network
    from core.training.steps import Learner

    schema, terms = make_classification(["a", "b"]), np.ones((2, 2), np.float32)
    keras.config.set_dtype_policy(policy)
    try:
        network = build_network(recipe, schema, terms)
    finally:
        keras.config.set_dtype_policy("float32")
    plan = Plan(recipe.batch, steps, 1)
    learner = Learner(network, recipe, schema, plan, terms, scale_loss=policy != "float32")
    random = np.random.default_rng(0)
    shape = (1, recipe.batch, recipe.input_size, recipe.input_size, recipe.channels)
    images = tf.constant(random.integers(0, 256, shape, np.uint8))
    targets = tf.constant(np.eye(2, dtype=np.float32)[random.integers(0, 2, (1, recipe.batch))])
    began = 0.0
    for step in range(WARM_UP_STEPS + steps):
        if step == WARM_UP_STEPS:
            learner.read_sums()  # waits for the device
            began = time.monotonic()
        learner.train(images, targets, tf.constant([[0, step]]))
    learner.read_sums()
    return steps * recipe.batch / (time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
