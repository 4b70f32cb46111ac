"""Regression: a named quantity in its unit, one number for each case.

The network learns the number in standard deviations from the mean of the training answers; its last layer gives it in
the unit itself, so that whoever has the file needs nothing else.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from core.errors import CoreError, InvalidInput
from core.measures.calibration import conformal_interval
from core.measures.regression import measure_regression
from core.projects.schema import Regression, check_schema
from core.tasks.demands import demand_loss, demand_splits

HEADLINE = "mae"
RAW, QUANTITY = "standardised", "quantity"  # names of the two last layers, relied on by explanations
PAINTS = False
DRAWS = False
LOSSES = {
    "huber": "squared for small errors, by its size alone for large ones, so that one wrong label does not rule",
    "absolute": "every error by its size: learns the median, the least disturbed by wrong labels",
    "squared": "large errors cost far more than small ones: learns the mean, and follows wrong labels",
}


def encode_targets(schema: Regression, values: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Values `{"value": 3.2}` as `(n, 1)` float32, in the unit of the schema."""
    targets = np.zeros((len(values), 1), np.float32)
    for row, value in enumerate(values):
        number = value.get("value")
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
            raise InvalidInput(f"Each case needs one number. Received: {dict(value)!r} at position {row}")
        targets[row, 0] = number
    return targets


def check_trainable(schema: Regression, train: np.ndarray, validation: np.ndarray) -> None:
    """Raise `CoreError` unless `(n, 1)` targets give something to learn and something to check it on."""
    demand_splits(train, validation)
    if np.ptp(train) == 0:
        raise CoreError(
            f"Label cases with another number and freeze a new snapshot: all {len(train)} training cases have the same "
            f"one, and there is nothing to tell apart. Received: {train[0, 0]:g} {schema.unit}"
        )


def loss_terms(schema: Regression, train: np.ndarray, *, balanced: bool) -> np.ndarray:
    """Mean and standard deviation of the training answers; there are no classes to balance."""
    return np.stack([train.mean(axis=0), train.std(axis=0)]).astype(np.float32)


def sampling_shares(schema: Regression, train: np.ndarray) -> np.ndarray | None:
    return None  # there are no classes to show alike


def loss_name(schema: Regression, wanted: str) -> str:
    """`huber`, `absolute` or `squared`, all taken on standardised numbers."""
    return demand_loss(LOSSES, wanted, "regression")


def build_head(features: Any, schema: Regression, terms: np.ndarray, regularizer: Any = None) -> Any:
    """The last two layers on a `(batch, n)` tensor: `standardised`, then `quantity` in its unit, always in float32."""
    import keras

    standardised = keras.layers.Dense(1, name=RAW, dtype="float32", kernel_regularizer=regularizer)(features)
    mean, deviation = (float(term[0]) for term in terms)
    return keras.layers.Rescaling(deviation, offset=mean, name=QUANTITY, dtype="float32")(standardised)


def raw_of(schema: Regression, scores: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Numbers in their unit as standard deviations from the mean."""
    return np.asarray((scores - terms[0]) / terms[1], np.float32)


def score_validation(schema: Regression, targets: np.ndarray, scores: np.ndarray) -> dict[str, float | None]:
    """Mean absolute error, root of the mean squared error, and R2 (None where all references are the same)."""
    error = _within_range(schema, scores) - targets
    spread = float(np.square(targets - targets.mean()).sum())
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "r2": 1 - float(np.square(error).sum()) / spread if spread else None,
    }


def calibrate(schema: Regression, targets: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """`interval`: how far from the model's number the truth may lie; None where validation is too small to say."""
    interval = conformal_interval(np.abs(_within_range(schema, scores) - targets)[:, 0].astype(np.float64))
    return {"interval": interval.to_json() if interval else None}


def calibrate_network(network: Any, schema: Regression, calibration: Mapping[str, Any]) -> Any:
    return network  # its number stays what it is; the interval stands beside it


def decode_scores(
    schema: Regression, scores: np.ndarray | Sequence[float], calibration: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, float]:
    """The number, within the range of the schema: what a reader may not say a model does not say either."""
    return {"value": float(_within_range(schema, scores)[0])}


def interval_around(schema: Regression, value: float, calibration: Mapping[str, Any]) -> dict[str, float] | None:
    """`low` and `high` around a model's number, in its unit and within the schema's range, with the `level`, the
    `half_width` and the `n` that they stand on; None where validation was too small to say."""
    interval = calibration.get("interval")
    if interval is None:
        return None
    ends = np.array([value - interval["half_width"], value + interval["half_width"]])
    low, high = map(float, _within_range(schema, ends))
    return {**interval, "low": low, "high": high}


def _within_range(schema: Regression, numbers: np.ndarray | Sequence[float]) -> np.ndarray:
    low = -math.inf if schema.low is None else schema.low
    high = math.inf if schema.high is None else schema.high
    return np.clip(np.asarray(numbers, np.float64), low, high)


def confidence_of(
    schema: Regression, scores: np.ndarray, calibration: Mapping[str, Any] = MappingProxyType({})
) -> float:
    """A single number says nothing of how sure it is; its interval is a property of the model."""
    return 1.0


def measure(
    schema: Regression,
    targets: np.ndarray,
    scores: np.ndarray,
    patients: Sequence[str],
    calibration: Mapping[str, Any],
    *,
    seed: int,
) -> dict[str, Any]:
    """`core.measures.regression` as JSON, with the quantity, its unit, and the interval whose coverage is measured."""
    said = _within_range(schema, scores)[:, 0]
    interval = calibration.get("interval")
    measured = measure_regression(
        targets[:, 0].astype(np.float64),
        said,
        patients,
        half_width=interval["half_width"] if interval else None,
        seed=seed,
    )
    return measured.to_json() | {"target": schema.target, "unit": schema.unit, "interval": interval}


def output_names(schema: Regression) -> tuple[str, ...]:
    return (schema.target,)


def describe_schema(schema: Regression) -> dict[str, Any]:
    return {"target": schema.target, "unit": schema.unit, "low": schema.low, "high": schema.high}


def schema_of(facts: Mapping[str, Any]) -> Regression:
    return check_schema(Regression(facts["target"], facts["unit"], facts["low"], facts["high"]))
