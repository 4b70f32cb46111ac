"""Two models on the same cases: the difference of their numbers, with an interval over patients that pairs them."""

import json
import math
import sqlite3
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from core.datasets.records import Snapshot, SnapshotCase, get_snapshot
from core.errors import InvalidInput
from core.evaluation.records import find_predictions
from core.evaluation.run import split_cases
from core.images.records import set_of_synthetic
from core.measures.classified import predict_classes
from core.measures.estimates import Estimate, estimate_of, estimates_json
from core.measures.intervals import LEVEL, RESAMPLES, patient_bootstrap
from core.measures.metrics import rank_scores, ratio, roc_auc, weigh_ranking
from core.measures.paired import (
    FEWEST_SEEDS,
    NOTABLE,
    AucDifference,
    SeedNoise,
    compare_aucs,
    mcnemar,
    tell_apart,
    verdict,
    with_seed_noise,
)
from core.projects.schema import Classification
from core.tasks import task_module
from core.tasks.classification import encode_targets, thresholds_of
from core.training.recipe import recipe_to_json
from core.training.records import Model, get_run, list_models
from core.training.request import training_cases

Weighed = Callable[[np.ndarray], dict[str, np.ndarray]]
SEED = 0


def compare_models(
    connection: sqlite3.Connection, first: Model, second: Model, snapshot: Snapshot, split: str
) -> dict[str, Any]:
    """How much better the second is than the first: differences of AUC (of the second of two classes, else the mean
    over classes, each against the rest) and of accuracy, as each model decides, paired by drawing patients once for
    both.

    Both were evaluated on this split before; nothing is predicted here.

    Returns:
        `first`, `second` (names), `snapshot`, `split`, `n_cases`, `n_patients`, `metrics` (`auc_difference`,
        `accuracy_difference`, `churn`: the share of cases on which they decide differently), `values` of each model,
        `delong` (of two classes), `mcnemar` with the cases that are newly right (`fixed`) and newly wrong (`broken`),
        `seed_noise`, `verdict`, `better` (whether that is the verdict), `sentence`, and `synthetic`, how many training
        images of each were drawn by a model.

    Raises:
        InvalidInput: they answer another question, or one of them has not answered these cases or has learnt from them.
    """
    schema = snapshot.schema
    if not isinstance(schema, Classification) or schema.multi_label or {first.task, second.task} != {"classification"}:
        raise InvalidInput(f"Two classifiers of one class each are compared. Received: {first.task}, {second.task}")
    cases = split_cases(connection, snapshot, split, None)
    synthetic = demand_unseen(connection, (first, second), cases)
    ids, patients_of = [case.case_id for case in cases], [case.patient for case in cases]
    scores = [_scores(connection, model, schema, ids) for model in (first, second)]
    truth = encode_targets(schema, [case.value for case in cases]).argmax(axis=1)
    said = [_decided(model, schema, one) for model, one in zip((first, second), scores, strict=True)]
    both = [_measures(truth, one, decided) for one, decided in zip(scores, said, strict=True)]
    plain = [{name: float(values[0]) for name, values in one(np.ones((1, len(cases)))).items()} for one in both]
    changed = said[0] != said[1]
    intervals = patient_bootstrap(lambda weights: _differences(both, changed, weights), patients_of, seed=SEED)
    metrics = {
        f"{name}_difference": estimate_of(
            plain[1][name] - plain[0][name], intervals[name], undefined="One of the classes has no case here."
        )
        for name in plain[0]
    }
    metrics["churn"] = estimate_of(float(changed.mean()), intervals["churn"], undefined="There are no cases.")
    delong = compare_aucs(truth == 1, scores[0][:, 1], scores[1][:, 1], patients_of) if len(schema.names) == 2 else None
    noise = find_seed_noise(connection, (first, second), schema, truth, ids)
    judged = _judge(first.name, second.name, metrics["auc_difference"], delong, noise)
    return {
        "first": first.name,
        "second": second.name,
        "snapshot": snapshot.name,
        "split": split,
        "n_cases": len(cases),
        "n_patients": len(set(patients_of)),
        "metrics": estimates_json(metrics),
        "values": plain,
        "delong": delong.to_json() if delong else None,
        "mcnemar": _turned(truth, said, ids),
        **judged,
        "better": judged["verdict"] == "better",
        "synthetic": synthetic,
        "seed": SEED,
        "level": LEVEL,
        "resamples": RESAMPLES,
    }


def _turned(truth: np.ndarray, said: list[np.ndarray], ids: list[int]) -> dict[str, Any]:
    """The cases that the second model gets right and the first did not, the other way round, and McNemar's p."""
    right = [decided == truth for decided in said]
    fixed, broken = np.flatnonzero(right[1] & ~right[0]), np.flatnonzero(right[0] & ~right[1])
    return {
        "fixed": [ids[at] for at in fixed],
        "broken": [ids[at] for at in broken],
        "p": mcnemar(len(fixed), len(broken)),
    }


