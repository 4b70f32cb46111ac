"""The body of a training job: from a run's row to a model's row.

It can be killed at any moment and started again: the fit goes on from its checkpoint, a model
that was stored is not stored twice, and only a missing ONNX file is made anew.
"""

import logging
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from core.datasets.loading import PreparedImages, WithNeighbours, prepare_images, prepare_masks
from core.datasets.records import Snapshot, SnapshotCase, demand_whole, get_snapshot
from core.images.records import find_single
from core.images.render import InputSpec
from core.images.volume_input import PatchSpec
from core.progress import Portion, Progress
from core.projects.schema import Generation
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.tasks import module_of, task_module, trainable_schema
from core.tasks.generation import describe_conditions
from core.training.advice import advise, advise_drawing
from core.training.batches import Examples, Images, plan_epoch, read_chunk
from core.training.beginning import Beginning, TellBeginning
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
from core.training.device import CPU, MIXED, Device, prepare_device
from core.training.device_use import DeviceUse
from core.training.drawing import DrawingLearner, KeepSamples
from core.training.ending import Ending, Importing, plan_ending
from core.training.environment import describe_environment
from core.training.failures import failures_explained
from core.training.fit import Callback, Fit, fit_network
from core.training.gap import measure_gap
from core.training.headline import patients_of
from core.training.networks import build_network, feature_layers, input_of
from core.training.onnx_export import EXPORT_INTERRUPTED, make_onnx
from core.training.patches import gather_patches
from core.training.preflight import (
    Preflight,
    check_pixels,
    check_room,
    check_room_for_images,
    describe_trial,
    estimate_judging,
    estimate_seconds,
    fit_into_memory,
    free_memory,
)
from core.training.recipe import Recipe, with_batch
from core.training.records import (
    Model,
    Run,
    add_model,
    find_model_of_run,
    get_run,
    list_epochs,
    remove_epochs,
    set_onnx,
    set_run_told,
    start_run,
)
from core.training.request import training_cases
from core.training.samples import remove_samples
from core.training.settling import measure_proportions, settle_input
from core.training.spread import describe_devices, share_steps
from core.training.starting import Learnt, read_learnt, take_over
from core.training.steps import Learner
from core.training.stored import network_bytes
from core.training.watched import WatchCases
from core.training.watched_volumes import WatchVolumes

PREPARED, FITTED, STORED = 0.05, 0.93, 0.95  # shares of the progress bar
ROWS_LOOKED_AT = 64
NOT_EXPORTED = "A model that draws is kept in Keras's own format alone."

log = logging.getLogger("readroom.training")


