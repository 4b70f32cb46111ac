"""A small residual network in three dimensions (He et al. 2016, doi:10.1109/CVPR.2016.90) for whole volumes, with a
global average before the answer.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import InvalidInput
from core.images.render import SCALED
from core.images.volume_input import VolumeSpec, check_spacing, check_volume_shape
from core.tasks import TrainableSchema, module_of
from core.training.weighing import weigh_stages

if TYPE_CHECKING:
    from core.training.recipe import Recipe

WORDS = "small residual network in 3-D"
EXPLANATION = "a small residual network in three dimensions, which answers for a whole volume or all frames of a case"
EFFECT = "averages its map and overfits later than a dense layer would, sooner than a 2-D network on as few cases"
TASKS = ("classification", "regression")
DEFAULTS = {
    "input_size": 64,
    "stages": 4,
    "filters": (8, 16, 32, 64),
    "batch": 4,
    "epochs": 40,
    "noise": 0.0,
}
FIELDS = ("stages", "filters", "blocks", "kernel_size", "activation", "dropout", "l2", "input_depth", "spacing_mm")
IGNORES = ("pixel_mm",)
WEIGHED_BY = ("filters", "kernel_size", "blocks")
SHORTEST_HALVED = 8  # voxels of an axis: few slices are not halved away


def check(recipe: "Recipe") -> None:
    """A volume of this shape must fit into memory, and a spacing is told for all three axes or for none."""
    check_volume_shape("input_depth and input_size", (recipe.input_depth, recipe.input_size, recipe.input_size))
    check_spacing(recipe.spacing_mm)
    if recipe.resize == SCALED:
        raise InvalidInput(
            f"Volumes are brought to one scale by spacing_mm, along all three axes; take another resize. "
            f"Received: {recipe.resize}"
        )


def input_of(recipe: "Recipe") -> VolumeSpec:
    """The whole volume, its frames fitted as an image is and resampled to so many; or at a spacing, if there is one."""
    spacing = recipe.spacing_mm if any(recipe.spacing_mm) else None
    depth, size, resize = recipe.input_depth, recipe.input_size, recipe.resize
    return VolumeSpec(depth, size, recipe.channels, resize, spacing, recipe.window)  # type: ignore[arg-type]


def count_weights(recipe: "Recipe") -> int:
    """Those of the convolutions."""
    first = recipe.filters[0]
    return recipe.kernel_size**3 * recipe.channels * first + weigh_stages(recipe, 3, first)


def build(recipe: "Recipe", schema: TrainableSchema, terms: np.ndarray) -> Any:
    """A first convolution, `stages` stages of `blocks` residual blocks (the last of each is layer `stage_n`)."""
    import keras

    penalty = keras.regularizers.L2(recipe.l2) if recipe.l2 else None
    shape = (recipe.input_depth, recipe.input_size, recipe.input_size, recipe.channels)
    volume = keras.Input(shape, dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(volume)
    x = _convolve(x, recipe, recipe.filters[0], stride=(1, 1, 1), penalty=penalty)
    x = keras.layers.Activation(recipe.activation)(x)
    for stage, filters in enumerate(recipe.filters, start=1):
        for block in range(recipe.blocks):
            name = f"stage_{stage}" if block == recipe.blocks - 1 else None
            stride = _stride(x.shape[1:4]) if stage > 1 and block == 0 else (1, 1, 1)
            x = _block(x, recipe, filters, stride=stride, penalty=penalty, name=name)
    x = keras.layers.GlobalAveragePooling3D()(x)
    x = keras.layers.Dropout(recipe.dropout, name="dropout")(x)
    return keras.Model(volume, module_of(schema).build_head(x, schema, terms, penalty), name=recipe.network)


def _stride(sides: tuple[int, ...]) -> tuple[int, int, int]:
    depth, rows, columns = (2 if side >= SHORTEST_HALVED else 1 for side in sides)
    return depth, rows, columns


def _block(
    x: Any, recipe: "Recipe", filters: int, *, stride: tuple[int, int, int], penalty: Any, name: str | None
) -> Any:
    """Two convolutions beside a short cut, which is a convolution of size 1 where the shape changes."""
    import keras

    short = x
    if stride != (1, 1, 1) or x.shape[-1] != filters:
        if stride != (1, 1, 1):
            short = keras.layers.AveragePooling3D(stride, padding="same")(short)
        short = _convolve(short, recipe, filters, size=1, stride=(1, 1, 1), penalty=penalty)
    x = _convolve(x, recipe, filters, stride=stride, penalty=penalty)
    x = keras.layers.Activation(recipe.activation)(x)
    x = _convolve(x, recipe, filters, stride=(1, 1, 1), penalty=penalty)
    return keras.layers.Activation(recipe.activation, name=name)(keras.layers.Add()([short, x]))


def _convolve(
    x: Any, recipe: "Recipe", filters: int, *, stride: tuple[int, int, int], penalty: Any, size: int | None = None
) -> Any:
    """Convolution and batch normalisation."""
    import keras

    x = keras.layers.Conv3D(
        filters,
        size or recipe.kernel_size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer=penalty,
    )(x)
    return keras.layers.BatchNormalization(momentum=0.9)(x)
