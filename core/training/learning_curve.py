"""The learning curve by training-set size: the same recipe on nested parts of the training split, validated alike.

Parts are dealt by group (patient, near-duplicates), each answer in its share, and a smaller part lies within a larger
one. All make about the same number of steps, so that a small part is not judged by having been trained less. The test
split is not read.
"""

import json
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core.datasets.records import Snapshot, SnapshotCase, demand_whole
from core.errors import CoreError, Stopped
from core.measures.intervals import draw_weights, percentile_interval
from core.progress import Portion, Progress
from core.store.files import Files, write_whole
from core.tasks import task_module, trainable_schema
from core.training.device import Device
from core.training.headline import ERRORS, WORDS, headline_of, known_by_chance, patients_of, unit_of
from core.training.power_law import fit_power_laws, forecast
from core.training.preflight import (
    PreflightFailed,
    duration,
    estimate_judging,
    estimate_seconds,
    fit_into_memory,
    free_memory,
)
from core.training.recipe import FIELDS, Recipe, change_recipe, with_batch
from core.training.records import list_earlier_runs, list_runs
from core.training.request import cases_of_run, training_cases

FRACTIONS = (0.25, 0.5, 0.75, 1.0)
RESAMPLES = 300
PREPARED = 0.05  # share of the progress bar
POINTS = "points.json"  # in the job's folder: what a job that was killed need not do again
AS_LONG = (
    *("network", "input_size", "channels", "stages", "filters", "blocks", "kernel_size", "pool_size", "dense_units"),
    *("neighbours", "patch_size", "patches", "input_depth", "deep_supervision", "batch"),
)  # fields of a recipe on which it hangs how long an epoch takes
IN_EPOCHS = ("epochs", "freeze_epochs", "early_stopping", "plateau_patience")  # fields of a recipe
SHARE_OF_MORE = 0.25  # of the training cases: how many more are spoken of, unless somebody says

log = logging.getLogger("readroom.training")


def has_curve(task: str) -> bool:
    """Whether the headline of a task is told of the validation answers of each part; of drawing it takes a judge."""
    return not task_module(task).DRAWS


def nested_parts(cases: Sequence[SnapshotCase], fractions: Sequence[float], seed: int) -> list[list[SnapshotCase]]:
    """Parts of the training cases, the smallest first; groups stay whole and each part holds the ones before it."""
    groups: dict[int, list[SnapshotCase]] = {}
    for case in cases:
        groups.setdefault(case.group, []).append(case)
    strata: dict[str, list[int]] = {}
    for group in np.random.default_rng(seed).permutation(sorted(groups)):
        strata.setdefault(_stratum(groups[int(group)][0]), []).append(int(group))
    # By their place within their stratum all strata come in turn, each in its share.
    ranked = sorted(
        ((at + 0.5) / len(members), name, group) for name, members in strata.items() for at, group in enumerate(members)
    )
    parts = []
    for fraction in sorted(fractions):
        part: list[SnapshotCase] = []
        for *_, group in ranked:
            if len(part) >= round(fraction * len(cases)):
                break
            part += groups[group]
        parts.append(part)
    return parts


def _stratum(case: SnapshotCase) -> str:
    return json.dumps(case.value, sort_keys=True) if not {"value", "values"} & set(case.value) else ""


def same_steps(recipe: Recipe, whole: int, part: int) -> Recipe:
    """The recipe with more epochs, so that so many examples as a part has are learnt in as many steps as the whole;
    what is counted in epochs grows alike. What fills no batch counts for no step."""
    from core.training.batches import plan_epoch

    times = plan_epoch(whole, recipe).steps / plan_epoch(part, recipe).steps
    grown = {key: round(getattr(recipe, key) * times) for key in IN_EPOCHS}
    highest = {field.key: field.high for field in FIELDS if field.key in grown}
    return change_recipe(recipe, {key: min(value, int(highest[key] or value)) for key, value in grown.items()})


def expected_seconds(
    connection: sqlite3.Connection, snapshot: Snapshot, recipe: Recipe, fractions: Sequence[float] = FRACTIONS
) -> float | None:
    """How long a curve will take, from the trial of an earlier run of the same snapshot and network; None without."""
    for run in list_runs(connection, snapshot.project):
        found = run.told.get("preflight") or {}
        alike = all(getattr(run.recipe, key) == getattr(recipe, key) for key in AS_LONG)
        if run.snapshot == snapshot.id and alike and "estimated_seconds" in found:
            return float(found["estimated_seconds"]) * recipe.epochs / run.recipe.epochs * len(fractions)
    return None


