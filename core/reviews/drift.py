"""Drift: whether the cases that came in since a model went into production are like those of its snapshot.

Watched are what the model says, against its answers on validation (on training cases it is surer than on any other),
and what comes in, pixels and attributes, against train and validation. The test split is not read.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.clock import utc_now
from core.datasets.records import SnapshotCase
from core.errors import InvalidInput
from core.evaluation.batch import list_new_cases, predict_new_cases
from core.evaluation.records import find_predictions
from core.evaluation.subgroups import MOST_VALUES, is_a_name, number_of, read_known
from core.images.records import get_cases
from core.images.statistics import describe_pixels
from core.measures.drift import ALPHA, LARGE, compare_samples
from core.progress import Portion, Progress, stop_if_asked
from core.projects.schema import Classification
from core.reviews.registry import find_production, list_moves
from core.store.database import writing
from core.store.files import Files
from core.tasks import task_module
from core.training.ensemble import runs_behind
from core.training.records import Model
from core.training.request import cases_of_run

LEAST_NEW = 30  # patients; of fewer nothing is said
MOST_CASES = 500  # of each side; more tell a shift no better that is large enough to matter
RULE = (
    f"An alarm is a quantity with p below {ALPHA:g} after Holm's correction over all that are watched, and a distance "
    f"of {LARGE:g} or more (Kolmogorov-Smirnov; of words total variation). One case a patient counts."
)
REMEDY = (
    "Look at the newest cases: another scanner, another export or other patients? Evaluate the model on some that are "
    "labelled before its answers are relied on, and train again with them where it does worse."
)
Samples = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class DriftCheck:
    """One look at the new cases; `told` is the document of `drift --json`."""

    id: int
    project: int
    model: int
    told: dict[str, Any]
    made_at: str

    @property
    def alarms(self) -> bool:
        return bool(self.told["state"] == "drifted")


def find_drift(connection: sqlite3.Connection, project_id: int) -> DriftCheck | None:
    """The newest check of the model that is in production now, or None."""
    model = find_production(connection, project_id)
    return None if model is None else _find_last(connection, model)


def _find_last(connection: sqlite3.Connection, model: Model) -> DriftCheck | None:
    row = connection.execute(
        "SELECT * FROM drift_checks WHERE model = ? ORDER BY id DESC LIMIT 1", (model.id,)
    ).fetchone()
    return DriftCheck(**{**dict(row), "told": json.loads(row["told"])}) if row else None


def list_unchecked(connection: sqlite3.Connection, before: str) -> list[int]:
    """The projects with a model in production whose newest check is from before this moment, or from before the
    newest case came in, or that have none."""
    due = []
    for row in connection.execute("SELECT DISTINCT project FROM stages ORDER BY project").fetchall():
        model = _find_watched(connection, row["project"])
        if model is None:
            continue
        last = _find_last(connection, model)
        newest = connection.execute(
            "SELECT imported_at FROM cases WHERE project = ? ORDER BY id DESC LIMIT 1", (model.project,)
        ).fetchone()
        if last is None or last.made_at < before or (newest and newest["imported_at"] > last.made_at):
            due.append(model.project)
    return due


def _find_watched(connection: sqlite3.Connection, project_id: int) -> Model | None:
    """The model in production, where it answers about images."""
    model = find_production(connection, project_id)
    return None if model is None or task_module(model.task).DRAWS else model


def check_drift(connection: sqlite3.Connection, files: Files, project_id: int, progress: Progress) -> dict[str, Any]:
    """Compare the cases imported since promotion with those of the snapshot, and keep what is found.

    Returns:
        `{"project", "model", "since", "state", "n_new", "least", "quantities", "notes", "sentence"}`; `state` is
        `too few`, `steady` or `drifted`, a quantity is a `Shift` as JSON.

    Raises:
        InvalidInput: no model is in production, or it draws.
        Stopped: somebody asked to stop; nothing but answers to single cases is kept.
    """
    model = _find_watched(connection, project_id)
    if model is None:
        drawing = find_production(connection, project_id)
        raise InvalidInput(
            f"Drift is watched of a model in production that answers about images. "
            f"Received: {drawing.name if drawing else 'none'}"
        )
    look = _look(connection, model)
    if len(look.new) < LEAST_NEW:
        return _keep(connection, look, _too_few(look))
    return _keep(connection, look, _compared(connection, files, look.model, look.new[-MOST_CASES:], progress))


def settle_few(connection: sqlite3.Connection, project_id: int) -> bool:
    """Where too few new cases have come in, keep that as `check_drift` does: the database tells it, no image is read.

    Returns:
        Whether there is nothing more to do; else `check_drift` is due.
    """
    model = _find_watched(connection, project_id)
    if model is None:
        return True
    look = _look(connection, model)
    if len(look.new) >= LEAST_NEW:
        return False
    with writing(connection):
        if _find_watched(connection, project_id) == model:  # nobody retired or erased it meanwhile
            _keep(connection, look, _too_few(look))
    return True


def count_missing(connection: sqlite3.Connection, model: Model) -> int:
    """How many patients with new cases are still missing before a check of the model in production can say anything."""
    since = _since(connection, model)
    new = list_new_cases(connection, model, since=since)
    patients: set[str] = set()
    for start in range(0, len(new), MOST_CASES):  # the first few hundred mostly tell it
        patients |= {case.patient for case in get_cases(connection, new[start : start + MOST_CASES])}
        if len(patients) >= LEAST_NEW:
            return 0
    return LEAST_NEW - len(patients)


def _since(connection: sqlite3.Connection, model: Model) -> str:
    """When a model went into production last."""
    return next(move.at for move in list_moves(connection, model.project) if move.model == model.id)


@dataclass(frozen=True)
class _Look:
    """What is checked: the model in production since a moment, and a new case of each patient, as of `made_at`."""

    model: Model
    since: str
    new: list[int]
    made_at: str


def _look(connection: sqlite3.Connection, model: Model) -> _Look:
    made_at = utc_now()  # what comes in while this runs is looked at by the next
    since = _since(connection, model)
    cases = get_cases(connection, list_new_cases(connection, model, since=since))
    return _Look(model, since, _one_a_patient((case.id, case.patient) for case in cases), made_at)


def _too_few(look: _Look) -> dict[str, Any]:
    sentence = (
        f"Too few yet: {len(look.new)} of {LEAST_NEW} patients with new cases since {look.model.name} went into "
        f"production."
    )
    return {"state": "too few", "quantities": [], "notes": [], "sentence": sentence}


def _keep(connection: sqlite3.Connection, look: _Look, found: dict[str, Any]) -> dict[str, Any]:
    project, name = look.model.project, look.model.name
    told = {"project": project, "model": name, "since": look.since, "n_new": len(look.new), "least": LEAST_NEW, **found}
    with writing(connection):
        connection.execute(
            "INSERT INTO drift_checks (project, model, told, made_at) VALUES (?, ?, ?, ?)",
            (project, look.model.id, json.dumps(told, allow_nan=False), look.made_at),
        )
    return told


def _one_a_patient(cases: Iterable[tuple[int, str]]) -> list[int]:
    """The first case of each patient: images of one patient are alike, and a test counts them as independent."""
    first: dict[str, int] = {}
    for case_id, patient in cases:
        first.setdefault(patient, case_id)
    return list(first.values())


def _compared(
    connection: sqlite3.Connection, files: Files, model: Model, new: Sequence[int], progress: Progress
) -> dict[str, Any]:
    train, validation = _learnt(connection, model)
    before = _some(_one_a_patient((one.case_id, one.patient) for one in (*train, *validation)))
    taught = {one.patient for one in train}
    held_out = _some(_one_a_patient((one.case_id, one.patient) for one in validation if one.patient not in taught))
    numbers, words = _attributes(connection, before, new)
    numbers |= _pixels(connection, files, before, new, Portion(progress, 0.0, 0.3))
    notes = []
    if len(held_out) < LEAST_NEW:
        notes.append(
            f"What the model says is not compared: {len(held_out)} of {LEAST_NEW} patients of validation that none of "
            f"its trainings learnt from."
        )
    else:
        numbers |= _scores(connection, files, model, held_out, new, Portion(progress, 0.3, 0.95))
    shifts = compare_samples(numbers, words)
    loud = [one.name for one in shifts if one.alarms]
    sentence = (
        f"New cases differ from those of the snapshot of {model.name} in {', '.join(loud)}."
        if loud
        else f"New cases are like those of the snapshot of {model.name}, as far as {len(shifts)} quantities tell."
    )
    progress.report(1.0, sentence)
    state = "drifted" if loud else "steady"
    return {"state": state, "quantities": [one.to_json() for one in shifts], "notes": notes, "sentence": sentence}


def _learnt(connection: sqlite3.Connection, model: Model) -> tuple[list[SnapshotCase], list[SnapshotCase]]:
    """The real cases that the trainings behind a model learnt from, and those that they were validated on."""
    train, validation = list[SnapshotCase](), list[SnapshotCase]()
    for run in runs_behind(connection, model):
        some = cases_of_run(connection, run)
        train += some[0]
        validation += some[1]
    return train, validation


def _some(case_ids: Sequence[int]) -> list[int]:
    """At most so many of them, always the same."""
    if len(case_ids) <= MOST_CASES:
        return list(case_ids)
    chosen = np.random.default_rng(0).choice(len(case_ids), MOST_CASES, replace=False)
    return [case_ids[at] for at in np.sort(chosen).tolist()]


def _attributes(
    connection: sqlite3.Connection, before: Sequence[int], now: Sequence[int]
) -> tuple[Samples, dict[str, tuple[list[str], list[str]]]]:
    """What is known of the cases on both sides, as numbers and as words; names of things are left out."""
    known = read_known(connection, [*before, *now])
    cases = get_cases(connection, [*before, *now])
    known["image spacing in mm"] = [f"{case.spacing_mm[0]:g}" if case.spacing_mm else "" for case in cases]
    numbers: Samples = {}
    words: dict[str, tuple[list[str], list[str]]] = {}
    for name, values in known.items():
        parsed = [number_of(value) for value in values]
        given = [value for value in values if value]
        if len(set(given)) > MOST_VALUES and all(number is not None for number in map(number_of, given)):
            sides = parsed[: len(before)], parsed[len(before) :]
            first, second = (np.array([one for one in side if one is not None]) for side in sides)
            numbers[name] = first, second
        elif not is_a_name(values):
            told = [value or "not given" for value in values]
            words[name] = told[: len(before)], told[len(before) :]
    return numbers, words


def _pixels(
    connection: sqlite3.Connection, files: Files, before: Sequence[int], now: Sequence[int], progress: Progress
) -> Samples:
    rows = []
    for at, case in enumerate(get_cases(connection, [*before, *now])):
        stop_if_asked(progress)
        rows.append(describe_pixels(files.read_array("pixels", case.pixel_hash), case.frames))
        progress.report((at + 1) / (len(before) + len(now)), f"{at + 1} images described")
    columns = {f"pixels: {name}": np.array([row[name] for row in rows]) for name in rows[0]}
    return {name: (values[: len(before)], values[len(before) :]) for name, values in columns.items()}


def _scores(
    connection: sqlite3.Connection,
    files: Files,
    model: Model,
    before: Sequence[int],
    now: Sequence[int],
    progress: Progress,
) -> Samples:
    """What the model says of both sides, each score by its name; of two classes one tells it all."""
    predict_new_cases(connection, files, model, [*before, *now], progress)
    known = find_predictions(connection, model.id, [*before, *now])
    task = task_module(model.task)
    schema = task.schema_of(model.facts)
    names = task.output_names(schema)
    single = isinstance(schema, Classification) and not schema.multi_label and len(names) == 2
    sides = [np.array([known[one] for one in side if one in known]) for side in (before, now)]
    return {
        f"score: {name}": (sides[0][:, at], sides[1][:, at])
        for at, name in enumerate(names)
        if not (single and at == 0) and all(len(side) for side in sides)
    }
