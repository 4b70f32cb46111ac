"""A measured number on the screens: its spread, its errors in its unit, the cases in order of their error."""

import json
import re
import sqlite3
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot, list_snapshot_cases
from core.evaluation.records import add_evaluation, store_predictions
from core.images.records import Case
from core.labels.case_lists import list_case_lists, list_cases_of
from core.labels.records import NewLabel, add_label, current_labels, new_event
from core.people.accounts import User, ensure_user
from core.people.members import set_member
from core.progress import Silent
from core.projects.records import Project, add_project
from core.projects.schema import Regression
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.tasks.regression import describe_schema, encode_targets, measure
from core.training.recipe import named_recipe
from core.training.records import Model, add_epoch, add_model, add_run, get_run, start_run
from dashboard import session
from tests.core.conftest import make_case  # noqa: F401
from tests.pages.conftest import OpenPage, plain, run_page, said

AGE = Regression("age", "years", 0, 120)
INTERVAL = {"half_width": 6.0, "level": 0.9, "n": 40}
ERRORS = (3.0, -1.0, 8.0, 0.5, 2.0, -7.0, 1.5, 0.0)  # of the cases of the test split, in turn


@pytest.fixture
def ages(
    connection: sqlite3.Connection,
    anna: User,
    actor: Actor,
    make_case: Callable[..., Case],  # noqa: F811
) -> Project:
    """24 hands of 24 patients, each of whom Anna has said the age of."""
    made = add_project(connection, name="Ages", task="regression", schema=AGE, actor=actor)
    for number in range(24):
        case = make_case(f"hand-{number}.png", into=made, perceptual_hash=None)
        add_label(connection, NewLabel(new_event(), case.id, "anna", {"value": 20.0 + 2 * number}), actor)
    return made


@pytest.fixture
def frozen(connection: sqlite3.Connection, files: Files, ages: Project, actor: Actor) -> Snapshot:
    return freeze_snapshot(
        connection, files, ages, "first", ratios=(0.4, 0.25, 0.35), folds=2, actor=actor, progress=Silent()
    )


@pytest.fixture
def aged(connection: sqlite3.Connection, ages: Project, frozen: Snapshot, actor: Actor) -> Model:
    """A model that was never trained, with two epochs, and an evaluation of the test split with known errors."""
    recipe = named_recipe("resnet")
    run = add_run(connection, project=ages.id, snapshot=frozen.id, recipe=recipe, name="quick", actor=actor)
    start_run(connection, run.id, device="cpu", environment={"python": "3.11"})
    for epoch, error in enumerate((9.0, 4.0), start=1):
        facts = {"epoch": epoch, "loss": error / 9, "mae": error, "validation_loss": 0.5, "validation_mae": error}
        add_epoch(connection, run.id, epoch, facts)
    model = add_model(
        connection, get_run(connection, run.id), keras_hash="0" * 64, onnx_left_out_because="none", parameters=1000,
        file_bytes=4096, seconds=2.0, actor=actor,
        facts={"task": "regression", **describe_schema(AGE), "validation": {"mae": 4.0, "r2": 0.9},
               "calibration": {"interval": INTERVAL}},
    )  # fmt: skip
    tested = list_snapshot_cases(connection, frozen.id, split="test")
    targets = encode_targets(AGE, [case.value for case in tested])
    scores = targets + np.resize(ERRORS, targets.shape)
    store_predictions(
        connection, model, AGE, {case.case_id: row.tolist() for case, row in zip(tested, scores, strict=True)}
    )
    measured = measure(AGE, targets, scores, [case.patient for case in tested], model.calibration, seed=0)
    result = {"task": "regression", "split": "test", "warnings": [], "test_uses": 1, **measured}
    add_evaluation(connection, model_id=model.id, snapshot_id=frozen.id, split="test", result=result, actor=actor)
    return model


def opened(open_page: OpenPage, name: str, **query: str | int) -> AppTest:
    app = open_page(name, **query)
    assert not app.exception
    assert not app.error
    return app


def test_a_snapshot_tells_how_the_number_is_spread(open_page: OpenPage, ages: Project, frozen: Snapshot) -> None:
    text = said(opened(open_page, "snapshots", project=ages.id))
    assert "<th>lowest, years</th><th>median, years</th><th>highest, years</th>" in text
    assert "How age is spread in each split" in text
    assert "<dd>median of readers</dd>" in text


