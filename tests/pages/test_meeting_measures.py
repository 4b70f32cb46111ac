"""The steps of a meeting that look at results from a side: threshold, subgroups, and the model it is compared with."""

import sqlite3
from collections.abc import Callable

import pytest

from core.projects.records import Project
from core.projects.schema import Regression, make_classification, make_segmentation
from core.reviews.meetings import add_review, open_results
from core.store.audit import Actor
from core.store.files import Files
from core.training.records import Model
from dashboard.meeting_view import steps_of
from tests.core.reviews.other_tasks import Measured, add_twin, measured_bodies, measured_masks, measured_numbers
from tests.pages.conftest import OpenPage, said


def test_of_classes_each_side_step_shows_the_frozen_point_the_groups_and_the_paired_difference(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model, actor: Actor
) -> None:
    before = add_twin(connection, model, "before", actor)
    made = add_review(connection, project, model, criteria=[], production=before, actor=actor)
    review = open_results(connection, made, actor=actor)
    app = open_page("meeting", project=project.id, review=review.id, step="threshold")
    app.session_state[f"meeting_opened_{review.id}"] = True
    told = {}
    for step in ("criteria", "threshold", "subgroups", "comparison"):
        app.query_params["step"] = step
        told[step] = said(app.run())
        assert not app.exception, step
    assert "At which cut points this was measured was not kept" in told["criteria"]  # this document has none
    assert "Shown at the frozen point alone: 0.500" in told["threshold"]
    assert not app.slider
    assert "sex F" in told["subgroups"]
    assert "no difference beyond noise between quick and before" in told["comparison"]


def test_without_a_model_to_compare_with_the_step_says_so(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model, actor: Actor
) -> None:
    review = open_results(connection, add_review(connection, project, model, criteria=[], actor=actor), actor=actor)
    app = open_page("meeting", project=project.id, review=review.id, step="comparison")
    assert "The test results are closed" in said(app)  # the step opens test results as the others do
    app.session_state[f"meeting_opened_{review.id}"] = True
    assert "prepared without a model to compare with" in said(app.run())


@pytest.mark.parametrize(
    ("make", "worse", "group", "verdict"),
    [
        (measured_numbers, 3.0, "2.000", "quick is better than before by MAE, years: −3.000"),
        (measured_bodies, 3.0, "MAE, years<", "by MAE of body weight, kg: −3.000"),
        (measured_masks, 0.0, "0.900", "no difference beyond noise between quick and before by Dice of liver"),
    ],
)
def test_numbers_and_structures_have_their_groups_and_their_paired_difference(
    open_page: OpenPage, connection: sqlite3.Connection, files: Files, actor: Actor,
    make: Callable[..., Measured], worse: float, group: str, verdict: str,
) -> None:  # fmt: skip
    found = make(connection, files, actor)
    before = add_twin(connection, found.model, "before", actor, worse)
    made = add_review(connection, found.project, found.model, criteria=[], production=before, actor=actor)
    review = open_results(connection, made, actor=actor)
    app = open_page("meeting", project=found.project.id, review=review.id, step="subgroups")
    app.session_state[f"meeting_opened_{review.id}"] = True
    assert group in said(app.run())
    app.session_state["meeting_groups_tab"] = "Against the rest"
    assert "difference to the rest" in said(app.run())
    assert not app.exception
    app.query_params["step"] = "comparison"
    assert verdict in said(app.run())
    assert not app.exception


def test_of_several_quantities_the_groups_are_shown_of_one_in_its_unit(
    open_page: OpenPage, connection: sqlite3.Connection, files: Files, actor: Actor
) -> None:
    found = measured_bodies(connection, files, actor)
    review = open_results(
        connection, add_review(connection, found.project, found.model, criteria=[], actor=actor), actor=actor
    )
    app = open_page("meeting", project=found.project.id, review=review.id, step="subgroups")
    app.session_state[f"meeting_opened_{review.id}"] = True
    app.run()
    assert "2.000 (" in said(app)
    app.segmented_control(key="meeting_groups_quantity").set_value("body weight").run()
    assert "MAE, kg" in said(app)
    assert "4.000 (" in said(app)
    assert "2.000 (" not in said(app)


def test_a_step_that_a_task_cannot_fill_is_left_out():
    keys = {
        name: [step.key for step in steps_of(schema)]
        for name, schema in {
            "two": make_classification(["a", "b"]),
            "three": make_classification(["a", "b", "c"]),
            "number": Regression("age", "years", 0, 120),
            "painted": make_segmentation(["liver"]),
        }.items()
    }
    assert "threshold" in keys["two"]
    assert "threshold" not in keys["three"] + keys["number"] + keys["painted"]
    for known in keys.values():
        assert {"subgroups", "comparison", "explanations"} <= set(known)
