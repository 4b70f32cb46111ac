"""All numbers of one model that says a quantity, on one set of cases, each with its interval over patients."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from core.errors import InvalidInput
from core.measures.estimates import Estimate, estimate_of, estimates_json
from core.measures.intervals import LEVEL, RESAMPLES, number_patients, patient_bootstrap
from core.measures.metrics import ratio
from core.measures.shares import share_of

# Standard deviations of the differences (Bland and Altman 1986, doi:10.1016/S0140-6736(86)90837-8).
LIMITS_OF_AGREEMENT = 1.96
WHY_UNDEFINED = {"r2": "All references are the same number, so there is no spread to explain."}
NO_SPREAD_OF_SEVERAL = "Of one quantity all references are the same number, so there is no spread to measure by."
NO_VALUE = "There are too few cases."


@dataclass(frozen=True)
class RegressionMeasures:
    """What one set of cases says about one model. Errors are prediction minus reference, in the unit."""

    n_cases: int
    n_patients: int
    metrics: dict[str, Estimate]
    level: float
    resamples: int
    seed: int

    def to_json(self) -> dict[str, object]:
        """JSON values only; the names are those of `evaluate --json`."""
        return asdict(self) | {"metrics": estimates_json(self.metrics)}


def measure_regression(
    targets: np.ndarray,
    predictions: np.ndarray,
    patients: Sequence[str],
    *,
    half_width: float | np.ndarray | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> RegressionMeasures:
    """`mae`, `rmse`, `r2`, `bias`, the limits of agreement (`limit_low`, `limit_high`), and `coverage`.

    Args:
        targets, predictions: `(cases,)`, in the same unit.
        patients: one key per case.
        half_width: of the model's interval around its number; `coverage` is the share of references within it.

    Raises:
        InvalidInput: no cases, shapes that differ, or numbers that are not finite.
    """
    _check(targets, predictions, patients)
    targets, predictions = targets.astype(np.float64), predictions.astype(np.float64)

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        return _values(targets, predictions, half_width, weights)

    found = measure(np.ones((1, len(targets))))
    intervals = patient_bootstrap(measure, patients, resamples=resamples, level=level, seed=seed)
    metrics = {
        name: estimate_of(float(found[name][0]), intervals[name], undefined=WHY_UNDEFINED.get(name, NO_VALUE))
        for name in found
    }
    if "coverage" in metrics and len(set(patients)) > 1:  # a plain share of cases
        within, every = np.abs(predictions - targets) <= half_width, np.ones(len(targets), bool)
        metrics["coverage"] = share_of(within, every, number_patients(patients), NO_VALUE, level)
    return RegressionMeasures(
        n_cases=len(targets),
        n_patients=len(set(patients)),
        metrics=metrics,
        level=level,
        resamples=resamples,
        seed=seed,
    )


def within_tolerance(errors: np.ndarray, tolerance: float, patients: Sequence[str]) -> Estimate:
    """The share of the cases whose error `(cases,)` is at most a stated tolerance, in the same unit; Wilson's interval
    for as many cases as the patients' images are worth."""
    near = np.abs(errors) <= tolerance
    return share_of(near, np.ones(len(near), bool), number_patients(patients), "There is no case.")


def _values(
    targets: np.ndarray, predictions: np.ndarray, half_width: float | np.ndarray | None, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Each metric `(resamples,)` under case weights `(resamples, cases)`: all are sums over the cases."""
    error, n = predictions - targets, weights.sum(axis=1)
    squared = weights @ np.square(error)
    bias = weights @ error / n
    # About the common mean first: squares of large numbers would swallow their spread.
    centred = targets - targets.mean()
    about_mean = weights @ np.square(centred)
    spread = about_mean - np.square(weights @ centred) / n
    spread[spread <= 1e-12 * about_mean] = 0.0  # of one number alone what rounding leaves of it
    deviation = np.sqrt(ratio(np.maximum(squared - n * np.square(bias), 0.0), n - 1))
    return {
        "mae": weights @ np.abs(error) / n,
        "rmse": np.sqrt(squared / n),
        "r2": 1 - ratio(squared, spread),
        "bias": bias,
        "limit_low": bias - LIMITS_OF_AGREEMENT * deviation,
        "limit_high": bias + LIMITS_OF_AGREEMENT * deviation,
        **({} if half_width is None else {"coverage": weights @ (np.abs(error) <= half_width) / n}),
    }


@dataclass(frozen=True)
class SeveralMeasures:
    """What one set of cases says about a model of several quantities: of each, and of all together.

    `metrics` are means over the quantities: `mae` and `rmse` in standard deviations of the references of these cases,
    since years and kilograms have no mean, and `r2`.
    """

    metrics: dict[str, Estimate]
    each: tuple[RegressionMeasures, ...]


def measure_several(
    targets: np.ndarray,
    predictions: np.ndarray,
    patients: Sequence[str],
    *,
    half_widths: Sequence[float | np.ndarray | None],
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> SeveralMeasures:
    """`measure_regression` of each column of `targets` and `predictions` `(cases, k)`, and the means over columns.

    Raises:
        InvalidInput: as `measure_regression`.
    """
    columns = list(zip(targets.T, predictions.T, half_widths, strict=True))
    each = tuple(
        measure_regression(wanted, said, patients, half_width=half_width, level=level, resamples=resamples, seed=seed)
        for wanted, said, half_width in columns
    )
    scale = spread_of(targets)
    standard = [(wanted / one, said / one) for (wanted, said, _), one in zip(columns, scale, strict=True)]

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = [_values(wanted, said, None, weights) for wanted, said in standard]
        return {name: np.mean([one[name] for one in found], axis=0) for name in ("mae", "rmse", "r2")}

    whole = measure(np.ones((1, len(targets))))
    intervals = patient_bootstrap(measure, patients, resamples=resamples, level=level, seed=seed)
    metrics = {
        name: estimate_of(float(whole[name][0]), intervals[name], undefined=NO_SPREAD_OF_SEVERAL) for name in whole
    }
    return SeveralMeasures(metrics, each)


def spread_of(targets: np.ndarray) -> np.ndarray:
    """The standard deviation of each column `(k,)`; NaN where all its references are the same number."""
    spread = targets.astype(np.float64).std(axis=0)
    return np.where(np.ptp(targets, axis=0) > 0, spread, np.nan)


def _check(targets: np.ndarray, predictions: np.ndarray, patients: Sequence[str]) -> None:
    if not len(targets):
        raise InvalidInput("Evaluation needs at least one case with a reference label. Received: none")
    if targets.shape != predictions.shape or targets.shape != (len(patients),):
        raise InvalidInput(
            f"Targets and predictions must both be ({len(patients)},). "
            f"Received: {targets.shape} and {predictions.shape}"
        )
    if not (np.isfinite(targets).all() and np.isfinite(predictions).all()):
        bad = int((~np.isfinite(predictions)).sum())
        raise InvalidInput(
            f"Predictions must be finite; train again with a lower learning rate. Received: {bad} with NaN"
        )
