"""One number for a recipe out of the models of all folds: each case as the model answers that never saw it.

Every case with an answer is in the test of one fold, so the test cases of all folds together are the whole snapshot,
and numbers and intervals are of as many patients. They are of the recipe; no single model has them.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.datasets.records import Snapshot, SnapshotCase, get_snapshot
from core.errors import InvalidInput
from core.evaluation.painting import warn_of_projections
from core.evaluation.records import Evaluation, find_evaluation
from core.evaluation.run import SEED, count_seen, evaluate_model, measure_bands, split_cases, warnings_of
from core.evaluation.subgroups import read_answers
from core.measures.segmentation import Compared
from core.progress import Portion, Progress
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.tasks import module_of, trainable_schema
from core.training.ensemble import runs_learnt
from core.training.records import Model, Run, get_model, get_run, list_models, list_runs

ASKED = 0.9  # share of the progress bar
OUT_OF_FOLD = "out of fold"
NO_SINGLE = ("ensemble", "point_of")  # what a run tells whose model was not trained for its fold by itself


def list_fold_models(connection: sqlite3.Connection, model: Model) -> list[Model]:
    """The models of all folds of a model's snapshot by its recipe and seed, in the order of the folds: of a fold that
    was trained twice the newest, but for the model's own.

    Where `auto` chose, the recipes of the folds may differ, as each was chosen on the training cases of its own fold;
    they belong together if the same was changed of them.

    Raises:
        InvalidInput: the model was trained for no fold, draws, or a fold has no such model yet.
    """
    run = get_run(connection, model.run)
    if run.fold is None or not _is_single(run):
        raise InvalidInput(f"Name a model that was trained for a fold (train --all-folds). Received: {model.name}")
    snapshot = get_snapshot(connection, run.project, run.snapshot)
    if module_of(trainable_schema(snapshot.schema)).DRAWS:
        raise InvalidInput(f"What draws has no answers that folds could share. Received: {model.name}")
    runs = {one.id: one for one in list_runs(connection, run.project) if _belongs(one, run)}
    found: dict[int, Model] = {}
    for one in list_models(connection, run.project):  # the newest first
        if one.run in runs:
            found.setdefault(runs[one.run].fold or 0, one)
    found[run.fold] = model
    if missing := [fold for fold in range(snapshot.folds) if fold not in found]:
        raise InvalidInput(
            f"Train the other folds by the same recipe first, {', '.join(map(str, missing))}. "
            f"Received: {len(found)} of {snapshot.folds} folds"
        )
    return [found[fold] for fold in range(snapshot.folds)]


def _is_single(run: Run) -> bool:
    return not set(NO_SINGLE) & set(run.told)


def _belongs(run: Run, to: Run) -> bool:
    alike = run.snapshot == to.snapshot and run.fold is not None and _is_single(run)
    return alike and _recipe_key(run) == _recipe_key(to)


def _recipe_key(run: Run) -> Any:
    choice = run.told.get("choice")
    return (choice["changed"], run.recipe.seed) if choice else run.recipe_hash


def cross_validate(
    connection: sqlite3.Connection,
    files: Files,
    settings: Settings,
    model_ids: Sequence[int],
    actor: Actor,
    progress: Progress,
    *,
    job: int | None = None,
) -> dict[str, Any]:
    """Pool what the models of all folds say of the test cases of their own folds, and measure it.

    A model that was not evaluated on its fold's test yet is evaluated first, which is one use of those cases. Each case
    is decided as its own model decides: by the thresholds and intervals that were chosen on its fold's validation.
    Scores of different models are ranked together, so that an AUC also holds how far the models agree in their scale.

    Args:
        model_ids: in the order of the folds (`list_fold_models`).

    Returns:
        The document of `evaluate_model` but for what is of one model, with `split` "out of fold", and `folds`: of each
        its `fold`, `model`, `model_id`, `n_cases`, and its own `value` of the task's headline `metric`.

    Raises:
        InvalidInput: a model is of another snapshot, or of a fold that another one is of too.
        Stopped: somebody asked to stop; evaluations that were made are kept.
    """
    models = [get_model(connection, None, number) for number in model_ids]
    runs = [get_run(connection, model.run) for model in models]
    snapshot = get_snapshot(connection, models[0].project, runs[0].snapshot)
    if {run.snapshot for run in runs} != {snapshot.id} or [run.fold for run in runs] != list(range(snapshot.folds)):
        raise InvalidInput(f"Name one model for each fold of a snapshot. Received: {', '.join(m.name for m in models)}")
    task, folds, n = module_of(trainable_schema(snapshot.schema)), [], len(models)
    evaluations: list[Evaluation] = []
    for at, (model, run) in enumerate(zip(models, runs, strict=True)):
        known = find_evaluation(connection, model.id, snapshot.id, "test")
        if known is None:
            part = Portion(progress, ASKED * at / n, ASKED * (at + 1) / n)
            evaluate_model(connection, files, settings, model.id, snapshot.id, "test", actor, part, job=job)
            known = find_evaluation(connection, model.id, snapshot.id, "test")
            assert known is not None
        evaluations.append(known)
        result = known.result
        value = result["metrics"].get(task.HEADLINE, {}).get("value")
        folds.append(
            {"fold": run.fold, "model": model.name, "model_id": model.id, "n_cases": result["n_cases"],
             "metric": task.HEADLINE, "value": value}
        )  # fmt: skip
    cases = [split_cases(connection, snapshot, "test", run.fold) for run in runs]
    targets, scores = _gather(connection, snapshot, models, evaluations, cases)
    progress.report(ASKED, "Measuring all folds together, with intervals over patients")
    pooled = [case for of_fold in cases for case in of_fold]
    calibrations = [model.calibration for model, of_fold in zip(models, cases, strict=True) for _ in of_fold]
    schema, patients = trainable_schema(snapshot.schema), [case.patient for case in pooled]
    measured = task.measure(schema, targets, scores, patients, calibrations, seed=SEED)
    measured |= measure_bands(schema, targets, scores, pooled)
    seen = sum(
        count_seen(connection, runs_learnt(connection, model), of_fold)
        for model, of_fold in zip(models, cases, strict=True)
    )
    progress.report(1.0, f"{len(pooled)} cases of {n} folds measured")
    return {
        "task": snapshot.task,
        "split": OUT_OF_FOLD,
        "snapshot": snapshot.name,
        "job": job,
        **measured,
        "folds": folds,
        "seen_in_training": seen,
        "warnings": _warnings(snapshot, seen, len(pooled))
        + (warn_of_projections(connection, pooled) if task.PAINTS else []),
    }


def _gather(
    connection: sqlite3.Connection,
    snapshot: Snapshot,
    models: Sequence[Model],
    evaluations: Sequence[Evaluation],
    cases: Sequence[Sequence[SnapshotCase]],
) -> tuple[Any, Any]:
    """The targets and the scores of all cases, as the task's `measure` takes them, a fold after the other: what the
    evaluation of each fold has left."""
    schema = trainable_schema(snapshot.schema)
    task = module_of(schema)
    answered: list[list[Any]] = []
    for model, evaluation, of_fold in zip(models, evaluations, cases, strict=True):
        known = read_answers(connection, model, snapshot, evaluation, of_fold)
        answered.append([known[case.case_id] for case in of_fold])
    if not task.PAINTS:
        values = [case.value for of_fold in cases for case in of_fold]
        return task.encode_targets(schema, values), np.concatenate(answered)
    units = [evaluation.result["unit"] for evaluation in evaluations]
    unit = "mm" if "mm" in units else "px"
    rows: list[list[Compared]] = []
    for own, of_fold in zip(units, answered, strict=True):
        # where no case of a fold has a spacing, its distances are in pixels, which cannot be joined with mm
        rows += of_fold if own == unit else [[one.without_distances() for one in row] for row in of_fold]
    return unit, rows


def _warnings(snapshot: Snapshot, seen: int, n_cases: int) -> list[str]:
    told = []
    if seen:
        told.append(
            f"{seen} of these {n_cases} cases are of patients, or have pixels, that the model of their fold was "
            f"trained or tuned on: the numbers flatter it."
        )
    return [*told, *warnings_of(snapshot)]


def describe_folds(folds: Sequence[Mapping[str, Any]]) -> str:
    """`fold 0: 0.912 (first, n = 20), fold 1: ...`, and how far they are apart."""
    said = ", ".join(
        f"fold {one['fold']}: {value_text(one['value'])} ({one['model']}, n = {one['n_cases']:,})" for one in folds
    )
    values = [one["value"] for one in folds if one["value"] is not None]
    apart = f"; standard deviation {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{folds[0]['metric'].replace('_', ' ')} of each fold by itself: {said}{apart}"


def value_text(value: float | None) -> str:
    """A number without an interval, with three digits after the point."""
    return "undefined" if value is None else f"{value:.3f}"
