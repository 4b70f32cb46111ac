"""The body of a training job: from a run's row to a model's row.

It can be killed at any moment and started again: the fit goes on from its checkpoint, a model
that was stored is not stored twice, and only a missing ONNX file is made anew.
"""

import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from core.datasets.loading import PreparedImages, prepare_images, prepare_masks
from core.datasets.records import Snapshot, SnapshotCase, demand_whole, get_snapshot
from core.images.render import InputSpec
from core.progress import Portion, Progress
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.tasks import module_of, task_module, trainable_schema
from core.training.advice import advise
from core.training.batches import Examples, plan_epoch, read_chunk
from core.training.callbacks import (
    STOPPED,
    KeepBestWeights,
    LogEpochs,
    LowerRateOnPlateau,
    RecordEpochs,
    RefuseNan,
    ReportProgress,
    StopEarly,
    StopOnRequest,
)
from core.training.checkpoint import NAME as CHECKPOINT
from core.training.checkpoint import SaveCheckpoint, restore_checkpoint
from core.training.device import Device, prepare_device
from core.training.environment import describe_environment
from core.training.failures import explain_failure
from core.training.fit import Callback, Fit, fit_network
from core.training.gap import measure_gap
from core.training.networks import build_network, feature_layers
from core.training.onnx_export import make_onnx
from core.training.preflight import (
    Preflight,
    check_pixels,
    check_room,
    describe_trial,
    estimate_seconds,
    fit_into_memory,
    free_memory,
)
from core.training.recipe import Recipe, change_recipe
from core.training.records import (
    Model,
    Run,
    add_model,
    find_model_of_run,
    get_run,
    list_epochs,
    set_onnx,
    set_run_told,
    start_run,
)
from core.training.request import training_cases
from core.training.steps import Learner
from core.training.stored import network_bytes
from core.training.watched import WatchCases

PREPARED, FITTED, STORED = 0.05, 0.93, 0.95  # shares of the progress bar
ROWS_LOOKED_AT = 64
EXPORT_INTERRUPTED = "The export was interrupted."

log = logging.getLogger("readroom.training")


@dataclass(frozen=True)
class Material:
    """What the fit stands on; `terms` are what loss and head take from the training answers, `validation_terms` what
    the validation loss takes, which is balanced also where training is by what it draws.

    `exclusive`: of masks, whether no pixel of a training case belongs to two structures.
    """

    train: Examples
    validation: Examples
    terms: np.ndarray
    validation_terms: np.ndarray
    exclusive: bool = False


def run_training(
    connection: sqlite3.Connection,
    files: Files,
    settings: Settings,
    run_id: int,
    folder: Path,
    device: Device,
    progress: Progress,
) -> dict[str, Any]:
    """Train a run to its end, or go on with it from the checkpoint in `folder`.

    Returns:
        `model` (name), `model_id`, `run`, `snapshot` (name), `seconds`, `epochs`, `best_epoch`, `stopped`
        (whether somebody asked; the best weights so far are kept then) and `ended_because`.

    Raises:
        CoreError: nothing to learn from, the loss became NaN, or the device is not there.
    """
    run = get_run(connection, run_id)
    snapshot = get_snapshot(connection, run.project, run.snapshot)
    model = find_model_of_run(connection, run_id)
    if model is None:
        demand_whole(snapshot, "train")  # cases may have been erased since somebody asked
        model = _train(connection, files, run, snapshot, folder, device, progress)
    if model.onnx_hash is None and model.onnx_left_out_because == EXPORT_INTERRUPTED:
        progress.report(STORED, "Making the ONNX file")
        onnx_hash, reason = make_onnx(files, model, folder, settings.onnx_memory_bytes, progress)
        set_onnx(connection, model.id, onnx_hash, reason)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    progress.report(1.0, f"Model {model.name} is stored")
    log.info(
        "Model %s is stored: the best of %d epochs was epoch %d; it ended because: %s",
        *(model.name, *(model.facts[key] for key in ("epochs", "best_epoch", "ended_because"))),
    )
    return {
        "model": model.name,
        "model_id": model.id,
        "run": run.id,
        "snapshot": snapshot.name,
        "seconds": get_run(connection, run_id).seconds,
        **{key: model.facts[key] for key in ("epochs", "best_epoch", "stopped", "ended_because")},
    }


