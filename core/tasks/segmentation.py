"""Segmentation: of each structure the pixels that belong to it; structures may lie over each other.

A network gives each pixel a probability for each structure. Those of a whole split would fill the memory, so what is
kept of them is a tally: how many pixels outside and inside the reference have a probability of each of `LEVELS`
levels. It tells Dice exactly at every threshold that lies between two levels, which is all that epochs and the choice
of a threshold need. Masks are compared in full by `core.measures.segmentation`.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from core.errors import CoreError
from core.measures.metrics import ratio
from core.measures.segmentation import Compared, Unit, measure_segmentation
from core.projects.schema import Segmentation, Structure, check_schema
from core.tasks.demands import demand_loss, demand_splits

HEADLINE = "dice"
PAINTS = True
DRAWS = False
RAW, PROBABILITIES = "logits", "probabilities"  # names of the two last layers
LOSSES = {
    "dice_cross_entropy": "overlap and each pixel together: small structures count as much as large ones",
    "cross_entropy": "each pixel by itself: small structures weigh little",
}
LEVELS = 20
HALF = 0.5  # the threshold of epochs, and where validation has nothing painted
SUREST = 1e-7


def encode_targets(schema: Segmentation, values: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Values `{"structures": [...]}` as `(n, k)` float32: 1 for each structure that is painted on a case."""
    return np.array([[float(name in value["structures"]) for name in schema.names] for value in values], np.float32)


def check_trainable(schema: Segmentation, train: np.ndarray, validation: np.ndarray) -> None:
    """Raise `CoreError` unless something is painted to be learnt, and something to check it on."""
    demand_splits(train, validation)
    for split, painted in (("training", train), ("validation", validation)):
        if not painted.any():
            raise CoreError(
                f"Paint structures on more cases and freeze a new snapshot: nothing is painted in the {split} split. "
                f"Received: {len(painted)} cases without {', '.join(schema.names)}"
            )


def loss_terms(schema: Segmentation, train: np.ndarray, *, balanced: bool) -> np.ndarray:
    """Ones: Dice weighs small and large structures alike by itself."""
    return np.ones((2, len(schema.names)), np.float32)


def sampling_shares(schema: Segmentation, train: np.ndarray) -> np.ndarray | None:
    return None  # there are no classes to show alike


def loss_name(schema: Segmentation, wanted: str) -> str:
    """`dice_cross_entropy` or `pixel_cross_entropy`, both taken on logits."""
    kind = demand_loss(LOSSES, wanted, "segmentation")
    return "pixel_cross_entropy" if kind == "cross_entropy" else kind


def build_head(features: Any, schema: Segmentation, terms: np.ndarray, regularizer: Any = None) -> Any:
    """The last two layers on a map `(batch, rows, columns, n)`, or on one of volumes `(batch, depth, rows, columns,
    n)`: `logits`, then `probabilities`, always in float32."""
    import keras

    convolution = keras.layers.Conv3D if len(features.shape) == 5 else keras.layers.Conv2D
    logits = convolution(len(schema.names), 1, name=RAW, dtype="float32", kernel_regularizer=regularizer)
    return keras.layers.Activation("sigmoid", name=PROBABILITIES, dtype="float32")(logits(features))


