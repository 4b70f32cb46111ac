"""A class that is renamed after a model was measured: its results are told under the names that were frozen."""

import sqlite3

import pytest

from core.labels.schema import SchemaChange, change_schema
from core.people.accounts import User
from core.projects.records import Project
from core.reviews.meetings import add_review, open_results
from core.store.audit import Actor
from core.training.records import Model
from dashboard.meeting_view import STEPS
from tests.pages.conftest import OpenPage, said


@pytest.fixture(autouse=True)
def _renamed(connection: sqlite3.Connection, project: Project, model: Model, actor: Actor, anna: User) -> None:
    change_schema(connection, project, SchemaChange("rename", "pneumonia", "consolidation"), actor)


def test_tabs_that_ask_for_a_class_draw(open_page: OpenPage, project: Project, model: Model) -> None:
    for tab in ("Threshold", "Subgroups"):
        app = open_page("evaluate", project=project.id, model=model.id)
        app.session_state["evaluate_tab"] = tab
        app.run()
        assert not app.exception, tab
        assert "pneumonia" in said(app), tab


def test_a_snapshot_counts_its_classes_by_the_names_it_was_frozen_with(open_page: OpenPage, project: Project) -> None:
    text = said(open_page("snapshots", project=project.id))
    assert "<th>pneumonia</th>" in text
    assert "<th>consolidation</th>" not in text


def test_every_step_of_a_meeting_draws(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model, actor: Actor
) -> None:
    review = open_results(connection, add_review(connection, project, model, criteria=[], actor=actor), actor=actor)
    app = open_page("meeting", project=project.id, review=review.id)
    app.session_state[f"meeting_opened_{review.id}"] = True
    for step in STEPS[1:]:
        app.button(key="meeting_next").click().run()
        assert not app.exception, step.key
        assert not app.error, step.key
    assert app.query_params["step"] == STEPS[-1].key
