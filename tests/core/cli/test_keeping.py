"""Backups, restores and migrations as a script uses them."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.cli.app import app
from core.errors import CoreError
from core.settings import Settings
from core.store.audit import list_audit
from core.store.database import opened
from tests.core.conftest import Planted
from tests.fixtures.make_home_m001 import FIXTURE

Run = Callable[..., Any]


@pytest.fixture
def run(settings: Settings) -> Run:
    """Run one command, by default in the test's home; the answer is its JSON document, or the refusal."""

    def run_command(*words: str, home: Path = settings.home, code: int = 0) -> Any:
        result = CliRunner().invoke(app, [*words, "--home", str(home), "--json"])
        assert result.exit_code == code, result.output + repr(result.exception)
        return json.loads(result.stdout) if code == 0 else result.exception

    return run_command


def test_a_backup_restores_and_both_are_on_record(run: Run, planted: Planted, tmp_path: Path) -> None:
    made = run("backup", str(tmp_path / "out"))
    assert (made["copied"], made["kept"]) == (40, 0)
    assert run("backup", str(tmp_path / "out"))["kept"] == 40
    told = run("restore", str(tmp_path / "out"), "--generation", made["generation"], home=tmp_path / "two")
    assert told["audit_is_whole"] is True
    assert told["lacking"] == []
    with opened(Settings(home=tmp_path / "two")) as connection:
        assert [row.what for row in list_audit(connection, what="restore")] == ["restore"]
    assert run("project", "list", home=tmp_path / "two")["projects"][0]["cases"] == 40


def test_backups_are_listed_with_the_last_good_one(run: Run, settings: Settings, tmp_path: Path) -> None:
    assert run("backup", "--list") == {"backups": [], "last_good": None}
    made = run("backup", str(tmp_path / "out"))
    assert isinstance(run("backup", str(settings.home / "inside"), code=1), CoreError)
    listed = run("backup", "--list")
    assert [one["good"] for one in listed["backups"]] == [False, True]
    assert listed["last_good"] == made["generation"]


def test_the_folder_of_the_settings_is_used_where_none_is_named(run: Run, settings: Settings, tmp_path: Path) -> None:
    assert "backup_folder" in str(run("backup", code=1))
    (settings.home / "settings.toml").write_text(f'backup_folder = "{tmp_path / "nightly"}"\n')
    run("backup")
    assert len(list((tmp_path / "nightly" / "generations").iterdir())) == 1


def test_an_incomplete_backup_is_a_refusal(
    run: Run, planted: Planted, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    connection.execute("UPDATE cases SET pixel_hash = ? WHERE id = 1", ("ab" * 32,))
    assert "is incomplete" in str(run("backup", str(tmp_path / "out"), code=1))


def test_verify_reads_every_file(run: Run, planted: Planted, tmp_path: Path) -> None:
    run("backup", str(tmp_path / "out"))
    stored = next((tmp_path / "out" / "files" / "pixels").glob("*/*"))
    stored.write_bytes(stored.read_bytes()[:-1] + b"?")
    assert run("backup", str(tmp_path / "out"))["copied"] == 0
    assert run("backup", str(tmp_path / "out"), "--verify")["copied"] == 1


def test_an_old_home_is_rehearsed_and_then_migrated(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "old"
    home.mkdir()
    with closing(sqlite3.connect(home / "readroom.db")) as raw:
        raw.executescript(FIXTURE.read_text("utf-8"))
    told = run("migrate", "--dry-run", home=home)
    assert (told["dry_run"], told["copy_kept"]) == (True, None)
    assert told["steps"]
    done = run("migrate", home=home)
    assert done["steps"] == told["steps"]
    assert Path(done["copy_kept"]).is_file()
    assert run("migrate", home=home)["steps"] == []
    with opened(Settings(home=home)) as connection:
        (row,) = list_audit(connection, what="migrate")
    assert row.detail == {"steps": done["steps"]}


@pytest.mark.parametrize("words", [("backup", "out"), ("migrate",), ("migrate", "--dry-run")])
def test_a_slip_in_the_name_of_the_home_makes_no_empty_one(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    assert "no home" in str(run(*words, home=tmp_path / "typo", code=1))
    assert not (tmp_path / "typo").exists()
