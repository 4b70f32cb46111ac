"""DenseNet-121 of keras.applications (Huang et al. 2017, doi:10.1109/CVPR.2017.243), whole or its first stages.

Every layer of a stage sees all that came before it. It may begin from weights that were learnt on other images; its
input is scaled as those weights expect it (the means and deviations of ImageNet), and grey is shown to all three
channels.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import InvalidInput
from core.tasks import TrainableSchema, module_of

if TYPE_CHECKING:
    from core.training.recipe import Recipe

WORDS = "DenseNet-121, with ready-made weights where there are some"
EXPLANATION = "DenseNet-121, which may begin from weights that were learnt on other images"
EFFECT = "begun from ready-made weights learns from few images; begun from nothing it needs many and overfits sooner"
TASKS = ("classification", "regression")
DEFAULTS = {"stages": 4, "filters": (256, 512, 1024, 1024), "learning_rate": 0.001, "batch": 16}
FIELDS = ("stages", "dropout", "l2", "weights")
LAYERS = (6, 12, 24, 16)  # of each stage
WEIGHED_BY = ("stages",)
WEIGHTS = 7_037_504  # of the whole body; fewer stages have fewer
STAGES = ("conv2_block6_concat", "conv3_block12_concat", "conv4_block24_concat", "relu")  # where a stage ends
SMALLEST_PX = 32  # smaller images are enlarged to it: five halvings must leave a pixel
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's channels, 0 to 1
# Where keras.applications has its weights without the last layer, and the MD5 that it names there.
IMAGENET = (
    "https://storage.googleapis.com/tensorflow/keras-applications/densenet/"
    "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "30ee3e1110167f948a6b9946edeeb738",
)


def check(recipe: "Recipe") -> None:
    """There are four stages to take, and one place to begin from."""
    if recipe.stages > len(LAYERS):
        raise InvalidInput(f"DenseNet has {len(LAYERS)} stages to take the first of. Received: {recipe.stages} stages")
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

    return keras.applications.DenseNet121(include_top=False, weights=None, input_shape=(SMALLEST_PX, SMALLEST_PX, 3))


def build(recipe: "Recipe", schema: TrainableSchema, terms: np.ndarray) -> Any:
    """The stages as keras.applications names them, a global average, dropout, the head."""
    import keras
    from keras.src.applications.densenet import DenseNet  # the public function builds all four stages or nothing

    image = keras.Input((recipe.input_size, recipe.input_size, recipe.channels), dtype="uint8", name="image")
    scale = [1 / (255 * deviation) for deviation in DEVIATION]
    offset = [-mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)]
    x = image if recipe.channels == 3 else keras.layers.Concatenate(name="grey_as_colour")([image] * 3)
    x = keras.layers.Rescaling(scale, offset=offset, name="scale")(x)
    if recipe.input_size < SMALLEST_PX:
        x = keras.layers.Resizing(SMALLEST_PX, SMALLEST_PX, name="enlarge")(x)
    layers = [count if at < recipe.stages else 0 for at, count in enumerate(LAYERS)]
    body = DenseNet(layers, include_top=False, weights=None, input_tensor=x)
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # runs are short here: the averages of the default would lag behind for 1,000 steps
        if recipe.l2 and getattr(layer, "kernel", None) is not None:
            layer.kernel_regularizer = layer.kernel.regularizer = keras.regularizers.L2(recipe.l2)
    x = keras.layers.GlobalAveragePooling2D()(body.get_layer(STAGES[recipe.stages - 1]).output)
    x = keras.layers.Dropout(recipe.dropout, name="dropout")(x)
    penalty = keras.regularizers.L2(recipe.l2) if recipe.l2 else None
    return keras.Model(image, module_of(schema).build_head(x, schema, terms, penalty), name=recipe.network)
