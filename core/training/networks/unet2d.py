"""A residual U-Net: down to a small map and up again, with a bridge at each size, so that every pixel has its answer.

Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28, with the blocks of a residual network (He et al. 2016,
doi:10.1109/CVPR.2016.90).
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import InvalidInput
from core.images.render import InputSpec
from core.tasks import TrainableSchema, module_of
from core.training.weighing import weigh_stages, weigh_way_up

if TYPE_CHECKING:
    from core.training.recipe import Recipe

WORDS = "residual U-Net, slice by slice"
EXPLANATION = "a residual U-Net, which answers for every pixel of an image or of each slice of a volume"
EFFECT = "sees fine borders by its bridges and overfits later than a stack without them"
TASKS = ("segmentation",)
DEFAULTS = {
    "resize": "pad",  # borders are painted on no image, and proportions of structures stay what they are
    "stages": 4,
    "filters": (16, 32, 64, 128),
    "dropout": 0.1,
    "batch": 8,
    "epochs": 40,
}
FIELDS = (
    "stages",
    "filters",
    "blocks",
    "kernel_size",
    "activation",
    "dropout",
    "l2",
    "deep_supervision",
    "neighbours",
)
WEIGHED_BY = ("filters", "kernel_size", "blocks")


def check(recipe: "Recipe") -> None:
    """Every stage but the first halves the image, and the way up must meet the same sizes again."""
    step = 2 ** (recipe.stages - 1)
    if recipe.input_size % step:
        fitting = max(16, recipe.input_size // step * step)
        raise InvalidInput(
            f"With {recipe.stages} stages a U-Net takes an input size that {step} divides, for example {fitting}. "
            f"Received: {recipe.input_size} pixels"
        )


def input_of(recipe: "Recipe") -> InputSpec:
    """An image, or a slice with its neighbours as channels."""
    size, resize = recipe.input_size, recipe.resize
    return InputSpec(size, recipe.channels, resize, recipe.window, recipe.neighbours)  # type: ignore[arg-type]


def deep_layers(recipe: "Recipe") -> tuple[str, ...]:
    """Layers of the way up on whose maps the answer is asked for too while it learns, the finest first."""
    return tuple(f"up_{stage}" for stage in range(2, 2 + recipe.deep_supervision))


def count_weights(recipe: "Recipe") -> int:
    """Those of the convolutions, down and up."""
    return weigh_stages(recipe, 2, input_of(recipe).shape[-1]) + weigh_way_up(recipe, 2)


def build(recipe: "Recipe", schema: TrainableSchema, terms: np.ndarray) -> Any:
    """`stages` stages of `blocks` residual blocks down (the last of each is layer `stage_n`), one block each up (layer
    `up_n`, as large as `stage_n`)."""
    import keras

    penalty = keras.regularizers.L2(recipe.l2) if recipe.l2 else None
    image = keras.Input(input_of(recipe).shape, dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)
    bridges = []
    for stage, filters in enumerate(recipe.filters, start=1):
        for block in range(recipe.blocks):
            name = f"stage_{stage}" if block == recipe.blocks - 1 else None
            x = _block(x, recipe, filters, stride=2 if stage > 1 and block == 0 else 1, penalty=penalty, name=name)
        bridges.append(x)
    x = keras.layers.SpatialDropout2D(recipe.dropout, name="dropout")(bridges.pop())
    for stage in reversed(range(1, recipe.stages)):
        filters = recipe.filters[stage - 1]
        x = keras.layers.Conv2DTranspose(
            filters, 2, strides=2, kernel_initializer="he_normal", kernel_regularizer=penalty
        )(x)
        x = keras.layers.Concatenate()([x, bridges.pop()])
        x = _block(x, recipe, filters, stride=1, penalty=penalty, name=f"up_{stage}")
    return keras.Model(image, module_of(schema).build_head(x, schema, terms, penalty), name=recipe.network)


def _block(x: Any, recipe: "Recipe", filters: int, *, stride: int, penalty: Any, name: str | None) -> Any:
    """Two convolutions beside a short cut, which is a convolution of size 1 where the shape changes."""
    import keras

    short = x
    if stride > 1 or x.shape[-1] != filters:
        if stride > 1:
            short = keras.layers.AveragePooling2D(stride, padding="same")(short)
        short = _convolve(short, filters, 1, stride=1, penalty=penalty)
    x = _convolve(x, filters, recipe.kernel_size, stride=stride, penalty=penalty)
    x = keras.layers.Activation(recipe.activation)(x)
    x = _convolve(x, filters, recipe.kernel_size, stride=1, penalty=penalty)
    return keras.layers.Activation(recipe.activation, name=name)(keras.layers.Add()([short, x]))


def _convolve(x: Any, filters: int, size: int, *, stride: int, penalty: Any) -> Any:
    """Convolution and batch normalisation."""
    import keras

    x = keras.layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer=penalty,
    )(x)
    return keras.layers.BatchNormalization(momentum=0.9)(x)
