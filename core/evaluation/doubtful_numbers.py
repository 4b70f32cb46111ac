"""Numbers that deserve a second look: a reading that the model contradicts, readers whom it is far from, a twin of
which another number was read."""

import sqlite3
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.datasets.records import Snapshot
from core.datasets.splits import list_view
from core.evaluation.doubtful import Apart, Doubtful, unlearnt
from core.evaluation.pairs import Pair, list_pairs
from core.evaluation.records import Evaluation
from core.labels.records import list_current_labels
from core.measures.calibration import half_width_at
from core.measures.label_errors import suspect_numbers
from core.projects.schema import Quantity, Regression, numbers_of
from core.tasks.regression import intervals_of
from core.training.records import Model


@dataclass(frozen=True)
class SaidNumbers:
    """What a model says of the cases of a split beside their references, for one quantity; `new` are those that it was
    not trained on. `interval` is that around its numbers, None where validation was too small to say."""

    pairs: list[Pair]
    new: list[Pair]
    schema: Regression
    at: int
    interval: dict[str, Any] | None

    @property
    def quantity(self) -> Quantity:
        return self.schema.quantities[self.at]

    @property
    def case_ids(self) -> list[int]:
        return [pair.case_id for pair in self.pairs]


def read_said_numbers(
    connection: sqlite3.Connection, model: Model, snapshot: Snapshot, evaluation: Evaluation, at: int = 0
) -> SaidNumbers:
    """The stored answers on the cases of an evaluation."""
    schema, fold = snapshot.schema, evaluation.result.get("fold")
    assert isinstance(schema, Regression)
    asked = [case for case in list_view(connection, snapshot.id, fold) if case.split == evaluation.split]
    kept = {case.case_id for case in unlearnt(connection, model, asked)}
    pairs = list_pairs(connection, model, snapshot, schema, evaluation.split, fold, at)
    interval = intervals_of(schema, model.calibration)[at]
    return SaidNumbers(pairs, [pair for pair in pairs if pair.case_id in kept], schema, at, interval)


def suspect_readings(said: SaidNumbers) -> list[Doubtful]:
    """Cases whose reference lies more than twice as far from the model's number as its interval reaches, the furthest
    first; none where it has no interval."""
    if said.interval is None:
        return []
    targets, predictions = np.array([(pair.reference, pair.predicted) for pair in said.new]).reshape(-1, 2).T
    found = []
    for k in suspect_numbers(targets, predictions, half_width_at(said.interval, predictions)).tolist():
        pair = said.new[k]
        found.append(Doubtful(pair.case_id, f"read {pair.reference:g}, model {pair.predicted:.4g}"))
    return found


def far_from_readers(connection: sqlite3.Connection, said: SaidNumbers) -> list[Doubtful]:
    """Cases on which some reader's number lies outside the model's interval, most such readers first; then those on
    which readers are further apart than that interval is wide. None where it has no interval."""
    if said.interval is None:
        return []
    read: dict[int, list[float]] = defaultdict(list)
    for label in list_current_labels(connection, [pair.case_id for pair in said.new]):
        if label.value is not None:
            read[label.case_id].append(numbers_of(said.schema, label.value)[said.at])
    found = []
    for pair in said.new:
        numbers, reach = read[pair.case_id], float(half_width_at(said.interval, pair.predicted))
        outside = sum(abs(number - pair.predicted) > reach for number in numbers)
        spread = max(numbers, default=0.0) - min(numbers, default=0.0)
        if outside or spread > 2 * reach:
            apart = f", who differ by {spread:.4g} {said.quantity.unit}" if spread else ""
            furthest = max(abs(number - pair.predicted) for number in numbers)
            why = f"far from {outside} of {len(numbers)} readers{apart}"
            found.append((-outside, -spread, -furthest, Doubtful(pair.case_id, why)))
    return [one for *_, one in sorted(found, key=lambda row: row[:3])]


def apart_by_numbers(said: SaidNumbers) -> Apart:
    """How far the references of two cases are apart."""
    read = {pair.case_id: pair.reference for pair in said.pairs}

    def apart(one: int, other: int) -> tuple[float, str]:
        far = abs(read[one] - read[other])
        return far, f"read {read[one]:g} and {read[other]:g}" if far else ""

    return apart
