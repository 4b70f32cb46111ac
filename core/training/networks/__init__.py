"""The networks, one file each, found by listing this folder: uint8 images in, answers out.

A new one is a copy of a file under a new name; `Network` says what stands in it. Nothing else names networks: recipes,
the page and the command line ask here. Keras is imported by `build` alone, for the pages list networks too.

A map of the last stages can be read by the names in `feature_layers(recipe)`, the deepest last. A network that may be
asked at lower resolutions while it learns says in a `deep_layers(recipe)` of its own at which of its layers.
"""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from core.errors import InvalidInput
from core.images.render import SCALED, TRAINING_SET, InputSpec
from core.images.volume_input import PatchSpec, Spec
from core.tasks import TrainableSchema

if TYPE_CHECKING:
    from core.training.recipe import Recipe  # a recipe is checked by what stands here

FIRST = "resnet"  # the one to begin with, on screen and where nobody names one, where it goes with the task
MOST_WEIGHTS = 500_000_000  # 2 GB of them, 8 GB with their gradients and the optimiser's two of each


class Network(Protocol):
    """What a file says of its network."""

    WORDS: str  # on screen, after the name
    EXPLANATION: str  # "<name> is ..."
    EFFECT: str  # "<name> ...": when it over- and underfits
    TASKS: Sequence[str]  # what it can learn, by the names of `core.projects.schema.TASKS`
    IGNORES: Sequence[str]  # fields of the other groups that a training with it does not read; may be left out
    DEFAULTS: Mapping[str, Any]  # of its recipe, where they differ from `Recipe`'s
    FIELDS: Sequence[str]  # those of the group "network" that `build` reads; of the others it knows nothing

    WEIGHED_BY: Sequence[str]  # fields of the recipe that its number of weights grows with

    def check(self, recipe: "Recipe") -> None:
        """Raise `InvalidInput` where values that are good by themselves do not fit together."""

    def count_weights(self, recipe: "Recipe") -> int:
        """About how many weights `build` makes, counted without Keras; the few of a head need not be in it."""

    def build(self, recipe: "Recipe", schema: TrainableSchema, terms: np.ndarray) -> Any:
        """The untrained `keras.Model`, with the task's `build_head` as its end.

        Of a network that draws the inputs are `image`, `condition`, and chance by name: `noise` (normal), and `level`
        and `lot` (even from 0 to 1); its inner model `drawer` is what is stored.
        """

    def draw(self, drawer: Any, noises: list[np.random.Generator], conditions: np.ndarray) -> np.ndarray:
        """Of a network that draws, and of no other: images of values from 0 to 1, one for each random stream."""


def _find_networks() -> dict[str, Network]:
    names = sorted((found.name for found in pkgutil.iter_modules(__path__)), key=lambda name: (name != FIRST, name))
    return {name: cast(Network, importlib.import_module(f"{__name__}.{name}")) for name in names}


NETWORKS = _find_networks()


def networks_of(task: str) -> tuple[str, ...]:
    """The names of the networks that can learn a task, the one to begin with first."""
    return tuple(name for name, network in NETWORKS.items() if task in network.TASKS)


def first_network(task: str) -> str:
    """The network to begin with for a task; `FIRST` where none learns it, which is refused elsewhere."""
    return next(iter(networks_of(task)), FIRST)