def _train(
    connection: sqlite3.Connection,
    files: Files,
    run: Run,
    snapshot: Snapshot,
    folder: Path,
    device: Device,
    progress: Progress,
) -> Model:
    folder.mkdir(parents=True, exist_ok=True)
    policy = prepare_device(device)
    start_run(connection, run.id, device=device.name, environment=describe_environment(device))
    checked = (folder / CHECKPOINT).exists()
    part = Portion(progress, 0.0, PREPARED)
    material = gather_material(connection, files, snapshot, run.recipe, run.fold, part, checked=checked)
    fit = _begin(connection, run, snapshot, material, folder, device, policy, progress)
    log.info(
        "Training %s on snapshot %s: %d images, validated on %d, from epoch %d, on %s",
        *(run.name, snapshot.name, len(material.train), len(material.validation), fit.epoch + 1, device.name),
    )
    part = Portion(progress, PREPARED, FITTED)
    callbacks: list[Callback] = [RefuseNan(), KeepBestWeights(), LogEpochs(), RecordEpochs(connection, run.id)]
    if run.recipe.early_stopping:
        callbacks.append(StopEarly(run.recipe.early_stopping))
    if run.recipe.schedule == "plateau":
        callbacks.append(LowerRateOnPlateau(run.recipe.plateau_patience))
    others = training_cases(connection, snapshot, run.fold)[1]
    spec, seed = input_spec(run.recipe), run.recipe.seed
    callbacks.append(WatchCases(connection, run.id, material.validation, others, spec, seed))
    callbacks += [ReportProgress(part), SaveCheckpoint(folder, run.recipe_hash), StopOnRequest(part)]
    trace_validation(fit, material.validation)
    try:
        fit_network(fit, material.train, material.validation, callbacks)
    except (tf.errors.OpError, MemoryError) as error:
        known = explain_failure(error, run.recipe, device)
        if known is None:
            raise
        raise known from error
    progress.report(FITTED, "Storing the model")
    return _store(connection, files, run, snapshot, fit, material)


def trace_validation(fit: Fit, validation: Examples) -> None:
    """Let the validation be compiled before the first epoch, which then takes as long as any other."""
    fit.learner.judge(replace(validation, rows=validation.rows[:1], targets=validation.targets[:1]))


def _begin(
    connection: sqlite3.Connection,
    run: Run,
    snapshot: Snapshot,
    material: Material,
    folder: Path,
    device: Device,
    policy: str,
    progress: Progress,
) -> Fit:
    """The fit from its checkpoint, or a new one whose first steps were tried."""

    def build(recipe: Recipe) -> Fit:
        return build_fit(recipe, snapshot, material, policy)

    def read(fit: Fit) -> list[Any]:
        return [tf.constant(part) for part in read_chunk(material.train, fit.learner.recipe, fit.plan, 0)]

    recipe, before = run.recipe, run.told.get("preflight", {})
    if (folder / CHECKPOINT).exists():
        fit = build(change_recipe(recipe, {"batch": before.get("batch", recipe.batch)}))
        restore_checkpoint(folder, fit, run.recipe_hash)
        progress.report(PREPARED, f"Going on after epoch {fit.epoch}")
        return fit
    progress.report(PREPARED, "Building the network")
    fit, trial = fit_into_memory(build, recipe, len(material.train), read, free_memory(device.memory_bytes))
    check_room(folder, fit.learner.network.count_params())
    plan, batch = fit.plan, fit.learner.recipe.batch
    seconds = estimate_seconds(trial, plan.steps, plan.batch, len(material.validation), recipe.epochs)
    notes = tuple(before.get("notes", ()))
    found = Preflight(batch, trial.seconds_a_step, trial.memory_bytes, seconds, notes)
    set_run_told(connection, run.id, "preflight", found.to_json())
    log.info(describe_trial(found, recipe))
    progress.report(PREPARED, describe_trial(found, recipe), seconds_left=seconds)
    return fit


def gather_material(
    connection: sqlite3.Connection,
    files: Files,
    snapshot: Snapshot,
    recipe: Recipe,
    fold: int | None,
    progress: Progress,
    *,
    checked: bool,
) -> Material:
    """The prepared images and encoded targets of both splits; `checked` says that their pixels were looked at."""
    task = task_module(snapshot.task)
    train, validation = training_cases(connection, snapshot, fold)
    wanted: Sequence[SnapshotCase] = [*train, *validation]
    targets = task.encode_targets(snapshot.schema, [case.value for case in wanted])
    task.check_trainable(snapshot.schema, targets[: len(train)], targets[len(train) :])
    if not checked:
        progress.report(0.0, "Checking the pixels against their hashes")
        check_pixels(connection, files, wanted)
    spec, first = input_spec(recipe), len(train)
    chosen, schema, learnt = recipe.class_weights, snapshot.schema, targets[:first]
    terms = task.loss_terms(schema, learnt, balanced=chosen == "balanced")
    validation_terms = task.loss_terms(schema, learnt, balanced=chosen != "none")
    images = prepare_images(connection, files, wanted, spec, Portion(progress, 0.0, 0.7), frames=task.PAINTS)
    if task.PAINTS:
        masks = prepare_masks(connection, files, wanted, spec, Portion(progress, 0.7, 1.0))
        painted, others = _painted(images, masks, [case.case_id for case in train])
        return Material(painted, others, terms, validation_terms, exclusive=_is_exclusive(painted))
    rows = np.arange(len(wanted))
    shares = task.sampling_shares(schema, learnt) if chosen == "sampling" else None
    return Material(
        Examples(images, rows[:first], learnt, shares=shares),
        Examples(images, rows[first:], targets[first:]),
        terms,
        validation_terms,
    )


