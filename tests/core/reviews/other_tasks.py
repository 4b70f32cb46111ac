"""Evaluated models of numbers, of painted structures and of drawn images, whose answers are known by hand."""

import sqlite3
from dataclasses import dataclass

import numpy as np

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot, get_snapshot, list_snapshot_cases
from core.evaluation.records import (
    add_evaluation,
    find_evaluation,
    find_predictions,
    list_measured,
    store_measured,
    store_predictions,
)
from core.evaluation.run import evaluate_model
from core.images.records import NewCase, insert_case
from core.labels.masks import put_mask
from core.labels.records import NewLabel, add_label, new_event
from core.measures.drawing import Seen, measure_drawn
from core.measures.segmentation import Compared
from core.progress import Silent
from core.projects.records import Project, add_project
from core.projects.schema import Quantity, Regression, make_generation, make_segmentation
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.tasks.regression import describe_schema
from core.tasks.segmentation import measure
from core.training.recipe import change_recipe, named_recipe
from core.training.records import Model, add_model, add_run, get_run

SIDE = 8
AGE = Regression("age", "years", 0, 120)
BODY = Regression("age", "years", 0, 120, None, (Quantity("body weight", "kg", 0, None),))


@dataclass(frozen=True)
class Measured:
    project: Project
    snapshot: Snapshot
    model: Model


def measured_numbers(connection: sqlite3.Connection, files: Files, actor: Actor) -> Measured:
    """24 patients; the model says 2 years too much of those of site A, and 8 of the others."""
    project = add_project(connection, name="Ages", task="regression", schema=AGE, actor=actor)
    add_cases(connection, files, project, actor, {number: {"value": 20.0 + number} for number in range(24)})
    found = freeze(connection, files, project, actor, {"target": "age", "unit": "years", "calibration": {}})
    cases = list_snapshot_cases(connection, found.snapshot.id)
    said = {case.case_id: [case.value["value"] + (2 if case.position % 2 else 8)] for case in cases}
    store_predictions(connection, found.model, AGE, said)
    evaluate_model(
        connection, files, Settings(home=files.root), found.model.id, found.snapshot.id, "test", actor, Silent()
    )
    return found


def measured_bodies(connection: sqlite3.Connection, files: Files, actor: Actor) -> Measured:
    """24 patients with an age and a weight; the model says 4 kg too much of all, and of ages what `measured_numbers`
    says. Its ages have an interval, its weights none."""
    project = add_project(connection, name="Bodies", task="regression", schema=BODY, actor=actor)
    values = {number: {"values": {"age": 20.0 + number, "body weight": 60.0 + 3 * number}} for number in range(24)}
    add_cases(connection, files, project, actor, values)
    intervals = {"age": {"half_width": 6.0, "level": 0.9, "n": 40}, "body weight": None}
    facts = {**describe_schema(BODY), "input": {"size": 8}, "calibration": {"intervals": intervals}}
    found = freeze(connection, files, project, actor, facts)
    said = {
        case.case_id: [case.value["values"]["age"] + (2 if case.position % 2 else 8),
                       case.value["values"]["body weight"] + 4]
        for case in list_snapshot_cases(connection, found.snapshot.id)
    }  # fmt: skip
    store_predictions(connection, found.model, BODY, said)
    evaluate_model(
        connection, files, Settings(home=files.root), found.model.id, found.snapshot.id, "test", actor, Silent()
    )
    return found


def measured_masks(connection: sqlite3.Connection, files: Files, actor: Actor) -> Measured:
    """24 patients with a painted liver; the model's Dice is 0.9 at site A and 0.5 at the others."""
    schema = make_segmentation(["liver"])
    project = add_project(connection, name="Livers", task="segmentation", schema=schema, actor=actor)
    add_cases(connection, files, project, actor, {number: {"structures": ["liver"]} for number in range(24)})
    found = freeze(connection, files, project, actor, {"structures": [{"name": "liver", "colour": "#56b4e9"}]})
    cases = list_snapshot_cases(connection, found.snapshot.id, split="test")
    compared = [
        Compared(dice=0.9 if case.position % 2 else 0.5, iou=0.5, hd95=1.0, surface_dice=0.9, reference_pixels=8,
                 predicted_pixels=8)
        for case in cases
    ]  # fmt: skip
    told = measure(schema, "px", [[one] for one in compared], [case.patient for case in cases], {}, seed=0)
    result = {"task": "segmentation", "split": "test", "fold": None, "warnings": [], "test_uses": 1, **told}
    made = add_evaluation(
        connection, model_id=found.model.id, snapshot_id=found.snapshot.id, split="test", result=result, actor=actor
    )
    store_measured(
        connection, made.id, {case.case_id: {"liver": one} for case, one in zip(cases, compared, strict=True)}
    )
    return found


