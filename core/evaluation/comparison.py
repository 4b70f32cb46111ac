"""Two models on the same cases: the difference of their numbers, with an interval over patients that pairs them."""

import sqlite3
from typing import Any

import numpy as np

from core.datasets.records import Snapshot, get_snapshot
from core.errors import InvalidInput
from core.evaluation.records import find_predictions
from core.evaluation.run import split_cases
from core.images.records import set_of_synthetic
from core.measures.estimates import estimate_of, estimates_json
from core.measures.intervals import LEVEL, RESAMPLES, patient_bootstrap
from core.measures.metrics import accuracy, confusion_counts, rank_scores, roc_auc, weigh_ranking
from core.projects.schema import Classification
from core.tasks import task_module
from core.tasks.classification import encode_targets
from core.training.records import Model, get_run
from core.training.request import training_cases

SEED = 0


def compare_models(
    connection: sqlite3.Connection, first: Model, second: Model, snapshot: Snapshot, split: str
) -> dict[str, Any]:
    """How much better the second is than the first: differences of AUC (mean over classes, each against the rest) and
    of accuracy, the highest probability deciding, paired by drawing patients once for both.

    Both were evaluated on this split before; nothing is predicted here.

    Returns:
        `first`, `second` (names), `snapshot`, `split`, `n_cases`, `n_patients`, `metrics` (`auc_difference`,
        `accuracy_difference`), `values` of each model, `better` (whether an interval of the AUC excludes zero) and
        `synthetic`, how many training images of each were drawn by a model.

    Raises:
        InvalidInput: they answer another question, or one of them has not answered these cases or has learnt from them.
    """
    schema = snapshot.schema
    if not isinstance(schema, Classification) or schema.multi_label or {first.task, second.task} != {"classification"}:
        raise InvalidInput(f"Two classifiers of one class each are compared. Received: {first.task}, {second.task}")
    cases = split_cases(connection, snapshot, split, None)
    learnt = [_learnt_from(connection, model) for model in (first, second)]
    for model, (patients, _) in zip((first, second), learnt, strict=True):
        if seen := sum(case.patient in patients for case in cases):
            raise InvalidInput(
                f"{model.name} was made with patients of this split, so the comparison would flatter it; freeze both "
                f"snapshots with the same split. Received: {seen} of {len(cases)} cases"
            )
    scores = [_scores(connection, model, schema, [case.case_id for case in cases]) for model in (first, second)]
    truth = encode_targets(schema, [case.value for case in cases]).argmax(axis=1)
    both = [_measures(truth, one) for one in scores]
    patients_of = [case.patient for case in cases]
    plain = [{name: float(values[0]) for name, values in one(np.ones((1, len(cases)))).items()} for one in both]
    intervals = patient_bootstrap(lambda weights: _differences(both, weights), patients_of, seed=SEED)
    metrics = {
        f"{name}_difference": estimate_of(
            plain[1][name] - plain[0][name], intervals[name], undefined="One of the classes has no case here."
        )
        for name in plain[0]
    }
    auc = metrics["auc_difference"]
    return {
        "first": first.name,
        "second": second.name,
        "snapshot": snapshot.name,
        "split": split,
        "n_cases": len(cases),
        "n_patients": len(set(patients_of)),
        "metrics": estimates_json(metrics),
        "values": plain,
        "better": bool(auc.low is not None and auc.low > 0),
        "synthetic": [drawn for _, drawn in learnt],
        "seed": SEED,
        "level": LEVEL,
        "resamples": RESAMPLES,
    }


def _scores(connection: sqlite3.Connection, model: Model, schema: Classification, case_ids: list[int]) -> np.ndarray:
    names = task_module(model.task).output_names(task_module(model.task).schema_of(model.facts))
    if names != schema.names:
        raise InvalidInput(f"The model has learnt other classes than this snapshot's. Received: {', '.join(names)}")
    known = find_predictions(connection, model.id, case_ids)
    if missing := len(set(case_ids) - set(known)):
        raise InvalidInput(f"Evaluate {model.name} on this split first. Received: {missing} cases without its answer")
    return np.array([known[case_id] for case_id in case_ids])


def _learnt_from(connection: sqlite3.Connection, model: Model) -> tuple[set[str], int]:
    """The patients a model was trained or tuned on, and how many of its training images were drawn."""
    run = get_run(connection, model.run)
    train, validation = training_cases(connection, get_snapshot(connection, run.project, run.snapshot), run.fold)
    drawn = len(set_of_synthetic(connection, [case.case_id for case in train]))
    return {case.patient for case in (*train, *validation)}, drawn


def _measures(truth: np.ndarray, scores: np.ndarray) -> Any:
    """From weights `(resamples, cases)` to AUC and accuracy `(resamples,)`."""
    k = scores.shape[1]
    rankings = [rank_scores(truth == at, scores[:, at]) for at in range(k)]
    said = scores.argmax(axis=1)

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        areas = np.stack([roc_auc(*weigh_ranking(ranking, weights)) for ranking in rankings])
        return {"auc": areas.mean(axis=0), "accuracy": accuracy(confusion_counts(truth, said, k, weights))}

    return measure


def _differences(both: list[Any], weights: np.ndarray) -> dict[str, np.ndarray]:
    first, second = (measure(weights) for measure in both)
    return {name: second[name] - first[name] for name in first}
