"""The operating point of a classifier: looked for among what it says on validation, and frozen as a model of its own.

A model never changes, and neither does what it decided about a case. So a new point makes a new model of the same
weights: its decisions, its numbers and its uses of the test split are its own.
"""

import sqlite3
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from core.datasets.records import Snapshot, get_snapshot
from core.errors import InvalidInput
from core.evaluation.records import count_test_uses, find_predictions, say_times, store_predictions
from core.evaluation.run import measurable_cases, split_cases
from core.measures.intervals import number_patients
from core.measures.thresholds import at_threshold
from core.people.roles import demand_of
from core.projects.schema import Classification
from core.store.audit import Actor
from core.store.database import writing
from core.tasks.classification import encode_targets, schema_of, thresholds_of
from core.training.records import Model, add_model, add_run, get_model, get_run, set_onnx


@dataclass(frozen=True)
class Scored:
    """What a classifier says of the cases of a split: probabilities `(cases, classes)` beside 0/1 targets."""

    case_ids: list[int]
    patients: list[str]
    targets: np.ndarray
    scores: np.ndarray
    classes: tuple[str, ...]

    @cached_property
    def patient_numbers(self) -> np.ndarray:
        return number_patients(self.patients)


def read_scored(connection: sqlite3.Connection, model: Model, snapshot: Snapshot, split: str) -> Scored:
    """The stored answers of a model on those cases of a split (of its fold's view, where the snapshot is its own) that
    it is measured on.

    Raises:
        InvalidInput: the model or the snapshot is of another task, or not all of the split was answered: a look for
            drift or drafts answers some of it, which are not the split.
    """
    schema = snapshot.schema
    if model.task != "classification" or not isinstance(schema, Classification):
        raise InvalidInput(f"Thresholds are of classifiers. Received: {model.task}")
    run = get_run(connection, model.run)
    cases = split_cases(connection, snapshot, split, run.fold if run.snapshot == snapshot.id else None)
    cases = measurable_cases(connection, model, cases)
    known = find_predictions(connection, model.id, (case.case_id for case in cases))
    if not cases or len(known) < len(cases):
        some = len(known) or "none"
        raise InvalidInput(f"Evaluate {model.name} on {split} first. Received: {some} of {len(cases)} cases answered")
    return Scored(
        [case.case_id for case in cases],
        [case.patient for case in cases],
        encode_targets(schema, [case.value for case in cases]).astype(int),
        np.array([known[case.case_id] for case in cases]),
        schema.names,
    )


def classes_with_threshold(schema: Classification) -> tuple[str, ...]:
    """The classes that a threshold decides: the second of two, each of several answers, none of exclusive three."""
    if schema.multi_label:
        return schema.names
    return schema.names[1:] if len(schema.names) == 2 else ()


def freeze_point(
    connection: sqlite3.Connection, model: Model, of_class: str, value: float, *, name: str = "", actor: Actor
) -> Model:
    """A model of the same weights that decides for a class from this probability on.

    What that gives on the validation split of its own snapshot is kept with it, and how often the test split had been
    used before.

    Raises:
        InvalidInput: no such class is decided by a threshold, the value is no probability, or validation was not
            answered yet.
        Conflict: the name is taken.
        NotAllowed: the actor may not train here.
    """
    schema = schema_of(model.facts)
    offered = classes_with_threshold(schema)
    if of_class not in offered:
        raise InvalidInput(
            f"A threshold decides for one of {', '.join(offered) or 'no class: the highest probability does'}. "
            f"Received: {of_class}"
        )
    if not 0 < value < 1:
        raise InvalidInput(f"A threshold is a probability between 0 and 1. Received: {value}")
    run = get_run(connection, model.run)
    snapshot = get_snapshot(connection, model.project, run.snapshot)
    seen = read_scored(connection, model, snapshot, "validation")
    chosen = dict(model.calibration.get("thresholds") or {})
    chosen |= {of_class: _describe(seen, of_class, value, actor, count_test_uses(connection, snapshot.id, run.fold))}
    facts = {
        **model.facts,
        "calibration": {**model.calibration, "thresholds": chosen},
        "point_of": model.facts.get("point_of", model.id),
    }
    with writing(connection):
        demand_of(connection, actor, "train", model.project)
        again = add_run(
            connection,
            project=model.project,
            snapshot=run.snapshot,
            recipe=run.recipe,
            name=name.strip() or f"{model.name} from {value:.3f}",
            fold=run.fold,
            told={"point_of": model.id},
            actor=actor,
        )
        made = add_model(
            connection,
            again,
            keras_hash=model.keras_hash,
            onnx_left_out_because=model.onnx_left_out_because,
            parameters=model.parameters,
            file_bytes=model.file_bytes,
            facts=facts,
            seconds=run.seconds or 0.0,
            actor=actor,
        )
        set_onnx(connection, made.id, model.onnx_hash, model.onnx_left_out_because)
        made = get_model(connection, None, made.id)
        # The same weights say the same; only what is decided of it is new. Of the test split nothing is copied.
        answers = dict(zip(seen.case_ids, seen.scores.tolist(), strict=True))
        store_predictions(connection, made, schema, answers)
    return made


def _describe(seen: Scored, of_class: str, value: float, actor: Actor, uses: int) -> dict[str, Any]:
    k = seen.classes.index(of_class)
    positive = seen.targets[:, k] == 1
    found = at_threshold(positive, seen.scores[:, k], seen.patient_numbers, value, float(positive.mean()))
    before = f", after the test split had been used {say_times(uses)}" if uses else ""
    return {
        "value": value,
        "rule": f"chosen by {actor.name} on validation{before}",
        "sensitivity": found.sensitivity.value,
        "specificity": found.specificity.value,
        "n": len(positive),
    }


def frozen_thresholds(model: Model, schema: Classification) -> dict[str, float]:
    """From which probability on the model decides for each class that a threshold decides."""
    values = thresholds_of(schema, model.calibration) or [0.5] * len(schema.names)
    return {name: values[schema.names.index(name)] for name in classes_with_threshold(schema)}
