"""A task's headline metric for many weightings of the cases at once, so that each resample of patients costs little.

The definitions are those of the tasks' `score_validation`; a test holds them to each other.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from core.measures.metrics import (
    confusion_counts,
    multi_label_counts,
    one_against_rest,
    ratio,
    recall,
    specificity,
)
from core.measures.regression import spread_of
from core.projects.schema import Classification, Generation, Regression
from core.tasks import TrainableSchema
from core.tasks.generation import DRAWING_ERROR
from core.tasks.regression import range_of
from core.tasks.segmentation import LEVELS, dice_of_cases

if TYPE_CHECKING:
    from core.training.batches import Examples  # it brings TensorFlow, and screens name metrics too

WORDS = {
    "balanced_accuracy": "balanced accuracy", "dice": "Dice", "mae": "mean absolute error",
    DRAWING_ERROR: "drawing error",
}  # fmt: skip
ERRORS = ("mae", DRAWING_ERROR)  # lower is better

Headline = Callable[[np.ndarray], np.ndarray]


def headline_of(schema: TrainableSchema, painted: bool, targets: np.ndarray, scores: np.ndarray) -> Headline:
    """From case weights `(resamples, cases)` to the metric `(resamples,)`, NaN where a resample has none.

    Args:
        targets, scores: what `Learner.judge` gives; painted cases are taken in rising order of their numbers.
    """
    assert not isinstance(schema, Generation)  # whose judge gives parts of the loss, and no answers
    if painted:
        dice = dice_of_cases(targets, scores)[:, LEVELS // 2]
        known, filled = ~np.isnan(dice), np.nan_to_num(dice)
        here = known.any(axis=0)  # structures that are on some case
        return lambda weights: _mean(ratio(weights @ filled, weights @ known)[:, here])
    if not isinstance(schema, Classification):
        assert isinstance(schema, Regression)
        error = _errors(schema, targets, np.clip(scores, *range_of(schema)))
        return lambda weights: ratio(weights @ error, weights.sum(axis=1))
    truth = targets.astype(int)
    if schema.multi_label:
        predicted = (scores >= 0.5).astype(int)
        here = (truth.any(axis=0)) & ~(truth.all(axis=0))

        def of_labels(weights: np.ndarray) -> np.ndarray:
            tables = multi_label_counts(truth, predicted, weights)
            return _mean(((recall(tables) + specificity(tables)) / 2)[:, here])

        return of_labels
    chosen, wanted, classes = scores.argmax(axis=1), truth.argmax(axis=1), truth.shape[1]
    here = truth.any(axis=0)
    return lambda weights: _mean(recall(one_against_rest(confusion_counts(wanted, chosen, classes, weights)))[:, here])


def known_by_chance(schema: TrainableSchema, painted: bool, targets: np.ndarray) -> tuple[float, float]:
    """The metric of a model that knows nothing, and that of one that knows all; between them lies its skill."""
    if painted:
        return 0.0, 1.0
    if isinstance(schema, Classification):
        return (0.5 if schema.multi_label else 1 / max(2, int(targets.any(axis=0).sum()))), 1.0
    assert isinstance(schema, Regression)
    return float(_errors(schema, targets, np.median(targets, axis=0)).mean()), 0.0


def unit_of(schema: TrainableSchema) -> str:
    """Of the headline metric; "" where it has none."""
    if not isinstance(schema, Regression):
        return ""
    return "standard deviations" if schema.further else schema.unit


def _errors(schema: Regression, targets: np.ndarray, said: np.ndarray) -> np.ndarray:
    """How far off each case is, `(n,)`; of several quantities the mean in standard deviations of the references."""
    error = np.abs(said - targets)
    return np.asarray(np.nanmean(error / spread_of(targets), axis=1) if schema.further else error.mean(axis=1))


def patients_of(examples: "Examples", patient_of_case: Mapping[int, str]) -> list[str]:
    """The patient of each case, in the order of `headline_of`'s weights."""
    cases = examples.case_ids if examples.masks is None else np.unique(examples.case_ids)
    return [patient_of_case[int(case)] for case in cases]


def _mean(values: np.ndarray) -> np.ndarray:
    """Over the last axis; NaN where one of them is."""
    return values.mean(axis=1) if values.shape[1] else np.full(len(values), np.nan)