def test_a_training_asks_what_a_number_needs_and_shows_its_error_in_the_unit(
    open_page: OpenPage, ages: Project, aged: Model
) -> None:
    app = opened(open_page, "train", project=ages.id, recipe="resnet")
    keys = {str(element.key) for kind in ("number_input", "selectbox") for element in app.get(kind)}
    assert not {"recipe_resnet_class_weights", "recipe_resnet_label_smoothing"} & keys
    assert app.selectbox(key="recipe_resnet_loss_regression").options == ["default", "huber", "absolute", "squared"]
    assert "by default huber" in str(app.selectbox(key="recipe_resnet_loss_regression").help)
    assert "cnn3d" not in app.segmented_control(key="recipe").options  # it is for volumes, and hands are images
    assert "Left out: cnn3d" in str(app.segmented_control(key="recipe").help)
    assert "Mean absolute error, years" in said(app)
    assert "set Zoom and Shift to 0" in said(app)
    for key in ("zoom", "shift"):
        app.number_input(key=f"recipe_resnet_{key}").set_value(0.0)
    assert "set Zoom and Shift to 0" not in said(app.run())


def test_a_training_for_classes_keeps_its_own_fields(open_page: OpenPage, project: Project, model: Model) -> None:
    app = opened(open_page, "train", project=project.id, recipe="resnet")
    assert app.selectbox(key="recipe_resnet_class_weights").value == "balanced"
    assert "huber" not in app.selectbox(key="recipe_resnet_loss_classification").options


def test_a_model_says_its_quantity_and_how_far_off_the_truth_may_be(
    open_page: OpenPage, ages: Project, aged: Model
) -> None:
    text = said(opened(open_page, "models", project=ages.id))
    assert "age in years, ± 6, meant for 90 % of cases (validation, n = 40)" in text
    assert "mean absolute error 4.00 years, R² 0.900" in text


def test_an_evaluation_tells_errors_in_the_unit_with_interval_and_n(
    open_page: OpenPage, ages: Project, aged: Model, frozen: Snapshot, connection: sqlite3.Connection
) -> None:
    text = said(opened(open_page, "evaluate", project=ages.id))
    n = len(list_snapshot_cases(connection, frozen.id, split="test"))
    errors = np.resize(ERRORS, n)
    assert f"<small>Mean absolute error, years</small><b>{np.abs(errors).mean():.2f}</b><span>" in text
    assert f"<small>Within its interval</small><b>{100 * np.mean(np.abs(errors) <= 6):.0f} %</b>" in text
    assert f"{n} cases of {n} patients" in text
    assert "In 90 % of cases the reference is meant to be within ± 6 years (conformal, from 40 of validation)" in text
    assert "Bland-Altman plot" in text
    tiles = re.findall('<small>([^<]*)</small><b>[^<]*</b><span>[^<]*</span><span class="rr-whiskers', plain(text))
    assert {"Mean absolute error, years", "Root mean squared error, years", "R²", "Within its interval"} <= set(tiles)


def test_readings_that_the_model_contradicts_become_a_worklist_and_groups_say_who_is_worse_off(
    connection: sqlite3.Connection, open_page: OpenPage, ages: Project, aged: Model, frozen: Snapshot
) -> None:
    tested = list_snapshot_cases(connection, frozen.id, split="test")
    worst = tested[ERRORS.index(8.0)].case_id
    for at, case in enumerate(tested):
        connection.execute(
            "UPDATE cases SET attributes = ? WHERE id = ?", (json.dumps({"site": "ab"[at % 2]}), case.case_id)
        )
    narrow = {**aged.facts, "calibration": {"interval": {**INTERVAL, "half_width": 3.9}}}
    connection.execute("UPDATE models SET facts = ? WHERE id = ?", (json.dumps(narrow), aged.id))
    app = open_page("evaluate", project=ages.id, model=aged.id)
    app.session_state["evaluate_tab"] = "Cases to check"
    text = said(app.run())
    assert not app.exception
    assert f"read {tested[2].value['value']:g}, model {tested[2].value['value'] + 8:.4g}" in text
    assert f"Looked at: {len(tested)} cases" in text
    app.button(key="doubtful_labels_keep").click().run()
    (kept,) = list_case_lists(connection, ages.id)
    assert list_cases_of(connection, ages.id, kept.id) == [worst]
    for which in ("readers", "unlike", "twins"):
        app.session_state["doubtful_list"] = which
        app.run()
        assert not app.exception
    app.session_state["evaluate_tab"] = "Subgroups"
    text = said(app.run())
    assert not app.exception
    assert "site a" in text
    assert "difference to the rest" in text
    assert "No slice by one attribute or two is large enough" in text
    app.segmented_control(key="groups_metric").set_value("within")
    assert "Within a tolerance" in said(app.run())
    assert not app.exception


