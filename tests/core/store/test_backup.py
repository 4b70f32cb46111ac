"""Backups while the home is in use: what is copied, what is not, what is said of what is missing."""

import fcntl
import os
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from core.errors import Conflict, CoreError, InvalidInput, NotFound, Stopped
from core.progress import Silent
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import audit_head
from core.store.backup import make_backup
from core.store.database import opened
from core.store.files import Files
from core.store.generations import file_path, list_generations
from core.store.migration_names import MIGRATION_NAMES
from tests.core.store.conftest import FullHome

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
FORGET = "UPDATE cases SET pixel_hash = (SELECT max(pixel_hash) FROM cases) WHERE pixel_hash = ?"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def a_pixel_file(home: FullHome) -> tuple[str, Path]:
    with opened(home.settings) as connection:
        pixel_hash = str(connection.execute("SELECT min(pixel_hash) FROM cases").fetchone()[0])
    return pixel_hash, Files(home.settings.home).path("pixels", pixel_hash)


def test_a_backup_says_what_it_holds(full_home: FullHome, out: Path) -> None:
    made = make_backup(full_home.settings, out, now=NOW)
    (generation,), faults = list_generations(out)
    manifest = generation.manifest
    assert (generation.name, faults, manifest.is_complete) == (made.generation, [], True)
    assert sorted(manifest.home_files) == ["readroom.db", "secret.key", "settings.toml"]
    shelves = [file.shelf for file in manifest.files]
    assert {shelf: shelves.count(shelf) for shelf in shelves} == {"models": 2, "pixels": 40, "thumbnails": 40}
    assert all(file_path(out, file.key).stat().st_size == file.size for file in manifest.files)
    with opened(full_home.settings) as connection:
        assert manifest.audit_head == audit_head(connection)
        assert manifest.rows["labels"] == connection.execute("SELECT count(*) FROM labels").fetchone()[0]
    assert manifest.steps == MIGRATION_NAMES


def test_only_the_owner_can_read_a_backup(full_home: FullHome, out: Path) -> None:
    out.mkdir(mode=0o755)
    make_backup(full_home.settings, out)
    for top in (out / "files", out / "generations"):
        assert top.stat().st_mode & 0o077 == 0
        assert [path for path in top.rglob("*") if path.is_file() and path.stat().st_mode & 0o077] == []


def test_a_second_backup_copies_only_what_is_new(
    full_home: FullHome, connection: sqlite3.Connection, out: Path
) -> None:
    first = make_backup(full_home.settings, out, now=NOW)
    assert (first.files, first.copied) == (82, 82)
    assert make_backup(full_home.settings, out, now=NOW + timedelta(days=1)).copied == 0
    fresh = Files(full_home.settings.home).put_array("pixels", np.zeros((3, 3), np.uint8))
    connection.execute("UPDATE cases SET pixel_hash = ? WHERE id = 1", (fresh,))
    third = make_backup(full_home.settings, out, now=NOW + timedelta(days=2))
    assert (third.copied, third.faults) == (1, ())