def measured_drawn(connection: sqlite3.Connection, files: Files, actor: Actor) -> Measured:
    """24 patients, ill or well; of the 8 images that the model draws the judge knows 6 for what they are, and 1 lies
    close to a training image."""
    schema = make_generation(["ill", "well"])
    project = add_project(connection, name="Faces", task="generation", schema=schema, actor=actor)
    values: dict[int, dict[str, object]] = {number: {"classes": [schema.names[number % 2]]} for number in range(24)}
    add_cases(connection, files, project, actor, values)
    found = freeze(connection, files, project, actor, {"classes": list(schema.names), "calibration": {}})
    patients = [case.patient for case in list_snapshot_cases(connection, found.snapshot.id, split="test")]
    features = np.random.default_rng(0).normal(size=(2, 8, 3))
    close = np.arange(8) == 0
    drawn = Seen(features[1], np.arange(8) > 1, close, close)
    told = measure_drawn(Seen(features[0], np.ones(8, bool), ~close & close, ~close & close), drawn, patients, seed=0)
    result = {
        "task": "generation", "split": "test", "fold": None, "warnings": [], "test_uses": 1, **told, "pairs": [],
        "classes": list(schema.names), "judge": {"network": "resnet", "input_size": SIDE, "trained_on": 8},
    }  # fmt: skip
    add_evaluation(
        connection, model_id=found.model.id, snapshot_id=found.snapshot.id, split="test", result=result, actor=actor
    )
    return found


def add_cases(
    connection: sqlite3.Connection, files: Files, project: Project, actor: Actor, values: dict[int, dict[str, object]]
) -> None:
    for number, value in values.items():
        pixels = np.random.default_rng(number).integers(0, 255, (SIDE, SIDE)).astype(np.uint8)
        pixel_hash = files.put_array("pixels", pixels)
        case = insert_case(
            connection,
            NewCase(
                project=project.id, source=f"{number:02}.png", patient=f"p{number}", patient_from="table",
                pixel_hash=pixel_hash, file_hash=pixel_hash, perceptual_hash=None, rows=SIDE, columns=SIDE, channels=1,
                dtype="uint8", photometric="MONOCHROME2", imported_by=actor.name,
                attributes={"site": "A" if number % 2 else "B"},
                given_split=("train", "validation", "test")[number // 8],
            ),
        )  # fmt: skip
        if "structures" in value:
            put_mask(connection, case, "liver", np.ones((1, SIDE, SIDE), np.uint8), actor, event=new_event())
        add_label(connection, NewLabel(new_event(), case.id, actor.name, value), actor)


def freeze(
    connection: sqlite3.Connection, files: Files, project: Project, actor: Actor, facts: dict[str, object]
) -> Measured:
    snapshot = freeze_snapshot(
        connection, files, project, "first", split_column="split", folds=2, actor=actor, progress=Silent()
    )
    network = {"segmentation": "unet2d", "generation": "vae"}.get(project.task, "cnn")
    run = add_run(
        connection, project=project.id, snapshot=snapshot.id, recipe=named_recipe(network), name="quick", actor=actor
    )
    model = add_model(
        connection, get_run(connection, run.id), keras_hash=files.put_bytes("models", b"weights"),
        onnx_left_out_because="it is a test", parameters=1, file_bytes=7, facts={"task": project.task, **facts},
        seconds=1.0, actor=actor,
    )  # fmt: skip
    return Measured(project, snapshot, model)


def add_twin(connection: sqlite3.Connection, model: Model, name: str, actor: Actor, worse: float = 0.0) -> Model:
    """Another model, of another recipe, that says the same of every case, or of numbers something worse."""
    run = get_run(connection, model.run)
    recipe = change_recipe(run.recipe, {"epochs": run.recipe.epochs + 1})
    again = add_run(connection, project=model.project, snapshot=run.snapshot, recipe=recipe, name=name, actor=actor)
    made = add_model(
        connection, get_run(connection, again.id), keras_hash=model.keras_hash, onnx_left_out_because="it is a test",
        parameters=1, file_bytes=1, facts=model.facts, seconds=1.0, actor=actor,
    )  # fmt: skip
    evaluation = find_evaluation(connection, model.id, run.snapshot)
    assert evaluation is not None
    measured = list_measured(connection, evaluation.id)
    twin = add_evaluation(
        connection, model_id=made.id, snapshot_id=run.snapshot, split="test", result=evaluation.result, actor=actor
    )
    if measured:
        fields = Compared.__dataclass_fields__
        store_measured(
            connection,
            twin.id,
            {row.case_id: {row.structure: Compared(**{key: getattr(row, key) for key in fields})} for row in measured},
        )
        return made
    ids = [row[0] for row in connection.execute("SELECT case_id FROM predictions WHERE model = ?", (model.id,))]
    known = find_predictions(connection, model.id, ids)
    schema = get_snapshot(connection, model.project, run.snapshot).schema
    answers = {case: [score + worse for score in scores] for case, scores in known.items()}
    store_predictions(connection, made, schema, answers)  # type: ignore[arg-type]
    return made
