"""What a frozen rule of abstention costs and gains on the test split.

The limit was chosen on validation, where its numbers flatter. So it is measured with each evaluation on test, within
the same look: no test case is read for it that is not read anyway.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.datasets.records import SnapshotCase
from core.evaluation.abstention import AUDITED, find_rule, read_withheld
from core.evaluation.records import find_evaluation
from core.measures.classified import predict_classes
from core.measures.thresholds import share_of
from core.projects.schema import Classification
from core.tasks import TrainableSchema
from core.tasks.classification import thresholds_of
from core.training.records import Model, get_run


def measure_rule(
    connection: sqlite3.Connection,
    model: Model,
    schema: TrainableSchema,
    cases: Sequence[SnapshotCase],
    targets: Any,
    scores: Any,
) -> dict[str, Any]:
    """How many of the cases the whole rule of a model answers, and of a classifier how many of those wrongly.

    Args:
        targets, scores: as the task has them, one row a case; looked into for classes alone.

    Returns:
        `{"abstention": {"split", "n", "n_patients", "n_answered", "coverage", ...}}` with the rule's own limits, and of
        a classifier `error` (the share of wrong ones among the answered) and `error_of_all` (without the rule), each
        an estimate with an interval over patients; nothing where the model has no rule.
    """
    rule = find_rule(connection, model.id)
    if rule is None:
        return {}
    said = scores if model.task in ("classification", "regression") else [()] * len(cases)
    by_case = {case.case_id: row for case, row in zip(cases, said, strict=True)}
    kept_back = read_withheld(connection, model, rule, by_case)
    answered = np.array([case.case_id not in kept_back for case in cases])
    every = np.ones(len(cases), bool)
    patients = np.unique([case.patient for case in cases], return_inverse=True)[1]
    told: dict[str, Any] = {
        "split": "test",
        **{key: rule[key] for key in AUDITED if key in rule},
        "n": len(cases),
        "n_patients": len(set(patients.tolist())),
        "n_answered": int(answered.sum()),
        "coverage": share_of(answered, every, patients, "There is no case.").to_json(),
    }
    if isinstance(schema, Classification):
        decided = predict_classes(
            np.asarray(scores), multi_label=schema.multi_label, thresholds=thresholds_of(schema, model.calibration)
        )
        wrong = (decided != np.asarray(targets)).any(axis=1)
        told["error"] = share_of(wrong & answered, answered, patients, "Nothing is answered.").to_json()
        told["error_of_all"] = share_of(wrong, every, patients, "There is no case.").to_json()
    return {"abstention": told}


def find_measured_rule(connection: sqlite3.Connection, model: Model) -> dict[str, Any] | None:
    """What the newest evaluation on test of the model's own snapshot tells of its rule; None where none does, for the
    rule was frozen after it or there is none."""
    own = get_run(connection, model.run).snapshot
    tested = find_evaluation(connection, model.id, own, "test")
    return tested.result.get("abstention") if tested else None
