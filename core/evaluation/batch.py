"""A model on many cases of a project: which are new to it, its answers kept, and those answers as rows of a table."""

import csv
import io
import sqlite3
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.cells import guard
from core.errors import CoreError, InvalidInput
from core.evaluation.abstention import find_rule, read_withheld
from core.evaluation.answering import answer_cases
from core.evaluation.records import find_predicted_masks, find_predictions, list_unlearnt
from core.images.frames import refuse_single, refuse_unscaled, refuse_volume
from core.images.records import Case, get_cases
from core.images.render import refuse_window
from core.labels.masks import volume_ml
from core.progress import Progress
from core.projects.schema import Classification, Regression
from core.store.files import Files
from core.tasks import TrainableSchema, task_module
from core.tasks.regression import tell_numbers
from core.training.ensemble import runs_learnt
from core.training.records import Model
from core.training.stored import learnt_singles, model_spec, sees_volumes

WITHHELD = "no answer: read it yourself"


def list_new_cases(connection: sqlite3.Connection, model: Model, *, since: str | None = None) -> list[int]:
    """The real cases of a model's project that are in no snapshot it was trained on, oldest first.

    Args:
        since: only what was imported after this moment, as stored.
    """
    snapshots = {run.snapshot for run in runs_learnt(connection, model)}
    volumes = sees_volumes(model) or task_module(model.task).PAINTS
    return list_unlearnt(connection, model.project, snapshots, since=since, volumes=volumes)


def predict_new_cases(
    connection: sqlite3.Connection, files: Files, model: Model, case_ids: Sequence[int], progress: Progress
) -> dict[str, Any]:
    """Let a model answer those of the cases that it has not answered, and keep each answer; the body of a job.

    Returns:
        `{"model", "cases", "predicted", "failed", "refused"}`: counts, those answered by this call among them, and of
        each case that the model cannot take in `{"case", "reason"}`.

    Raises:
        InvalidInput: the model draws, or a case is of another project.
        Stopped: somebody asked to stop; what was found until then is kept.
    """
    if task_module(model.task).DRAWS:
        raise InvalidInput(f"A model that draws answers nothing about an image; use generate. Received: {model.name}")
    known = find_predictions(connection, model.id, case_ids)
    asked, refused = fit_for(connection, model, [one for one in case_ids if one not in known])
    answer_cases(connection, files, model, asked, progress)
    counts = {"cases": len(case_ids), "predicted": len(asked), "failed": len(refused)}
    return {"model": model.name, **counts, "refused": refused}


def fit_for(
    connection: sqlite3.Connection, model: Model, case_ids: Sequence[int]
) -> tuple[list[int], list[dict[str, Any]]]:
    """The cases that a model can take in; of each other one why not, so that one of them stops no batch."""
    paints, spec = task_module(model.task).PAINTS, model_spec(model)
    singles = learnt_singles(model)
    asked, refused = list[int](), list[dict[str, Any]]()
    for case in get_cases(connection, case_ids):
        if case.project != model.project:
            raise InvalidInput(f"A model answers about cases of its own project. Received: case {case.id}")
        try:
            refuse_window(spec.window, case.modality, case.dtype)
            refuse_unscaled(case, spec)
            refuse_single(case, spec, learnt=singles)
            if not (paints or sees_volumes(model)):
                refuse_volume(case, "predict on")
            asked.append(case.id)
        except CoreError as error:
            refused.append({"case": case.id, "reason": str(error)})
    return asked, refused


