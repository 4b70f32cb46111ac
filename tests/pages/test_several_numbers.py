"""Several quantities of one image on the screens: each with its unit, its spread, its errors and its interval."""

import re
import sqlite3
from collections.abc import Callable

import numpy as np
import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import list_snapshot_cases
from core.evaluation.abstention import find_rule
from core.evaluation.records import add_evaluation, store_predictions
from core.images.records import Case
from core.labels.records import NewLabel, add_label, new_event
from core.people.accounts import User
from core.progress import Silent
from core.projects.records import Project, add_project, list_projects
from core.projects.schema import Quantity, Regression
from core.store.audit import Actor
from core.store.files import Files
from core.tasks.regression import describe_schema, encode_targets, measure
from core.training.recipe import named_recipe
from core.training.records import Model, add_model, add_run, get_run, set_watched, start_run
from dashboard.watched_cases import _said
from tests.core.conftest import make_case  # noqa: F401
from tests.pages.conftest import OpenPage, said

BODY = Regression("age", "years", 0, 120, None, (Quantity("body weight", "kg", 0, None),))
INTERVAL = {"half_width": 6.0, "level": 0.9, "n": 40}


@pytest.fixture
def found() -> None:
    """The model here is another one, in a home with nothing in it."""


@pytest.fixture
def bodies(
    connection: sqlite3.Connection,
    anna: User,
    actor: Actor,
    make_case: Callable[..., Case],  # noqa: F811
) -> Project:
    made = add_project(connection, name="Bodies", task="regression", schema=BODY, actor=actor)
    for number in range(12):
        case = make_case(f"{number}.png", into=made, perceptual_hash=None)
        value = {"values": {"age": 20.0 + number, "body weight": 60.0 + 3 * number}}
        add_label(connection, NewLabel(new_event(), case.id, "anna", value), actor)
    return made


@pytest.fixture
def model(connection: sqlite3.Connection, files: Files, bodies: Project, actor: Actor) -> Model:
    """A model that was never trained and is two years and four kilograms too high on the test split."""
    frozen = freeze_snapshot(
        connection, files, bodies, "first", ratios=(0.4, 0.2, 0.4), folds=2, actor=actor, progress=Silent()
    )
    recipe = named_recipe("resnet")
    run = add_run(connection, project=bodies.id, snapshot=frozen.id, recipe=recipe, name="quick", actor=actor)
    start_run(connection, run.id, device="cpu", environment={"python": "3.11"})
    made = add_model(
        connection, get_run(connection, run.id), keras_hash="0" * 64, onnx_left_out_because="none", parameters=1000,
        file_bytes=4096, seconds=2.0, actor=actor,
        facts={"task": "regression", **describe_schema(BODY), "validation": {"mae": 0.4, "r2": 0.9},
               "calibration": {"intervals": {"age": INTERVAL, "body weight": None}}},
    )  # fmt: skip
    tested = list_snapshot_cases(connection, frozen.id, split="test")
    targets = encode_targets(BODY, [case.value for case in tested])
    scores = targets + np.array([2.0, 4.0])
    store_predictions(connection, made, BODY, {one.case_id: row for one, row in zip(tested, scores, strict=True)})
    measured = measure(BODY, targets, scores, [case.patient for case in tested], made.calibration, seed=0)
    result = {"task": "regression", "split": "test", "warnings": [], "test_uses": 1, **measured}
    add_evaluation(connection, model_id=made.id, snapshot_id=frozen.id, split="test", result=result, actor=actor)
    return made


def test_every_page_tells_each_quantity_in_its_own_unit(
    open_page: OpenPage, connection: sqlite3.Connection, bodies: Project, model: Model
) -> None:
    run = get_run(connection, model.run)
    case = list_snapshot_cases(connection, run.snapshot, split="test")[0].case_id
    told = {
        "projects": ["age in years", "body weight in kg"],
        "overview": ["age in years, between 0 and 120<br>body weight in kg, between 0 and any"],
        "snapshots": ["<th>lowest, years</th>", "How age is spread"],
        "models": ["age in years, ± 6, meant for 90 %", "body weight in kg, with no interval"],
        "evaluate": [
            "Mean absolute error, years",
            "All 2 together: mean absolute error",
            "meant to be within ± 6 years",
        ],
        "case": ["age <b>", "body weight <b>", "no interval"],
    }
    for page, texts in told.items():
        app = open_page(page, project=bodies.id, model=model.id, case=case)
        assert not app.exception, page
        assert not app.error, page
        for text in texts:
            assert text in said(app), (page, text)


