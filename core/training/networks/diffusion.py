"""A conditional diffusion model: a small U-Net learns to tell noise from image at every level of noise.

Ho et al. 2020, arXiv:2006.11239, with the cosine schedule of Nichol and Dhariwal 2021, arXiv:2102.09672, at levels
that are continuous. The network guesses a mix of noise and image (v of Salimans and Ho 2022, arXiv:2202.00512), which
is defined at pure noise too. Images are drawn in few steps without chance (DDIM, Song et al. 2021, arXiv:2010.02502),
away from what the network would draw without a condition (classifier-free guidance, Ho and Salimans 2022,
arXiv:2207.12598).
"""

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import InvalidInput
from core.tasks import TrainableSchema, module_of

if TYPE_CHECKING:
    from core.training.recipe import Recipe

WORDS = "diffusion: sharp, and slow to learn and to draw"
EXPLANATION = "a conditional diffusion model, which draws sharp images in many steps and takes long to learn"
EFFECT = "underfits for many epochs, and learns single images by heart where they are few and it is large"
TASKS = ("generation",)
DEFAULTS = {
    "input_size": 32,
    "resize": "pad",
    "stages": 3,
    "filters": (32, 64, 96),
    "activation": "silu",
    "epochs": 60,
    "batch": 64,
    "learning_rate": 0.001,
    "weight_decay": 0.0,
    "class_weights": "none",
    "ema": 0.995,
    "dropout": 0.0,
    # What is shown is what will be drawn: turned and stretched images would come back so.
    "rotation": 0.0,
    "zoom": 0.0,
    "shift": 0.0,
    "contrast": 0.0,
    "noise": 0.0,
}
FIELDS = ("stages", "filters", "blocks", "kernel_size", "activation", "dropout")
WEIGHED_BY = ("filters", "kernel_size", "blocks")
STEPS = 25  # of drawing
GUIDANCE = 1.5  # 1 is no guidance; more is more typical of the class, and less varied
WITHOUT_CONDITION = 0.1  # share of images shown without any condition, for guidance
WITHOUT_ATTRIBUTES = 0.25  # up to this share without sex and age, so that both may be left open
NOISIEST, CLEAREST = 0.999, 0.002  # levels between which is drawn, 1 being noise alone
WAVES = 16
GROUPS = 8


