"""A residual U-Net in three dimensions, for volumes: it learns and answers in patches of them.

Çiçek et al. 2016, doi:10.1007/978-3-319-46723-8_49, with the blocks of a residual network (He et al. 2016,
doi:10.1109/CVPR.2016.90). An axis is halved only while it is long enough and even, as in nnU-Net (Isensee et al. 2021,
doi:10.1038/s41592-020-01008-z): few thick slices stay what they are.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from core.images.volume_input import PatchSpec, check_spacing, check_volume_shape
from core.tasks import TrainableSchema, module_of
from core.training.weighing import weigh_stages, weigh_way_up

if TYPE_CHECKING:
    from core.training.recipe import Recipe

WORDS = "residual U-Net in 3-D"
EXPLANATION = "a residual U-Net in three dimensions, which answers for every voxel of a volume, patch by patch"
EFFECT = "sees what goes on above and below, needs more time, and overfits sooner on few volumes"
TASKS = ("segmentation",)
DEFAULTS = {
    "stages": 4,
    "filters": (8, 16, 32, 64),
    "dropout": 0.1,
    "batch": 2,
    "epochs": 60,
    "ema": 0.99,
    "rotation": 10.0,
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
    "patch_size",
    "patches",
    "painted_share",
    "spacing_mm",
)
IGNORES = ("input_size", "resize", "pixel_mm")
WEIGHED_BY = ("filters", "kernel_size", "blocks")
SHORTEST_HALVED = 8  # voxels of an axis


def check(recipe: "Recipe") -> None:
    """A patch has three sides, and a spacing is told for all three axes or for none."""
    check_volume_shape("patch_size", recipe.patch_size)
    check_spacing(recipe.spacing_mm)


def input_of(recipe: "Recipe") -> PatchSpec:
    """Volumes at one spacing, a patch at a time."""
    patch, spacing = recipe.patch_size, recipe.spacing_mm
    return PatchSpec(patch, spacing, recipe.channels, window=recipe.window)  # type: ignore[arg-type]


def sampling_of(recipe: "Recipe") -> tuple[int, float]:
    """Patches of each volume in an epoch, and the share of them that is centred on a painted voxel."""
    return recipe.patches, recipe.painted_share


def deep_layers(recipe: "Recipe") -> tuple[str, ...]:
    """Layers of the way up on whose maps the answer is asked for too while it learns, the finest first."""
    return tuple(f"up_{stage}" for stage in range(2, 2 + recipe.deep_supervision))


def count_weights(recipe: "Recipe") -> int:
    """Those of the convolutions, down and up."""
    return weigh_stages(recipe, 3, recipe.channels) + weigh_way_up(recipe, 3)


def build(recipe: "Recipe", schema: TrainableSchema, terms: np.ndarray) -> Any:
    """`stages` stages of `blocks` residual blocks down (the last of each is layer `stage_n`), one block each up (layer
    `up_n`, as large as `stage_n`)."""
    import keras

    penalty = keras.regularizers.L2(recipe.l2) if recipe.l2 else None
    patch = keras.Input((*recipe.patch_size, recipe.channels), dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(patch)
    bridges, strides = [], []
    for stage, filters in enumerate(recipe.filters, start=1):
        strides.append(_stride(x.shape[1:4]) if stage > 1 else (1, 1, 1))
        for block in range(recipe.blocks):
            name = f"stage_{stage}" if block == recipe.blocks - 1 else None
            x = _block(x, recipe, filters, stride=strides[-1] if block == 0 else (1, 1, 1), penalty=penalty, name=name)
        bridges.append(x)
    x = keras.layers.SpatialDropout3D(recipe.dropout, name="dropout")(bridges.pop())
    for stage in reversed(range(1, recipe.stages)):
        filters, stride = recipe.filters[stage - 1], strides.pop()
        x = keras.layers.Conv3DTranspose(
            filters, stride, strides=stride, kernel_initializer="he_normal", kernel_regularizer=penalty
        )(x)
        x = keras.layers.Concatenate()([x, bridges.pop()])
        x = _block(x, recipe, filters, stride=(1, 1, 1), penalty=penalty, name=f"up_{stage}")
    return keras.Model(patch, module_of(schema).build_head(x, schema, terms, penalty), name=recipe.network)


def _stride(sides: tuple[int, ...]) -> tuple[int, int, int]:
    depth, rows, columns = (2 if side >= SHORTEST_HALVED and side % 2 == 0 else 1 for side in sides)
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
        short = _convolve(short, filters, 1, stride=(1, 1, 1), penalty=penalty)
    x = _convolve(x, filters, recipe.kernel_size, stride=stride, penalty=penalty)
    x = keras.layers.Activation(recipe.activation)(x)
    x = _convolve(x, filters, recipe.kernel_size, stride=(1, 1, 1), penalty=penalty)
    return keras.layers.Activation(recipe.activation, name=name)(keras.layers.Add()([short, x]))


def _convolve(x: Any, filters: int, size: int, *, stride: tuple[int, int, int], penalty: Any) -> Any:
    """Convolution and batch normalisation."""
    import keras

    x = keras.layers.Conv3D(
        filters,
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer=penalty,
    )(x)
    return keras.layers.BatchNormalization(momentum=0.9)(x)
