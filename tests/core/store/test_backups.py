"""What is written down of backups."""

import sqlite3
from pathlib import Path

import pytest

from core.errors import CoreError
from core.settings import Settings
from core.store.audit import Actor, list_audit
from core.store.backups import back_up_home, last_good_backup, list_backups, record_backup
from core.store.generations import list_generations

ANNA = Actor("anna", "command line")


def test_a_backup_is_written_down_and_audited(
    settings: Settings, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    made = back_up_home(connection, settings, tmp_path / "out", actor=ANNA)
    last = last_good_backup(connection)
    assert last is not None
    assert (last.name, last.folder, last.error) == (made.generation, str(tmp_path / "out"), None)
    assert [row.what for row in list_audit(connection, what="back up")] == ["back up"]


def test_a_refused_backup_is_written_down_with_its_reason(settings: Settings, connection: sqlite3.Connection) -> None:
    with pytest.raises(CoreError):
        back_up_home(connection, settings, settings.home / "inside", actor=ANNA)
    (record,) = list_backups(connection)
    assert "outside the home" in (record.error or "")
    assert last_good_backup(connection) is None


def test_an_incomplete_backup_is_not_the_last_good_one(
    settings: Settings, connection: sqlite3.Connection, planted: object, tmp_path: Path
) -> None:
    good = back_up_home(connection, settings, tmp_path / "out", actor=ANNA)
    connection.execute("UPDATE cases SET pixel_hash = ? WHERE id = 1", ("ab" * 32,))
    broken = back_up_home(connection, settings, tmp_path / "out", actor=ANNA)
    assert "incomplete" in (broken.error or "")
    # The audit is kept for ever, also when the image is erased.
    (told, before) = (row.detail for row in list_audit(connection, what="back up"))
    assert (told, before["faults"]) == ({"generation": broken.generation, "faults": 1}, 0)
    last = last_good_backup(connection)
    assert last is not None
    assert last.name == good.generation
    assert [record.is_good for record in list_backups(connection)] == [False, True]
    assert len(list_generations(tmp_path / "out")[0]) == 2


def test_the_last_good_one_is_the_last_written_down_whatever_the_clock_said(connection: sqlite3.Connection) -> None:
    for name, year in (("first", "2030"), ("second", "2026")):
        told = f"{year}-01-01T00:00:00.000Z"
        record_backup(connection, folder="/b", name=name, started_at=told, finished_at=told)
    last = last_good_backup(connection)
    assert last is not None
    assert last.name == "second"
