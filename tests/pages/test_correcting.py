"""A reviewer corrects what another reader said, from the review or the case; what an own answer does is told."""

import sqlite3
from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from core.images.records import Case
from core.labels.records import NewLabel, add_label, current_labels, find_reference, list_labels, new_event
from core.labels.reference import set_reference_rule
from core.people.accounts import User, ensure_user
from core.people.members import set_member
from core.projects.records import Project, ReferenceRule, add_project
from core.projects.schema import make_classification
from core.settings import Settings
from core.store.audit import Actor, list_audit
from core.training.records import Model
from dashboard import session
from tests.pages.conftest import run_page, said

NORMAL, PNEUMONIA = {"classes": ["normal"]}, {"classes": ["pneumonia"]}
PLACES = ("review", "case")


@pytest.fixture
def rita(settings: Settings, connection: sqlite3.Connection, project: Project, actor: Actor) -> Iterator[User]:
    """A reviewer before the screen: she may correct others, and administers nothing."""
    user = ensure_user(connection, "rita")
    set_member(connection, project.id, "rita", "reviewer", actor=actor)
    session.configure(settings, lambda _: user)
    yield user
    session._Process.settings = session._Process.identify = None


def open_at(place: str, project: Project, case: Case) -> AppTest:
    query = {"result": "all"} if place == "review" else {}
    app = run_page(place, project=project.id, case=case.id, **query)
    assert not app.exception
    return app


def correct(app: AppTest, label: int, chosen: str | None = None, *, unusable: bool = False, note: str = "") -> AppTest:
    key = f"correct_{label}"
    if chosen is not None:
        app.pills(key=f"{key}_classes").set_value(chosen)
    if unusable:
        app.checkbox(key=f"{key}_unusable").check()
    if note:
        app.text_input(key=f"{key}_note").set_value(note)
    app.button(key=f"{key}_store").click().run()
    assert not app.exception
    return app


def can_correct(app: AppTest) -> list[str]:
    return [str(button.key) for button in app.button if str(button.key).startswith("correct_")]


@pytest.mark.parametrize("place", PLACES)
def test_by_majority_a_correction_changes_the_reference_without_a_tie(
    place: str, connection: sqlite3.Connection, project: Project, model: Model, cases: list[Case], rita: User
) -> None:
    app = open_at(place, project, cases[0])
    assert "one more vote" in said(app)
    assert "correct it above" in said(app)
    (before,) = current_labels(connection, cases[0].id)
    text = said(correct(app, before.id, "pneumonia", note="left base"))
    (after,) = current_labels(connection, cases[0].id)
    assert (after.reader, after.value, after.note, after.made_in) == ("anna", PNEUMONIA, "left base", "review")
    assert (after.entered_by, after.replaces) == ("rita", before.id)
    reference = find_reference(connection, cases[0].id)
    assert reference
    assert (reference.state, reference.value) == ("labelled", PNEUMONIA)
    assert "review, entered by rita" in text
    assert "left base" in text
    assert list_audit(connection, what="add label")[0].who == "rita"


@pytest.mark.parametrize("place", PLACES)
def test_under_a_named_reader_the_own_answer_is_said_to_change_nothing_and_a_correction_does(
    place: str, connection: sqlite3.Connection, project: Project, model: Model, cases: list[Case], rita: User,
    actor: Actor,
) -> None:  # fmt: skip
    set_reference_rule(connection, project, ReferenceRule("reader", "anna"), actor)
    own = NewLabel(new_event(), cases[0].id, "rita", PNEUMONIA, made_in="review")
    add_label(connection, own, Actor("rita", "screen"))
    app = open_at(place, project, cases[0])
    assert "The reference is what anna says: an answer of your own changes nothing in it." in said(app)
    (of_anna,) = (label for label in current_labels(connection, cases[0].id) if label.reader == "anna")
    assert can_correct(app) == [f"correct_{of_anna.id}_store"], "her own answer she changes with the keys"
    assert find_reference(connection, cases[0].id).value == NORMAL  # type: ignore[union-attr]
    correct(app, of_anna.id, "pneumonia")
    assert find_reference(connection, cases[0].id).value == PNEUMONIA  # type: ignore[union-attr]


def test_the_named_reader_is_told_that_their_answer_is_the_reference(
    connection: sqlite3.Connection, project: Project, cases: list[Case], rita: User, actor: Actor
) -> None:
    set_reference_rule(connection, project, ReferenceRule("reader", "rita"), actor)
    assert "Your own answer is the reference of this project." in said(open_at("case", project, cases[0]))


def test_an_image_is_corrected_to_unusable_and_back(
    connection: sqlite3.Connection, project: Project, cases: list[Case], rita: User
) -> None:
    (label,) = current_labels(connection, cases[0].id)
    app = correct(open_at("case", project, cases[0]), label.id, unusable=True)
    (label,) = current_labels(connection, cases[0].id)
    assert (label.unusable, label.value) == (True, None)
    app.checkbox(key=f"correct_{label.id}_unusable").uncheck()
    correct(app, label.id)
    assert "Choose a class" in app.error[0].value
    assert current_labels(connection, cases[0].id) == [label]
    correct(app, label.id, "normal")
    assert [label.value for label in current_labels(connection, cases[0].id)] == [NORMAL]


def test_several_findings_are_corrected_at_once(
    connection: sqlite3.Connection, project: Project, cases: list[Case], rita: User, actor: Actor
) -> None:
    schema = make_classification(["effusion", "nodule"], multi_label=True)
    several = add_project(connection, name="Several", task="classification", schema=schema, actor=actor)
    set_member(connection, several.id, "rita", "reviewer", actor=actor)
    connection.execute("UPDATE cases SET project = ? WHERE id = ?", (several.id, cases[0].id))
    connection.execute("DELETE FROM current_labels WHERE case_id = ?", (cases[0].id,))
    given = add_label(connection, NewLabel(new_event(), cases[0].id, "anna", {"classes": ["nodule"]}), actor)
    app = open_at("case", several, cases[0])
    app.pills(key=f"correct_{given.id}_classes").set_value([])
    correct(app, given.id)
    assert [label.value for label in current_labels(connection, cases[0].id)] == [{"classes": []}]


def test_an_answer_that_the_reader_gave_meanwhile_is_not_overwritten(
    connection: sqlite3.Connection, project: Project, cases: list[Case], rita: User, actor: Actor
) -> None:
    (label,) = current_labels(connection, cases[0].id)
    app = open_at("case", project, cases[0])
    add_label(connection, NewLabel(new_event(), cases[0].id, "anna", NORMAL, unsure=True), actor)
    correct(app, label.id, "pneumonia")
    assert "answered anew meanwhile" in app.error[0].value
    assert len(list_labels(connection, cases[0].id)) == 2


@pytest.mark.parametrize("role", ["reader", "scientist"])
def test_who_may_not_correct_is_offered_nothing_and_told_who_may(
    role: str, connection: sqlite3.Connection, project: Project, cases: list[Case], rita: User, actor: Actor
) -> None:
    set_member(connection, project.id, "rita", role, actor=actor)  # type: ignore[arg-type]
    app = open_at("case", project, cases[0])
    assert can_correct(app) == []
    assert "A reviewer can correct" in said(app)
