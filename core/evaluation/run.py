"""The body of an evaluation job: predictions for the cases of a split, then every number with its interval."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.datasets.leaks import are_known, learnt_of
from core.datasets.records import Snapshot, SnapshotCase, get_snapshot
from core.datasets.splits import list_view
from core.errors import InvalidInput
from core.evaluation.appearance import keep_appearance
from core.evaluation.drawing import look_at_drawn
from core.evaluation.far import keep_distances
from core.evaluation.mask_looks import keep_painted_appearance, look_at_masks
from core.evaluation.painting import compare_cases, warn_of_projections
from core.evaluation.predictor import predict_cases
from core.evaluation.records import (
    add_evaluation,
    count_test_uses,
    find_evaluation_of_job,
    find_predictions,
    store_measured,
    store_predictions,
)
from core.images.records import get_cases
from core.images.render import PRESETS, refuse_window
from core.measures.bands import bands_of
from core.measures.classified import predict_classes
from core.measures.regression import spread_of
from core.progress import Portion, Progress
from core.projects.schema import Classification, Generation, Regression, Segmentation
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import writing
from core.store.files import Files
from core.tasks import TrainableSchema, module_of, trainable_schema
from core.tasks.classification import thresholds_of
from core.training.ensemble import joins_several, member_ids, runs_learnt
from core.training.records import Model, Run, get_model, get_run
from core.training.request import cases_of_run

SPLITS = ("train", "validation", "test")
PAINTED, ANSWERED, PREDICTED = 0.5, 0.6, 0.8  # shares of the progress bar
SEED = 0  # of the bootstrap


def evaluate_model(
    connection: sqlite3.Connection,
    files: Files,
    settings: Settings,
    model_id: int,
    snapshot_id: int,
    split: str,
    actor: Actor,
    progress: Progress,
    *,
    job: int | None = None,
) -> dict[str, Any]:
    """Measure a model on a split of a snapshot, and store the predictions and the result.

    Killed at any moment and started again with the same job, it stores one result: one look at the split.

    An ensemble is measured on those of the cases alone that none of its members was trained or tuned on.

    A model that was trained for a fold is measured on that fold's view of its own snapshot: there the fold is
    the test split. A case that this model has answered before is not asked again.

    Returns:
        The document of `evaluate --json`: `task`, `split`, `fold`, `n_cases`, `n_patients`, `metrics`, `seed`,
        `level`, `resamples`, `snapshot`, `model`, `job`, `test_uses` (this one included), `seen_in_training`,
        `warnings`; of a classification also `per_class`, `confusion_matrix` (rows: reference),
        `confusion_matrix_by_row`, `curves`, `bands` and `classes`, of a regression `target` and `unit`, or of several
        quantities `targets` and `per_target` (`core.tasks.regression.measure`), of a segmentation
        `per_structure`, `counts`, `structures`, and `unit` and `tolerance` of its distances, of an ensemble
        `members` and `spread` (`_describe_members`); on test, of a model that keeps answers back, `abstention`
        (`core.evaluation.withheld`).

    Raises:
        InvalidInput: the split is empty or unknown, or model and snapshot ask different questions.
        Stopped: somebody asked to stop; nothing is stored then.
    """
    stored = find_evaluation_of_job(connection, model_id, job) if job is not None else None
    if stored is not None:  # an earlier attempt was killed between its result and the end of its job
        return stored.result
    model = get_model(connection, None, model_id)
    run = get_run(connection, model.run)
    snapshot = get_snapshot(connection, model.project, snapshot_id)
    schema = _check_schema(model, snapshot)
    fold = run.fold if run.snapshot == snapshot.id else None
    cases = split_cases(connection, snapshot, split, fold)
    runs, asked = runs_learnt(connection, model), len(cases)
    cases = measurable_cases(connection, model, cases)
    task = module_of(schema)
    targets: Any
    scores: Any
    beside: dict[str, Any] = {}
    if isinstance(schema, Generation):
        told = Portion(progress, 0.0, PREDICTED)
        targets, scores, beside = look_at_drawn(connection, files, model, schema, cases, told)
    elif task.PAINTS:
        look_at_masks(connection, files, model, cases, Portion(progress, 0.0, PAINTED))
        targets, scores = compare_cases(connection, files, model, cases, Portion(progress, PAINTED, PREDICTED))
        keep_painted_appearance(connection, files, model, cases, scores)
    else:
        scores = _score_stored(connection, files, model, schema, cases, Portion(progress, 0.0, ANSWERED))
        targets = task.encode_targets(schema, [case.value for case in cases])
        if isinstance(schema, (Classification, Regression)):
            ids, told = [case.case_id for case in cases], Portion(progress, ANSWERED, PREDICTED)
            looks = keep_appearance(connection, files, model, ids, scores, Portion(told, 0.0, 0.5))
            keep_distances(connection, files, model, ids, looks, Portion(told, 0.5, 1.0))
    progress.report(PREDICTED, "Measuring, with intervals over patients")
    measured = task.measure(schema, targets, scores, [case.patient for case in cases], model.calibration, seed=SEED)
    measured |= measure_bands(schema, targets, scores, cases)
    seen = count_seen(connection, runs, cases)
    if split == "test" and not task.DRAWS:
        from core.evaluation.withheld import measure_rule  # rules are made of what evaluations have left

        beside |= measure_rule(connection, model, schema, cases, targets, scores)
    result: dict[str, Any] = {
        "task": snapshot.task,
        "split": split,
        "fold": fold,
        "model": model.name,
        "snapshot": snapshot.name,
        "job": job,
        **measured,
        **beside,
        "seen_in_training": seen,
        "warnings": _warnings(snapshot, split, seen, len(cases), asked - len(cases))
        + (warn_of_projections(connection, cases) if task.PAINTS else [])
        + _warn_of_window(connection, model, cases),
        **_describe_members(connection, model, schema, cases, targets),
    }
    with writing(connection):
        uses = count_test_uses(connection, snapshot.id, fold) + (split == "test")
        result["test_uses"] = uses
        made = add_evaluation(
            connection, model_id=model.id, snapshot_id=snapshot.id, split=split, result=result, actor=actor
        )
        if task.PAINTS:
            rows = zip(cases, scores, strict=True)
            named = {case.case_id: dict(zip(measured["structures"], row, strict=True)) for case, row in rows}
            store_measured(connection, made.id, named)
    progress.report(1.0, f"{len(cases)} cases measured")
    return result


def measure_bands(
    schema: TrainableSchema, targets: np.ndarray, scores: np.ndarray, cases: Sequence[SnapshotCase]
) -> dict[str, Any]:
    """`bands` around the curves of a classification (`core.measures.bands`); nothing of another task."""
    if not isinstance(schema, Classification) or module_of(schema).DRAWS:
        return {}
    patients = [case.patient for case in cases]
    return {"bands": bands_of(targets, scores, patients, classes=schema.names, seed=SEED)}


def split_cases(connection: sqlite3.Connection, snapshot: Snapshot, split: str, fold: int | None) -> list[SnapshotCase]:
    """The cases of one split, or of one split of a fold's view.

    Raises:
        InvalidInput: there is no such split or fold, or it is empty.
    """
    if split not in SPLITS:
        raise InvalidInput(f"A split is one of {', '.join(SPLITS)}. Received: {split}")
    cases = list_view(connection, snapshot.id, fold)
    chosen = [case for case in cases if case.split == split]
    if not chosen:
        raise InvalidInput(
            f"Choose a split that has cases; {split} of snapshot {snapshot.name} is empty. Received: none"
        )
    return chosen


def _check_schema(model: Model, snapshot: Snapshot) -> TrainableSchema:
    """The schema of a snapshot that asks what the model has learnt to answer."""
    schema = trainable_schema(snapshot.schema)
    learnt = model.facts
    if model.task != snapshot.task:
        raise InvalidInput(
            f"Evaluate on a snapshot of the task the model has learnt, {model.task}. Received: {snapshot.task}"
        )
    if isinstance(schema, Regression):
        known = [(one["target"], one["unit"]) for one in (learnt, *learnt.get("further", ()))]
        if known != (asked := [(one.target, one.unit) for one in schema.quantities]):
            said, wanted = (", ".join(" in ".join(one) for one in some) for some in (known, asked))
            word = "quantity" if len(known) == 1 else "quantities"
            raise InvalidInput(
                f"Evaluate on a snapshot of the {word} the model has learnt, {said}. "
                f"Received: {wanted} in snapshot {snapshot.name}"
            )
    elif isinstance(schema, Segmentation):
        names = tuple(one["name"] for one in learnt["structures"])
        if names != schema.names:
            raise InvalidInput(
                f"Evaluate on a snapshot with the structures the model has learnt, {', '.join(names)}. "
                f"Received: {', '.join(schema.names)} in snapshot {snapshot.name}"
            )
    elif (tuple(learnt["classes"]), bool(learnt.get("multi_label"))) != (schema.names, schema.multi_label):
        raise InvalidInput(
            f"Evaluate on a snapshot with the classes the model has learnt, {', '.join(learnt['classes'])}. "
            f"Received: {', '.join(schema.names)} in snapshot {snapshot.name}"
        )
    return schema


def _score_stored(
    connection: sqlite3.Connection,
    files: Files,
    model: Model,
    schema: TrainableSchema,
    cases: Sequence[SnapshotCase],
    progress: Progress,
) -> np.ndarray:
    """Scores `(cases, k)`, asking the model only for cases it has not answered yet."""
    known = find_predictions(connection, model.id, (case.case_id for case in cases))
    missing = [case.case_id for case in cases if case.case_id not in known]
    members = member_ids(model)
    if len(members) > 1 and not model.facts.get("views"):  # each is asked alone, so that their spread can be told
        said = [
            _score_stored(
                connection, files, get_model(connection, None, number), schema, cases,
                Portion(progress, at / len(members), (at + 1) / len(members)),
            )
            for at, number in enumerate(members)
        ]  # fmt: skip
        by_case = dict(zip((case.case_id for case in cases), np.mean(said, axis=0).tolist(), strict=True))
        store_predictions(connection, model, schema, {case_id: by_case[case_id] for case_id in missing})
        known = find_predictions(connection, model.id, by_case)
    elif missing:
        found = predict_cases(connection, files, model, missing, progress)
        store_predictions(connection, model, schema, dict(zip(missing, found.tolist(), strict=True)))
        known = find_predictions(connection, model.id, (case.case_id for case in cases))
    return np.array([known[case.case_id] for case in cases])


def _seen_in_training(connection: sqlite3.Connection, runs: Sequence[Run], cases: Sequence[SnapshotCase]) -> list[bool]:
    """Which of the cases are of a patient, or have the pixels, that one of the runs was trained or tuned on."""
    learnt = learnt_of(case for run in runs for part in cases_of_run(connection, run) for case in part)
    return are_known(cases, learnt)


def _not_learnt(
    connection: sqlite3.Connection, runs: Sequence[Run], cases: Sequence[SnapshotCase]
) -> list[SnapshotCase]:
    seen = _seen_in_training(connection, runs, cases)
    return [case for case, learnt in zip(cases, seen, strict=True) if not learnt]


def count_seen(connection: sqlite3.Connection, runs: Sequence[Run], cases: Sequence[SnapshotCase]) -> int:
    """How many of the cases are of a patient, or have the pixels, that one of the runs was trained or tuned on."""
    return sum(_seen_in_training(connection, runs, cases))


def measurable_cases(connection: sqlite3.Connection, model: Model, cases: Sequence[SnapshotCase]) -> list[SnapshotCase]:
    """Those of the cases that a model is measured on, which may have answered others too: of an ensemble those that no
    member has learnt, of a single model all, with test-time augmentation too.

    Raises:
        InvalidInput: as `leave_learnt_out`.
    """
    if not joins_several(model):
        return list(cases)
    return leave_learnt_out(connection, runs_learnt(connection, model), cases)


def list_measurable(
    connection: sqlite3.Connection, model: Model, snapshot_id: int, split: str, fold: int | None
) -> tuple[int, ...] | None:
    """The cases of a split to which lists beside the numbers of an ensemble are narrowed (`measurable_cases`), none
    where its members have learnt them all; None of a single model, which is measured on every case."""
    if not joins_several(model):
        return None
    cases = [case for case in list_view(connection, snapshot_id, fold) if case.split == split]
    return tuple(case.case_id for case in _not_learnt(connection, runs_learnt(connection, model), cases))


def leave_learnt_out(
    connection: sqlite3.Connection, runs: Sequence[Run], cases: Sequence[SnapshotCase]
) -> list[SnapshotCase]:
    """Those of the cases that an ensemble may be measured on: none of its members was trained or tuned on one.

    The models of k folds have together learnt every case of their snapshot, each those on which another is tested.

    Raises:
        InvalidInput: no case is left.
    """
    left = _not_learnt(connection, runs, cases)
    if not left:
        raise InvalidInput(
            f"An ensemble is measured on cases that none of its members has learnt, and each of these was learnt by "
            f"one; choose the test split, or a snapshot of other patients. Received: {len(cases)} cases"
        )
    return left


def _describe_members(
    connection: sqlite3.Connection, model: Model, schema: TrainableSchema, cases: Sequence[SnapshotCase], targets: Any
) -> dict[str, Any]:
    """Of an ensemble: how each member does on the same cases, and how far they are apart on one.

    `spread` is the standard deviation of what the members say of a case, in its unit or as a probability, averaged
    over cases and classes; of several quantities in standard deviations of the references, over those whose
    references differ, None where none do. Nothing where it answers with moved images, or paints: its members were not
    asked alone.
    """
    task = module_of(schema)
    members = [get_model(connection, None, number) for number in member_ids(model)]
    if len(members) < 2 or model.facts.get("views") or task.PAINTS:
        return {}
    said, found = [], []
    for member in members:
        known = find_predictions(connection, member.id, (case.case_id for case in cases))
        said.append(np.array([known[case.case_id] for case in cases]))
        decided = said[-1]
        if isinstance(schema, Classification):  # by the member's own thresholds, as it does alone
            chosen = thresholds_of(schema, member.calibration)
            decided = predict_classes(decided, multi_label=schema.multi_label, thresholds=chosen)
        value = task.score_validation(schema, targets, decided).get(task.HEADLINE)
        found.append({"model": member.id, "name": member.name, "metric": task.HEADLINE, "value": value})
    apart = np.std(said, axis=0, ddof=1)
    if isinstance(schema, Regression) and schema.further:
        deviations = spread_of(targets)  # units have no mean
        apart = (apart / deviations)[:, np.isfinite(deviations)]
    spread = float(apart.mean()) if apart.size else None
    return {"members": found, "spread": {"value": spread, "n": len(cases)}}


def _warnings(snapshot: Snapshot, split: str, seen: int, n_cases: int, left_out: int) -> list[str]:
    """What a reader of the numbers must know before believing them."""
    told = []
    if left_out:
        told.append(
            f"{left_out} of {n_cases + left_out} cases are left out: a member of this ensemble was trained or tuned on "
            f"their patients."
        )
    if split == "test" and seen:
        told.append(
            f"{seen} of these {n_cases} cases are of patients, or have pixels, that the model was trained or tuned "
            f"on: the numbers flatter it."
        )
    if split != "test":
        told.append(f"The model was made with the {split} split: these numbers flatter it; the test split does not.")
    return [*told, *warnings_of(snapshot)]


def _warn_of_window(connection: sqlite3.Connection, model: Model, cases: Sequence[SnapshotCase]) -> list[str]:
    """That a window in Hounsfield units is laid over images that have none, of which `predict` says nothing: their
    greys mean something else to the model. Its own training refuses them, another snapshot may hold some."""
    window, refused = (model.facts.get("input") or {}).get("window", ""), []
    if window not in PRESETS:  # thousands of cases need not be read for it
        return []
    for case in get_cases(connection, [one.case_id for one in cases]):
        try:
            refuse_window(window, case.modality, case.dtype)
        except InvalidInput as error:
            refused.append(str(error))
    if not refused:
        return []
    return [f"{len(refused)} of these {len(cases)} cases are no images that the model is asked about. {refused[0]}"]


def warnings_of(snapshot: Snapshot) -> list[str]:
    """What a reader must know of the cases themselves, whatever was measured on them."""
    told = []
    if snapshot.loss:
        told.append(f"{snapshot.loss} These numbers are of the cases that are left.")
    if snapshot.leaks_allowed_because:
        told.append(f"This snapshot has leaks between its splits, allowed because: {snapshot.leaks_allowed_because}")
    return told
