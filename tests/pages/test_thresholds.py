"""The Threshold tab: moved on validation, frozen as a model, shown on test at that point alone."""

import json
import sqlite3

import pytest
from streamlit.testing.v1 import AppTest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot, list_snapshot_cases
from core.evaluation.records import add_evaluation, store_predictions
from core.images.records import NewCase, insert_case
from core.labels.records import NewLabel, add_label, new_event
from core.measures.classification import measure_classification
from core.progress import Silent
from core.projects.records import Project, add_project
from core.projects.schema import make_classification
from core.store.audit import Actor
from core.store.files import Files
from core.tasks.classification import encode_targets
from core.training.recipe import named_recipe
from core.training.records import Model, add_epoch, add_model, add_run, get_run, list_models
from tests.pages.conftest import CLASSES, OpenPage, said


@pytest.fixture
def validated(connection: sqlite3.Connection, files: Files, project: Project, cases: list, actor: Actor) -> Model:
    """A model that was evaluated on validation and on test, with patients in both."""
    frozen = freeze_snapshot(
        connection, files, project, "thirds", ratios=(0.4, 0.3, 0.3), actor=actor, progress=Silent()
    )
    run = add_run(connection, project=project.id, snapshot=frozen.id, recipe=named_recipe("cnn"), actor=actor)
    model = add_model(
        connection, get_run(connection, run.id), keras_hash="0" * 64, onnx_left_out_because="none", parameters=10,
        file_bytes=10, facts={"task": "classification", "classes": list(CLASSES), "multi_label": False}, seconds=2.0,
        actor=actor,
    )  # fmt: skip
    answer_and_evaluate(connection, model, frozen, 0.3, 0.35, actor)
    return model


def answer_and_evaluate(
    connection: sqlite3.Connection, model: Model, frozen: Snapshot, slope: float, start: float, actor: Actor
) -> None:
    """On validation and on test the model scores a class `start`, and `slope` more where a case is of it."""
    for split in ("validation", "test"):
        some = list_snapshot_cases(connection, frozen.id, split=split)
        targets = encode_targets(frozen.schema, [case.value for case in some]).astype(int)  # type: ignore[arg-type]
        scores = targets * slope + start
        told = {case.case_id: row.tolist() for case, row in zip(some, scores, strict=True)}
        store_predictions(connection, model, frozen.schema, told)  # type: ignore[arg-type]
        measured = measure_classification(
            targets, scores, [case.patient for case in some], classes=model.facts["classes"], resamples=20
        ).to_json()
        result = {"task": "classification", "split": split, "warnings": [], "test_uses": 1, **measured}
        add_evaluation(connection, model_id=model.id, snapshot_id=frozen.id, split=split, result=result, actor=actor)


def test_a_threshold_is_moved_on_validation_and_frozen(
    connection: sqlite3.Connection, open_page: OpenPage, project: Project, validated: Model
) -> None:
    app = open_page("evaluate", project=project.id, model=validated.id, split="validation")
    app.session_state["evaluate_tab"] = "Threshold"
    app.run()
    assert not app.exception
    assert "Per 1,000 patients at prevalence" in said(app)
    assert "**0 missed**" in said(app)
    app.slider(key=f"threshold_{validated.id}_validation_pneumonia").set_value(0.9).run()
    assert "**0 missed**" not in said(app)
    app.button(key=f"freeze_{validated.id}_validation_pneumonia").click().run()
    newest = list_models(connection, project.id)[0]
    assert newest.calibration["thresholds"]["pneumonia"]["value"] == 0.9
    assert newest.facts["point_of"] == validated.id
    for page in ("models", "train"):  # a model without a training of its own
        assert not open_page(page, project=project.id, model=newest.id, run=newest.run).exception
    add_epoch(connection, validated.run, 1, {"epoch": 1, "loss": 0.7, "validation_loss": 0.6})
    told = said(open_page("models", project=project.id, model=newest.id))
    assert f"Another operating point of {validated.name}: the same weights" in told
    assert "Curves appear after the first epoch." not in told
    told_of = {"sources": {"start_from": {"hash": "c" * 64, "said": "the file theirs.keras"}}}
    connection.execute(
        "UPDATE runs SET told = ?, environment = ? WHERE id = ?",
        (json.dumps(told_of), json.dumps({"python": "3.11.2"}), validated.run),
    )
    page = open_page("models", project=project.id, model=newest.id)
    assert not page.exception
    told = said(page)
    assert "the file theirs.keras" in told, "where its weights begin"
    assert "<dt>python</dt><dd>3.11.2</dd>" in told, "what they were trained on"


