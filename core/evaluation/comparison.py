"""Two models on the same cases: the difference of their numbers, with an interval over patients that pairs them."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.datasets.records import Snapshot, SnapshotCase
from core.errors import InvalidInput
from core.evaluation.paired_labels import (
    MEANS_OF_LABELS,
    NO_CASE,
    OF_LABEL,
    Sides,
    Weighed,
    compare_labels,
    measure_labels,
    named_difference,
    plain_number,
    tell_labels,
    told_apart,
)
from core.evaluation.records import find_predictions
from core.evaluation.run import measurable_cases, split_cases
from core.evaluation.seed_noise import differ_in_seed_alone, read_seed_noise
from core.images.records import set_of_synthetic
from core.measures.classified import predict_classes
from core.measures.estimates import Estimate, estimate_of, estimates_json
from core.measures.intervals import LEVEL, RESAMPLES, number_patients, patient_bootstrap
from core.measures.metrics import rank_scores, ratio, roc_auc, weigh_ranking
from core.measures.paired import (
    ALL_ALIKE,
    NOTABLE,
    OF_ONE_PATIENT,
    UNDEFINED,
    AucDifference,
    SeedNoise,
    compare_aucs,
    difference_text,
    ends_of_verdict,
    fewest_patients,
    is_apart,
    tell_apart,
    turned,
    verdict,
)
from core.measures.shares import share_of
from core.projects.schema import Classification
from core.tasks import task_module
from core.tasks.classification import encode_targets, thresholds_of
from core.training.ensemble import runs_learnt
from core.training.records import Model, get_run
from core.training.request import cases_of_run

SEED = 0


def compare_models(
    connection: sqlite3.Connection,
    first: Model,
    second: Model,
    snapshot: Snapshot,
    split: str,
    *,
    comparisons: int = 1,
) -> dict[str, Any]:
    """How much better the second is than the first: differences of AUC (of the second of two classes, else the mean
    over classes, each against the rest) and of accuracy, as each model decides, paired by drawing patients once for
    both. Where several labels are answered at once, F1 and balanced accuracy too, and all of it for each label.

    Both were evaluated on this split before; nothing is predicted here.

    Args:
        comparisons: how many pairs are compared at once. The verdict stands on an interval so wide that those of all
            of them hold together (Bonferroni); the others are of 95 % each by itself.

    Returns:
        `first`, `second` (names), `snapshot`, `split`, `fold`, `n_cases`, `n_patients`, `metrics` (`auc_difference`,
        `accuracy_difference`, `churn`: the share of cases on which they decide differently), `values` of each model,
        `delong` (of two classes), `mcnemar` with the cases that are newly right (`fixed`) and newly wrong (`broken`),
        `seed_noise`, `verdict` ("undefined" with a `verdict_reason` where the difference has no number or no interval),
        `better` (whether that is the verdict), `sentence`, and `synthetic`, how many training images of each were drawn
        by a model; of several labels also `per_label` (`core.evaluation.paired_labels`).

    Raises:
        InvalidInput: they answer another question, or one of them has not answered these cases or has learnt from them.
    """
    schema = snapshot.schema
    if not isinstance(schema, Classification) or {first.task, second.task} != {"classification"}:
        raise InvalidInput(f"Two classifiers are compared. Received: {first.task}, {second.task}")
    fold = shared_fold(connection, (first, second), snapshot)
    cases = split_cases(connection, snapshot, split, fold)
    for model in (first, second):
        cases = measurable_cases(connection, model, cases)
    synthetic = demand_unseen(connection, (first, second), cases)
    ids, patients = [case.case_id for case in cases], [case.patient for case in cases]
    scores = [_scores(connection, model, schema, ids) for model in (first, second)]
    targets = encode_targets(schema, [case.value for case in cases]).astype(int)
    said = [_decided(model, schema, one) for model, one in zip((first, second), scores, strict=True)]
    sides = Sides(schema.names, targets, scores, said, ids, patients)
    level = 1 - (1 - LEVEL) / comparisons
    rarer = _rarer(schema, sides)
    metrics, plain, auc = _measure(schema, sides, level, rarer)
    noise = read_seed_noise(connection, (first, second), ids)
    only_seeds = differ_in_seed_alone(connection, (first, second))
    delong, sure, by, labels = None, None, "", dict[str, dict[str, Any]]()
    if schema.multi_label:
        labels, by = (
            compare_labels(sides, metrics, plain, noise, comparisons, only_seeds=only_seeds),
            " by the mean over labels",
        )
    elif len(schema.names) == 2:
        asked = targets[:, 1] == 1, scores[0][:, 1], scores[1][:, 1], patients
        delong = compare_aucs(*asked)
        sure = delong if level == LEVEL else compare_aucs(*asked, level=level)
    columns, once = _columns(schema, targets), np.ones((1, len(cases)))
    of_seeds = noise(lambda one: float(_area(targets, one, columns)(once)[0]))
    unknown = only_seeds and of_seeds is None
    fewest = min(rarer.values(), default=0)
    judged = _judge(first.name, second.name, auc, sure, of_seeds, by, level, seeds_unknown=unknown, patients=fewest)
    if labels:
        judged["sentence"] += f" {tell_labels(labels)}"
    return {
        "first": first.name,
        "second": second.name,
        "snapshot": snapshot.name,
        "split": split,
        "fold": fold,
        "n_cases": len(cases),
        "n_patients": len(set(patients)),
        "metrics": estimates_json({named_difference(name): one for name, one in metrics.items() if "/" not in name}),
        "values": [{name: plain_number(value) for name, value in one.items() if "/" not in name} for one in plain],
        "delong": delong.to_json() if delong else None,
        "mcnemar": turned([(one == targets).all(axis=1) for one in said], ids),
        **({"per_label": labels} if labels else {}),
        **judged,
        "better": judged["verdict"] == "better",
        "synthetic": synthetic,
        "seed": SEED,
        "level": LEVEL,
        "comparisons": comparisons,
        "resamples": RESAMPLES,
    }


def _measure(
    schema: Classification, sides: Sides, level: float, rarer: Mapping[int, int]
) -> tuple[dict[str, Estimate], list[dict[str, float]], Estimate]:
    """Differences by name with their intervals, with the churn; the numbers of each model by name; and the difference
    of the AUC again, with an interval of this level. What hangs on a class of one patient (`rarer`) has none."""
    both = [
        measure_labels(sides.targets, scores, said)
        if schema.multi_label
        else _of_classes(sides.targets, scores, said, _columns(schema, sides.targets))
        for scores, said in zip(sides.scores, sides.said, strict=True)
    ]
    once = np.ones((1, len(sides.ids)))
    plain = [{name: float(values[0]) for name, values in one(once).items()} for one in both]
    changed = {"churn": (sides.said[0] != sides.said[1]).any(axis=1)}
    if schema.multi_label:
        columns = zip(sides.said[0].T, sides.said[1].T, strict=True)
        changed |= {f"churn/{k}": one != other for k, (one, other) in enumerate(columns)}
    intervals = patient_bootstrap(lambda weights: _differences(both, weights), sides.patients, seed=SEED)
    gaps = {name: plain[1][name] - plain[0][name] for name in plain[0]}
    found = {name: estimate_of(gap, intervals[name], undefined=NO_CASE) for name, gap in gaps.items()}
    every, numbers = np.ones(len(sides.ids), bool), number_patients(sides.patients)
    found |= {name: share_of(one, every, numbers, NO_CASE) for name, one in changed.items()}
    sure = found["auc"]
    if level != LEVEL:
        wide = patient_bootstrap(
            lambda weights: {"auc": _differences(both, weights)["auc"]}, sides.patients, level=level, seed=SEED
        )
        sure = estimate_of(gaps["auc"], wide["auc"], undefined=NO_CASE)
    lone = [at for at, n in rarer.items() if n == 1]
    if lone:
        sure = _of_one_patient(sure)
        hanging = (*MEANS_OF_LABELS, *(f"{name}/{at}" for at in lone for name in OF_LABEL))
        found |= {name: _of_one_patient(found[name]) for name in hanging if name in found}
    return found, plain, sure


def _of_one_patient(one: Estimate) -> Estimate:
    """The difference without its interval: patients who were drawn would never have differed in this class. Two that
    order all cases alike do not differ, of however many patients."""
    if one.low is None or one.low == one.high == 0:
        return one
    return replace(one, low=None, high=None, note=f"{OF_ONE_PATIENT}: it has no interval.")


def _columns(schema: Classification, targets: np.ndarray) -> Sequence[int]:
    """The classes over which an AUC is a mean. Two classes have one ROC curve; that of the second is the usual one."""
    if schema.multi_label:
        return [int(k) for k in told_apart(targets)]
    return range(len(schema.names)) if len(schema.names) > 2 else [1]


def _rarer(schema: Classification, sides: Sides) -> dict[int, int]:
    """By column of an AUC how many patients have the class or all but it, whichever are fewer."""
    numbers = number_patients(sides.patients)
    return {at: fewest_patients(sides.targets[:, at] == 1, numbers) for at in _columns(schema, sides.targets)}


def _judge(
    first: str,
    second: str,
    auc: Estimate,
    delong: AucDifference | None,
    noise: SeedNoise | None,
    by: str,
    level: float,
    *,
    seeds_unknown: bool,
    patients: int,
) -> dict[str, Any]:
    """The plain sentence, and the interval of the AUC's difference on which it stands."""
    low, high, how = (auc.low, auc.high, "paired bootstrap over patients")
    if delong:
        low, high, how = delong.low, delong.high, "DeLong"
    if auc.value is not None and low is not None and high is not None:
        error = delong.error if delong else None
        low, high, how = ends_of_verdict(
            auc.value, (low, high), how, noise, error=error, patients=patients, level=level
        )
    said = verdict(low, high, notable=NOTABLE, seeds_unknown=seeds_unknown, patients=patients, level=level)
    known = "" if noise else " Seed noise unknown: it takes three trainings of a recipe that differ in their seed."
    why = (auc.reason or auc.note or ALL_ALIKE) if said == UNDEFINED else ""
    if auc.value is None or low is None or high is None or said == UNDEFINED:
        told = f"{first} and {second} cannot be told apart here, their difference is undefined: {why}"
    else:
        numbers = f"AUC {difference_text(auc.value, low, high, level)} ({how})"
        told = tell_apart(first, second, said, numbers, by=by, seeds_alone=seeds_unknown and is_apart(low, high))
    seeds = {"deviations": list(noise.deviations), "seeds": list(noise.seeds)} if noise else None
    reason = {"verdict_reason": why} if why else {}
    return {"verdict": said, **reason, "sentence": told + known, "low": low, "high": high, "seed_noise": seeds}


