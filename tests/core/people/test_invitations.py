"""What administrators do to accounts."""

import sqlite3

import pytest

from core.errors import Conflict, InvalidInput, NotAllowed
from core.people import sessions
from core.people.accounts import ensure_user, get_user
from core.people.invitations import invite_user, reset_user, set_active, set_administrator
from core.people.members import list_roles, set_member
from core.people.sessions import find_session, issue_token, look_at_token, redeem_token, sign_in
from core.projects.records import Project
from core.store.audit import Actor, list_audit

PASSWORD = "seven blue horses"


@pytest.fixture(autouse=True)
def cheap_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "hash_password", lambda password: f"sum of {password}")
    monkeypatch.setattr(sessions, "is_password", lambda password, kept: kept == f"sum of {password}")


def test_an_invitation_sets_a_password_and_signs_in(
    connection: sqlite3.Connection, project: Project, actor: Actor
) -> None:
    token = invite_user(connection, "ben", actor=actor, project=project.id, project_role="reviewer")
    assert look_at_token(connection, token).purpose == "invitation"
    session_id = redeem_token(connection, token, hours=1, new_password=PASSWORD)
    ben = find_session(connection, session_id)
    assert ben is not None
    assert (ben.name, ben.role, ben.has_password) == ("ben", "reader", True)
    assert list_roles(connection, ben) == {project.id: "reviewer"}
    assert sign_in(connection, "ben", PASSWORD, hours=1)


def test_a_name_is_given_once_but_a_reader_of_a_table_may_turn_up(connection: sqlite3.Connection, actor: Actor) -> None:
    ensure_user(connection, "dr. table", kind="imported")
    invite_user(connection, "dr. table", actor=actor)
    assert get_user(connection, "dr. table").kind == "person"
    for taken in ("anna", "dr. table"):
        with pytest.raises(Conflict, match="already"):
            invite_user(connection, taken, actor=actor)
    for bad in ("", "  ", "x" * 81, "a\nb"):
        with pytest.raises(InvalidInput):
            invite_user(connection, bad, actor=actor)


def test_a_projects_administrator_invites_into_it_and_makes_nobody_more_than_that(
    connection: sqlite3.Connection, project: Project, actor: Actor
) -> None:
    ensure_user(connection, "ben")
    set_member(connection, project.id, "ben", "admin", actor=actor)
    ben = Actor("ben", "screen")
    invite_user(connection, "carla", actor=ben, project=project.id)
    with pytest.raises(NotAllowed):
        invite_user(connection, "dora", actor=ben)
    with pytest.raises(NotAllowed):
        invite_user(connection, "dora", actor=ben, project=project.id, role="admin")
    for act in (reset_user, lambda *who, **by: set_active(*who, False, **by)):
        with pytest.raises(NotAllowed):
            act(connection, "carla", actor=ben)
    with pytest.raises(NotAllowed):
        set_administrator(connection, "ben", "admin", actor=ben)


def test_a_reset_ends_what_was_and_leads_to_a_new_password(connection: sqlite3.Connection, actor: Actor) -> None:
    token = invite_user(connection, "ben", actor=actor)
    session_id = redeem_token(connection, token, hours=1, new_password=PASSWORD)
    older = issue_token(connection, get_user(connection, "ben"))
    token = reset_user(connection, "ben", actor=actor)
    assert find_session(connection, session_id) is None
    with pytest.raises(NotAllowed):
        look_at_token(connection, older)
    with pytest.raises(NotAllowed):
        sign_in(connection, "ben", PASSWORD, hours=1)
    assert look_at_token(connection, token).purpose == "reset"


def test_there_is_always_an_administrator_left(connection: sqlite3.Connection, actor: Actor) -> None:
    with pytest.raises(Conflict, match="somebody else"):
        set_active(connection, "anna", False, actor=actor)
    with pytest.raises(Conflict, match="somebody else"):
        set_administrator(connection, "anna", "reader", actor=actor)
    assert get_user(connection, "anna").active
    invite_user(connection, "ben", actor=actor, role="admin")
    set_administrator(connection, "anna", "reader", actor=actor)
    assert get_user(connection, "anna").role == "reader"


def test_what_is_done_to_accounts_is_in_the_audit_and_no_token_is(connection: sqlite3.Connection, actor: Actor) -> None:
    tokens = [invite_user(connection, "ben", actor=actor), reset_user(connection, "ben", actor=actor)]
    set_active(connection, "ben", False, actor=actor)
    whats = [row.what for row in list_audit(connection)]
    assert whats == ["deactivate user", "reset password", "invite user"]
    dump = "\n".join(connection.iterdump())
    assert not any(token in dump for token in tokens)