def describe_answers(
    connection: sqlite3.Connection, model: Model, case_ids: Sequence[int], *, names: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """One row a case that the model has answered, in the order of the cases: what it says, and where the rule frozen
    with the model keeps the answer back why.

    Args:
        names: what the model's classes are called today, in its own order; else as it learnt them.

    Returns:
        `{"case", "source", "patient", "answer", "withheld"}` beside `{"probabilities": {class: p}}`, `{"value", "unit",
        "interval"}` (see `interval_around`), of several quantities `{"numbers": [{"target", "unit", "value",
        "interval"}]}`, or `{"structures": {name: {"pixels", "volume_ml", "probability"}}}`. A withheld answer reads
        `WITHHELD`, and `withheld` says why; else that is "".
    """
    known = find_predictions(connection, model.id, case_ids)
    answered = [case_id for case_id in case_ids if case_id in known]
    schema = task_module(model.task).schema_of(model.facts)
    kept_back = read_withheld(connection, model, find_rule(connection, model.id), {one: known[one] for one in answered})
    cases = {case.id: case for case in get_cases(connection, answered)}
    rows = []
    for case_id in answered:
        case, why = cases[case_id], kept_back.get(case_id, "")
        said = _said(connection, model, schema, case, known[case_id], names)
        row = {"case": case.id, "source": case.source, "patient": case.patient, **said, "withheld": why}
        rows.append(row | ({"answer": WITHHELD} if why else {}))
    return rows


def _said(
    connection: sqlite3.Connection,
    model: Model,
    schema: TrainableSchema,
    case: Case,
    scores: Sequence[float],
    names: Sequence[str],
) -> dict[str, Any]:
    decoded = task_module(model.task).decode_scores(schema, np.asarray(scores), model.calibration)
    if isinstance(schema, Classification):
        today = dict(zip(schema.names, names or schema.names, strict=True))
        answer = ", ".join(today[name] for name in decoded["classes"]) or "none of them"
        return {"answer": answer, "probabilities": dict(zip(today.values(), map(float, scores), strict=True))}
    if isinstance(schema, Regression):
        told = tell_numbers(schema, decoded, model.calibration)
        numbers = ((f"{one['target']} ", one) for one in told["numbers"]) if schema.further else [("", told)]
        return {"answer": ", ".join(f"{name}{one['value']:.4g} {one['unit']}" for name, one in numbers), **told}
    probable = dict(zip(schema.names, map(float, scores), strict=True))
    painted = {
        mask.structure: {
            "pixels": mask.pixels,
            "volume_ml": volume_ml(case, mask.pixels),
            "probability": probable[mask.structure],
        }
        for mask in find_predicted_masks(connection, model.id, case.id)
    }
    found = [name for name, told in painted.items() if told["pixels"]]
    return {"answer": ", ".join(found) or "nothing painted", "structures": painted}


def flat_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `describe_answers` with one value a column, for tables and CSV.

    A withheld answer keeps its numbers to itself: a number in the next column would be read as the answer."""
    told = {"case": row["case"], "source": row["source"], "patient": row["patient"], "answer": row["answer"]}
    withheld = bool(row["withheld"])
    for name, score in row.get("probabilities", {}).items():
        told[f"p({name})"] = None if withheld else score
    if "value" in row:
        told |= _number_columns(row, "", withheld=withheld)
    for one in row.get("numbers", ()):  # the comma keeps them apart from every other column: no quantity has one
        told |= _number_columns(one, f"{one['target']}, {one['unit']}", withheld=withheld)
    for name, one in row.get("structures", {}).items():
        told[f"{name} pixels"] = None if withheld else one["pixels"]
        told[f"{name} ml"] = None if withheld else one["volume_ml"]
    return told | {"withheld because": row["withheld"]}


def _number_columns(one: dict[str, Any], name: str, *, withheld: bool) -> dict[str, Any]:
    """A number with its interval, one value a column; of several quantities each column begins with the `name`."""
    interval, before = one["interval"] or {}, f"{name}, " if name else ""
    told = {"value": one["value"], "low": interval.get("low"), "high": interval.get("high")}
    columns = {name if key == "value" and name else before + key: number for key, number in told.items()}
    return dict.fromkeys(columns) | ({} if withheld else columns) | {before + "interval level": interval.get("level")}


def number_columns(row: dict[str, Any]) -> list[str]:
    """The columns of `flat_row` that hold what a model says in numbers, to be shown with as many digits."""
    flat = flat_row(row)
    several = [f"{one['target']}, {one['unit']}" for one in row.get("numbers", ())]
    names = {name + end for name in several for end in ("", ", low", ", high")} | {"value", "low", "high"}
    return [name for name in flat if name.startswith("p(") or name in names or name.endswith(" ml")]


def answers_csv(model: Model, rows: Sequence[dict[str, Any]]) -> str:
    """The rows as CSV, each with the model's name; cells that look like formulas are guarded."""
    flat = [{"model": model.name, **flat_row(row)} for row in rows]
    columns = list(dict.fromkeys(key for row in flat for key in row)) or ["model", "case", "answer"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writerow({name: guard(name) for name in columns})
    writer.writerows({key: guard(cell) if isinstance(cell, str) else cell for key, cell in row.items()} for row in flat)
    return text.getvalue()
