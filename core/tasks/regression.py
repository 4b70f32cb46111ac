"""Regression: a named quantity in its unit, one number for each case, or several, a column each.

The network learns each number in standard deviations from the mean of the training answers; its last layer gives it in
the unit itself, so that whoever has the file needs nothing else. What is told of several together is told in standard
deviations of the references: years and kilograms have no mean.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import numpy as np

from core.errors import CoreError, InvalidInput
from core.measures.calibration import conformal_interval, half_width_at
from core.measures.estimates import estimates_json
from core.measures.regression import measure_regression, measure_several, spread_of
from core.projects.schema import Quantity, Regression, check_schema, numbers_of, value_of_numbers
from core.tasks.demands import demand_loss, demand_splits

HEADLINE = "mae"
RAW, QUANTITY = "standardised", "quantity"  # names of the two last layers, relied on by explanations
IN_DEVIATIONS = "standard deviations of the references"  # of these cases: the unit of what is told of several at once
PAINTS = False
DRAWS = False
LOSSES = {
    "huber": "squared for small errors, by its size alone for large ones, so that one wrong label does not rule",
    "absolute": "every error by its size: learns the median, the least disturbed by wrong labels",
    "squared": "large errors cost far more than small ones: learns the mean, and follows wrong labels",
}


def encode_targets(schema: Regression, values: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Values `{"value": 3.2}`, or of several `{"values": {"age": 62.0}}`, as `(n, k)` float32, each in its unit."""
    targets = np.zeros((len(values), len(schema.quantities)), np.float32)
    for row, value in enumerate(values):
        targets[row] = _numbers(schema, value, row)
    return targets


def _numbers(schema: Regression, value: Mapping[str, Any], row: int) -> list[float]:
    said = value.get("values") if schema.further else {schema.target: value.get("value")}
    numbers = [said.get(one.target) if isinstance(said, Mapping) else None for one in schema.quantities]
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
            wanted = "one number" if not schema.further else f"a number for each of {', '.join(output_names(schema))}"
            raise InvalidInput(f"Each case needs {wanted}. Received: {dict(value)!r} at position {row}")
    return numbers  # type: ignore[return-value]


