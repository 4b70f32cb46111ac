"""The networks, one file each: `build(recipe, schema) -> keras.Model`, uint8 images in, probabilities out.

A map of the last stages can be read by the names in `feature_layers(recipe)`, the deepest last.
"""

from typing import Any

from core.projects.schema import Classification
from core.training.recipe import Recipe


def build_network(recipe: Recipe, schema: Classification) -> Any:
    """The untrained network of a recipe: uint8 `(batch, size, size, channels)` to `(batch, classes)` probabilities.

    Its weights depend on `keras.utils.set_random_seed` and on nothing else.
    """
    from core.training.networks import cnn, resnet

    return {"cnn": cnn, "resnet": resnet}[recipe.network].build(recipe, schema)


def feature_layers(recipe: Recipe) -> tuple[str, ...]:
    """Names of the layers whose maps may carry an explanation, the shallowest first."""
    return tuple(f"stage_{stage + 1}" for stage in range(recipe.stages))
