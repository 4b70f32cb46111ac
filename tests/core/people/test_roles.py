"""The table of roles and actions, and who asks it."""

import sqlite3

import pytest

from core.errors import NotAllowed
from core.people.accounts import User, ensure_user
from core.people.members import set_member
from core.people.roles import (
    ACTIONS,
    ROLE_ACTIONS,
    ROLE_WORDS,
    ROLES,
    Action,
    ProjectRole,
    actions_in,
    demand,
    demand_of,
    may,
    may_somewhere,
)
from core.projects.records import Project
from core.store.audit import Actor


def test_each_role_has_a_row_and_words() -> None:
    assert set(ROLE_ACTIONS) == set(ROLE_WORDS) == set(ROLES)
    assert all("see" in actions for actions in ROLE_ACTIONS.values())
    assert ROLE_ACTIONS["admin"] == set(ACTIONS)


def test_a_reader_hears_of_no_model_and_changes_nothing_of_others() -> None:
    assert ROLE_ACTIONS["reader"] == {"see", "label"}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("action", ACTIONS)
def test_a_member_may_what_the_table_says_and_only_in_that_project(
    connection: sqlite3.Connection, project: Project, shell: Actor, role: ProjectRole, action: Action
) -> None:
    ben = ensure_user(connection, "ben")
    set_member(connection, project.id, "ben", role, actor=shell)
    assert may(connection, ben, action, project.id) == (action in ROLE_ACTIONS[role])
    assert may_somewhere(connection, ben, action) == (action in ROLE_ACTIONS[role])
    assert actions_in(connection, ben, project.id) == ROLE_ACTIONS[role]
    assert not may(connection, ben, action, project.id + 1)
    assert not may(connection, ben, action, None)


def test_a_stranger_may_nothing_and_an_administrator_everything(
    connection: sqlite3.Connection, project: Project
) -> None:
    ben, anna = ensure_user(connection, "ben"), ensure_user(connection, "anna", role="admin")
    assert actions_in(connection, ben, project.id) == set()
    assert actions_in(connection, anna, project.id) == set(ACTIONS)
    assert may(connection, anna, "administer", None)


def test_a_refusal_names_the_action_the_user_and_whom_to_ask(connection: sqlite3.Connection, project: Project) -> None:
    ben = ensure_user(connection, "ben")
    with pytest.raises(NotAllowed, match=r"To freeze in this project .* ask an administrator. Received: ben"):
        demand(connection, ben, "freeze", project.id)


@pytest.mark.parametrize("door", ["command line", "job"])
def test_doors_with_the_files_in_hand_pass(connection: sqlite3.Connection, project: Project, door: str) -> None:
    demand_of(connection, Actor("nobody", door), "administer", project.id)  # type: ignore[arg-type]


def test_an_actor_before_a_screen_must_be_an_active_user(connection: sqlite3.Connection, project: Project) -> None:
    with pytest.raises(NotAllowed, match="Sign in first"):
        demand_of(connection, Actor("nobody", "screen"), "see", project.id)
    ensure_user(connection, "carla", role="admin")
    demand_of(connection, Actor("carla", "screen"), "administer", project.id)
    connection.execute("UPDATE users SET active = 0 WHERE name = 'carla'")
    with pytest.raises(NotAllowed, match="Sign in first"):
        demand_of(connection, Actor("carla", "screen"), "see", project.id)


def test_one_question_costs_one_look_into_an_index(connection: sqlite3.Connection, project: Project) -> None:
    ben: User = ensure_user(connection, "ben")
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    may(connection, ben, "label", project.id)
    connection.set_trace_callback(None)
    (question,) = asked
    plan = " ".join(row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {question}"))
    assert "SEARCH members USING PRIMARY KEY" in plan
