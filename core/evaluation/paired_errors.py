"""Two models that say numbers or paint structures, on the same cases: the difference of their mean errors, or of their
overlap, with an interval over patients that pairs them, and the cases that changed."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.datasets.records import Snapshot
from core.errors import InvalidInput
from core.evaluation.comparison import demand_unseen, shared_fold
from core.evaluation.paired_parts import SEED, Numbers, PairedPart, Sides, compare_part, shared_cases
from core.evaluation.pairs import list_pairs
from core.evaluation.records import find_evaluation, list_measured
from core.evaluation.run import measurable_cases, split_cases
from core.evaluation.seed_noise import differ_in_seed_alone, list_trainings, seed_noise_of
from core.measures.estimates import Estimate
from core.measures.intervals import LEVEL, RESAMPLES
from core.projects.schema import Regression, Segmentation
from core.training.records import Model

UNKNOWN_NOISE = "Seed noise unknown: it takes three trainings of a recipe that differ in their seed."


@dataclass(frozen=True)
class PairedErrors:
    """By quantity the difference of the mean absolute error in its unit (below zero the second model is better), or by
    structure that of the Dice (above zero it is). `note` says what the verdicts stand on."""

    first: str
    second: str
    snapshot: str
    split: str
    parts: tuple[PairedPart, ...]
    n_cases: int
    n_patients: int
    comparisons: int
    fold: int | None = None

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(part.sentence for part in self.parts)

    @property
    def differences(self) -> dict[str, Estimate]:
        return {f"{part.name}, difference": part.difference for part in self.parts}

    @property
    def note(self) -> str:
        together = self.comparisons * len(self.parts)
        told = [
            f"{together} comparisons: the verdicts stand on intervals so wide that all hold together (Bonferroni)."
            if together > 1
            else "",
            UNKNOWN_NOISE if any(part.seed_noise is None for part in self.parts) else "",
        ]
        return " ".join(filter(None, told))

    def to_json(self) -> dict[str, Any]:
        """As the document of `compare --json`: like that of two classifiers, where a number has one name in both."""
        told = {**asdict(self), "parts": {part.name: _part_json(part) for part in self.parts}}
        sentence = " ".join(filter(None, (*self.sentences, self.note)))
        return {**told, "sentence": sentence, "seed": SEED, "level": LEVEL, "resamples": RESAMPLES}


def _part_json(part: PairedPart) -> dict[str, Any]:
    changed = {"better": [one.case_id for one in part.better], "worse": [one.case_id for one in part.worse]}
    return {**asdict(part), "difference": part.difference.to_json(), **changed}


def compare_errors(
    connection: sqlite3.Connection,
    first: Model,
    second: Model,
    snapshot: Snapshot,
    split: str,
    *,
    comparisons: int = 1,
) -> PairedErrors:
    """How much better the second is than the first, on the cases for which both have a number; patients are drawn once
    for both.

    Args:
        comparisons: how many pairs of models are compared at once.

    Raises:
        InvalidInput: they answer another question, one of them has not answered this split or has learnt from it.
    """
    schema = snapshot.schema
    if not isinstance(schema, Regression | Segmentation) or {first.task, second.task} != {snapshot.task}:
        raise InvalidInput(
            "Paired differences of errors are of numbers and of painted structures. "
            f"Received: {first.task}, {second.task}"
        )
    fold = shared_fold(connection, (first, second), snapshot)
    cases = split_cases(connection, snapshot, split, fold)
    for model in (first, second):
        cases = measurable_cases(connection, model, cases)
    demand_unseen(connection, (first, second), cases)
    for model in (first, second):
        if find_evaluation(connection, model.id, snapshot.id, split) is None:
            raise InvalidInput(f"Evaluate {model.name} on {split} of {snapshot.name} first. Received: no evaluation")
    both = [_read_numbers(connection, model, snapshot, split, fold) for model in (first, second)]
    seeds = _read_seeds(connection, (first, second), snapshot, split, fold)
    patient_of = {case.case_id: case.patient for case in cases}
    models, is_error = (first.name, second.name), isinstance(schema, Regression)
    only_seeds = differ_in_seed_alone(connection, (first, second))
    level = 1 - (1 - LEVEL) / max(1, comparisons * len(both[0]))
    parts = [
        compare_part(
            Sides(models, name, of, (both[0][name], both[1][name]), patient_of, is_error, only_seeds),
            seed_noise_of(_means_of_seeds(name, both, seeds)), level=level,
        )
        for name, of in zip(both[0], _of_parts(schema), strict=True)
    ]  # fmt: skip
    compared = {case for one in both[0] for case in shared_cases((both[0][one], both[1][one]))} & set(patient_of)
    told = first.name, second.name, snapshot.name, split
    n_patients = len({patient_of[case] for case in compared})
    return PairedErrors(*told, tuple(parts), len(compared), n_patients, comparisons, fold)


def _read_numbers(
    connection: sqlite3.Connection, model: Model, snapshot: Snapshot, split: str, fold: int | None
) -> dict[str, Numbers]:
    """By quantity the absolute error of each case, or by structure its Dice where it has one."""
    schema = snapshot.schema
    if isinstance(schema, Regression):
        return {
            f"MAE{f' of {quantity.target}' if schema.further else ''}, {quantity.unit}": Numbers(
                {
                    one.case_id: abs(one.predicted - one.reference)
                    for one in list_pairs(connection, model, snapshot, schema, split, fold, at)
                }
            )
            for at, quantity in enumerate(schema.quantities)
        }
    assert isinstance(schema, Segmentation)
    found = {f"Dice of {name}": Numbers() for name in schema.names}
    evaluation = find_evaluation(connection, model.id, snapshot.id, split)
    for row in list_measured(connection, evaluation.id) if evaluation else ():
        numbers = found[f"Dice of {row.structure}"]
        if row.dice is not None:
            numbers.of_case[row.case_id] = row.dice
        elif row.reference_pixels == 0:
            numbers.of_empty[row.case_id] = float(row.predicted_pixels == 0)
    return found


def _read_seeds(
    connection: sqlite3.Connection, pair: tuple[Model, Model], snapshot: Snapshot, split: str, fold: int | None
) -> list[list[dict[str, Numbers]]]:
    """Of each recipe of the pair what its trainings have, one for each seed that was evaluated here."""
    return [
        list({seed: _read_numbers(connection, model, snapshot, split, fold) for seed, model in models
              if find_evaluation(connection, model.id, snapshot.id, split)}.values())
        for models in list_trainings(connection, pair)
    ]  # fmt: skip


def _means_of_seeds(
    name: str, both: Sequence[Mapping[str, Numbers]], seeds: Sequence[Sequence[Mapping[str, Numbers]]]
) -> list[list[float]]:
    """The mean of each training over the cases that are compared, where it has a number of each of them."""
    ids = shared_cases((both[0][name], both[1][name]))
    return [
        [
            float(np.mean([one[name].of_case[case] for case in ids]))
            for one in recipe
            if ids and all(case in one[name].of_case for case in ids)
        ]
        for recipe in seeds
    ]


def _of_parts(schema: Regression | Segmentation) -> tuple[str, ...]:
    return tuple(one.target for one in schema.quantities) if isinstance(schema, Regression) else schema.names
