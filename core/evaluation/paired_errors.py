"""Two models that say numbers or paint structures, on the same cases: the difference of their mean errors, or of their
overlap, with an interval over patients that pairs them."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.datasets.records import Snapshot
from core.errors import InvalidInput
from core.evaluation.comparison import SEED, demand_unseen
from core.evaluation.pairs import list_pairs
from core.evaluation.records import find_evaluation, list_measured
from core.evaluation.run import split_cases
from core.measures.estimates import Estimate, estimate_of
from core.measures.intervals import patient_bootstrap
from core.measures.metrics import ratio
from core.measures.paired import NOTABLE, NOTABLE_SHARE, difference_text, tell_apart, verdict
from core.projects.schema import Regression, Segmentation
from core.training.records import Model

OfCase = Mapping[int, float]


@dataclass(frozen=True)
class PairedErrors:
    """`differences` are of the second model minus the first, by name: of the mean absolute error of each quantity in
    its unit (below zero the second is better), or of the Dice of each structure (above zero it is)."""

    sentences: tuple[str, ...]
    differences: Mapping[str, Estimate]
    n_cases: int
    n_patients: int


def compare_errors(
    connection: sqlite3.Connection, first: Model, second: Model, snapshot: Snapshot, split: str
) -> PairedErrors:
    """How much better the second is than the first, on the cases for which both have a number; patients are drawn once
    for both.

    Raises:
        InvalidInput: they answer another question, one of them has not answered this split or has learnt from it.
    """
    schema = snapshot.schema
    if not isinstance(schema, Regression | Segmentation) or {first.task, second.task} != {snapshot.task}:
        raise InvalidInput(
            "Paired differences of errors are of numbers and of painted structures. "
            f"Received: {first.task}, {second.task}"
        )
    cases = split_cases(connection, snapshot, split, None)
    demand_unseen(connection, (first, second), cases)
    both = [_by_name(connection, model, snapshot, split) for model in (first, second)]
    patient_of = {case.case_id: case.patient for case in cases}
    differences: dict[str, Estimate] = {}
    notable: dict[str, float] = {}
    compared: set[int] = set()
    for name in both[0]:
        ids = [case for case in patient_of if all(case in one[name] for one in both)]
        compared |= set(ids)
        apart = np.array([both[1][name][case] - both[0][name][case] for case in ids])
        # An error has a unit, so what is notable hangs on how large errors are.
        is_error = isinstance(schema, Regression) and bool(ids)
        notable[name] = NOTABLE_SHARE * float(np.mean([both[0][name][case] for case in ids])) if is_error else NOTABLE
        differences[name] = _mean(apart, [patient_of[case] for case in ids])
    better = -1 if isinstance(schema, Regression) else 1
    told = tuple(
        _sentence(first.name, second.name, name, one, better, notable[name]) for name, one in differences.items()
    )
    return PairedErrors(told, differences, len(compared), len({patient_of[case] for case in compared}))


def _by_name(connection: sqlite3.Connection, model: Model, snapshot: Snapshot, split: str) -> dict[str, OfCase]:
    """By quantity the absolute error of each case, or by structure its Dice where it has one."""
    evaluation = find_evaluation(connection, model.id, snapshot.id, split)
    if evaluation is None:
        raise InvalidInput(f"Evaluate {model.name} on {split} of {snapshot.name} first. Received: no evaluation")
    schema = snapshot.schema
    if isinstance(schema, Regression):
        return {
            f"MAE{f' of {quantity.target}' if schema.further else ''}, {quantity.unit}, difference": {
                one.case_id: abs(one.predicted - one.reference)
                for one in list_pairs(connection, model, snapshot, schema, split, None, at)
            }
            for at, quantity in enumerate(schema.quantities)
        }
    assert isinstance(schema, Segmentation)
    found: dict[str, dict[int, float]] = {f"Dice of {name}, difference": {} for name in schema.names}
    for row in list_measured(connection, evaluation.id):
        if row.dice is not None:
            found[f"Dice of {row.structure}, difference"][row.case_id] = row.dice
    return dict(found)


def _mean(apart: np.ndarray, patients: Sequence[str]) -> Estimate:
    if not len(apart):
        return Estimate(None, None, None, reason="There is no case for which both models have this number.")
    interval = patient_bootstrap(
        lambda weights: {"mean": ratio(weights @ apart, weights.sum(axis=1))}, patients, seed=SEED
    )["mean"]
    return estimate_of(float(apart.mean()), interval, undefined="There are no cases.")


def _sentence(first: str, second: str, name: str, one: Estimate, better: int, notable: float) -> str:
    what = name.removesuffix(", difference")
    if one.value is None or one.low is None or one.high is None:
        return f"{first} and {second} cannot be told apart by {what}: {one.reason or one.note}"
    low, high = sorted((better * one.low, better * one.high))
    said = verdict(low, high, notable=notable)
    numbers = difference_text(one.value, one.low, one.high)
    return tell_apart(first, second, said, numbers, by=f" by {what}")
