"""Which cases the label page gives to read: its worklists and filters, all of them in the address."""

import sqlite3

import pytest
from streamlit.testing.v1 import AppTest

from core.images.records import Case
from core.labels.assignments import assign_cases
from core.labels.case_lists import add_case_list
from core.projects.records import Project
from core.store.audit import Actor
from tests.pages.conftest import OpenPage, said


def listed(app: AppTest) -> list[int]:
    assert not app.exception
    return list(app.session_state["label:list"][1])


def numbers(cases: list[Case]) -> list[int]:
    return [case.id for case in cases]


def test_the_filter_of_the_address_narrows_the_list(open_page: OpenPage, project: Project, cases: list[Case]) -> None:
    app = open_page("label", project=project.id, worklist="all", label="normal")
    narrowed = listed(app)
    assert 0 < len(narrowed) < len(cases)
    assert app.query_params["label"] == "normal"
    app.selectbox(key="label").set_value("pneumonia").run()
    assert sorted(narrowed + listed(app)) == numbers(cases)


def test_a_filter_that_lets_nothing_through_says_so(open_page: OpenPage, project: Project, cases: list[Case]) -> None:
    app = open_page("label", project=project.id, worklist="all", flagged="true")
    assert "No case of this list passes the filter." in said(app)


def test_a_list_kept_in_a_review_is_read_in_its_own_order(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, cases: list[Case], actor: Actor
) -> None:
    wanted = [cases[4].id, cases[1].id]
    kept = add_case_list(connection, project, "mistakes", wanted, actor=actor)
    other = add_case_list(connection, project, "later", [cases[0].id], actor=actor)
    assert listed(open_page("label", project=project.id, worklist="review", list=kept.id)) == wanted
    app = open_page("label", project=project.id, worklist="review")
    assert listed(app) == [cases[0].id]  # the newest, and the address says which
    assert app.query_params["list"] == str(other.id)


def test_without_a_kept_list_the_page_says_where_one_is_made(
    open_page: OpenPage, project: Project, cases: list[Case]
) -> None:
    assert "Keep a list in the review of a model" in said(open_page("label", project=project.id, worklist="review"))


def test_cases_that_i_was_asked_to_read_are_a_list(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, cases: list[Case], actor: Actor
) -> None:
    assign_cases(connection, project, "anna", [cases[2].id], actor=actor)
    assert listed(open_page("label", project=project.id, worklist="assigned")) == [cases[2].id]


def test_a_case_of_the_address_is_read_even_where_it_is_not_in_the_list(
    open_page: OpenPage, project: Project, cases: list[Case]
) -> None:
    app = open_page("label", project=project.id, worklist="flagged", case=cases[3].id)
    assert listed(app) == [cases[3].id]


def test_a_long_list_comes_in_parts_and_the_next_one_before_its_end(
    open_page: OpenPage, project: Project, cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.list_parts.AT_ONCE", 10)
    monkeypatch.setattr("dashboard.list_parts.NEAR_END", 2)
    ids = numbers(cases)
    app = open_page("label", project=project.id, worklist="all")
    for case, length in ((ids[7], 10), (ids[8], 20), (ids[9], 20), (ids[3], 20), (ids[19], 24), (ids[23], 24)):
        app.query_params["case"] = str(case)
        assert listed(app.run()) == ids[:length]
    # Opened by an address, the list begins with the part in which the case stands.
    app = open_page("label", project=project.id, worklist="all", case=ids[12])
    assert listed(app) == ids[10:20]
