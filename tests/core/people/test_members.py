"""Who is what in a project."""

import sqlite3

import pytest

from core.errors import InvalidInput, NotAllowed, NotFound
from core.people.accounts import ensure_user
from core.people.members import list_administrators, list_members, list_roles, set_member
from core.projects.records import Project, list_projects
from core.store.audit import Actor, list_audit


def test_a_role_is_given_changed_and_taken_and_the_audit_has_before_and_after(
    connection: sqlite3.Connection, project: Project, actor: Actor
) -> None:
    ben = ensure_user(connection, "ben")
    for role in ("reader", "scientist", None):
        set_member(connection, project.id, "ben", role, actor=actor)  # type: ignore[arg-type]
        assert list_roles(connection, ben) == ({project.id: role} if role else {})
    changes = [(row.detail["before"], row.detail["after"]) for row in list_audit(connection, what="change role")]
    assert changes == [("scientist", None), ("reader", "scientist"), (None, "reader")]


def test_the_same_role_again_is_no_change(connection: sqlite3.Connection, project: Project, actor: Actor) -> None:
    ensure_user(connection, "ben")
    for _ in range(2):
        set_member(connection, project.id, "ben", "reader", actor=actor)
    assert len(list_audit(connection, what="change role")) == 1
    assert [(member.user.name, member.role) for member in list_members(connection, project.id)] == [("ben", "reader")]


def test_only_persons_have_roles_and_only_known_ones(
    connection: sqlite3.Connection, project: Project, actor: Actor
) -> None:
    ensure_user(connection, "label table", kind="imported")
    with pytest.raises(InvalidInput, match="Only a person"):
        set_member(connection, project.id, "label table", "reader", actor=actor)
    with pytest.raises(NotFound):
        set_member(connection, project.id, "nobody", "reader", actor=actor)
    ensure_user(connection, "ben")
    with pytest.raises(InvalidInput, match="A role is one of"):
        set_member(connection, project.id, "ben", "king", actor=actor)  # type: ignore[arg-type]


def test_whoever_administers_a_project_gives_roles_in_it_and_in_no_other(
    connection: sqlite3.Connection, project: Project, actor: Actor
) -> None:
    for name in ("ben", "carla"):
        ensure_user(connection, name)
    with pytest.raises(NotAllowed):
        set_member(connection, project.id, "ben", "admin", actor=Actor("ben", "screen"))
    set_member(connection, project.id, "ben", "admin", actor=actor)
    set_member(connection, project.id, "carla", "reader", actor=Actor("ben", "screen"))
    with pytest.raises(NotAllowed):
        set_member(connection, project.id + 1, "carla", "reader", actor=Actor("ben", "screen"))


def test_a_member_sees_their_projects_and_an_administrator_all(
    connection: sqlite3.Connection, project: Project, actor: Actor
) -> None:
    ben, anna = ensure_user(connection, "ben"), ensure_user(connection, "anna")
    assert list_projects(connection, seen_by=ben) == []
    set_member(connection, project.id, "ben", "reader", actor=actor)
    assert list_projects(connection, seen_by=ben) == list_projects(connection, seen_by=anna) == [project]


def test_whom_to_ask(connection: sqlite3.Connection, project: Project, actor: Actor) -> None:
    ensure_user(connection, "ben")
    set_member(connection, project.id, "ben", "admin", actor=actor)
    assert list_administrators(connection) == ["anna"]
    assert list_administrators(connection, project.id) == ["anna", "ben"]