def _one_of(names: tuple[str, ...]) -> str:
    """`cnn, resnet or densenet`."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def check_network(name: str, task: str) -> None:
    """Raise `InvalidInput` where a network cannot learn a task."""
    if name not in networks_of(task):
        others = f"take {_one_of(networks_of(task))}" if networks_of(task) else "no network does yet"
        raise InvalidInput(f"This network does not learn {task}; {others}. Received: {name}")


def count_weights(recipe: "Recipe") -> int:
    """About how many weights the network of a recipe has, known without building it."""
    return NETWORKS[recipe.network].count_weights(recipe)


def check_weights(recipe: "Recipe") -> None:
    """Raise `InvalidInput` where a network would have more weights than any machine here could train."""
    weights = count_weights(recipe)
    if weights > MOST_WEIGHTS:
        keys = NETWORKS[recipe.network].WEIGHED_BY
        raise InvalidInput(
            f"Make {' or '.join(keys)} smaller: the network would have {weights // 1_000_000:,} million weights, and "
            f"{MOST_WEIGHTS // 1_000_000} million is the limit. "
            f"Received: {recipe.network}, {', '.join(_say_value(recipe, key) for key in keys)}"
        )


def _say_value(recipe: "Recipe", key: str) -> str:
    value = getattr(recipe, key)
    return f"{key} {','.join(map(str, value)) if isinstance(value, tuple) else value}"


def build_network(recipe: "Recipe", schema: TrainableSchema, terms: np.ndarray) -> Any:
    """The untrained network of a recipe: uint8 `(batch, *input_of(recipe).shape)`, such as `(batch, size, size,
    channels)`, to `(batch, k)` answers, or to maps of them, `(batch, size, size, k)`, where the task paints.

    Its weights depend on `keras.utils.set_random_seed` and on nothing else. `terms` are those of the task's
    `loss_terms`: what stands in the last layer for good, such as the scale of a number.
    """
    return NETWORKS[recipe.network].build(recipe, schema, terms)


def input_of(recipe: "Recipe") -> Spec:
    """How cases reach the network of a recipe: as images, unless its file has an `input_of` of its own."""
    own = getattr(NETWORKS[recipe.network], "input_of", None)
    spec = cast(Spec, own(recipe)) if own is not None else _image_of(recipe)
    if isinstance(spec, InputSpec) and recipe.resize == SCALED and recipe.pixel_mm:
        spec = replace(spec, pixel_mm=recipe.pixel_mm)
    if recipe.window == TRAINING_SET and any(recipe.window_values):
        return replace(spec, window_values=recipe.window_values)  # type: ignore[arg-type]
    return spec


def _image_of(recipe: "Recipe") -> InputSpec:
    return InputSpec(recipe.input_size, recipe.channels, recipe.resize, recipe.window)  # type: ignore[arg-type]


def tell_input(recipe: "Recipe") -> str:
    """What a network sees at once, in words: `128 pixels`, or of volumes their voxels."""
    spec = input_of(recipe)
    if isinstance(spec, InputSpec):
        return f"{spec.size} pixels"
    voxels = f"{' x '.join(map(str, spec.shape[:3]))} voxels"
    return f"patches of {voxels}" if isinstance(spec, PatchSpec) else voxels


def sized_by(recipe: "Recipe") -> str:
    """Which value of a recipe makes that smaller, in words."""
    return "patch size" if isinstance(input_of(recipe), PatchSpec) else "input size"


def feature_layers(recipe: "Recipe") -> tuple[str, ...]:
    """Names of the layers whose maps may carry an explanation, the shallowest first: those that the network's file
    names as `STAGES`, else `stage_1` and so on."""
    named = getattr(NETWORKS[recipe.network], "STAGES", None) or [f"stage_{at + 1}" for at in range(recipe.stages)]
    return tuple(named[: recipe.stages])


def deep_layers(recipe: "Recipe") -> tuple[str, ...]:
    """Names of the layers whose maps are answered from too while a network learns (`core.training.deep`), the finest
    first; none where its recipe asks for none."""
    own = getattr(NETWORKS[recipe.network], "deep_layers", None)
    return cast(tuple[str, ...], own(recipe)) if own is not None else ()


def leaves_of(model: Any) -> list[Any]:
    """The layers in order, those inside a model within a model too."""
    found: list[Any] = []
    for layer in model.layers:
        found += leaves_of(layer) if hasattr(layer, "layers") else [layer]
    return found
