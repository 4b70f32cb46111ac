"""EfficientNetV2-B0 of keras.applications (Tan and Le 2021, arXiv:2104.00298), whole or its first stages.

It may begin from weights that were learnt on other images; its input is scaled as those weights expect it (the means
and deviations of ImageNet), and grey is shown to all three channels.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import InvalidInput
from core.tasks import TrainableSchema, module_of

if TYPE_CHECKING:
    from core.training.recipe import Recipe

WORDS = "EfficientNetV2-B0, with ready-made weights where there are some"
EXPLANATION = "EfficientNetV2-B0, which may begin from weights that were learnt on other images"
EFFECT = "begun from ready-made weights learns from few images; begun from nothing it learns slowly (underfitting)"
TASKS = ("classification", "regression")
DEFAULTS = {"stages": 6, "filters": (16, 32, 48, 96, 112, 192), "learning_rate": 0.001, "batch": 16}
FIELDS = ("stages", "dropout", "l2", "weights")
WEIGHED_BY = ("stages",)
WEIGHTS = 5_919_312  # of the whole body; fewer stages have fewer
# Where a stage ends.
STAGES = (
    "block1a_project_activation",
    "block2b_add",
    "block3b_add",
    "block4c_add",
    "block5e_add",
    "top_activation",
)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's channels, 0 to 1
# Where keras.applications has its weights without the last layer, and the MD5 that it names there.
IMAGENET = (
    "https://storage.googleapis.com/tensorflow/keras-applications/efficientnet_v2/efficientnetv2-b0_notop.h5",
    "893217f2bb855e2983157299931e43ff",
)


def check(recipe: "Recipe") -> None:
    """There is one place to begin from."""
    if "none" not in (recipe.weights, recipe.start_from):
        raise InvalidInput(
            f"Begin from ready-made weights or from a model, not from both. "
            f"Received: weights {recipe.weights}, start_from {recipe.start_from}"
        )


def count_weights(recipe: "Recipe") -> int:
    """At most: what it is made of is not for a recipe to say."""
    return WEIGHTS


def ready_made() -> Any:
    """The whole body as keras.applications builds it, for which files of weights are made."""
    import keras

    shape = (32, 32, 3)  # the least that it takes; weights know no size
    return keras.applications.EfficientNetV2B0(
        include_top=False, weights=None, input_shape=shape, include_preprocessing=False
    )


def build(recipe: "Recipe", schema: TrainableSchema, terms: np.ndarray) -> Any:
    """The stages as keras.applications names them, a global average, dropout, the head."""
    import keras
    from keras.src.applications.efficientnet_v2 import DEFAULT_BLOCKS_ARGS, EfficientNetV2  # public only as a whole

    image = keras.Input((recipe.input_size, recipe.input_size, recipe.channels), dtype="uint8", name="image")
    scale = [1 / (255 * deviation) for deviation in DEVIATION]
    offset = [-mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)]
    x = image if recipe.channels == 3 else keras.layers.Concatenate(name="grey_as_colour")([image] * 3)
    x = keras.layers.Rescaling(scale, offset=offset, name="scale")(x)
    body = EfficientNetV2(
        width_coefficient=1.0,
        depth_coefficient=1.0,
        default_size=224,
        blocks_args=DEFAULT_BLOCKS_ARGS["efficientnetv2-b0"][: recipe.stages],
        include_top=False,
        weights=None,
        input_tensor=x,
        include_preprocessing=False,
        name="efficientnetv2-b0",
    )
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # runs are short here: the averages of the default would lag behind for 1,000 steps
        if recipe.l2 and getattr(layer, "kernel", None) is not None:
            layer.kernel_regularizer = layer.kernel.regularizer = keras.regularizers.L2(recipe.l2)
    x = keras.layers.GlobalAveragePooling2D()(body.get_layer(STAGES[recipe.stages - 1]).output)
    x = keras.layers.Dropout(recipe.dropout, name="dropout")(x)
    penalty = keras.regularizers.L2(recipe.l2) if recipe.l2 else None
    return keras.Model(image, module_of(schema).build_head(x, schema, terms, penalty), name=recipe.network)
