"""The classic stack: convolution and pooling a few times, one dense layer, the answer."""

from typing import Any

import keras

from core.projects.schema import Classification
from core.tasks.classification import build_head
from core.training.recipe import Recipe


def build(recipe: Recipe, schema: Classification) -> Any:
    """`stages` times convolution (layer `stage_n`) and pooling, a dense layer with dropout, the head."""
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
    return keras.Model(image, build_head(x, schema, penalty), name="cnn")