def told_to_viewer(app: AppTest) -> dict[str, Any]:
    (told,) = (element.proto.json for element in app.main if "findings" in getattr(element.proto, "json", ""))
    found: dict[str, Any] = json.loads(told)
    return found


def test_the_share_within_a_tolerance_follows_what_is_near_enough(
    connection: sqlite3.Connection, open_page: OpenPage, ages: Project, frozen: Snapshot, aged: Model
) -> None:
    app = open_page("evaluate", project=ages.id, model=aged.id)
    (asked,) = (one for one in app.number_input if str(one.key).endswith("_tolerance"))
    asked.set_value(3.0)
    told = " ".join(str(one.value) for one in app.run().markdown)
    assert not app.exception
    errors = np.resize(ERRORS, len(list_snapshot_cases(connection, frozen.id, split="test")))
    assert f"**{100 * np.mean(np.abs(errors) <= 3.0):.0f} %**" in told
    assert f"within ± 3 years of the reference, n = {len(errors)}" in told


def test_a_review_begins_with_the_largest_error_and_shows_the_number_with_its_interval(
    open_page: OpenPage, ages: Project, aged: Model, frozen: Snapshot, connection: sqlite3.Connection
) -> None:
    app = opened(open_page, "review", project=ages.id)
    tested = list_snapshot_cases(connection, frozen.id, split="test")
    worst = tested[ERRORS.index(8.0)]
    told = told_to_viewer(app)
    assert told["case_ids"][0] == worst.case_id
    assert told["findings"][str(worst.case_id)] == {
        "reference": worst.value,
        "scores": {},
        "number": {"value": worst.value["value"] + 8, **INTERVAL, "low": worst.value["value"] + 2,
                   "high": worst.value["value"] + 14},
    }  # fmt: skip
    assert "all cases" in said(app)
    assert "largest error first" in said(app)
    assert [control.key for control in app.segmented_control] == [], "no number is simply right or wrong"


@pytest.mark.parametrize("wrong", ["wrong", "right"])
def test_an_address_that_asks_for_mistakes_shows_all_cases(
    open_page: OpenPage, ages: Project, aged: Model, frozen: Snapshot, connection: sqlite3.Connection, wrong: str
) -> None:
    app = opened(open_page, "review", project=ages.id, result=wrong, reference="a", predicted="b")
    tested = {case.case_id for case in list_snapshot_cases(connection, frozen.id, split="test")}
    assert set(told_to_viewer(app)["case_ids"]) == tested


def test_a_case_tells_what_models_say_of_it(
    open_page: OpenPage, ages: Project, aged: Model, frozen: Snapshot, connection: sqlite3.Connection
) -> None:
    first = list_snapshot_cases(connection, frozen.id, split="test")[0]
    text = said(opened(open_page, "case", case=first.case_id))
    assert f"<b>{first.value['value'] + ERRORS[0]:.1f} years</b>" in text
    assert "in 90 % of cases" in text


def test_cases_are_not_sought_by_right_and_wrong(open_page: OpenPage, ages: Project, aged: Model) -> None:
    app = opened(open_page, "cases", project=ages.id, model=aged.id, result="wrong")
    assert "which was" not in said(app)


def test_a_reviewer_corrects_a_number(
    settings: Settings, connection: sqlite3.Connection, ages: Project, aged: Model, actor: Actor, anna: User
) -> None:
    rita = ensure_user(connection, "rita")
    set_member(connection, ages.id, "rita", "reviewer", actor=actor)
    session.configure(settings, lambda _: rita)
    case = connection.execute("SELECT min(id) FROM cases WHERE project = ?", (ages.id,)).fetchone()[0]
    app = run_page("review", project=ages.id, case=case)
    (before,) = current_labels(connection, case)
    app.number_input(key=f"correct_{before.id}_number").set_value(33.5)
    app.button(key=f"correct_{before.id}_store").click().run()
    assert not app.exception
    (after,) = current_labels(connection, case)
    assert (after.reader, after.value, after.made_in) == ("anna", {"value": 33.5}, "review")
    session._Process.settings = session._Process.identify = None