@dataclass(frozen=True)
class Material:
    """What the fit stands on; `terms` are what loss and head take from the training answers, `validation_terms` what
    the validation loss takes, which is balanced also where training is by what it draws.

    `exclusive`: of masks, whether no pixel of a training case belongs to two structures. `proportions`: height to width
    of the training images where they are stretched (`core.training.settling.measure_proportions`).
    """

    train: Examples
    validation: Examples
    terms: np.ndarray
    validation_terms: np.ndarray
    exclusive: bool = False
    proportions: float = 1.0


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
    model, ending = find_model_of_run(connection, run_id), None
    if model is None:
        demand_whole(snapshot, "train")  # cases may have been erased since somebody asked
        model, ending = _train(connection, files, run, snapshot, folder, device, progress)
    if model.onnx_hash is None and model.onnx_left_out_because == EXPORT_INTERRUPTED:
        progress.report(STORED, "Making the ONNX file", seconds_left=ending.after_storing() if ending else None)
        onnx_hash, reason = make_onnx(files, model, folder, settings.onnx_memory_bytes, progress)
        set_onnx(connection, model.id, onnx_hash, reason)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    progress.report(1.0, f"Model {model.name} is stored", seconds_left=ending.after_export() if ending else None)
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
) -> tuple[Model, Ending]:
    folder.mkdir(parents=True, exist_ok=True)
    beginning = Beginning(run)
    imported = time.process_time()
    policy = prepare_device(device)
    start_run(connection, run.id, device=device.name, environment=describe_environment(device, policy))
    checked = (folder / CHECKPOINT).exists()
    train, others = training_cases(connection, snapshot, run.fold)
    part = Portion(progress, 0.0, PREPARED)
    settled = settle_input(connection, files, run.recipe, train, part)
    run = replace(run, recipe=settled)  # what is stored stays what was asked for
    painted = task_module(snapshot.task).PAINTS
    check_room_for_images(connection, files, [*train, *others], input_of(settled), painted=painted)
    material = gather_material(connection, files, snapshot, run.recipe, run.fold, part, checked=checked)
    beginning.end("data")
    # A checkpoint holds what the run began from, and more.
    learnt = [] if checked else read_learnt(files, run.recipe, run.told.get("sources", {}), progress)
    with failures_explained(run.recipe, device):
        fit, ending = _begin(
            connection, run, snapshot, material, learnt, folder, device, policy, Importing(imported), progress
        )
    remove_epochs(connection, run.id, after=fit.epoch)
    remove_samples(folder, after=fit.epoch)
    beginning.end("trial")
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
    if not checked:  # a run that goes on began long ago
        callbacks.append(TellBeginning(connection, run.id, beginning))
    spec = input_of(run.recipe)
    if isinstance(snapshot.schema, Generation):
        callbacks.append(KeepSamples(folder, material.validation, snapshot.schema.names))
    elif isinstance(spec, PatchSpec):
        callbacks.append(WatchVolumes(connection, run.id, material.validation, others, spec, run.recipe.seed))
    else:
        callbacks.append(WatchCases(connection, run.id, material.validation, others, spec, run.recipe.seed))
    step_seconds = get_run(connection, run.id).told.get("preflight", {}).get("seconds_a_step", 0.0)
    reporting = ReportProgress(part, ending=ending.seconds, use=DeviceUse(device), step_seconds=step_seconds)
    callbacks += [reporting, SaveCheckpoint(folder, run.recipe_hash)]
    callbacks.append(StopOnRequest(part))
    with failures_explained(run.recipe, device):
        trace_validation(fit, material.validation)
        fit_network(fit, material.train, material.validation, callbacks)
        progress.report(FITTED, "Storing the model", seconds_left=ending.seconds(fit.judged_seconds))
        return _store(connection, files, run, snapshot, fit, material), ending


def trace_validation(fit: Fit, validation: Examples) -> None:
    """Let the validation be compiled before the first epoch, which then takes as long as any other; and where masks
    are judged, what is said of the watched cases too."""
    fit.learner.judge(replace(validation, rows=validation.rows[:1], targets=validation.targets[:1]))
    if validation.masks is not None:
        fit.learner.say(validation.images.read(validation.rows[:1]))


