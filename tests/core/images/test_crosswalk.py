"""The way back from a pseudonym: only by an administrator, only with the passphrase, and always written down."""

import sqlite3

import pytest
from pydicom.dataset import Dataset

from core.errors import Conflict, InvalidInput, NotAllowed, NotFound
from core.images.crosswalk import forget, note, sealed_entry, show, turn_off, turn_on
from core.images.deidentify import deidentify
from core.people.accounts import ensure_user
from core.people.members import set_member
from core.projects.records import Project, get_project
from core.settings import Settings
from core.store.audit import Actor, list_audit

PASSPHRASE = "a long enough passphrase"
SECRET = b"s" * 32


@pytest.fixture
def admin(connection: sqlite3.Connection) -> Actor:
    ensure_user(connection, "ada", role="admin")
    return Actor("ada", "screen")


def test_it_works(connection: sqlite3.Connection, settings: Settings, project: Project, admin: Actor) -> None:
    project = turn_on(connection, settings, project, PASSPHRASE, admin)
    dataset = Dataset()
    dataset.PatientID, dataset.IssuerOfPatientID = "4711", "Ward"
    made = deidentify(dataset, project.deidentification, SECRET)
    assert made.crosswalk is not None
    assert "4711" not in made.crosswalk
    for _ in range(2):  # a patient who comes again has one entry
        note(settings, project.id, made.crosswalk)
    assert show(connection, settings, project, str(made.patient), PASSPHRASE, admin) == "patient Ward/4711"
    folder = settings.home / "crosswalk" / str(project.id)
    assert len((folder / "entries.jsonl").read_text().splitlines()) == 1
    assert not any(b"4711" in file.read_bytes() for file in folder.iterdir())
    (row,) = list_audit(connection, what="ask crosswalk")
    assert made.patient in str(row.detail)


def test_it_is_off_unless_somebody_turned_it_on(
    connection: sqlite3.Connection, settings: Settings, project: Project, admin: Actor
) -> None:
    dataset = Dataset()
    dataset.PatientID = "4711"
    assert deidentify(dataset, project.deidentification, SECRET).crosswalk is None
    with pytest.raises(NotFound):
        show(connection, settings, project, "P1", PASSPHRASE, admin)
    note(settings, project.id, '{"pseudonym": "P1"}')
    assert not (settings.home / "crosswalk").exists()


def test_the_wrong_passphrase_shows_nothing_and_is_written_down(
    connection: sqlite3.Connection, settings: Settings, project: Project, admin: Actor
) -> None:
    project = turn_on(connection, settings, project, PASSPHRASE, admin)
    note(settings, project.id, sealed_entry(project.deidentification.crosswalk_key, "P1", "4711"))
    with pytest.raises(InvalidInput, match="not the passphrase"):
        show(connection, settings, project, "P1", "another long passphrase", admin)
    assert list_audit(connection, what="ask crosswalk")
    with pytest.raises(NotFound):
        show(connection, settings, project, "P2", PASSPHRASE, admin)


def test_only_an_administrator_of_this_readroom(
    connection: sqlite3.Connection, settings: Settings, project: Project, admin: Actor
) -> None:
    ensure_user(connection, "paul")
    set_member(connection, project.id, "paul", "admin", actor=admin)
    paul = Actor("paul", "screen")
    for act in (lambda: turn_on(connection, settings, project, PASSPHRASE, paul),
                lambda: turn_off(connection, settings, project, paul),
                lambda: show(connection, settings, project, "P1", PASSPHRASE, paul)):  # fmt: skip
        with pytest.raises(NotAllowed):
            act()
    with pytest.raises(InvalidInput, match="12"):
        turn_on(connection, settings, project, "short", admin)


def test_turned_off_it_is_gone_for_ever(
    connection: sqlite3.Connection, settings: Settings, project: Project, admin: Actor
) -> None:
    project = turn_on(connection, settings, project, PASSPHRASE, admin)
    with pytest.raises(Conflict):
        turn_on(connection, settings, project, PASSPHRASE, admin)
    turn_off(connection, settings, project, admin)
    assert not (settings.home / "crosswalk" / str(project.id)).exists()
    assert get_project(connection, project.id).deidentification.crosswalk_key == ""


def test_who_is_erased_goes_from_the_crosswalk(
    connection: sqlite3.Connection, settings: Settings, project: Project, admin: Actor
) -> None:
    project = turn_on(connection, settings, project, PASSPHRASE, admin)
    for name in ("P1", "P2"):
        note(settings, project.id, sealed_entry(project.deidentification.crosswalk_key, name, f"number {name}"))
    forget(settings, project.id, frozenset({"P1"}))
    with pytest.raises(NotFound):
        show(connection, settings, project, "P1", PASSPHRASE, admin)
    assert show(connection, settings, project, "P2", PASSPHRASE, admin) == "number P2"
    forget(settings, project.id)
    assert not (settings.home / "crosswalk" / str(project.id)).exists()