def _judge(
    first: str, second: str, auc: Estimate, delong: AucDifference | None, noise: SeedNoise | None
) -> dict[str, Any]:
    """The plain sentence, and the interval of the AUC's difference on which it stands."""
    low, high, how = (auc.low, auc.high, "paired bootstrap over patients")
    if delong:
        low, high, how = delong.low, delong.high, "DeLong"
    if noise and auc.value is not None and low is not None and high is not None:
        error = delong.error if delong else (high - low) / 2 / NormalDist().inv_cdf((1 + LEVEL) / 2)
        low, high = with_seed_noise(auc.value, error, noise)
        how += f", with seed noise from {' and '.join(map(str, noise.seeds))} trainings"
    said = verdict(low, high, notable=NOTABLE)
    known = "" if noise else " Seed noise unknown: it takes three trainings of a recipe that differ in their seed."
    if auc.value is None or low is None or high is None:
        told = f"{first} and {second} cannot be told apart here: {auc.reason or auc.note}"
    else:
        numbers = f"AUC {auc.value:+.3f}, {100 * LEVEL:.0f} % interval {low:+.3f} to {high:+.3f} ({how})"
        told = tell_apart(first, second, said, numbers)
    seeds = {"deviations": list(noise.deviations), "seeds": list(noise.seeds)} if noise else None
    return {"verdict": said, "sentence": told + known, "low": low, "high": high, "seed_noise": seeds}


def find_seed_noise(
    connection: sqlite3.Connection, pair: tuple[Model, Model], schema: Classification, truth: np.ndarray, ids: list[int]
) -> SeedNoise | None:
    """How far the AUCs of trainings lie apart, on these cases, that differ from one of the pair in their seed alone.

    What is not known of one of the two is taken from the other; None where neither has three seeds that were evaluated
    on these cases.
    """
    siblings: dict[str, list[Model]] = {}
    for model in list_models(connection, pair[0].project):
        if model.task == pair[0].task and not model.facts.get("members") and not model.facts.get("point_of"):
            siblings.setdefault(_kin(connection, model), []).append(model)
    deviations, seeds = [], []
    for kin in dict.fromkeys(_kin(connection, model) for model in pair):
        areas: dict[int, float] = {}  # by seed: two models of one seed are one training
        for model in siblings.get(kin, ()):
            known = find_predictions(connection, model.id, ids)
            if len(known) == len(set(ids)):
                scores = np.array([known[case_id] for case_id in ids])
                seed = get_run(connection, model.run).recipe.seed
                areas[seed] = float(_area(truth, scores)(np.ones((1, len(ids))))[0])
        if len(areas) >= FEWEST_SEEDS and not any(math.isnan(area) for area in areas.values()):
            deviations.append(float(np.std(list(areas.values()), ddof=1)))
            seeds.append(len(areas))
    return SeedNoise(tuple(deviations), tuple(seeds)) if seeds else None


def _kin(connection: sqlite3.Connection, model: Model) -> str:
    """Everything that decides a training but its seed, as text."""
    run = get_run(connection, model.run)
    return json.dumps([run.snapshot, run.fold, {**recipe_to_json(run.recipe), "seed": None}], sort_keys=True)


def _decided(model: Model, schema: Classification, scores: np.ndarray) -> np.ndarray:
    thresholds = thresholds_of(schema, model.calibration)
    return np.asarray(predict_classes(scores, multi_label=False, thresholds=thresholds).argmax(axis=1))


def _scores(connection: sqlite3.Connection, model: Model, schema: Classification, case_ids: list[int]) -> np.ndarray:
    names = task_module(model.task).output_names(task_module(model.task).schema_of(model.facts))
    if names != schema.names:
        raise InvalidInput(f"The model has learnt other classes than this snapshot's. Received: {', '.join(names)}")
    known = find_predictions(connection, model.id, case_ids)
    if missing := len(set(case_ids) - set(known)):
        raise InvalidInput(f"Evaluate {model.name} on this split first. Received: {missing} cases without its answer")
    return np.array([known[case_id] for case_id in case_ids])


def demand_unseen(connection: sqlite3.Connection, models: Sequence[Model], cases: Sequence[SnapshotCase]) -> list[int]:
    """Refuse models that were trained or tuned on patients of the cases they are compared on; of each model how many of
    its training images were drawn.

    Raises:
        InvalidInput: one of them was.
    """
    learnt = [_learnt_from(connection, model) for model in models]
    for model, (patients, _) in zip(models, learnt, strict=True):
        if seen := sum(case.patient in patients for case in cases):
            raise InvalidInput(
                f"{model.name} was made with patients of this split, so the comparison would flatter it; freeze both "
                f"snapshots with the same split. Received: {seen} of {len(cases)} cases"
            )
    return [drawn for _, drawn in learnt]


def _learnt_from(connection: sqlite3.Connection, model: Model) -> tuple[set[str], int]:
    """The patients a model was trained or tuned on, and how many of its training images were drawn."""
    run = get_run(connection, model.run)
    train, validation = training_cases(connection, get_snapshot(connection, run.project, run.snapshot), run.fold)
    drawn = len(set_of_synthetic(connection, [case.case_id for case in train]))
    return {case.patient for case in (*train, *validation)}, drawn


def _measures(truth: np.ndarray, scores: np.ndarray, said: np.ndarray) -> Weighed:
    """From weights `(resamples, cases)` to AUC and accuracy `(resamples,)`."""
    area = _area(truth, scores)

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"auc": area(weights), "accuracy": ratio(weights @ (said == truth), weights.sum(axis=1))}

    return measure


def _area(truth: np.ndarray, scores: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    k = scores.shape[1]
    # Two classes have one ROC curve; that of the second class is the usual one.
    rankings = [rank_scores(truth == at, scores[:, at]) for at in (range(k) if k > 2 else [1])]

    def area(weights: np.ndarray) -> np.ndarray:
        return np.asarray(np.stack([roc_auc(*weigh_ranking(one, weights)) for one in rankings]).mean(axis=0))

    return area


def _differences(both: list[Weighed], changed: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    first, second = (measure(weights) for measure in both)
    found = {name: second[name] - first[name] for name in first}
    return found | {"churn": ratio(weights @ changed, weights.sum(axis=1))}
