"""Generation: images drawn for a class, and for sex and age where they are known.

The class is the condition and not the answer: a network is shown the image together with what it is of, and learns to
draw. It brings its own loss, of one or more parts that add up.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from core.errors import CoreError, InvalidInput
from core.measures.drawing import Seen, measure_drawn
from core.projects.schema import Generation, make_generation
from core.tasks.demands import demand_loss, demand_splits

HEADLINE = "fid_like"
RAW = "parts"  # of the loss, one column each
DRAWER = "drawer"  # the part of a network that draws, which is all that is stored
PAINTS, DRAWS = False, True
LOSSES = {"own": "the network's own: what is drawn against the image, or the noise that was guessed against the noise"}
DRAWING_ERROR = "drawing_error"
PARTS = (DRAWING_ERROR, "kl")  # the second where a network has it
ATTRIBUTES = ("sex F", "sex M", "age known", "age")  # the columns after the classes; unknown is 0 in all
CENTURY = 100.0  # years


def encode_targets(schema: Generation, values: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Frozen answers `{"classes": ["pneumonia"], "sex": "F", "age": 61.0}` as conditions `(n, classes + 4)`."""
    conditions = np.zeros((len(values), len(schema.names) + len(ATTRIBUTES)), np.float32)
    for row, value in enumerate(values):
        chosen = value.get("classes")
        if not chosen or len(chosen) != 1 or chosen[0] not in schema.names:
            raise InvalidInput(f"Each case needs exactly one class. Received: {dict(value)!r} at position {row}")
        conditions[row] = encode_condition(schema, chosen[0], value.get("sex"), value.get("age"))
    return conditions


def encode_condition(schema: Generation, name: str, sex: str | None, age: float | None) -> np.ndarray:
    """What one image is drawn for, `(classes + 4,)`.

    Raises:
        InvalidInput: no such class or sex.
    """
    if name not in schema.names:
        raise InvalidInput(f"The classes are {', '.join(schema.names)}. Received: {name}")
    if sex not in (None, "F", "M"):
        raise InvalidInput(f"The sex is F or M. Received: {sex}")
    known = [sex == "F", sex == "M", age is not None, (age or 0.0) / CENTURY]
    return np.array([*(name == one for one in schema.names), *known], np.float32)


def check_trainable(schema: Generation, train: np.ndarray, validation: np.ndarray) -> None:
    """Raise `CoreError` where there is nothing to learn from or nothing to check it on."""
    demand_splits(train, validation)
    missing = [name for name, n in zip(schema.names, train[:, : len(schema.names)].sum(axis=0), strict=True) if not n]
    if missing:
        raise CoreError(
            f"Label training cases of each class and freeze a new snapshot: what was never seen cannot be drawn. "
            f"Received: no training case of {', '.join(missing)}"
        )


def describe_conditions(schema: Generation, train: np.ndarray) -> dict[str, Any]:
    """What a model was shown, and may be asked for: training images of each class and sex, and the span of ages."""
    women, men, aged, ages = train[:, len(schema.names) :].T
    counts = train[:, : len(schema.names)].sum(axis=0).astype(int).tolist()
    span = ages[aged > 0] * CENTURY
    return {
        "classes": dict(zip(schema.names, counts, strict=True)),
        "sex": {"F": int(women.sum()), "M": int(men.sum())},
        "age": {"n": len(span), "low": float(span.min()), "high": float(span.max())} if len(span) else None,
    }


def loss_terms(schema: Generation, train: np.ndarray, *, balanced: bool) -> np.ndarray:
    """Nothing: the loss is the network's own."""
    return np.ones((2, len(schema.names)), np.float32)


def sampling_shares(schema: Generation, train: np.ndarray) -> np.ndarray | None:
    """Rare classes are shown more often, so that each comes alike."""
    classes = train[:, : len(schema.names)]
    return np.asarray(classes @ (1 / classes.sum(axis=0)), np.float32)


def loss_name(schema: Generation, wanted: str) -> str:
    return demand_loss(LOSSES, wanted, "generation")


def build_head(features: Any, schema: Generation, terms: np.ndarray, regularizer: Any = None) -> Any:
    """The last layer on the parts of the loss, `(batch, parts)`, always in float32."""
    import keras

    return keras.layers.Identity(name=RAW, dtype="float32")(features)


def raw_of(schema: Generation, scores: np.ndarray, terms: np.ndarray) -> np.ndarray:
    return np.asarray(scores, np.float32)


def score_validation(schema: Generation, targets: np.ndarray, scores: np.ndarray) -> dict[str, float | None]:
    """The parts of the loss `(n, parts)`, each with its name."""
    return {name: float(part.mean()) for name, part in zip(PARTS, scores.T, strict=False)}


def calibrate(schema: Generation, targets: np.ndarray, scores: np.ndarray, patients: Sequence[str]) -> dict[str, Any]:
    return {}  # there is no threshold to choose


def calibrate_network(network: Any, schema: Generation, calibration: Mapping[str, Any]) -> Any:
    """The part that draws, without which nobody needs the rest."""
    return network.get_layer(DRAWER)


def decode_scores(
    schema: Generation, scores: np.ndarray, calibration: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    raise InvalidInput("A model that draws images answers nothing about one; draw with it. Received: an image")


def confidence_of(
    schema: Generation, scores: np.ndarray, calibration: Mapping[str, Any] = MappingProxyType({})
) -> float:
    return 1.0


def measure(
    schema: Generation,
    targets: Seen,
    scores: Seen,
    patients: Sequence[str],
    calibration: Mapping[str, Any],
    *,
    seed: int,
) -> dict[str, Any]:
    """`core.measures.drawing` as JSON: what a judge sees in real images against what it sees in drawn ones."""
    return measure_drawn(targets, scores, patients, seed=seed) | {"classes": list(schema.names)}


def output_names(schema: Generation) -> tuple[str, ...]:
    return (*schema.names, *ATTRIBUTES)


def describe_schema(schema: Generation) -> dict[str, Any]:
    return {"classes": list(schema.names)}


def schema_of(facts: Mapping[str, Any]) -> Generation:
    return make_generation(facts["classes"])