def raw_of(schema: Segmentation, scores: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Logits that give these probabilities."""
    scores = np.clip(scores.astype(np.float64), SUREST, 1 - SUREST)
    return np.asarray(np.log(scores) - np.log1p(-scores), np.float32)


def score_validation(schema: Segmentation, targets: np.ndarray, scores: np.ndarray) -> dict[str, float | None]:
    """Dice at one half, the mean over the cases on which a structure is painted, then over structures.

    Args:
        targets: the case of each row, `(n,)`.
        scores: tallies `(n, 2, LEVELS, k)`.
    """
    each = _dice_of_levels(targets, scores)[:, LEVELS // 2]
    known = each[~np.isnan(each)]
    return {"dice": float(known.mean()) if len(known) else None}


def calibrate(schema: Segmentation, targets: np.ndarray, scores: np.ndarray, patients: Sequence[str]) -> dict[str, Any]:
    """`thresholds` by structure: the one of the highest mean Dice on validation; one half where nothing is painted."""
    dice = _dice_of_levels(targets, scores)
    chosen: dict[str, Any] = {}
    for name, found in zip(schema.names, dice, strict=True):
        if np.isnan(found).all():
            chosen[name] = {"value": HALF, "dice": None, "dice_at_half": None}
            continue
        # Of equals the one nearest to one half.
        level = max(range(1, LEVELS), key=lambda at: (found[at], -abs(at - LEVELS // 2)))
        chosen[name] = {"value": level / LEVELS, "dice": float(found[level]), "dice_at_half": float(found[LEVELS // 2])}
    return {"thresholds": chosen}


def calibrate_network(network: Any, schema: Segmentation, calibration: Mapping[str, Any]) -> Any:
    return network  # its probabilities stay what they are; the thresholds stand beside it


def thresholds_of(schema: Segmentation, calibration: Mapping[str, Any]) -> np.ndarray:
    """From which probability on a pixel belongs to each structure, float32 `(k,)`."""
    chosen = calibration.get("thresholds") or {}
    return np.array([chosen[name]["value"] if name in chosen else HALF for name in schema.names], np.float32)


def decode_scores(
    schema: Segmentation, scores: np.ndarray, calibration: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, list[str]]:
    """Which structures were painted. `scores` `(k,)` are the mean probabilities of what was, 0 where nothing was."""
    return {"structures": [name for name, score in zip(schema.names, scores, strict=True) if score > 0]}


def confidence_of(
    schema: Segmentation, scores: np.ndarray, calibration: Mapping[str, Any] = MappingProxyType({})
) -> float:
    """The mean probability of what was painted, of the least sure structure; 1 where nothing was."""
    return float(scores[scores > 0].min(initial=1.0))


def measure(
    schema: Segmentation,
    targets: Unit,
    scores: Sequence[Sequence[Compared]],
    patients: Sequence[str],
    calibration: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    seed: int,
) -> dict[str, Any]:
    """`core.measures.segmentation` as JSON, with the thresholds that decided, unless each case has its own.

    Args:
        targets: the unit in which distances were measured.
        scores: for each case one comparison for each structure.
    """
    measured = measure_segmentation(scores, patients, structures=schema.names, unit=targets, seed=seed)
    return measured.to_json() | {
        "structures": list(schema.names),
        "thresholds": dict(calibration.get("thresholds") or {}) if isinstance(calibration, Mapping) else {},
    }


def output_names(schema: Segmentation) -> tuple[str, ...]:
    return schema.names


def describe_schema(schema: Segmentation) -> dict[str, Any]:
    return {"structures": [{"name": one.name, "colour": one.colour} for one in schema.structures]}


def schema_of(facts: Mapping[str, Any]) -> Segmentation:
    return check_schema(Segmentation(tuple(Structure(**one) for one in facts["structures"])))


def dice_of_cases(cases: np.ndarray, tallies: np.ndarray) -> np.ndarray:
    """Dice `(cases, LEVELS, k)` of each case, in rising order of their numbers, when pixels from a level on are
    painted; NaN where the reference has nothing."""
    _, case_of_row = np.unique(cases, return_inverse=True)
    of_case = np.zeros((int(case_of_row.max()) + 1, *tallies.shape[1:]))
    np.add.at(of_case, case_of_row, tallies)
    painted = of_case[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]  # from this level on
    reference = of_case[:, 1].sum(axis=1, keepdims=True)  # (cases, 1, k)
    return ratio(2 * painted[:, 1], np.where(reference > 0, painted.sum(axis=1) + reference, 0))


def _dice_of_levels(cases: np.ndarray, tallies: np.ndarray) -> np.ndarray:
    """Mean Dice `(k, LEVELS)` of each structure over the cases that have it; NaN where no case has it."""
    dice = dice_of_cases(cases, tallies)
    known = ~np.isnan(dice)
    return ratio(np.nan_to_num(dice).sum(axis=0), known.sum(axis=0)).T