def _begin(
    connection: sqlite3.Connection,
    run: Run,
    snapshot: Snapshot,
    material: Material,
    learnt: Sequence[Learnt],
    folder: Path,
    device: Device,
    policy: str,
    importing: Importing,
    progress: Progress,
) -> tuple[Fit, Ending]:
    """The fit from its checkpoint, or a new one whose first steps were tried; and how the run will end."""

    def build(recipe: Recipe) -> Fit:
        return build_fit(recipe, snapshot, material, policy, learnt, device)

    def ending_of(fit: Fit) -> Ending:
        parameters = fit.learner.network.count_params()
        return plan_ending(importing.seconds(), snapshot.task, parameters, material.train, material.validation)

    def read(fit: Fit) -> list[Any]:
        return [tf.constant(part) for part in read_chunk(material.train, fit.learner.recipe, fit.plan, 0)]

    recipe, before = run.recipe, run.told.get("preflight", {})
    if (folder / CHECKPOINT).exists():
        fit = build(with_batch(recipe, before.get("batch", recipe.batch)))
        restore_checkpoint(folder, fit, run.recipe_hash)
        progress.report(PREPARED, f"Going on after epoch {fit.epoch}")
        return fit, ending_of(fit)
    progress.report(PREPARED, "Building the network")
    fit, trial = fit_into_memory(
        build, recipe, len(material.train), read, free_memory(device.memory_bytes), devices=max(len(device.parts), 1)
    )
    check_room(folder, fit.learner.network.count_params())
    plan, batch = fit.plan, fit.learner.recipe.batch
    ending = ending_of(fit)
    judged = estimate_judging(trial, plan.batch, len(material.validation))
    seconds = estimate_seconds(trial, plan.steps, judged, recipe.epochs) + ending.seconds(judged)
    # An attempt that left no checkpoint may have said the same.
    notes = tuple(dict.fromkeys([*before.get("notes", ()), *describe_devices(recipe.devices, device)]))
    found = Preflight(batch, trial.seconds_a_step, trial.memory_bytes, seconds, notes, policy)
    set_run_told(connection, run.id, "preflight", found.to_json())
    log.info(describe_trial(found, recipe))
    progress.report(PREPARED, describe_trial(found, recipe), seconds_left=seconds)
    return fit, ending


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
    spec, first = input_of(recipe), len(train)
    chosen, schema, learnt = recipe.class_weights, snapshot.schema, targets[:first]
    terms = task.loss_terms(schema, learnt, balanced=chosen == "balanced")
    validation_terms = task.loss_terms(schema, learnt, balanced=chosen != "none")
    if isinstance(spec, PatchSpec):
        painted, others, exclusive = gather_patches(connection, files, train, validation, recipe, progress)
        return Material(painted, others, terms, validation_terms, exclusive=exclusive)
    proportions = measure_proportions(connection, train, spec)
    images = prepare_images(connection, files, wanted, spec, Portion(progress, 0.0, 0.7), frames=task.PAINTS)
    if task.PAINTS:
        assert isinstance(spec, InputSpec)  # what sees whole volumes does not paint
        masks = prepare_masks(connection, files, wanted, spec, Portion(progress, 0.7, 1.0))
        shown = WithNeighbours(images, spec.neighbours) if spec.neighbours else images
        painted, others = _painted(shown, masks, [case.case_id for case in train])
        exclusive = _is_exclusive(painted)
        return Material(painted, others, terms, validation_terms, exclusive=exclusive, proportions=proportions)
    rows = np.arange(len(wanted))
    shares = task.sampling_shares(schema, learnt) if chosen == "sampling" else None
    return Material(
        Examples(images, rows[:first], learnt, shares=shares),
        Examples(images, rows[first:], targets[first:]),
        terms,
        validation_terms,
        proportions=proportions,
    )


def _painted(images: Images, masks: PreparedImages, train: Sequence[int]) -> tuple[Examples, Examples]:
    """The frames of the training cases, and those of the others."""
    cases = np.array(masks.case_ids)
    learnt = np.isin(cases, train)
    first, second = (Examples(images, np.flatnonzero(part), cases[part], masks) for part in (learnt, ~learnt))
    return first, second


def _is_exclusive(learnt: Examples) -> bool:
    places = np.arange(len(learnt))
    return all(
        learnt.read_targets(places[at : at + ROWS_LOOKED_AT]).sum(axis=-1).max() <= 1
        for at in range(0, len(places), ROWS_LOOKED_AT)
    )


def build_fit(
    recipe: Recipe,
    snapshot: Snapshot,
    material: Material,
    policy: str,
    learnt: Sequence[Learnt] = (),
    device: Device = CPU,
) -> Fit:
    """A fit at its beginning: fresh weights, or those `learnt` before, on one device or a group."""
    spread = share_steps(device)
    with spread.scope() if spread else nullcontext():
        return _build_fit(recipe, snapshot, material, policy, learnt, spread)


def _build_fit(
    recipe: Recipe, snapshot: Snapshot, material: Material, policy: str, learnt: Sequence[Learnt], spread: Any
) -> Fit:
    schema = trainable_schema(snapshot.schema)
    keras.utils.set_random_seed(recipe.seed)
    keras.config.set_dtype_policy(policy)
    try:
        network = build_network(recipe, schema, material.terms)
    finally:
        keras.config.set_dtype_policy("float32")
    for source in learnt:
        take_over(network, source, module_of(schema).RAW)
    plan = plan_epoch(len(material.train), recipe, spread.num_replicas_in_sync if spread else 1)
    half = policy == MIXED
    learns = DrawingLearner if module_of(schema).DRAWS else Learner
    learner = learns(
        network,
        recipe,
        schema,
        plan,
        material.terms,
        validation_terms=material.validation_terms,
        scale_loss=half,
        proportions=material.proportions,
        spread=spread,
    )
    return Fit(learner, plan, recipe.epochs)