def check_trainable(schema: Regression, train: np.ndarray, validation: np.ndarray) -> None:
    """Raise `CoreError` unless `(n, k)` targets give something to learn and something to check it on."""
    demand_splits(train, validation)
    for at, quantity in enumerate(schema.quantities):
        if np.ptp(train[:, at]) == 0:
            number = f"another {quantity.target}" if schema.further else "another number"
            raise CoreError(
                f"Label cases with {number} and freeze a new snapshot: all {len(train)} training cases have the same "
                f"one, and there is nothing to tell apart. Received: {train[0, at]:g} {quantity.unit}"
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

    width = len(schema.quantities)
    standardised = keras.layers.Dense(width, name=RAW, dtype="float32", kernel_regularizer=regularizer)(features)
    mean, deviation = (term.tolist() if schema.further else float(term[0]) for term in terms)
    return keras.layers.Rescaling(deviation, offset=mean, name=QUANTITY, dtype="float32")(standardised)


def raw_of(schema: Regression, scores: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Numbers in their unit as standard deviations from the mean."""
    return np.asarray((scores - terms[0]) / terms[1], np.float32)


def score_validation(schema: Regression, targets: np.ndarray, scores: np.ndarray) -> dict[str, float | None]:
    """Mean absolute error, root of the mean squared error, and R2 (None where all references are the same).

    Of several quantities the means over those whose references differ, the errors in their standard deviations.
    """
    said = _within_range(schema, scores)
    if not schema.further:
        return _score(targets, said)
    spread = spread_of(targets)
    each = [
        _score(targets[:, at] / one, said[:, at] / one) for at, one in enumerate(spread) if np.isfinite(one)
    ]  # fmt: skip
    return {name: float(np.mean([found[name] for found in each])) if each else None for name in ("mae", "rmse", "r2")}


def _score(targets: np.ndarray, said: np.ndarray) -> dict[str, float | None]:
    error = said - targets
    spread = float(np.square(targets - targets.mean()).sum())
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "r2": 1 - float(np.square(error).sum()) / spread if spread else None,
    }


def calibrate(schema: Regression, targets: np.ndarray, scores: np.ndarray, patients: Sequence[str]) -> dict[str, Any]:
    """`interval`: how far from the model's number the truth may lie; None where validation is too small to say.

    Of several quantities `intervals`, by name: each holds for its own quantity, not for all at once.
    """
    said = _within_range(schema, scores)
    errors = np.abs(said - targets).astype(np.float64)
    found = [
        conformal_interval(column, numbers, patients=patients) for column, numbers in zip(errors.T, said.T, strict=True)
    ]
    told = [interval.to_json() if interval else None for interval in found]
    return (
        {"intervals": dict(zip(output_names(schema), told, strict=True))} if schema.further else {"interval": told[0]}
    )


def calibrate_network(network: Any, schema: Regression, calibration: Mapping[str, Any]) -> Any:
    return network  # its number stays what it is; the interval stands beside it


def decode_scores(
    schema: Regression, scores: np.ndarray | Sequence[float], calibration: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """The numbers, within the range of the schema: what a reader may not say a model does not say either."""
    return value_of_numbers(schema, _within_range(schema, scores).tolist())


def intervals_of(schema: Regression, calibration: Mapping[str, Any]) -> list[dict[str, Any] | None]:
    """What `calibrate` has found for each quantity, in their order."""
    if schema.further:
        return [calibration.get("intervals", {}).get(name) for name in output_names(schema)]
    return [calibration.get("interval")]


def interval_around(
    schema: Regression, value: float, calibration: Mapping[str, Any], at: int = 0
) -> dict[str, float] | None:
    """`low` and `high` around what a model says of the quantity at a place, in its unit and within its range, with the
    `level`, the `half_width` and the `n` that they stand on; None where validation was too small to say."""
    interval = intervals_of(schema, calibration)[at]
    if interval is None:
        return None
    half = float(half_width_at(interval, value))
    low, high = np.clip([value - half, value + half], *schema.quantities[at].ends).tolist()
    return {"level": interval["level"], "n": interval["n"], "half_width": half, "low": low, "high": high}


def numbers_said(schema: Regression, value: Mapping[str, Any], calibration: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of each quantity `target`, `unit`, the `value` that a model says, and its `interval` (`interval_around`)."""
    return [
        {
            "target": one.target,
            "unit": one.unit,
            "value": number,
            "interval": interval_around(schema, number, calibration, at),
        }
        for at, (one, number) in enumerate(zip(schema.quantities, numbers_of(schema, value), strict=True))
    ]


def tell_numbers(schema: Regression, value: Mapping[str, Any], calibration: Mapping[str, Any]) -> dict[str, Any]:
    """`numbers_said` as a row of answers has it: `value`, `unit` and `interval`, of several quantities `numbers`."""
    numbers = numbers_said(schema, value, calibration)
    return {"numbers": numbers} if schema.further else {key: numbers[0][key] for key in ("value", "unit", "interval")}


def _within_range(schema: Regression, numbers: np.ndarray | Sequence[float]) -> np.ndarray:
    """Numbers `(..., k)`, each within the range of its quantity."""
    return np.clip(np.asarray(numbers, np.float64), *range_of(schema))


def range_of(schema: Regression) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest `(k,)` that each quantity can be."""
    low, high = np.array([one.ends for one in schema.quantities]).T
    return low, high


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
    calibration: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    seed: int,
) -> dict[str, Any]:
    """`core.measures.regression` as JSON, with the quantity, its unit, and the interval whose coverage is measured;
    where each case has its own, that coverage alone.

    Of several quantities `per_target` has that for each, and `metrics` are of all together (`measure_several`).
    """
    said = _within_range(schema, scores)
    if isinstance(calibration, Mapping):
        intervals = intervals_of(schema, calibration)
        half_widths = [
            half_width_at(interval, column) if interval else None
            for interval, column in zip(intervals, said.T, strict=True)
        ]
    else:
        intervals = [None] * len(schema.quantities)
        half_widths = _half_widths_of_each(schema, said, calibration)
    if schema.further:
        return _measure_several(schema, targets, said, patients, intervals, half_widths, seed)
    measured = measure_regression(
        targets[:, 0].astype(np.float64), said[:, 0], patients, half_width=half_widths[0], seed=seed
    )
    return measured.to_json() | {"target": schema.target, "unit": schema.unit, "interval": intervals[0]}


def _half_widths_of_each(
    schema: Regression, said: np.ndarray, calibrations: Sequence[Mapping[str, Any]]
) -> list[np.ndarray | None]:
    """Of each quantity `(n,)` by the interval of the model that answered a case; None where one of them has none."""
    found: list[np.ndarray | None] = []
    rows = [intervals_of(schema, calibration) for calibration in calibrations]
    for column, intervals in zip(said.T, zip(*rows, strict=True), strict=True):
        known = [interval for interval in intervals if interval]
        each = [float(half_width_at(one, value)) for one, value in zip(known, column, strict=False)]
        found.append(np.array(each) if len(known) == len(column) else None)
    return found


def _measure_several(
    schema: Regression,
    targets: np.ndarray,
    said: np.ndarray,
    patients: Sequence[str],
    intervals: Sequence[dict[str, Any] | None],
    half_widths: Sequence[np.ndarray | None],
    seed: int,
) -> dict[str, Any]:
    measured = measure_several(targets.astype(np.float64), said, patients, half_widths=half_widths, seed=seed)
    per_target = {
        quantity.target: {"unit": quantity.unit, "interval": interval, "metrics": one.to_json()["metrics"]}
        for quantity, interval, one in zip(schema.quantities, intervals, measured.each, strict=True)
    }
    return measured.each[0].to_json() | {
        "metrics": estimates_json(measured.metrics),
        "unit": IN_DEVIATIONS,
        "targets": list(per_target),
        "per_target": per_target,
    }


def output_names(schema: Regression) -> tuple[str, ...]:
    return tuple(one.target for one in schema.quantities)


def describe_schema(schema: Regression) -> dict[str, Any]:
    told: dict[str, Any] = {"target": schema.target, "unit": schema.unit, "low": schema.low, "high": schema.high}
    return told | ({"further": [asdict(one) for one in schema.further]} if schema.further else {})


def schema_of(facts: Mapping[str, Any]) -> Regression:
    further = tuple(Quantity(**one) for one in facts.get("further", ()))
    return check_schema(Regression(facts["target"], facts["unit"], facts["low"], facts["high"], None, further))
