"""A conditional variational autoencoder: an image becomes a few numbers, and they with its class an image again.

Kingma and Welling 2014, arXiv:1312.6114; Sohn et al. 2015 (conditional); the variance of the drawing is that of each
image (Rybkin et al. 2021, arXiv:2006.13202), so that no weight between the two parts of the loss has to be found.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import InvalidInput
from core.tasks import TrainableSchema, module_of

if TYPE_CHECKING:
    from core.training.recipe import Recipe

WORDS = "variational autoencoder, fast and a little blurred"
EXPLANATION = "a conditional variational autoencoder, which draws at once and a little blurred"
EFFECT = "underfits with few latent numbers, which blurs, and hardly learns single images by heart"
TASKS = ("generation",)
DEFAULTS = {
    "input_size": 32,
    "resize": "pad",
    "stages": 3,
    "filters": (32, 64, 128),
    "epochs": 40,
    "batch": 64,
    "class_weights": "none",
    "ema": 0.99,
    # What is shown is what will be drawn: turned and stretched images would come back so.
    "rotation": 0.0,
    "zoom": 0.0,
    "shift": 0.0,
    "contrast": 0.0,
    "noise": 0.0,
}
FIELDS = ("stages", "filters", "kernel_size", "activation", "latent")
WEIGHED_BY = ("filters", "kernel_size", "input_size", "latent")
BEGINS_ANEW = " The half that reads images begins anew: a stored model holds only the one that draws."
LEAST_ERROR = 1e-4  # of squared grey values from 0 to 1: a hundredth of the range is as good as exact
WITHOUT_ATTRIBUTES = 0.2  # share of images shown without sex and age, so that both may be left open


def check(recipe: "Recipe") -> None:
    """Every stage halves the image, and the way back must meet its size again."""
    step = 2**recipe.stages
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
    """Those of the convolutions that read and that draw, and between the smallest map and the latent numbers."""
    window, before = recipe.kernel_size**2, recipe.channels
    side: int = recipe.input_size // 2**recipe.stages
    weights = 3 * side * side * recipe.filters[-1] * recipe.latent  # their mean and its spread, and back
    for filters in recipe.filters:
        weights += window * before * filters
        before = filters
    for filters in reversed(recipe.filters):
        weights += window * before * filters
        before = filters
    return weights


def build(recipe: "Recipe", schema: TrainableSchema, terms: np.ndarray) -> Any:
    """From `image`, `condition`, `noise` and `lot` to the parts of the loss; the inner model `drawer` draws."""
    import keras

    task = module_of(schema)
    inputs = [
        keras.Input((recipe.input_size, recipe.input_size, recipe.channels), dtype="uint8", name="image"),
        keras.Input((len(task.output_names(schema)),), name="condition"),
        keras.Input((recipe.latent,), name="noise"),
        keras.Input((1,), name="lot"),
    ]
    image, condition, noise, lot = inputs
    wanted = keras.layers.Rescaling(1 / 255, name="scale", dtype="float32")(image)
    attributes = np.ones(condition.shape[1], np.float32)
    attributes[: len(terms[0])] = 0
    hidden = keras.ops.cast(lot < WITHOUT_ATTRIBUTES, "float32") * attributes
    condition = condition * (1 - hidden)
    mean, spread = _encode(recipe, wanted, condition)
    expected = _expectation(recipe, condition.shape[1])
    centre, width = expected(condition)
    latent = (mean + keras.ops.exp(0.5 * spread) * noise - centre) / keras.ops.exp(0.5 * width)
    drawn = _drawer(recipe, expected)([latent, condition])
    error = keras.ops.mean(keras.ops.square(drawn - wanted), axis=(1, 2, 3))
    pixels = recipe.input_size**2 * recipe.channels
    apart = (keras.ops.square(mean - centre) + keras.ops.exp(spread)) / keras.ops.exp(width)
    distance = 0.5 * keras.ops.sum(width - spread + apart - 1, axis=1) / pixels
    parts = keras.ops.stack([0.5 * keras.ops.log(1 + error / LEAST_ERROR), distance], axis=1)
    return keras.Model(inputs, task.build_head(parts, schema, terms), name=recipe.network)


def draw(drawer: Any, noises: list[np.random.Generator], conditions: np.ndarray) -> np.ndarray:
    """Images of grey values from 0 to 1, `(n, size, size, channels)`, one for each condition and random stream."""
    latent = drawer.inputs[0].shape[1]
    noise = np.stack([random.standard_normal(latent, np.float32) for random in noises])
    return np.asarray(drawer([noise, conditions], training=False))


def _encode(recipe: "Recipe", image: Any, condition: Any) -> tuple[Any, Any]:
    """Mean and logarithm of the variance of the latent numbers, each `(batch, latent)`."""
    import keras

    x = image * 2 - 1
    for stage, filters in enumerate(recipe.filters, start=1):
        x = keras.layers.Conv2D(filters, recipe.kernel_size, strides=2, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.Activation(recipe.activation, name=f"stage_{stage}")(x)
    x = keras.layers.Concatenate()([keras.layers.Flatten()(x), condition])
    mean = keras.layers.Dense(recipe.latent, name="latent_mean", dtype="float32")(x)
    spread = keras.layers.Dense(recipe.latent, name="latent_spread", dtype="float32")(x)
    return mean, keras.ops.clip(spread, -12.0, 6.0)


def _expectation(recipe: "Recipe", conditions: int) -> Any:
    """What latent numbers are like for a condition: centre and logarithm of the variance, each `(batch, latent)`.

    With the same expectation for all classes, an image drawn for one would now and then be of another.
    """
    import keras

    condition = keras.Input((conditions,), name="condition")
    parts = [keras.layers.Dense(recipe.latent, dtype="float32", name=name)(condition) for name in ("centre", "width")]
    return keras.Model(condition, [parts[0], keras.ops.clip(parts[1], -6.0, 6.0)], name="expectation")


def _drawer(recipe: "Recipe", expected: Any) -> Any:
    """From latent numbers, as they lie around what is expected, and a condition to an image of values from 0 to 1."""
    import keras

    around = keras.Input((recipe.latent,), name="latent")
    condition = keras.Input(expected.inputs[0].shape[1:], name="condition")
    centre, width = expected(condition)
    latent = centre + keras.ops.exp(0.5 * width) * around
    side = recipe.input_size // 2**recipe.stages
    x = keras.layers.Dense(side * side * recipe.filters[-1])(keras.layers.Concatenate()([latent, condition]))
    x = keras.layers.Reshape((side, side, recipe.filters[-1]))(keras.layers.Activation(recipe.activation)(x))
    for filters in reversed(recipe.filters):
        x = keras.layers.UpSampling2D(2)(x)
        x = keras.layers.Conv2D(filters, recipe.kernel_size, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        shift = keras.layers.Dense(filters)(condition)  # said again at each size, or the latent numbers would say it
        x = x + keras.layers.Reshape((1, 1, filters))(shift)
        x = keras.layers.Activation(recipe.activation)(x)
    image = keras.layers.Conv2D(recipe.channels, 3, padding="same", activation="sigmoid", dtype="float32")(x)
    return keras.Model([around, condition], image, name="drawer")
