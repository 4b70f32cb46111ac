"""A recipe is everything that decides a training result besides the snapshot.

It is frozen, it goes to JSON and back, and its hash names it. Nothing here imports Keras:
the pages and the command line read recipes too.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

from core.errors import InvalidInput, NotFound
from core.images.render import AS_STORED, check_window_values
from core.training.networks import FIRST, NETWORKS, deep_layers
from core.training.recipe_fields import FIELDS, Field, field_of

__all__ = [
    "FIELDS",
    "RECIPES",
    "RECIPE_NAMES",
    "Field",
    "Recipe",
    "change_recipe",
    "named_recipe",
    "recipe_from_json",
    "recipe_hash",
    "recipe_to_json",
    "with_batch",
]

# Each recipe by its name, with what it is called on screen; the first is the one to begin with.
RECIPES = {name: network.WORDS for name, network in NETWORKS.items()}
RECIPE_NAMES = tuple(RECIPES)


@dataclass(frozen=True)
class Recipe:
    """The defaults are those of `resnet`, the recipe to begin with. `FIELDS` explains each."""

    network: str = FIRST
    # the image as the network sees it
    input_size: int = 128
    channels: int = 1
    resize: str = "stretch"
    pixel_mm: float = 0.0
    window: str = AS_STORED
    window_values: tuple[float, ...] = (0.0, 0.0)
    # the network
    stages: int = 3
    filters: tuple[int, ...] = (32, 64, 128)
    blocks: int = 1
    kernel_size: int = 3
    pooling: str = "max"
    pool_size: int = 2
    activation: str = "relu"
    dense_units: int = 1024
    latent: int = 32
    dropout: float = 0.3
    l2: float = 0.0
    deep_supervision: int = 0
    weights: str = "none"
    # volumes as the network sees them
    neighbours: int = 0
    patch_size: tuple[int, ...] = (32, 64, 64)
    patches: int = 2
    painted_share: float = 0.5
    spacing_mm: tuple[float, ...] = (0.0, 0.0, 0.0)
    input_depth: int = 32
    # the training
    start_from: str = "none"
    fine_tune_rate: float = 0.1
    freeze_epochs: int = 0
    batch: int = 32
    epochs: int = 25
    loss: str = "default"
    optimiser: str = "adamw"
    learning_rate: float = 0.002
    schedule: str = "cosine"
    warm_up: float = 0.05
    plateau_patience: int = 3
    ema: float = 0.0
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    class_weights: str = "balanced"
    early_stopping: int = 0
    devices: int = 1
    seed: int = 0
    # augmentation; no left-right flip: the heart of a mirrored chest is on the wrong side
    flip: str = "none"
    rotation: float = 7.0
    zoom: float = 0.1
    shift: float = 0.05
    contrast: float = 0.2
    noise: float = 0.01
    mixup: float = 0.0

    def __post_init__(self) -> None:
        for field in FIELDS:
            field.check(getattr(self, field.key))
        if len(self.filters) != self.stages:
            raise InvalidInput(
                f"Give one number of filters for each stage. Received: {self.stages} stages, "
                f"filters {','.join(map(str, self.filters))}"
            )
        if self.devices > self.batch:
            raise InvalidInput(
                f"Take a batch of at least one image a device. Received: {self.devices} devices, batch {self.batch}"
            )
        if self.weights != "none" and "weights" not in NETWORKS[self.network].FIELDS:
            ready = " or ".join(name for name, network in NETWORKS.items() if "weights" in network.FIELDS)
            raise InvalidInput(
                f"Ready-made weights are for {ready}; another network begins from an earlier model (start_from). "
                f"Received: weights {self.weights} for {self.network}"
            )
        if len(deep_layers(self)) > max(0, self.stages - 2):
            raise InvalidInput(
                f"Answers can be asked of every resolution between the finest and the coarsest one: with so many "
                f"stages deep_supervision is at most {max(0, self.stages - 2)}. Received: {self.deep_supervision} of "
                f"{self.stages} stages"
            )
        if self.freeze_epochs and (self.freeze_epochs > self.epochs or self.begins_from == "none"):
            raise InvalidInput(
                f"Only what was learnt before can be held (weights or start_from), and for no more epochs than the run "
                f"has. Received: freeze_epochs {self.freeze_epochs} of {self.epochs}, begun from {self.begins_from}"
            )
        check_window_values(self.window_values)
        NETWORKS[self.network].check(self)

    @property
    def begins_from(self) -> str:
        """What it begins from that was learnt before; "none" where it begins from nothing."""
        return self.start_from if self.weights == "none" else self.weights

    @property
    def highest_rate(self) -> float:
        """The learning rate at the schedule's height: what was learnt before is followed in shorter steps."""
        return self.learning_rate * (1 if self.begins_from == "none" else self.fine_tune_rate)


def named_recipe(name: str) -> Recipe:
    """The recipe of a network, as `resnet` (a small residual network, the default) or `cnn` (the classic stack).

    Raises:
        NotFound: there is no recipe of this name.
    """
    if name not in NETWORKS:
        raise NotFound("recipe", f"{name}; take one of {', '.join(RECIPE_NAMES)}")
    return Recipe(network=name, **NETWORKS[name].DEFAULTS)


def recipe_to_json(recipe: Recipe) -> dict[str, object]:
    """A recipe as plain JSON values; lists for tuples."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(recipe).items()}


def recipe_from_json(document: Mapping[str, object]) -> Recipe:
    """The recipe of a JSON object. Keys left out take the defaults of the recipe named by `network`.

    Raises:
        InvalidInput: an unknown key, or a value out of its bounds.
    """
    if not isinstance(document, Mapping):
        raise InvalidInput(f"A recipe is a JSON object. Received: {type(document).__name__}")
    network = document.get("network", FIRST)
    if network not in RECIPE_NAMES:
        raise InvalidInput(f"network must be one of {', '.join(RECIPE_NAMES)}. Received: {network!r}")
    return change_recipe(named_recipe(str(network)), document)


def recipe_hash(recipe: Recipe) -> str:
    """SHA-256 of the recipe's canonical JSON: equal recipes have equal hashes."""
    return hashlib.sha256(json.dumps(recipe_to_json(recipe), sort_keys=True).encode()).hexdigest()


def change_recipe(recipe: Recipe, changes: Mapping[str, object]) -> Recipe:
    """A recipe with some values changed; text (from `--set key=value`) is read as the field's kind.

    `stages` and `filters` go together: changing one alone adapts the other, a new stage having
    twice the filters of the one before it.

    Raises:
        InvalidInput: an unknown key, or a value out of its bounds.
    """
    values = {key: field_of(key).read(value) for key, value in changes.items()}
    if "stages" in values and "filters" not in values:
        values["filters"] = _filters_for(recipe.filters, values["stages"])
    elif "filters" in values and "stages" not in values:
        values["stages"] = len(values["filters"])
    return replace(recipe, **values)


def with_batch(recipe: Recipe, batch: int) -> Recipe:
    """The recipe with another batch, such as the part of its own that fits into memory; no more devices are asked for
    than it has images."""
    return change_recipe(recipe, {"batch": batch, "devices": min(recipe.devices, batch)})


def _filters_for(filters: tuple[int, ...], stages: int) -> tuple[int, ...]:
    field_of("stages").check(stages)
    highest = field_of("filters").high
    grown = list(filters[:stages])
    while len(grown) < stages:
        grown.append(int(min(grown[-1] * 2, math.inf if highest is None else highest)))
    return tuple(grown)


assert {field.name for field in fields(Recipe)} == {field.key for field in FIELDS}, "a recipe field without a sentence"
