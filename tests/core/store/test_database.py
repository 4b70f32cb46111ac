import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import CoreError
from core.settings import Settings
from core.store.audit import Actor, add_audit
from core.store.database import opened, prepare_home, writing


def test_preparing_a_home_twice_changes_nothing(settings: Settings) -> None:
    with opened(settings) as connection:
        before = list(connection.iterdump())
    prepare_home(settings)
    with opened(settings) as connection:
        assert list(connection.iterdump()) == before


def test_many_processes_may_prepare_one_home(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(prepare_home, [settings] * 8))
    with opened(settings) as connection:
        assert connection.execute("SELECT count(*) FROM projects").fetchone()[0] == 0


def test_a_home_of_a_newer_version_is_refused_unchanged(settings: Settings) -> None:
    with opened(settings) as connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('readroom', 'm999_later', '')"
        )
    with pytest.raises(CoreError, match="newer Readroom"):
        prepare_home(settings)


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(CoreError, match="choose another with --home"):
        prepare_home(Settings(home=blocked))


@pytest.mark.parametrize("existed", [False, True])
def test_only_the_owner_may_read_a_database_in_a_folder_that_others_may_look_into(
    tmp_path: Path, existed: bool
) -> None:
    settings = Settings(home=tmp_path / "volume")
    settings.home.mkdir(mode=0o755)
    settings.home.chmod(0o755)
    if existed:
        prepare_home(settings)
        settings.database_path.chmod(0o644)
    prepare_home(settings)
    with opened(settings) as connection, writing(connection):
        add_audit(connection, Actor("anna", "screen"), "write", "row")
        found = {path.name: path.stat().st_mode & 0o777 for path in settings.home.glob("readroom.db*")}
    assert found == {"readroom.db": 0o600, "readroom.db-wal": 0o600, "readroom.db-shm": 0o600}


def test_preparing_a_home_never_opens_a_database_beside_sqlite(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing any handle of a file drops all locks that this process has on it, those of its connections too."""
    asked, real = list[str](), os.open

    def look(path: str, *given: int) -> int:
        asked.append(str(path))
        return real(path, *given)

    monkeypatch.setattr(os, "open", look)
    prepare_home(settings)
    assert str(settings.home / "migrate.lock") in asked
    assert str(settings.database_path) not in asked


def test_a_transaction_is_stored_whole_or_not_at_all(connection: sqlite3.Connection) -> None:
    def fail_half_way() -> None:
        with writing(connection), writing(connection):
            add_audit(connection, Actor("anna", "screen"), "try", "nothing")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert connection.execute("SELECT count(*) FROM audit").fetchone()[0] == 0
    assert not connection.in_transaction


def test_writers_wait_for_each_other(settings: Settings) -> None:
    def write(number: int) -> None:
        with opened(settings) as connection, writing(connection):
            add_audit(connection, Actor(f"reader {number}", "screen"), "write", "row")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(200)))
    with opened(settings) as connection:
        assert connection.execute("SELECT count(*) FROM audit").fetchone()[0] == 200


def test_labels_cannot_be_rewritten(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute(
        """INSERT INTO labels (event, project, case_id, reader, unsure, unusable, note, schema_version, made_in,
                               entered_by, made_at, stored_at)
           VALUES ('e', 1, 1, 1, 0, 0, '', 1, 'review', 'anna', '', '')"""
    )
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("UPDATE labels SET note = 'changed'")
