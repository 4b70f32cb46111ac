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
from core.measures.estimates import Estimate, estimate_of
from core.measures.intervals import patient_bootstrap
from core.measures.metrics import ratio
from core.measures.shares import share_of
from core.projects.schema import Classification, Regression, Segmentation
from core.tasks import TrainableSchema, regression
from core.tasks.classification import thresholds_of
from core.training.records import Model, get_run

SEED = 0  # of the bootstrap


def measure_rule(
    connection: sqlite3.Connection,
    model: Model,
    schema: TrainableSchema,
    cases: Sequence[SnapshotCase],
    targets: Any,
    scores: Any,
) -> dict[str, Any]:
    """How many of the cases the whole rule of a model answers, and how well: of a classifier how many of those wrongly,
    of numbers and painted structures the mean error or Dice among the answered and among those kept back.

    Args:
        targets, scores: as the task has them, one row a case.

    Returns:
        `{"abstention": {"split", "n", "n_patients", "n_answered", "coverage", ...}}` with the rule's own limits, and of
        a classifier `error` (the share of wrong ones among the answered) and `error_of_all` (without the rule), each
        an estimate with an interval over patients; else `parts`: by what is measured (`MAE of age, years`, `Dice of
        liver`) an estimate for `answered` and `withheld`, with `n` and `n_patients` of the cases that have that number.
        Nothing where the model has no rule.
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
    else:
        told["parts"] = {
            name: {
                "answered": _mean_of(values, answered, patients),
                "withheld": _mean_of(values, ~answered, patients),
            }
            for name, values in _measured_parts(schema, targets, scores).items()
        }
    return {"abstention": told}


def _measured_parts(schema: TrainableSchema, targets: Any, scores: Any) -> dict[str, np.ndarray]:
    """By quantity the absolute error of each case in its unit, by structure its Dice; NaN where it has none."""
    if isinstance(schema, Regression):
        low, high = regression.range_of(schema)
        errors = np.abs(np.clip(np.asarray(scores, float), low, high) - np.asarray(targets, float))
        return {
            f"MAE{f' of {one.target}' if schema.further else ''}, {one.unit}": column
            for one, column in zip(schema.quantities, errors.T, strict=True)
        }
    assert isinstance(schema, Segmentation)
    return {
        f"Dice of {name}": np.array([row[at].dice for row in scores], float) for at, name in enumerate(schema.names)
    }


def _mean_of(values: np.ndarray, some: np.ndarray, patients: np.ndarray) -> dict[str, Any]:
    """The mean over those of the cases that have a number, with its interval over patients and what it stands on."""
    kept = some & ~np.isnan(values)
    chosen, owners = values[kept], [str(one) for one in patients[kept].tolist()]
    found = Estimate(None, None, None, reason="There is no such case.")
    if len(chosen):
        interval = patient_bootstrap(
            lambda weights: {"mean": ratio(weights @ chosen, weights.sum(axis=1))}, owners, seed=SEED
        )["mean"]
        found = estimate_of(float(chosen.mean()), interval, undefined="There is no such case.")
    return {**found.to_json(), "n": len(chosen), "n_patients": len(set(owners))}


def find_measured_rule(connection: sqlite3.Connection, model: Model) -> dict[str, Any] | None:
    """What the newest evaluation on test of the model's own snapshot tells of its rule; None where none does, for the
    rule was frozen after it or there is none."""
    own = get_run(connection, model.run).snapshot
    tested = find_evaluation(connection, model.id, own, "test")
    return tested.result.get("abstention") if tested else None
