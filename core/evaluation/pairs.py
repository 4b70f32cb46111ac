"""What was measured of a regression, case by case: the points of its plots."""

import sqlite3
from dataclasses import dataclass

from core.datasets.records import Snapshot
from core.datasets.splits import list_view
from core.evaluation.records import find_predictions
from core.evaluation.run import measurable_cases
from core.projects.schema import Regression, numbers_of
from core.tasks.regression import decode_scores
from core.training.records import Model


@dataclass(frozen=True)
class Pair:
    """The frozen reference of a case and what a model says of it, both in the unit of the quantity."""

    case_id: int
    reference: float
    predicted: float
    patient: str = ""


def list_pairs(
    connection: sqlite3.Connection,
    model: Model,
    snapshot: Snapshot,
    schema: Regression,
    split: str,
    fold: int | None,
    at: int = 0,
) -> list[Pair]:
    """The cases of a split (of a fold's view of it) that the model is measured on and has answered, in the snapshot's
    order; `at` is the place of the quantity among those of the schema."""
    view = [case for case in list_view(connection, snapshot.id, fold) if case.split == split]
    asked = measurable_cases(connection, model, view)
    scores = find_predictions(connection, model.id, (case.case_id for case in asked))
    return [
        Pair(
            case.case_id,
            numbers_of(schema, case.value)[at],
            numbers_of(schema, decode_scores(schema, scores[case.case_id]))[at],
            case.patient,
        )
        for case in asked
        if case.case_id in scores
    ]
