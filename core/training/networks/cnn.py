"""The classic stack: convolution and pooling a few times, one dense layer, the answer."""

from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import InvalidInput
from core.tasks import TrainableSchema, module_of

if TYPE_CHECKING:
    from core.training.recipe import Recipe

WORDS = "the classic stack"
EXPLANATION = "the classic stack of convolution and pooling with a dense layer"
EFFECT = "has many weights in its dense layer and overfits sooner"
TASKS = ("classification", "regression")
DEFAULTS = {"dropout": 0.5, "optimiser": "adam", "learning_rate": 0.0003}
FIELDS = (
    "stages",
    "filters",
    "kernel_size",
    "pooling",
    "pool_size",
    "activation",
    "dense_units",
    "dropout",
    "l2",
)
WEIGHED_BY = ("dense_units", "input_size", "filters", "kernel_size")
MOST_DENSE_WEIGHTS = 500_000_000  # 2 GB of weights, 8 GB with the gradients and Adam's state


def check(recipe: "Recipe") -> None:
    """Pooling must leave a pixel, and the dense layer must fit into memory."""
    side = _side_left(recipe)
    if side < 1:
        raise InvalidInput(
            f"Take fewer stages, a smaller pool or a larger input: pooling would leave no pixel. "
            f"Received: {recipe.stages} stages, pool {recipe.pool_size}, {recipe.input_size} pixels"
        )
    weights = side * side * recipe.filters[-1] * recipe.dense_units
    if weights > MOST_DENSE_WEIGHTS:
        raise InvalidInput(
            f"Take more stages, a larger pool, a smaller input or fewer dense units: the dense layer would have "
            f"{weights // 1_000_000} million weights, and {MOST_DENSE_WEIGHTS // 1_000_000} million is the limit. "
            f"Received: {recipe.stages} stages, pool {recipe.pool_size}, {recipe.input_size} pixels, "
            f"{recipe.dense_units} units"
        )


def count_weights(recipe: "Recipe") -> int:
    """Those of the convolutions, and of the dense layer for every pixel that is left."""
    before = (recipe.channels, *recipe.filters[:-1])
    convolutions = sum(recipe.kernel_size**2 * seen * made for seen, made in zip(before, recipe.filters, strict=True))
    return convolutions + _side_left(recipe) ** 2 * recipe.filters[-1] * recipe.dense_units


def _side_left(recipe: "Recipe") -> int:
    """Pixels of a side after the last pooling."""
    side = recipe.input_size
    for _ in range(recipe.stages):
        side //= recipe.pool_size
    return side


def build(recipe: "Recipe", schema: TrainableSchema, terms: np.ndarray) -> Any:
    """`stages` times convolution (layer `stage_n`) and pooling, a dense layer with dropout, the head."""
    import keras

    pool = keras.layers.MaxPooling2D if recipe.pooling == "max" else keras.layers.AveragePooling2D
    penalty = keras.regularizers.L2(recipe.l2) if recipe.l2 else None
    image = keras.Input((recipe.input_size, recipe.input_size, recipe.channels), dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)
    for stage, filters in enumerate(recipe.filters, start=1):
        x = keras.layers.Conv2D(filters, recipe.kernel_size, padding="same", kernel_regularizer=penalty)(x)
        x = keras.layers.Activation(recipe.activation, name=f"stage_{stage}")(x)
        x = pool(recipe.pool_size, name=f"pool_{stage}")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(recipe.dense_units, activation=recipe.activation, kernel_regularizer=penalty)(x)
    x = keras.layers.Dropout(recipe.dropout, name="dropout")(x)
    return keras.Model(image, module_of(schema).build_head(x, schema, terms, penalty), name=recipe.network)
