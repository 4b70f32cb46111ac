"""How a model of numbers or of painted structures errs on the parts of a split, and where it does worst; a classifier's
parts are in `subgroups`."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.datasets.records import Snapshot
from core.evaluation.pairs import list_pairs
from core.evaluation.records import Evaluation, list_measured
from core.evaluation.subgroups import choose_worst, groups_by, list_slices
from core.measures.estimates import Estimate
from core.measures.group_errors import ErrorMetric, Errors, estimate_errors
from core.measures.groups import Group, Where, compare_groups
from core.projects.schema import Regression
from core.training.records import Model


@dataclass(frozen=True)
class Erred:
    """The cases of a split on which there is an error to speak of, in the order of the snapshot, with their errors."""

    case_ids: list[int]
    errors: Errors

    def within(self, tolerance: float) -> "Erred":
        return replace(self, errors=replace(self.errors, tolerance=tolerance))


def read_number_errors(
    connection: sqlite3.Connection, model: Model, snapshot: Snapshot, evaluation: Evaluation, at: int = 0
) -> Erred:
    """How far a model's number is from the reference, for the quantity at a place, in its unit."""
    assert isinstance(snapshot.schema, Regression)
    fold = evaluation.result.get("fold")
    pairs = list_pairs(connection, model, snapshot, snapshot.schema, evaluation.split, fold, at)
    values = np.array([abs(pair.predicted - pair.reference) for pair in pairs])
    return Erred([pair.case_id for pair in pairs], Errors(values, _numbers([pair.patient for pair in pairs])))


def read_structure_errors(connection: sqlite3.Connection, evaluation: Evaluation, structure: str) -> Erred:
    """What Dice lacks of one, on the cases whose reference has the structure."""
    rows = [row for row in list_measured(connection, evaluation.id) if row.structure == structure]
    found = sorted((row.case_id, row.patient, row.dice) for row in rows if row.dice is not None)
    values = np.array([1 - dice for *_, dice in found])
    return Erred([case_id for case_id, *_ in found], Errors(values, _numbers([patient for _, patient, _ in found])))


def _numbers(patients: Sequence[str]) -> np.ndarray:
    return np.unique(np.array(patients, dtype=object).astype(str), return_inverse=True)[1]


def measure_error_groups(
    erred: Erred, attributes: Mapping[str, Sequence[str]], names: Sequence[str], metric: ErrorMetric
) -> list[Group]:
    """One group for each value of an attribute, or for each pair of values of two."""
    return _compare(erred, groups_by(attributes, names), metric)


def find_worst_errors(
    erred: Erred, attributes: Mapping[str, Sequence[str]], metric: ErrorMetric, *, most: int = 5
) -> tuple[list[Group], int]:
    """The slices by one attribute or by two that are most surely worse than the rest, as `subgroups.find_worst`."""
    found = _compare(erred, list_slices(attributes), metric)
    return choose_worst(found, lower_is_worse=metric != "mae", most=most)


def _compare(erred: Erred, groups: Mapping[Where, np.ndarray], metric: ErrorMetric) -> list[Group]:
    def estimated(chosen: np.ndarray, level: float) -> Estimate:
        return estimate_errors(erred.errors, chosen, metric, level)

    return compare_groups(groups, estimated, erred.errors.patients, np.ones(len(erred.case_ids), bool))


def largest_errors_in(erred: Erred, inside: np.ndarray) -> np.ndarray:
    """Positions of the cases of a group, the largest error first."""
    at = np.flatnonzero(inside)
    return np.asarray(at[np.argsort(-erred.errors.values[at], kind="stable")])