def _painted(images: PreparedImages, masks: PreparedImages, train: Sequence[int]) -> tuple[Examples, Examples]:
    """The frames of the training cases, and those of the others."""
    cases = np.array(images.case_ids)
    learnt = np.isin(cases, train)
    first, second = (Examples(images, np.flatnonzero(part), cases[part], masks) for part in (learnt, ~learnt))
    return first, second


def _is_exclusive(learnt: Examples) -> bool:
    places = np.arange(len(learnt))
    return all(
        learnt.read_targets(places[at : at + ROWS_LOOKED_AT]).sum(axis=-1).max() <= 1
        for at in range(0, len(places), ROWS_LOOKED_AT)
    )


def input_spec(recipe: Recipe) -> InputSpec:
    """How images reach the network of a recipe."""
    return InputSpec(recipe.input_size, recipe.channels, recipe.resize, recipe.window)  # type: ignore[arg-type]


def build_fit(recipe: Recipe, snapshot: Snapshot, material: Material, policy: str) -> Fit:
    schema = trainable_schema(snapshot.schema)
    keras.utils.set_random_seed(recipe.seed)
    keras.config.set_dtype_policy(policy)
    try:
        network = build_network(recipe, schema, material.terms)
    finally:
        keras.config.set_dtype_policy("float32")
    plan = plan_epoch(len(material.train), recipe)
    half = policy == "mixed_float16"
    learner = Learner(
        network, recipe, schema, plan, material.terms, validation_terms=material.validation_terms, scale_loss=half
    )
    return Fit(learner, plan, recipe.epochs)


def _store(
    connection: sqlite3.Connection, files: Files, run: Run, snapshot: Snapshot, fit: Fit, material: Material
) -> Model:
    """The best weights in a network of full precision, so that the file runs on any machine, calibrated."""
    schema = trainable_schema(snapshot.schema)
    task, validation = module_of(schema), material.validation
    fit.learner.network.set_weights(fit.best_weights)
    calibration = task.calibrate(schema, *fit.learner.judge(validation)[1:])
    if task.PAINTS:
        calibration["exclusive"] = material.exclusive
    plain = build_network(run.recipe, schema, material.terms)
    plain.set_weights(fit.best_weights)
    network = task.calibrate_network(plain, schema, calibration)
    content = network_bytes(network)
    epochs = list_epochs(connection, run.id)
    cases = [case for part in training_cases(connection, snapshot, run.fold) for case in part]
    patients = {case.case_id: case.patient for case in cases}
    gap = measure_gap(fit.learner, material.train, validation, patients, seed=run.recipe.seed)
    learnt, weights = len(cases) - gap.validation.cases, int(network.count_params())
    advice = advise(gap, epochs, run.recipe, training_cases=learnt, parameters=weights)
    return add_model(
        connection,
        run,
        keras_hash=files.put_bytes("models", content),
        onnx_left_out_because=EXPORT_INTERRUPTED,
        parameters=weights,
        file_bytes=len(content),
        facts=describe_model(run.recipe, snapshot, fit, epochs)
        | {"calibration": calibration, "gap": gap.to_json(), "advice": advice.to_json()}
        | get_run(connection, run.id).told,
        seconds=sum(epoch["seconds"] for epoch in epochs),
        actor=Actor(run.created_by, "job"),
    )


def describe_model(recipe: Recipe, snapshot: Snapshot, fit: Fit, epochs: list[dict[str, Any]]) -> dict[str, Any]:
    """What prediction, explanation and the model's page need to know."""
    best = next((epoch for epoch in epochs if epoch["epoch"] == fit.best_epoch), {})
    task, schema = task_module(snapshot.task), trainable_schema(snapshot.schema)
    return {
        "input": asdict(input_spec(recipe)),
        "task": snapshot.task,
        **task.describe_schema(schema),
        "feature_layers": list(feature_layers(recipe)),
        "validation": {key.removeprefix("validation_"): best[key] for key in best if key.startswith("validation_")},
        "epochs": fit.epoch,
        "best_epoch": fit.best_epoch,
        "stopped": fit.stop_because == STOPPED,
        "ended_because": fit.stop_because or "all epochs done",
    }