def test_a_run_shows_what_it_says_of_watched_cases_in_each_unit(
    open_page: OpenPage, connection: sqlite3.Connection, bodies: Project, model: Model
) -> None:
    run = get_run(connection, model.run)
    watched = list_snapshot_cases(connection, run.snapshot, split="validation")[0].case_id
    set_watched(connection, run.id, 1, {watched: {"scores": [41.5, 73.0]}})
    app = open_page("train", project=bodies.id, run=run.id)
    assert not app.exception
    assert "/ 41.5 years" in said(app)
    assert "/ 73.0 kg" in said(app)


def test_the_other_quantity_is_one_click_away(open_page: OpenPage, bodies: Project, model: Model) -> None:
    app = open_page("evaluate", project=bodies.id, model=model.id)
    choice = next(one for one in app.segmented_control if str(one.key).endswith("_quantity"))
    text = said(choice.set_value("body weight").run())
    assert not app.exception
    assert "Mean absolute error, kg" in text
    assert "validation split was too small" in text


def test_a_tolerance_in_years_is_none_in_kilograms(open_page: OpenPage, bodies: Project, model: Model) -> None:
    app = open_page("evaluate", project=bodies.id, model=model.id)
    (asked,) = (one for one in app.number_input if one.label == "Near enough, years")
    asked.set_value(1.0).run()
    choice = next(one for one in app.segmented_control if str(one.key).endswith("_quantity"))
    choice.set_value("body weight").run()
    (asked,) = (one for one in app.number_input if one.label.startswith("Near enough"))
    assert (asked.label, asked.value) == ("Near enough, kg", 4.0)


def test_each_quantity_is_limited_in_its_own_unit(
    open_page: OpenPage, connection: sqlite3.Connection, bodies: Project, model: Model
) -> None:
    app = open_page("predict", project=bodies.id, model=model.id, tab="abstention")
    assert not app.exception
    assert [app.number_input(key=f"abstain_most_{at}").label for at in (0, 1)] == ["age, years", "body weight, kg"]
    app.number_input(key="abstain_most_1").set_value(5.0).run()
    app.button(key="abstain_freeze").click().run()
    assert find_rule(connection, model.id) is None, "there is no interval of weights to limit"
    assert "validation gave none of body weight" in said(app)
    app.number_input(key="abstain_most_1").set_value(0.0).run()
    app.number_input(key="abstain_most_0").set_value(5.0).run()
    app.button(key="abstain_freeze").click().run()
    assert (find_rule(connection, model.id) or {})["most_half_widths"] == {"age": {"value": 5.0, "unit": "years"}}
    assert "half the interval of age is at most 5 years" in said(app)


def test_a_watched_case_tells_each_quantity_of_reader_and_network() -> None:
    reference = {"values": {"age": 62.0, "body weight": 70.5}}
    told, same = _said(BODY, reference, {"scores": [60.25, 71.0]})
    assert re.findall(">([^<]+)</span>", told) == ["62 / 60.2 years", "70.5 / 71.0 kg"]
    assert same is None
    one = Regression("age", "years", 0, 120)
    assert _said(one, {"value": 62.0}, {"scores": [60.25]}) == ("62 years<br>60.2 years", None)


def test_a_project_of_two_quantities_is_made_on_the_page(open_page: OpenPage, connection: sqlite3.Connection) -> None:
    app = open_page("projects")
    app.text_input(key="new_name").set_value("Two")
    app.segmented_control(key="new_task").set_value("regression").run()
    app.text_input(key="new_target").set_value("age")
    app.text_input(key="new_unit").set_value("years")
    app.button(key="quantity_add").click().run()
    app.text_input(key="further_target_0").set_value("body weight")
    app.text_input(key="further_unit_0").set_value("kg")
    app.number_input(key="further_low_0").set_value(0.0)
    app.button(key="new_create").click().run()
    (made,) = list_projects(connection)
    assert made.schema == Regression("age", "years", None, None, None, (Quantity("body weight", "kg", 0.0, None),))
