"""What is said of a case in a meeting stands beside its image, and is answered there."""

import sqlite3
from dataclasses import replace

import pytest

from core.labels.case_lists import list_case_lists, list_cases_of
from core.labels.records import list_labels
from core.people.accounts import ensure_user
from core.people.members import set_member
from core.projects.records import Project
from core.reviews.meetings import Review, add_review, open_results
from core.reviews.remarks import list_remarks
from core.store.audit import Actor
from core.training.records import Model
from dashboard import session
from tests.pages.conftest import OpenPage, said


@pytest.fixture
def review(connection: sqlite3.Connection, project: Project, model: Model, actor: Actor) -> Review:
    return open_results(connection, add_review(connection, project, model, criteria=[], actor=actor), actor=actor)


def test_a_remark_from_the_gallery_stands_on_its_case_and_is_answered_there(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, review: Review, actor: Actor
) -> None:
    gallery = open_page("meeting", project=project.id, review=review.id, step="failures")
    gallery.session_state[f"meeting_opened_{review.id}"] = True
    gallery.run()
    case = int(gallery.selectbox(key="say_case").value)
    gallery.text_area(key="say_text").set_value("  ").run()
    gallery.button(key="say_do").click().run()
    assert "A remark has 1 to" in gallery.error[0].value
    gallery.text_area(key="say_text").set_value("Is it <b>turned</b>?").run()
    gallery.button(key="say_do").click().run()
    assert not gallery.exception
    (first,) = list_remarks(connection, review)
    assert (first.case_id, first.step, first.text) == (case, "failures", "Is it <b>turned</b>?")

    page = open_page("case", case=case)
    assert "Is it &lt;b&gt;turned" in said(page)
    page.selectbox(key=f"remark_parent_{case}").set_value(str(first.id))
    page.text_input(key=f"remark_text_{case}").set_value("It is.")
    page.button(key=f"remark_say_{case}").click().run()
    assert not page.exception
    assert [(one.parent, one.case_id) for one in list_remarks(connection, review)] == [(None, case), (first.id, case)]
    beside = open_page("review", project=project.id, model=review.model, result="all", case=case)
    assert "It is." in said(beside)

    reader = ensure_user(connection, "rita")
    set_member(connection, project.id, "rita", "reader", actor=actor)
    session.configure(session.settings(), lambda connection: replace(reader))
    assert "turned" not in said(open_page("case", case=case))  # who may not see test results does not read of them


def test_ticked_failures_are_kept_under_a_name(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, review: Review
) -> None:
    app = open_page("meeting", project=project.id, review=review.id, step="failures")
    app.session_state[f"meeting_opened_{review.id}"] = True
    app.run()
    assert not [field for field in app.text_input if field.key == "list_name"]
    table = next(key for key in (f"failures_{review.id}_{kind}_pneumonia" for kind in ("missed", "false alarm"))
                 if key in app.session_state)  # fmt: skip
    app.session_state[table] = {"edited_rows": {"0": {"again": True}}, "added_rows": [], "deleted_rows": []}
    app.run()
    app.text_input(key="list_name").set_value("turned films").run()
    app.button(key="list_keep").click().run()
    assert not app.exception
    (kept,) = list_case_lists(connection, project.id)
    assert kept.name == "turned films"
    assert len(list_cases_of(connection, project.id, kept.id)) == 1


def test_ticked_failures_are_excluded_with_one_reason(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, review: Review
) -> None:
    app = open_page("meeting", project=project.id, review=review.id, step="failures")
    app.session_state[f"meeting_opened_{review.id}"] = True
    app.run()
    table = next(key for key in (f"failures_{review.id}_{kind}_pneumonia" for kind in ("missed", "false alarm"))
                 if key in app.session_state)  # fmt: skip
    app.session_state[table] = {"edited_rows": {"0": {"again": True}}, "added_rows": [], "deleted_rows": []}
    app.run()
    app.text_input(key="exclude_reason").set_value("wrong patient").run()
    app.button(key="exclude_do").click().run()
    assert not app.exception
    (remark,) = list_remarks(connection, review)
    assert remark.text == "Excluded: wrong patient"
    assert remark.case_id is not None
    assert next(one.unusable for one in list_labels(connection, remark.case_id))