def run_learning_curve(
    connection: sqlite3.Connection,
    files: Files,
    snapshot: Snapshot,
    recipe: Recipe,
    fold: int | None,
    fractions: Sequence[float],
    most_minutes: float | None,
    folder: Path,
    device: Device,
    progress: Progress,
    *,
    sources: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train on each part, measure on validation, fit the law. No model is stored; parts done before are kept.

    Args:
        sources: what each part begins from (`core.training.sources`).

    Raises:
        PreflightFailed: it would take longer than `most_minutes`.
        CoreError: nothing to learn from.
        Stopped: somebody asked to stop; what was done is not done again when it is resumed.
    """
    from core.training.device import prepare_device
    from core.training.failures import failures_explained
    from core.training.run import build_fit, gather_material
    from core.training.settling import settle_input
    from core.training.starting import read_learnt

    demand_whole(snapshot, "make a learning curve")
    folder.mkdir(parents=True, exist_ok=True)
    policy = prepare_device(device)
    part = Portion(progress, 0.0, PREPARED)
    train, validation = training_cases(connection, snapshot, fold)
    recipe = settle_input(connection, files, recipe, train, part)
    material = gather_material(connection, files, snapshot, recipe, fold, part, checked=False)
    points = _read_points(folder)
    parts = nested_parts(train, fractions, recipe.seed)
    left = len(parts) - len(points)
    if points:  # with another batch than theirs, because memory is free again, the others would lie on another curve
        recipe = with_batch(recipe, min(recipe.batch, points[0].get("batch", recipe.batch)))
    if left > 0:
        allowed = None if points else most_minutes  # what was begun is not refused half-way
        recipe = _fit_into_memory(snapshot, recipe, material, policy, device, left, allowed, progress)
    learnt = read_learnt(files, recipe, sources or {}, progress)
    patients = {case.case_id: case.patient for case in validation}
    for at, cases in enumerate(parts):
        if any(point["cases"] == len(cases) for point in points):
            continue
        share = (1 - PREPARED) / len(parts)
        words = f"{len(cases):,} of {len(train):,} cases"
        note = _Noted(Portion(progress, PREPARED + at * share, PREPARED + (at + 1) * share), words)
        some = _part_of(material, snapshot, recipe, cases)
        if some is None:
            log.info("Left out: %s are of one class", words)
            continue
        with failures_explained(recipe, device):
            longer = same_steps(recipe, len(material.train), len(some.train))
            fit = build_fit(longer, snapshot, some, policy, learnt)
            points.append(_train_part(fit, some, cases, patients, note))
        write_whole(folder / POINTS, json.dumps(points).encode())
        log.info("With %s: %s %s", words, points[-1]["metric"], points[-1]["value"])
    earlier = list_earlier_runs(connection, sources or {}, snapshot.id)
    learnt_before = {case.case_id for run in earlier for case in cases_of_run(connection, run)[0]}
    known = sum(case.case_id in learnt_before for case in train)
    return describe_curve(snapshot, points, material.train, len(train), learnt_before=known)


def describe_curve(
    snapshot: Snapshot, points: Sequence[Mapping[str, Any]], train: Any, cases: int, *, learnt_before: int = 0
) -> dict[str, Any]:
    """The curve, its law with those of the resamples, and the forecast in a sentence.

    Args:
        learnt_before: how many of the training cases the model had learnt that every part began from.
    """
    task, schema = task_module(snapshot.task), trainable_schema(snapshot.schema)
    is_error = task.HEADLINE in ERRORS
    sign = -1.0 if is_error else 1.0
    chance, best = known_by_chance(schema, task.PAINTS, np.zeros((1, 1)) if task.PAINTS else train.targets)
    known = sorted((point for point in points if point["value"] is not None), key=lambda point: point["cases"])
    sizes = [point["cases"] for point in known]
    laws, law = np.zeros((0, 3)), [0.0, 0.0, 1.0]
    if len(sizes) > 1:
        drawn = np.array([point["resampled"] for point in known], float).T
        drawn = drawn[~np.isnan(drawn).any(axis=1)]
        law = fit_power_laws(sizes, sign * np.array([[point["value"] for point in known]]), sign * best)[0].tolist()
        laws = fit_power_laws(sizes, sign * drawn, sign * best) if len(drawn) else laws
    curve = {
        "metric": task.HEADLINE,
        "unit": unit_of(schema),
        "is_error": is_error,
        "learnt_before": learnt_before,
        "span": abs(best - chance),
        "points": [{key: value for key, value in point.items() if key != "resampled"} for point in known],
        "law": law,
        "laws": np.round(laws, 6).tolist(),
        "patients": known[0]["validation_patients"] if known else 0,
    }
    more = max(1, round(SHARE_OF_MORE * cases))
    told = forecast_of(curve, more)
    return {**curve, "forecast": told, "sentence": told["sentence"]}


def forecast_of(curve: Mapping[str, Any], more: int) -> dict[str, Any]:
    """What so many more cases are expected to bring by a stored curve."""
    return forecast(
        curve["law"],
        np.array(curve["laws"], float).reshape(-1, 3),
        sizes=[point["cases"] for point in curve["points"]] or [0],
        patients=curve["patients"],
        more=more,
        span=curve["span"],
        words=WORDS.get(curve["metric"], curve["metric"]),
        unit=curve.get("unit", ""),
        is_error=curve["is_error"],
        learnt_before=curve.get("learnt_before", 0),
    ).to_json()


def _fit_into_memory(
    snapshot: Snapshot,
    recipe: Recipe,
    material: Any,
    policy: str,
    device: Device,
    parts: int,
    most_minutes: float | None,
    progress: Progress,
) -> Recipe:
    """The recipe with the batch that fits into memory, found by two steps of the whole; before a part is trained it is
    said how long so many parts will take.

    Raises:
        PreflightFailed: longer than `most_minutes`, or not even one image fits.
    """
    import tensorflow as tf

    from core.training.batches import read_chunk
    from core.training.run import build_fit

    def read(fit: Any) -> list[Any]:
        return [tf.constant(part) for part in read_chunk(material.train, fit.learner.recipe, fit.plan, 0)]

    fit, trial = fit_into_memory(
        lambda wanted: build_fit(wanted, snapshot, material, policy),
        recipe, len(material.train), read, free_memory(device.memory_bytes),
    )  # fmt: skip
    judging = estimate_judging(trial, fit.plan.batch, len(material.validation))
    seconds = parts * estimate_seconds(trial, fit.plan.steps, judging, recipe.epochs)
    if most_minutes is not None and seconds > 60 * most_minutes:
        raise PreflightFailed(
            f"The learning curve would take about {duration(seconds)}. Received: at most {most_minutes:g} minutes",
            "Allow more time, or take fewer epochs, a smaller image size or fewer parts.",
        )
    batch = fit.learner.recipe.batch
    smaller = "" if batch >= recipe.batch else f"; in batches of {batch}, because more does not fit into memory"
    note = f"{parts} trainings, about {duration(seconds)} in all{smaller}"
    log.info(note)
    progress.report(PREPARED, note, seconds_left=seconds)
    return with_batch(recipe, batch)


def _part_of(material: Any, snapshot: Snapshot, recipe: Recipe, cases: Sequence[SnapshotCase]) -> Any:
    """The material of some of the training cases; None where they are of one class, so that nothing is learnt."""
    task, schema = task_module(snapshot.task), snapshot.schema
    learnt = task.encode_targets(schema, [case.value for case in cases])
    try:
        task.check_trainable(schema, learnt, learnt)
    except CoreError:
        return None
    train, wanted = material.train, [case.case_id for case in cases]
    kept = np.flatnonzero(np.isin(train.case_ids, wanted))
    shares = None if train.shares is None else train.shares[kept]
    some = replace(train, rows=train.rows[kept], targets=train.targets[kept], shares=shares)
    terms = task.loss_terms(schema, learnt, balanced=recipe.class_weights == "balanced")
    others = task.loss_terms(schema, learnt, balanced=recipe.class_weights != "none")
    return replace(material, train=some, terms=terms, validation_terms=others)


def _train_part(
    fit: Any, material: Any, cases: Sequence[SnapshotCase], patients: Mapping[int, str], progress: Progress
) -> dict[str, Any]:
    """One point of the curve: the best weights of a part, on validation, with what each resample says of them."""
    from core.training.callbacks import (
        STOPPED,
        KeepBestWeights,
        LowerRateOnPlateau,
        RefuseNan,
        ReportProgress,
        StopEarly,
        StopOnRequest,
    )
    from core.training.fit import fit_network

    recipe, learner = fit.learner.recipe, fit.learner
    callbacks: list[Any] = [RefuseNan(), KeepBestWeights()]
    if recipe.early_stopping:
        callbacks.append(StopEarly(recipe.early_stopping))
    if recipe.schedule == "plateau":
        callbacks.append(LowerRateOnPlateau(recipe.plateau_patience))
    fit_network(
        fit, material.train, material.validation, [*callbacks, ReportProgress(progress), StopOnRequest(progress)]
    )
    if fit.stop_because == STOPPED:
        raise Stopped
    learner.network.set_weights(fit.best_weights)
    _, targets, scores = learner.judge(material.validation)
    metric = headline_of(learner.schema, learner.task.PAINTS, targets, scores)
    whose = patients_of(material.validation, patients)
    drawn = metric(draw_weights(whose, resamples=RESAMPLES, seed=0))  # the same resamples for every part
    value, interval = float(metric(np.ones((1, len(whose))))[0]), percentile_interval(drawn)
    return {
        "cases": len(cases),
        "patients": len({case.patient for case in cases}),
        "metric": learner.task.HEADLINE,
        "value": None if np.isnan(value) else value,
        "low": interval.low,
        "high": interval.high,
        "epochs": fit.epoch,
        "batch": recipe.batch,
        "validation_cases": len(whose),
        "validation_patients": len(set(whose)),
        "resampled": [None if np.isnan(one) else round(float(one), 6) for one in drawn],
    }


def _read_points(folder: Path) -> list[dict[str, Any]]:
    try:
        return list(json.loads((folder / POINTS).read_text("utf-8")))
    except FileNotFoundError:
        return []


class _Noted:
    """A progress whose notes begin with which part is trained."""

    def __init__(self, whole: Progress, words: str) -> None:
        self._whole, self._words = whole, words

    def report(self, fraction: float, note: str, **facts: object) -> None:
        facts.pop("seconds_left", None)  # that of this part only
        self._whole.report(fraction, f"{self._words}: {note}", **facts)

    def should_stop(self) -> bool:
        return self._whole.should_stop()