def _store(
    connection: sqlite3.Connection, files: Files, run: Run, snapshot: Snapshot, fit: Fit, material: Material
) -> Model:
    """The best weights in a network of full precision, so that the file runs on any machine, calibrated."""
    schema = trainable_schema(snapshot.schema)
    task, validation = module_of(schema), material.validation
    fit.learner.network.set_weights(fit.best_weights)
    parts = training_cases(connection, snapshot, run.fold)
    patient_of = {case.case_id: case.patient for part in parts for case in part}
    calibration = task.calibrate(schema, *fit.learner.judge(validation)[1:], patients_of(validation, patient_of))
    if task.PAINTS:
        calibration["exclusive"] = material.exclusive
    if isinstance(schema, Generation):
        calibration["shown"] = describe_conditions(schema, material.train.targets)
    plain = build_network(run.recipe, schema, material.terms)
    plain.set_weights(fit.best_weights)
    network = task.calibrate_network(plain, schema, calibration)
    content = network_bytes(network)
    epochs = list_epochs(connection, run.id)
    weights = int(network.count_params())
    told = _tell_gap(run, snapshot, fit, material, epochs, weights, patient_of)
    return add_model(
        connection,
        run,
        keras_hash=files.put_bytes("models", content),
        onnx_left_out_because=NOT_EXPORTED if task.DRAWS else EXPORT_INTERRUPTED,
        parameters=weights,
        file_bytes=len(content),
        facts=describe_model(run.recipe, snapshot, fit, epochs)
        | {"learnt_singles": find_single(connection, [case.case_id for case in parts[0]]) is not None}
        | {"calibration": calibration, **told}
        | get_run(connection, run.id).told,
        seconds=sum(epoch["seconds"] for epoch in epochs),
        actor=Actor(run.created_by, "job"),
    )


def _tell_gap(
    run: Run,
    snapshot: Snapshot,
    fit: Fit,
    material: Material,
    epochs: list[dict[str, Any]],
    weights: int,
    patient_of: Mapping[int, str],
) -> dict[str, Any]:
    """How much better the model is on what it learnt from, and what to try next.

    Args:
        patient_of: the patient of each case of training and validation.
    """
    gap = measure_gap(fit.learner, material.train, material.validation, patient_of, seed=run.recipe.seed)
    learnt = len(patient_of) - gap.validation.cases
    rules = advise_drawing if task_module(snapshot.task).DRAWS else advise
    advice = rules(
        gap,
        epochs,
        run.recipe,
        training_cases=learnt,
        parameters=weights,
        stopped=fit.stop_because == STOPPED,
    )
    return {"gap": gap.to_json(), "advice": advice.to_json()}


def describe_model(recipe: Recipe, snapshot: Snapshot, fit: Fit, epochs: list[dict[str, Any]]) -> dict[str, Any]:
    """What prediction, explanation and the model's page need to know."""
    best = next((epoch for epoch in epochs if epoch["epoch"] == fit.best_epoch), {})
    task, schema = task_module(snapshot.task), trainable_schema(snapshot.schema)
    return {
        "input": input_of(recipe).to_json(),
        "task": snapshot.task,
        **task.describe_schema(schema),
        "feature_layers": list(feature_layers(recipe)),
        "validation": {key.removeprefix("validation_"): best[key] for key in best if key.startswith("validation_")},
        "epochs": fit.epoch,
        "best_epoch": fit.best_epoch,
        **({} if fit.learner.proportions == 1.0 else {"proportions": fit.learner.proportions}),
        "stopped": fit.stop_because == STOPPED,
        "ended_because": fit.stop_because or "all epochs done",
    }
