"""What to read next, and how far the reading is."""

import sqlite3
from collections.abc import Callable

import pytest

from core.errors import InvalidInput, NotFound
from core.images.records import Case, set_flag
from core.labels.assignments import assign_cases
from core.labels.case_lists import add_case_list
from core.labels.records import Label
from core.labels.worklist import (
    CASES_FOR_PACE,
    LabelProgress,
    Worklist,
    label_progress,
    list_case_ids,
    reading_pace,
)
from core.projects.records import Project, add_project
from core.store.audit import Actor


@pytest.fixture
def cases(
    connection: sqlite3.Connection, make_case: Callable[..., Case], answer: Callable[..., Label], actor: Actor,
    project: Project,
) -> list[Case]:  # fmt: skip
    """0: anna and ben agree, 1: they differ, 2: anna withdrew, 3: ben says unusable and anna normal, 4: flagged."""
    other = add_project(connection, name="Other", task="classification", schema=project.schema, actor=actor)
    answer(make_case("elsewhere.png", into=other), "normal")
    made = [make_case(f"{at}.png") for at in range(5)]
    answer(made[0], "normal")
    answer(made[0], "normal", reader="ben")
    answer(made[1], "normal")
    answer(made[1], "pneumonia", reader="ben")
    answer(made[2], "normal")
    answer(made[2])
    answer(made[3], "normal")
    answer(made[3], unusable=True, reader="ben")
    set_flag(connection, made[4].id, True, actor)
    return made


@pytest.mark.parametrize(
    ("kind", "reader", "expected"),
    [
        ("all", "anna", [0, 1, 2, 3, 4]),
        ("unlabelled", "anna", [2, 4]),
        ("unlabelled", "ben", [2, 4]),
        ("unlabelled", "nobody", [0, 1, 2, 3, 4]),
        ("mine", "anna", [0, 1, 3]),
        ("mine", "nobody", []),
        ("flagged", "anna", [4]),
        ("disagreements", "anna", [1, 3]),
    ],
)
def test_each_worklist_holds_its_cases(
    connection: sqlite3.Connection, project: Project, cases: list[Case], kind: str, reader: str, expected: list[int]
) -> None:
    ids = list_case_ids(connection, project, Worklist(kind), reader)
    assert ids == [cases[at].id for at in expected]


def test_progress_counts_mine_anyones_and_the_reference(
    connection: sqlite3.Connection, project: Project, cases: list[Case]
) -> None:
    assert label_progress(connection, project, "anna") == LabelProgress(5, 3, 3, 1)
    assert label_progress(connection, project, "nobody").mine == 0


def test_an_unknown_worklist_is_refused() -> None:
    with pytest.raises(InvalidInput, match="Received: 'some'"):
        Worklist("some")


def test_what_is_assigned_comes_with_what_is_still_to_be_done_first(
    connection: sqlite3.Connection, cases: list[Case], project: Project, actor: Actor
) -> None:
    assign_cases(connection, project, "anna", [cases[at].id for at in (3, 2, 0, 4)], actor=actor)
    assert list_case_ids(connection, project, Worklist("assigned"), "anna") == [cases[at].id for at in (2, 4, 0, 3)]
    assert list_case_ids(connection, project, Worklist("assigned"), "ben") == []


def test_a_list_of_a_review_keeps_its_order_and_leaves_out_what_is_elsewhere(
    connection: sqlite3.Connection, cases: list[Case], project: Project, actor: Actor
) -> None:
    asked = [cases[3].id, cases[1].id]
    elsewhere = cases[0].id - 1
    given = Worklist("review", case_ids=(*asked, elsewhere, 10**9, asked[0]))
    assert list_case_ids(connection, project, given, "anna") == asked
    kept = add_case_list(connection, project, "mistakes", asked, actor=actor)
    assert list_case_ids(connection, project, Worklist("review", list_id=kept.id), "anna") == asked
    with pytest.raises(NotFound, match="There is no list 99"):
        list_case_ids(connection, project, Worklist("review", list_id=99), "anna")


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "review"}, {"kind": "all", "list_id": 1}, {"kind": "review", "list_id": 1, "case_ids": (1,)}],
)
def test_only_a_review_names_a_list(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="names a list or cases"):
        Worklist(**wrong)  # type: ignore[arg-type]


def test_pace_is_the_median_of_the_newest_answers_that_were_timed(
    connection: sqlite3.Connection, make_case: Callable[..., Case], answer: Callable[..., Label], project: Project
) -> None:
    assert reading_pace(connection, project, "anna").seconds_left(10) is None
    for at in range(CASES_FOR_PACE):
        answer(make_case(f"slow {at}.png"), "normal", active_seconds=90.0)
    for at in range(CASES_FOR_PACE):
        answer(make_case(f"{at}.png"), "normal", active_seconds=(8.0, 12.0, 600.0)[at % 3])
    answer(make_case("untimed.png"), "normal")
    pace = reading_pace(connection, project, "anna")
    assert (pace.seconds_per_case, pace.cases) == (12.0, CASES_FOR_PACE)
    assert (pace.cases_per_hour, pace.seconds_left(30)) == (300, 360)
    assert reading_pace(connection, project, "nobody").cases_per_hour is None
