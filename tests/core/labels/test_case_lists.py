"""Lists of cases kept by name."""

import sqlite3
from collections.abc import Callable

import pytest

from core.errors import InvalidInput, NotAllowed, NotFound
from core.images.records import Case
from core.labels.case_lists import add_case_list, get_case_list, list_case_lists, list_cases_of
from core.people.accounts import ensure_user
from core.projects.records import Project, add_project
from core.store.audit import Actor


def test_a_list_is_kept_in_its_order(
    connection: sqlite3.Connection, project: Project, make_case: Callable[..., Case], actor: Actor
) -> None:
    first, second, third = (make_case(f"{at}.png").id for at in range(3))
    kept = add_case_list(connection, project, " mistakes ", [third, first, third, second], actor=actor)
    assert (kept.name, kept.cases, kept.made_by) == ("mistakes", 3, "anna")
    assert list_cases_of(connection, project.id, kept.id) == [third, first, second]
    assert get_case_list(connection, project.id, kept.id) == kept
    newer = add_case_list(connection, project, "others", [first], actor=actor)
    assert list_case_lists(connection, project.id) == [newer, kept]


def test_a_list_belongs_to_its_project(
    connection: sqlite3.Connection, project: Project, make_case: Callable[..., Case], actor: Actor
) -> None:
    other = add_project(connection, name="Other", task="classification", schema=project.schema, actor=actor)
    kept = add_case_list(connection, project, "mine", [make_case("a.png").id], actor=actor)
    with pytest.raises(NotFound):
        list_cases_of(connection, other.id, kept.id)
    assert list_case_lists(connection, other.id) == []


def test_what_cannot_be_kept_is_refused_and_leaves_nothing(
    connection: sqlite3.Connection, project: Project, make_case: Callable[..., Case], actor: Actor
) -> None:
    case = make_case("a.png").id
    ensure_user(connection, "ben")
    for name, ids in (("", [case]), ("x" * 201, [case]), ("a\nb", [case]), ("x", []), ("x", [case, 77])):
        with pytest.raises(InvalidInput, match="Received"):
            add_case_list(connection, project, name, ids, actor=actor)
    with pytest.raises(NotAllowed):
        add_case_list(connection, project, "x", [case], actor=Actor("ben", "screen"))
    assert list_case_lists(connection, project.id) == []
