"""How a model of numbers or of painted structures errs on the parts of a split, and where it does worst; a classifier's
parts are in `subgroups`."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.datasets.records import Snapshot
from core.datasets.splits import list_view
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
    """The cases of a split on which there is an error to speak of, in the order of the snapshot, with their errors;
    `evaluated` are all that were measured."""

    case_ids: list[int]
    errors: Errors
    evaluated: list[int]

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
    return _erred([(pair.case_id, pair.patient) for pair in pairs], values)


def read_structure_errors(
    connection: sqlite3.Connection, snapshot: Snapshot, evaluation: Evaluation, structure: str
) -> Erred:
    """What Dice lacks of one, on the cases whose reference has the structure."""
    rows = {row.case_id: row for row in list_measured(connection, evaluation.id) if row.structure == structure}
    cases = list_view(connection, snapshot.id, evaluation.result.get("fold"))
    measured = [rows[case.case_id] for case in cases if case.case_id in rows]
    dice = np.array([np.nan if row.dice is None else row.dice for row in measured], float)
    return _erred([(row.case_id, row.patient) for row in measured], 1 - dice)


def _erred(cases: Sequence[tuple[int, str]], values: np.ndarray) -> Erred:
    """Of all that were measured, the cases that have an error."""
    known = np.flatnonzero(~np.isnan(values))
    patients = np.array([patient for _, patient in cases], dtype=object).astype(str)[known]
    numbers = np.unique(patients, return_inverse=True)[1]
    evaluated = [case_id for case_id, _ in cases]
    return Erred([evaluated[at] for at in known], Errors(values[known], numbers), evaluated)


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
