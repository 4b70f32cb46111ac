"""Whoever opens a home of before is on record as having brought it to this version."""

import sqlite3
from contextlib import closing
from pathlib import Path

from core.people.accounts import operating_system_user
from core.people.homes import enter_home
from core.settings import Settings
from core.store.audit import list_audit
from core.store.database import opened
from core.store.migration_names import MIGRATION_NAMES
from tests.fixtures.make_home_m001 import FIXTURE


def test_a_home_of_before_is_migrated_by_somebody(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "old")
    settings.home.mkdir(mode=0o700)
    with closing(sqlite3.connect(settings.database_path)) as raw:
        raw.executescript(FIXTURE.read_text("utf-8"))
    enter_home(settings)
    assert enter_home(settings).steps == ()
    with opened(settings) as connection:
        (row,) = list_audit(connection, what="migrate")
    assert (row.who, row.via, row.detail) == (
        operating_system_user(), "command line", {"steps": list(MIGRATION_NAMES[1:])}
    )  # fmt: skip


def test_a_new_home_was_not_migrated(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "new")
    enter_home(settings)
    with opened(settings) as connection:
        assert list_audit(connection) == []
