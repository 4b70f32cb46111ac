import sqlite3
from pathlib import Path

import numpy as np
import pytest

from core.errors import InvalidInput, NotFound
from core.projects.records import Project, get_project
from core.settings import Settings
from core.store.backup import make_backup, restore_backup
from core.store.database import opened
from core.store.files import Files


def test_a_restored_home_equals_the_one_backed_up(
    settings: Settings, files: Files, project: Project, tmp_path: Path
) -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    content_hash = files.put_array("pixels", pixels)
    make_backup(settings, tmp_path / "backup")
    restored = Settings(home=tmp_path / "restored")
    restore_backup(tmp_path / "backup", restored)
    with opened(restored) as connection:
        assert get_project(connection, project.id) == project
    assert np.array_equal(Files(restored.home).read_array("pixels", content_hash), pixels)


def test_a_second_backup_copies_only_what_is_new(settings: Settings, files: Files, tmp_path: Path) -> None:
    files.put_bytes("models", b"first")
    assert make_backup(settings, tmp_path / "backup").files_copied == 1
    files.put_bytes("models", b"second")
    again = make_backup(settings, tmp_path / "backup")
    assert (again.files_copied, again.files_kept) == (1, 1)


def test_a_backup_is_taken_beside_an_open_writer(
    settings: Settings, connection: sqlite3.Connection, project: Project, tmp_path: Path
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE projects SET description = 'not yet'")
    make_backup(settings, tmp_path / "backup")
    connection.execute("ROLLBACK")
    copy = sqlite3.connect(tmp_path / "backup" / "readroom.db")
    assert copy.execute("SELECT name, description FROM projects").fetchall() == [("Chest", "")]
    copy.close()


def test_a_home_in_use_is_never_overwritten(settings: Settings, tmp_path: Path) -> None:
    make_backup(settings, tmp_path / "backup")
    with pytest.raises(InvalidInput, match="empty home"):
        restore_backup(tmp_path / "backup", settings)


def test_a_folder_without_a_backup_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="backup in"):
        restore_backup(tmp_path, Settings(home=tmp_path / "home"))


def test_a_backup_inside_the_home_is_refused(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="outside the home"):
        make_backup(settings, settings.home / "backup")