def check(recipe: "Recipe") -> None:
    """Every stage but the first halves the image, and the way up must meet the same sizes again."""
    step = 2 ** (recipe.stages - 1)
    if recipe.input_size % step:
        fitting = max(16, recipe.input_size // step * step)
        raise InvalidInput(
            f"With {recipe.stages} stages this network takes an input size that {step} divides, for example {fitting}. "
            f"Received: {recipe.input_size} pixels"
        )
    if recipe.mixup:
        raise InvalidInput(f"Blended images would be drawn as they are shown; set mixup to 0. Received: {recipe.mixup}")
    if recipe.freeze_epochs:
        raise InvalidInput(
            f"What draws has no last layer that could learn alone; set freeze_epochs to 0. "
            f"Received: {recipe.freeze_epochs}"
        )


def count_weights(recipe: "Recipe") -> int:
    """Those of the drawer's convolutions, down and up."""
    window, before = recipe.kernel_size**2, recipe.filters[0]
    weights = window * recipe.channels * before
    for stage, filters in enumerate(recipe.filters):
        weights += window * before * filters if stage else 0  # halved
        weights += recipe.blocks * _weigh_block(recipe, filters, filters)
        before = filters
    weights += _weigh_block(recipe, before, before)
    for filters, below in pairwise(recipe.filters):
        weights += window * below * filters  # doubled
        weights += _weigh_block(recipe, 2 * filters, filters)
    return weights


def _weigh_block(recipe: "Recipe", before: int, filters: int) -> int:
    """Two convolutions, what the level and the condition say between them, and the short cut where there is one."""
    short = 0 if before == filters else before
    return (recipe.kernel_size**2 * (before + filters) + 4 * WAVES + short) * filters


def build(recipe: "Recipe", schema: TrainableSchema, terms: np.ndarray) -> Any:
    """From `image`, `condition`, `noise`, `level` and `lot` to the error of the guess; `drawer` is what guesses."""
    import keras

    task = module_of(schema)
    side, channels = recipe.input_size, recipe.channels
    inputs = [
        keras.Input((side, side, channels), dtype="uint8", name="image"),
        keras.Input((len(task.output_names(schema)),), name="condition"),
        keras.Input((side, side, channels), name="noise"),
        keras.Input((1,), name="level"),
        keras.Input((1,), name="lot"),
    ]
    image, condition, noise, level, lot = inputs
    clear = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale", dtype="float32")(image)
    attributes = np.ones(condition.shape[1], np.float32)
    attributes[: len(terms[0])] = 0
    shown = keras.ops.cast(lot >= WITHOUT_CONDITION, "float32")
    hidden = keras.ops.cast(lot < WITHOUT_ATTRIBUTES, "float32") * attributes
    share = keras.ops.reshape(level * (math.pi / 2), (-1, 1, 1, 1))
    of_image, of_noise = keras.ops.cos(share), keras.ops.sin(share)
    guessed = _drawer(recipe, condition.shape[1])(
        [of_image * clear + of_noise * noise, level, condition * shown * (1 - hidden)]
    )
    wanted = of_image * noise - of_noise * clear
    error = keras.ops.mean(keras.ops.square(guessed - wanted), axis=(1, 2, 3))
    parts = keras.ops.reshape(error, (-1, 1))
    return keras.Model(inputs, task.build_head(parts, schema, terms), name=recipe.network)


def draw(drawer: Any, noises: list[np.random.Generator], conditions: np.ndarray) -> np.ndarray:
    """Images of grey values from 0 to 1, `(n, size, size, channels)`, one for each condition and random stream."""
    shape = drawer.inputs[0].shape[1:]
    x = np.stack([random.standard_normal(shape, np.float32) for random in noises])
    both = np.concatenate([conditions, np.zeros_like(conditions)])
    levels = np.linspace(NOISIEST, CLEAREST, STEPS + 1)
    for level, lower in pairwise(levels):
        at = np.full((len(both), 1), level, np.float32)
        with_it, without = np.split(np.asarray(drawer([np.concatenate([x, x]), at, both], training=False)), 2)
        guessed = without + GUIDANCE * (with_it - without)
        of_image, of_noise = math.cos(level * math.pi / 2), math.sin(level * math.pi / 2)
        clear = np.clip(of_image * x - of_noise * guessed, -1, 1)
        noise = (x - of_image * clear) / of_noise
        x = (math.cos(lower * math.pi / 2) * clear + math.sin(lower * math.pi / 2) * noise).astype(np.float32)
    return np.asarray((clear + 1) / 2)


def _drawer(recipe: "Recipe", conditions: int) -> Any:
    """From a noisy image, its level of noise and a condition to the guess of the mix, all sizes bridged."""
    import keras

    noisy = keras.Input((recipe.input_size, recipe.input_size, recipe.channels), name="noisy")
    level = keras.Input((1,), name="level")
    condition = keras.Input((conditions,), name="condition")
    waves = level * np.geomspace(1.0, 200.0, WAVES, dtype=np.float32).reshape(1, -1)
    told = keras.layers.Concatenate()([keras.ops.sin(waves), keras.ops.cos(waves), condition])
    told = keras.layers.Dense(4 * WAVES, activation=recipe.activation)(told)
    told = keras.layers.Dense(4 * WAVES, activation=recipe.activation)(told)
    x = keras.layers.Conv2D(recipe.filters[0], recipe.kernel_size, padding="same")(noisy)
    bridges = []
    for stage, filters in enumerate(recipe.filters):
        if stage:
            x = keras.layers.Conv2D(filters, recipe.kernel_size, strides=2, padding="same")(x)
        for _ in range(recipe.blocks):
            x = _block(x, told, recipe, filters)
        bridges.append(x)
    x = keras.layers.SpatialDropout2D(recipe.dropout)(bridges.pop())
    x = _block(x, told, recipe, recipe.filters[-1])
    for filters, bridge in zip(reversed(recipe.filters[:-1]), reversed(bridges), strict=True):
        x = keras.layers.Conv2D(filters, recipe.kernel_size, padding="same")(keras.layers.UpSampling2D(2)(x))
        x = _block(keras.layers.Concatenate()([x, bridge]), told, recipe, filters)
    x = keras.layers.Activation(recipe.activation)(keras.layers.GroupNormalization(_groups(x.shape[-1]))(x))
    guess = keras.layers.Conv2D(recipe.channels, 3, padding="same", dtype="float32", kernel_initializer="zeros")(x)
    return keras.Model([noisy, level, condition], guess, name="drawer")


def _block(x: Any, told: Any, recipe: "Recipe", filters: int) -> Any:
    """Two convolutions beside a short cut, between which the level and the condition are added."""
    import keras

    short = x if x.shape[-1] == filters else keras.layers.Conv2D(filters, 1)(x)
    x = keras.layers.Activation(recipe.activation)(keras.layers.GroupNormalization(_groups(x.shape[-1]))(x))
    x = keras.layers.Conv2D(filters, recipe.kernel_size, padding="same")(x)
    x = x + keras.layers.Reshape((1, 1, filters))(keras.layers.Dense(filters)(told))
    x = keras.layers.Activation(recipe.activation)(keras.layers.GroupNormalization(_groups(filters))(x))
    x = keras.layers.Conv2D(filters, recipe.kernel_size, padding="same")(x)
    return keras.layers.Add()([short, x])


def _groups(filters: int) -> int:
    return math.gcd(filters, GROUPS)