def test_an_uncommitted_change_is_not_in_a_backup(
    settings: Settings, connection: sqlite3.Connection, project: Project, out: Path
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE projects SET description = 'not yet'")
    made = make_backup(settings, out)
    connection.execute("ROLLBACK")
    copy = sqlite3.connect(out / "generations" / made.generation / "readroom.db")
    assert copy.execute("SELECT name, description FROM projects").fetchall() == [("Chest", "")]
    copy.close()


# ---- faults of the home


def test_a_file_that_vanished_makes_the_backup_incomplete(full_home: FullHome, out: Path) -> None:
    pixel_hash, path = a_pixel_file(full_home)
    path.unlink()
    made = make_backup(full_home.settings, out)
    assert made.faults == (f"pixels {pixel_hash} is missing or cannot be read.",)
    assert "incomplete" in (made.error or "")
    assert not list_generations(out)[0][0].manifest.is_complete
    assert made.files == 81


def test_a_file_that_was_altered_is_named_and_not_copied(full_home: FullHome, out: Path) -> None:
    pixel_hash, path = a_pixel_file(full_home)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    made = make_backup(full_home.settings, out)
    assert made.faults == (f"pixels {pixel_hash} was altered on disk.",)
    assert not file_path(out, ("pixels", pixel_hash)).exists()


def test_what_the_backup_has_already_is_not_lost_with_the_home(full_home: FullHome, out: Path) -> None:
    make_backup(full_home.settings, out, now=NOW)
    a_pixel_file(full_home)[1].unlink()
    made = make_backup(full_home.settings, out, now=NOW + timedelta(days=1))
    assert (made.faults, made.copied) == ((), 0)


def test_a_thumbnail_that_is_missing_is_no_fault(full_home: FullHome, out: Path) -> None:
    Files(full_home.settings.home).path("thumbnails", a_pixel_file(full_home)[0]).unlink()
    made = make_backup(full_home.settings, out)
    assert (made.faults, made.files) == ((), 81)


def test_no_backup_is_made_of_a_damaged_database(
    full_home: FullHome, connection: sqlite3.Connection, out: Path
) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    path = full_home.settings.database_path
    content = bytearray(path.read_bytes())
    content[8192:40960] = b"\xff" * (40960 - 8192)
    path.write_bytes(content)
    with pytest.raises(CoreError, match="damaged"):
        make_backup(full_home.settings, out)
    assert list_generations(out) == ([], [])


# ---- faults of the backup


def test_a_file_of_another_size_in_the_backup_is_copied_anew(full_home: FullHome, out: Path) -> None:
    make_backup(full_home.settings, out, now=NOW)
    pixel_hash, path = a_pixel_file(full_home)
    stored = file_path(out, ("pixels", pixel_hash))
    stored.write_bytes(b"short")
    assert make_backup(full_home.settings, out, now=NOW + timedelta(days=1)).copied == 1
    assert stored.read_bytes() == path.read_bytes()


def test_verify_finds_and_mends_what_rotted_in_the_backup(full_home: FullHome, out: Path) -> None:
    make_backup(full_home.settings, out, now=NOW)
    pixel_hash, path = a_pixel_file(full_home)
    stored = file_path(out, ("pixels", pixel_hash))
    stored.write_bytes(path.read_bytes()[:-1] + b"?")
    assert make_backup(full_home.settings, out, now=NOW + timedelta(days=1)).copied == 0  # trusted by its size
    assert make_backup(full_home.settings, out, verify=True, now=NOW + timedelta(days=2)).copied == 1
    assert stored.read_bytes() == path.read_bytes()


def test_verify_names_what_only_older_generations_have_lost(
    full_home: FullHome, connection: sqlite3.Connection, out: Path
) -> None:
    old = make_backup(full_home.settings, out, now=NOW)
    pixel_hash, _ = a_pixel_file(full_home)
    connection.execute(
        "UPDATE cases SET pixel_hash = (SELECT max(pixel_hash) FROM cases) WHERE pixel_hash = ?", (pixel_hash,)
    )
    file_path(out, ("pixels", pixel_hash)).unlink()
    made = make_backup(full_home.settings, out, verify=True, now=NOW + timedelta(days=1))
    assert made.faults == ()
    assert made.warnings == (f"{old.generation} lacks pixels {pixel_hash}, or it is damaged.",)


def test_a_backup_that_was_cut_short_does_not_count_and_is_cleared_away(full_home: FullHome, out: Path) -> None:
    left = out / "generations" / "2026-11-21T02-00-00-000000Z"
    left.mkdir(parents=True)
    (left / "readroom.db").write_bytes(b"half")
    made = make_backup(full_home.settings, out)
    assert [path.name for path in (out / "generations").iterdir()] == [made.generation]


def test_a_backup_that_is_stopped_leaves_no_generation(full_home: FullHome, out: Path) -> None:
    class StopAtFiles(Silent):
        def should_stop(self) -> bool:
            return True

    with pytest.raises(Stopped):
        make_backup(full_home.settings, out, progress=StopAtFiles())
    assert list((out / "generations").iterdir()) == []


# ---- what goes


def test_files_that_no_kept_generation_needs_go(full_home: FullHome, connection: sqlite3.Connection, out: Path) -> None:
    """As of an erased patient: the last generation that needs a file takes it along."""
    make_backup(full_home.settings, out, now=NOW)
    pixel_hash, _ = a_pixel_file(full_home)
    connection.execute(
        "UPDATE cases SET pixel_hash = (SELECT max(pixel_hash) FROM cases) WHERE pixel_hash = ?", (pixel_hash,)
    )
    stored = file_path(out, ("pixels", pixel_hash))
    for days in (20, 40):
        make_backup(full_home.settings, out, now=NOW + timedelta(days=days))
        assert stored.exists()  # the first stands for its month
    for days in range(60, 500, 20):
        last = make_backup(full_home.settings, out, now=NOW + timedelta(days=days))
    assert not stored.exists()
    (newest, *_), _ = list_generations(out)
    assert newest.name == last.generation
    assert all(file_path(out, file.key).exists() for file in newest.manifest.files)


def test_nothing_goes_while_a_manifest_cannot_be_read(full_home: FullHome, out: Path) -> None:
    old = make_backup(full_home.settings, out, now=NOW)
    (out / "generations" / old.generation / "manifest.json").write_text("{")
    stray = file_path(out, ("pixels", "cd" * 32))
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.write_bytes(b"perhaps it is needed")
    made = make_backup(full_home.settings, out, now=NOW + timedelta(days=1))
    assert "damaged" in made.warnings[0]
    assert stray.exists()


# ---- refusals


def test_a_backup_inside_the_home_is_refused(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="outside the home"):
        make_backup(settings, settings.home / "backup")


def test_a_backup_needs_a_home(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no home"):
        make_backup(Settings(home=tmp_path / "nowhere"), tmp_path / "out")


def test_two_backups_do_not_write_at_once(settings: Settings, out: Path) -> None:
    make_backup(settings, out)
    handle = os.open(out / "backup.lock", os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(Conflict, match="Another backup"):
        make_backup(settings, out)
    os.close(handle)


def test_names_are_forced_to_disk_before_the_manifest_makes_a_backup_count(
    full_home: FullHome, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name lies in its folder: after a power cut a manifest that is there could name files that are not."""
    forced, real = list[int](), os.fsync

    def fsync(handle: int) -> None:
        real(handle)
        forced.append(os.fstat(handle).st_ino)

    monkeypatch.setattr("core.store.copying.os.fsync", fsync)
    make_backup(full_home.settings, out, now=NOW)
    (generation,), _ = list_generations(out)
    before = forced[: forced.index((generation.folder / "manifest.json").stat().st_ino)]
    folders = {file_path(out, file.key).parent for file in generation.manifest.files}
    for folder in (*folders, *(one.parent for one in folders), out / "files", out / "generations", out):
        assert folder.stat().st_ino in before


def test_a_folder_that_cannot_be_written_is_named(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(CoreError, match=r"could not be written.*Received: .*file"):
        make_backup(settings, tmp_path / "file" / "backups")
