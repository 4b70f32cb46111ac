"""Who is asked to read what."""

import sqlite3
from collections.abc import Callable

import pytest

from core.errors import InvalidInput, NotAllowed, NotFound
from core.images.records import Case, get_case
from core.labels.assignments import Assigned, assign_cases, draw_unread, list_assigned, unassign_cases
from core.labels.records import Label
from core.people.accounts import ensure_user
from core.people.members import set_member
from core.projects.records import Project
from core.store.audit import Actor, list_audit


@pytest.fixture
def cases(connection: sqlite3.Connection, make_case: Callable[..., Case], project: Project, actor: Actor) -> list[int]:
    ensure_user(connection, "ben")
    set_member(connection, project.id, "ben", "reader", actor=actor)
    return [make_case(f"{at}.png").id for at in range(10)]


def test_cases_are_handed_out_once_and_taken_back(
    connection: sqlite3.Connection, project: Project, cases: list[int], actor: Actor, answer: Callable[..., Label]
) -> None:
    assert assign_cases(connection, project, "ben", cases[:4], actor=actor) == 4
    assert assign_cases(connection, project, "ben", cases[2:6], actor=actor) == 2
    answer(get_case(connection, cases[0]), "normal", reader="ben")
    assert list_assigned(connection, project.id) == [Assigned("ben", 6, 1)]
    assert unassign_cases(connection, project, "ben", cases[:1], actor=actor) == 1
    assert unassign_cases(connection, project, "ben", actor=actor) == 5
    assert list_assigned(connection, project.id) == []
    assert connection.execute("SELECT count(*) FROM current_labels").fetchone()[0] == 1
    assert [row.detail["new"] for row in list_audit(connection, what="assign cases")] == [2, 4]


def test_a_draw_is_the_same_for_the_same_seed_and_takes_what_is_free(
    connection: sqlite3.Connection, project: Project, cases: list[int], actor: Actor, answer: Callable[..., Label]
) -> None:
    assign_cases(connection, project, "anna", cases[:3], actor=actor)
    answer(get_case(connection, cases[3]), "normal", reader="ben")
    first = draw_unread(connection, project, "ben", 4, seed=7)
    assert first == draw_unread(connection, project, "ben", 4, seed=7) != draw_unread(connection, project, "ben", 4)
    assert set(first) <= set(cases[4:])
    with pytest.raises(InvalidInput, match=r"6 cases are free to be given to ben\. Received: 7"):
        draw_unread(connection, project, "ben", 7)


def test_what_cannot_be_handed_out_is_refused(
    connection: sqlite3.Connection, project: Project, cases: list[int], actor: Actor
) -> None:
    with pytest.raises(InvalidInput, match=r"cases of this project by their numbers\. Received: 999"):
        assign_cases(connection, project, "ben", [cases[0], 999], actor=actor)
    with pytest.raises(InvalidInput, match="Received: 10000000000000000000"):
        assign_cases(connection, project, "ben", [10**30], actor=actor)
    with pytest.raises(InvalidInput, match="Name the cases"):
        assign_cases(connection, project, "ben", [], actor=actor)
    with pytest.raises(NotFound, match="There is no user zoe"):
        assign_cases(connection, project, "zoe", cases, actor=actor)
    ensure_user(connection, "cleo")
    with pytest.raises(InvalidInput, match="a role in this project first"):
        assign_cases(connection, project, "cleo", cases, actor=actor)
    with pytest.raises(NotAllowed):
        assign_cases(connection, project, "ben", cases, actor=Actor("ben", "screen"))
    assert list_assigned(connection, project.id) == []