def _decided(model: Model, schema: Classification, scores: np.ndarray) -> np.ndarray:
    thresholds = thresholds_of(schema, model.calibration)
    return predict_classes(scores, multi_label=schema.multi_label, thresholds=thresholds)


def _scores(connection: sqlite3.Connection, model: Model, schema: Classification, case_ids: list[int]) -> np.ndarray:
    names = task_module(model.task).output_names(task_module(model.task).schema_of(model.facts))
    if names != schema.names:
        raise InvalidInput(f"The model has learnt other classes than this snapshot's. Received: {', '.join(names)}")
    known = find_predictions(connection, model.id, case_ids)
    if missing := len(set(case_ids) - set(known)):
        raise InvalidInput(f"Evaluate {model.name} on this split first. Received: {missing} cases without its answer")
    return np.array([known[case_id] for case_id in case_ids])


def shared_fold(connection: sqlite3.Connection, pair: tuple[Model, Model], snapshot: Snapshot) -> int | None:
    """The fold of a snapshot for which both models were trained: they are compared on its view, where the fold is the
    test split. None where they are of no fold of it.

    Raises:
        InvalidInput: they are of two of its folds: each has learnt what the other is tested on.
    """
    runs = [get_run(connection, model.run) for model in pair]
    folds = [run.fold if run.snapshot == snapshot.id else None for run in runs]
    if folds[0] != folds[1] and None not in folds:
        raise InvalidInput(
            f"Models of two folds have learnt each other's test cases; compare two of the same fold. "
            f"Received: {folds[0]} and {folds[1]}"
        )
    return folds[0] if folds[0] == folds[1] else None


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
    """The patients a model, or a member of it, was trained or tuned on, and how many of its training images were
    drawn."""
    patients, learnt = set[str](), set[int]()
    for run in runs_learnt(connection, model):
        train, validation = cases_of_run(connection, run)
        patients |= {case.patient for case in (*train, *validation)}
        learnt |= {case.case_id for case in train}
    return patients, len(set_of_synthetic(connection, sorted(learnt)))


def _of_classes(targets: np.ndarray, scores: np.ndarray, said: np.ndarray, columns: Sequence[int]) -> Weighed:
    """From weights `(resamples, cases)` to AUC and accuracy `(resamples,)`."""
    area, right = _area(targets, scores, columns), (said == targets).all(axis=1)

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"auc": area(weights), "accuracy": ratio(weights @ right, weights.sum(axis=1))}

    return measure


def _area(targets: np.ndarray, scores: np.ndarray, columns: Sequence[int]) -> Callable[[np.ndarray], np.ndarray]:
    rankings = [rank_scores(targets[:, at] == 1, scores[:, at]) for at in columns]

    def area(weights: np.ndarray) -> np.ndarray:
        if not rankings:
            return np.full(len(weights), np.nan)
        return np.asarray(np.stack([roc_auc(*weigh_ranking(one, weights)) for one in rankings]).mean(axis=0))

    return area


def _differences(both: list[Weighed], weights: np.ndarray) -> dict[str, np.ndarray]:
    first, second = (measure(weights) for measure in both)
    return {name: second[name] - first[name] for name in first}