def test_the_test_split_is_shown_at_the_frozen_point_alone(
    open_page: OpenPage, project: Project, validated: Model
) -> None:
    app = open_page("evaluate", project=project.id, model=validated.id, split="test")
    app.session_state["evaluate_tab"] = "Threshold"
    app.run()
    assert not app.exception
    assert "Shown at the frozen point alone: 0.500" in said(app)
    assert not app.slider


@pytest.fixture
def three_classes(connection: sqlite3.Connection, files: Files, actor: Actor) -> Model:
    """A model of three exclusive classes, answered on validation and on test."""
    names = ("normal", "bacterial", "viral")
    project = add_project(connection, name="Three", task="classification", schema=make_classification(list(names)),
                          actor=actor)  # fmt: skip
    for number in range(60):
        pixel_hash = f"{number:064x}"
        case = insert_case(
            connection,
            NewCase(
                project=project.id, source=f"{number}.png", patient=f"p{number}", patient_from="table",
                pixel_hash=pixel_hash, file_hash=pixel_hash, perceptual_hash=None, rows=8, columns=8, channels=1,
                dtype="uint8", photometric="MONOCHROME2", imported_by="anna",
            ),
        )  # fmt: skip
        add_label(connection, NewLabel(new_event(), case.id, "anna", {"classes": [names[number % 3]]}), actor)
    frozen = freeze_snapshot(connection, files, project, "thirds", ratios=(0.4, 0.3, 0.3), allow_leaks="made up",
                             actor=actor, progress=Silent())  # fmt: skip
    run = add_run(connection, project=project.id, snapshot=frozen.id, recipe=named_recipe("cnn"), actor=actor)
    model = add_model(
        connection, get_run(connection, run.id), keras_hash="1" * 64, onnx_left_out_because="none", parameters=10,
        file_bytes=10, facts={"task": "classification", "classes": list(names), "multi_label": False}, seconds=2.0,
        actor=actor,
    )  # fmt: skip
    answer_and_evaluate(connection, model, frozen, 0.4, 0.2, actor)
    return model


def test_one_of_three_classes_is_looked_at_against_the_rest_and_not_frozen(
    open_page: OpenPage, three_classes: Model
) -> None:
    def opened(split: str) -> AppTest:
        app = open_page("evaluate", project=three_classes.project, model=three_classes.id, split=split)
        app.session_state["evaluate_tab"] = "Threshold"
        return app.run()

    app = opened("validation")
    assert not app.exception
    assert "the highest probability is decided for" in said(app)
    assert "Per 1,000 patients at prevalence" in said(app)
    assert "of them normal" in said(app)
    app.session_state["threshold_class"] = "viral"
    app.run()
    assert not app.exception
    assert "of them viral" in said(app)
    assert "**0 missed**" in said(app)
    app.slider(key=f"threshold_{three_classes.id}_validation_viral").set_value(0.9).run()
    assert "**0 missed**" not in said(app)
    assert not [one for one in app.button if str(one.key).startswith("freeze_")]
    tested = opened("test")
    assert not tested.exception
    assert not tested.slider
    assert "Per 1,000 patients" not in said(tested)


def test_another_snapshot_has_numbers_of_its_own_and_moves_nothing(
    connection: sqlite3.Connection, files: Files, open_page: OpenPage, project: Project, validated: Model, actor: Actor
) -> None:
    """Cases that the model says nothing right of, as many as its own snapshot has: what is kept of the one must not be
    shown for the other."""
    other = freeze_snapshot(
        connection, files, project, "again", ratios=(0.4, 0.3, 0.3), seed=1, actor=actor, progress=Silent()
    )
    for split in ("validation", "test"):
        own = list_snapshot_cases(connection, get_run(connection, validated.run).snapshot, split=split)
        assert len(list_snapshot_cases(connection, other.id, split=split)) == len(own)
    answer_and_evaluate(connection, validated, other, -0.3, 0.65, actor)

    def opened(split: str, **of: int) -> AppTest:
        app = open_page("evaluate", project=project.id, model=validated.id, split=split, **of)
        app.session_state["evaluate_tab"] = "Threshold"
        return app.run()

    def net_benefit(app: AppTest) -> str:
        return said(app).split("Net benefit at ")[1].split(";")[0]

    assert net_benefit(opened("test")) != net_benefit(opened("test", snapshot=other.id))
    app = opened("validation", snapshot=other.id)
    assert not app.exception
    assert not app.slider, "its validation may hold what is the model's own test"
    assert "Shown at the frozen point alone: 0.500" in said(app)
