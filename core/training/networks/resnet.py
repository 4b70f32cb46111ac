"""A small residual network (He et al. 2016, doi:10.1109/CVPR.2016.90) with a global average before the answer."""

from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import InvalidInput
from core.tasks import TrainableSchema, module_of
from core.training.weighing import weigh_stages

if TYPE_CHECKING:
    from core.training.recipe import Recipe

WORDS = "small residual network"
EXPLANATION = "a small residual network"
EFFECT = "averages its map and overfits later"
TASKS = ("classification", "regression")
DEFAULTS: dict[str, Any] = {}
FIELDS = ("stages", "filters", "blocks", "kernel_size", "activation", "dropout", "l2")
WEIGHED_BY = ("filters", "kernel_size", "blocks")
LARGE_IMAGE = 64  # from here on the first convolution halves the image: the finest grain costs most and says least


def check(recipe: "Recipe") -> None:
    """Every stage halves the image."""
    if recipe.input_size < 2**recipe.stages:
        raise InvalidInput(
            f"Take fewer stages or a larger input: each stage halves the image. "
            f"Received: {recipe.stages} stages, {recipe.input_size} pixels"
        )


def count_weights(recipe: "Recipe") -> int:
    """Those of the convolutions."""
    first = recipe.filters[0]
    return recipe.kernel_size**2 * recipe.channels * first + weigh_stages(recipe, 2, first)


def build(recipe: "Recipe", schema: TrainableSchema, terms: np.ndarray) -> Any:
    """A first convolution, `stages` stages of `blocks` residual blocks (the last of each is layer `stage_n`)."""
    import keras

    penalty = keras.regularizers.L2(recipe.l2) if recipe.l2 else None
    image = keras.Input((recipe.input_size, recipe.input_size, recipe.channels), dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)
    x = _convolve(x, recipe, recipe.filters[0], stride=2 if recipe.input_size >= LARGE_IMAGE else 1, penalty=penalty)
    x = keras.layers.Activation(recipe.activation)(x)
    for stage, filters in enumerate(recipe.filters, start=1):
        for block in range(recipe.blocks):
            name = f"stage_{stage}" if block == recipe.blocks - 1 else None
            x = _block(x, recipe, filters, stride=2 if stage > 1 and block == 0 else 1, penalty=penalty, name=name)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(recipe.dropout, name="dropout")(x)
    return keras.Model(image, module_of(schema).build_head(x, schema, terms, penalty), name=recipe.network)


def _block(x: Any, recipe: "Recipe", filters: int, *, stride: int, penalty: Any, name: str | None) -> Any:
    """Two convolutions beside a short cut, which is a convolution of size 1 where the shape changes."""
    import keras

    short = x
    if stride > 1 or x.shape[-1] != filters:
        if stride > 1:
            short = keras.layers.AveragePooling2D(stride, padding="same")(short)
        short = _convolve(short, recipe, filters, size=1, penalty=penalty)
    x = _convolve(x, recipe, filters, stride=stride, penalty=penalty)
    x = keras.layers.Activation(recipe.activation)(x)
    x = _convolve(x, recipe, filters, penalty=penalty)
    return keras.layers.Activation(recipe.activation, name=name)(keras.layers.Add()([short, x]))


def _convolve(x: Any, recipe: "Recipe", filters: int, *, size: int = 0, stride: int = 1, penalty: Any) -> Any:
    """Convolution and batch normalisation."""
    import keras

    x = keras.layers.Conv2D(
        filters,
        size or recipe.kernel_size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer=penalty,
    )(x)
    return keras.layers.BatchNormalization(momentum=0.9)(x)
