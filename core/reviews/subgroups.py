"""The numbers of one subgroup after the other, from the predictions that an evaluation has stored."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.datasets.records import Snapshot, SnapshotCase
from core.datasets.splits import list_view
from core.evaluation.records import Evaluation, find_predictions, list_measured
from core.evaluation.run import SEED
from core.measures.segmentation import Compared
from core.tasks import module_of, trainable_schema
from core.training.records import Model

MOST_GROUPS = 20  # an attribute with more values names cases rather than groups


def list_attributes(connection: sqlite3.Connection, snapshot_id: int) -> dict[str, int]:
    """{attribute: how many values it has} among the cases of a snapshot."""
    rows = connection.execute(
        """SELECT name, count(DISTINCT case_attributes.value) AS n FROM case_attributes
           JOIN snapshot_cases USING (case_id) WHERE snapshot = ? GROUP BY name ORDER BY name""",
        (snapshot_id,),
    )
    return {row["name"]: row["n"] for row in rows}


def map_attribute(connection: sqlite3.Connection, name: str, case_ids: Sequence[int]) -> dict[int, str]:
    """{case: value} of those of the cases that say something of an attribute."""
    rows = connection.execute(
        """SELECT case_id, value FROM case_attributes
           WHERE name = ? AND case_id IN (SELECT value FROM json_each(?))""",
        (name, json.dumps(list(case_ids))),
    )
    return {row["case_id"]: row["value"] for row in rows}


def measure_subgroups(
    connection: sqlite3.Connection, model: Model, snapshot: Snapshot, evaluation: Evaluation, attribute: str
) -> dict[str, dict[str, Any]]:
    """{value of the attribute: the document of an evaluation on the cases that have it}, in the order of the values.

    Cases of which the attribute is not known are in none of them.
    """
    fold = evaluation.result.get("fold")
    cases = [case for case in list_view(connection, snapshot.id, fold) if case.split == evaluation.split]
    value_of = map_attribute(connection, attribute, [case.case_id for case in cases])
    groups: dict[str, list[SnapshotCase]] = {}
    for case in cases:
        if case.case_id in value_of:
            groups.setdefault(value_of[case.case_id], []).append(case)
    answered = _answers(connection, model, snapshot, evaluation, cases)
    return {
        value: _measure(model, snapshot, evaluation, answered, known)
        for value, members in sorted(groups.items())
        if (known := [case for case in members if case.case_id in answered])
    }


def _answers(
    connection: sqlite3.Connection,
    model: Model,
    snapshot: Snapshot,
    evaluation: Evaluation,
    cases: Sequence[SnapshotCase],
) -> Mapping[int, Any]:
    """By case the scores, or of a task that paints one comparison for each structure."""
    schema = trainable_schema(snapshot.schema)
    if not module_of(schema).PAINTS:
        return find_predictions(connection, model.id, [case.case_id for case in cases])
    by_case: dict[int, dict[str, Compared]] = {}
    for row in list_measured(connection, evaluation.id):
        told = {key: getattr(row, key) for key in Compared.__dataclass_fields__}
        told |= {key: float("nan") for key, value in told.items() if value is None}
        by_case.setdefault(row.case_id, {})[row.structure] = Compared(**told)
    return {case_id: [ones[name] for name in evaluation.result["structures"]] for case_id, ones in by_case.items()}


def _measure(
    model: Model,
    snapshot: Snapshot,
    evaluation: Evaluation,
    answered: Mapping[int, Any],
    cases: Sequence[SnapshotCase],
) -> dict[str, Any]:
    schema = trainable_schema(snapshot.schema)
    task = module_of(schema)
    found: Any = [answered[case.case_id] for case in cases]
    targets: Any
    if task.PAINTS:
        targets = evaluation.result["unit"]
    else:
        targets, found = task.encode_targets(schema, [case.value for case in cases]), np.array(found)
    return task.measure(schema, targets, found, [case.patient for case in cases], model.calibration, seed=SEED)
