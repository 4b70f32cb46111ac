"""How much better the kept weights are on cases they learnt from than on cases they did not.

Both are measured as a model is used, without augmentation and dropout, and volumes in the same windows. The training
loss of an epoch is not, so that its distance from the validation loss says little. A model that draws is measured by
its drawing error on both sides: how far what it draws is from an image that it was shown, or its guess of the noise
from the noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.measures.intervals import draw_weights, percentile_interval
from core.measures.metrics import ratio
from core.tasks.generation import DRAWING_ERROR, PARTS
from core.training.headline import headline_of, known_by_chance, patients_of

if TYPE_CHECKING:
    from core.training.batches import Examples

RESAMPLES, SEED = 500, 0
# Of the training split so many cases, or twice as many as validation has: more would take long, and only narrow an
# interval that validation makes wide.
LEAST_CASES, MOST_CASES = 50, 2000


@dataclass(frozen=True)
class Measured:
    """One side of the gap; the interval is over patients (95 %)."""

    loss: float
    value: float | None
    low: float | None
    high: float | None
    cases: int
    patients: int


@dataclass(frozen=True)
class Gap:
    """`skill` is 0 for a model that knows nothing and 1 for one that is never wrong; `gap` is training skill less
    validation skill, with its interval. None where a split has no such number.

    Of drawing there is no skill, since nobody knows the error of one that knows nothing; there `gap` is by how much the
    validation error is larger, as a share of the training error.
    """

    metric: str
    training: Measured
    validation: Measured
    training_skill: float | None
    gap: float | None
    gap_low: float | None
    gap_high: float | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure_gap(
    learner: Any, train: "Examples", validation: "Examples", patient_of_case: Mapping[int, str], *, seed: int
) -> Gap:
    """Judge the learner's present weights on some of the training cases and on the validation split."""
    task, schema = learner.task, learner.schema
    if task.DRAWS:
        return _gap_of_drawing(learner, train, validation, patient_of_case, seed=seed)
    sides, resampled = list[Measured](), list[np.ndarray]()
    chance, best = known_by_chance(schema, task.PAINTS, _answers(learner, train))
    others = len(np.unique(validation.targets)) if validation.masks is not None else len(validation)
    for examples in (_some_of(train, _most_of(others), seed), validation):
        loss, targets, scores = learner.judge(examples)
        metric, patients = headline_of(schema, task.PAINTS, targets, scores), patients_of(examples, patient_of_case)
        drawn = metric(draw_weights(patients, resamples=RESAMPLES, seed=SEED + len(sides)))
        sides.append(_side(loss, float(metric(np.ones((1, len(patients))))[0]), drawn, patients))
        resampled.append(drawn)
    skills = [
        None if side.value is None or best == chance else (side.value - chance) / (best - chance) for side in sides
    ]
    if None in skills:
        return Gap(task.HEADLINE, sides[0], sides[1], skills[0], None, None, None)
    between = percentile_interval((resampled[0] - resampled[1]) / (best - chance))
    distance = (skills[0] or 0.0) - (skills[1] or 0.0)
    return Gap(task.HEADLINE, sides[0], sides[1], skills[0], distance, between.low, between.high)


def _gap_of_drawing(
    learner: Any, train: "Examples", validation: "Examples", patient_of_case: Mapping[int, str], *, seed: int
) -> Gap:
    sides, resampled = list[Measured](), list[np.ndarray]()
    for examples in (_some_of(train, _most_of(len(validation)), seed), validation):
        loss, _, parts = learner.judge(examples)
        error = parts[:, PARTS.index(DRAWING_ERROR)].astype(np.float64)
        patients = patients_of(examples, patient_of_case)
        weights = draw_weights(patients, resamples=RESAMPLES, seed=SEED + len(sides))
        drawn = ratio(weights @ error, weights.sum(axis=1))
        sides.append(_side(loss, float(error.mean()), drawn, patients))
        resampled.append(drawn)
    first, second = (side.value for side in sides)
    if not first or second is None:
        return Gap(DRAWING_ERROR, sides[0], sides[1], None, None, None, None)
    between = percentile_interval(ratio(resampled[1], resampled[0]) - 1)
    return Gap(DRAWING_ERROR, sides[0], sides[1], None, second / first - 1, between.low, between.high)


def judgings_of(train: "Examples", validation: "Examples") -> float:
    """How many times as long as a judgement of the validation the judgements of both splits take."""
    cases, others = (
        len(np.unique(part.targets)) if part.masks is not None else len(part) for part in (train, validation)
    )
    return 1 + min(_most_of(others), cases) / others  # a case of the one is about as large as a case of the other


def _most_of(others: int) -> int:
    return min(max(LEAST_CASES, 2 * others), MOST_CASES)


def _side(loss: float, value: float, drawn: np.ndarray, patients: Sequence[str]) -> Measured:
    known, interval = len(set(patients)), percentile_interval(drawn)
    low, high = (interval.low, interval.high) if known > 1 else (None, None)
    return Measured(loss, None if np.isnan(value) else value, low, high, len(patients), known)


def _answers(learner: Any, train: "Examples") -> np.ndarray:
    return np.zeros((1, 1)) if learner.task.PAINTS else train.targets


def _some_of(train: "Examples", most: int, seed: int) -> "Examples":
    """All training cases, or so many drawn by the seed, as they are judged; of a volume all frames."""
    cases = np.unique(train.case_ids) if train.masks is not None else train.case_ids
    if len(cases) > most:
        cases = np.random.default_rng(seed).choice(cases, most, replace=False)
    return train.as_judged(cases)
