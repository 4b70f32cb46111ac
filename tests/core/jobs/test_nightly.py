"""The backup of each night: due once, caught up after a night off, and never a storm whatever the clock does."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from core.clock import utc_text
from core.jobs.child import HANDLERS
from core.jobs.kinds import KINDS
from core.jobs.nightly import NightlyBackup, next_backup_at
from core.jobs.records import Job, add_job, finish_job, list_jobs
from core.jobs.worker import Worker
from core.settings import Settings
from core.store.audit import Actor
from core.store.backups import Backup, last_good_backup, list_backups, record_backup
from core.store.generations import list_generations
from tests.core.jobs.conftest import wait_until

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def good(began: datetime) -> Backup:
    told = utc_text(began)
    return Backup(1, "/b", "g", told, told, None, 0, 0, 0)


# ---- when it is due


@pytest.mark.parametrize(
    ("began", "due"),
    [
        ("2026-11-21T02:00:05", "2026-11-22T02:00:00"),
        ("2026-11-21T15:00:00", "2026-11-22T02:00:00"),
        ("2026-11-21T01:59:59", "2026-11-21T02:00:00"),
        ("2026-10-24T02:30:00", "2026-10-25T02:00:00"),  # the clocks go back in that night
        ("2026-03-28T02:30:00", "2026-03-29T02:00:00"),  # and forward in this one
    ],
)
def test_the_next_backup_is_due_at_that_hour_by_the_clock_on_the_wall(began: str, due: str) -> None:
    asked = next_backup_at(good(at(began)), at(began) + timedelta(minutes=1), 2, zone=BERLIN)
    assert asked == at(due)


def test_without_a_good_one_it_is_due_now() -> None:
    assert next_backup_at(None, at("2026-11-21T12:00:00"), 2) == at("2026-11-21T12:00:00")


def test_one_from_the_future_does_not_hold_up_those_to_come() -> None:
    now = at("2026-11-21T12:00:00")
    assert next_backup_at(good(now + timedelta(days=900)), now, 2) == now


# ---- the queue


class Nights:
    """A worker's nights with a clock and a stopwatch turned by hand; each backup ends at once, well or not."""

    def __init__(self, connection: sqlite3.Connection, settings: Settings) -> None:
        self.connection, self.settings, self.stopwatch, self.succeeds = connection, settings, 0.0, True
        self.now = datetime.now(UTC)
        self.nightly = NightlyBackup(settings, monotonic=lambda: self.stopwatch)

    def pass_time(self, hours: float) -> int:
        """So many hours, tick by tick of five minutes; the answer is how many backups were asked for."""
        before = len(list_jobs(self.connection, limit=1000))
        for _ in range(round(hours * 12)):
            self.stopwatch += 300
            self.now += timedelta(minutes=5)
            self.tick()
        return len(list_jobs(self.connection, limit=1000)) - before

    def tick(self) -> None:
        self.nightly.tick(self.connection, self.now)
        for job in list_jobs(self.connection, states=("queued",)):
            told = utc_text(self.now)
            self.connection.execute("UPDATE jobs SET created_at = ?, state = 'running' WHERE id = ?", (told, job.id))
            claimed = list_jobs(self.connection, states=("running",))[0]
            finish_job(self.connection, claimed, "done" if self.succeeds else "failed")
            record_backup(
                self.connection, folder="/b", name="g", started_at=told, finished_at=told,
                error=None if self.succeeds else "The disk is full.",
            )  # fmt: skip


@pytest.fixture
def nights(connection: sqlite3.Connection, settings: Settings) -> Nights:
    return Nights(connection, replace(settings, backup_folder="/b"))


def test_one_backup_a_day(nights: Nights) -> None:
    assert nights.pass_time(1) == 1  # there was none before
    nights.pass_time(24)
    assert [nights.pass_time(24) for _ in range(4)] == [1, 1, 1, 1]


def test_without_a_folder_nothing_is_asked_for(connection: sqlite3.Connection, settings: Settings) -> None:
    assert Nights(connection, settings).pass_time(48) == 0


def test_a_machine_that_was_off_at_that_hour_catches_up_when_it_is_on(nights: Nights) -> None:
    nights.pass_time(1)
    nights.now += timedelta(days=2)
    nights.nightly = NightlyBackup(nights.settings, monotonic=lambda: nights.stopwatch)
    assert nights.pass_time(1) == 1


def test_one_that_fails_is_tried_again_but_not_all_the_time(nights: Nights) -> None:
    nights.succeeds = False
    assert 2 <= nights.pass_time(12) <= 4
    assert last_good_backup(nights.connection) is None
    nights.succeeds = True
    assert nights.pass_time(2) == 1


def test_a_worker_that_keeps_dying_does_not_ask_again_and_again(nights: Nights) -> None:
    nights.succeeds = False
    asked = 0
    for _ in range(30):
        nights.nightly = NightlyBackup(nights.settings, monotonic=lambda: nights.stopwatch)
        asked += nights.pass_time(1 / 12)
    assert asked == 1


@pytest.mark.parametrize("jump", [timedelta(days=400), timedelta(days=-400)], ids=["ahead", "behind"])
def test_a_clock_that_jumps_to_and_fro_makes_no_storm(nights: Nights, jump: timedelta) -> None:
    nights.pass_time(1)
    asked = 0
    for turn in range(24):
        nights.now += jump if turn % 2 == 0 else -jump
        asked += nights.pass_time(0.25)
    assert asked <= 3  # six hours on the stopwatch
    assert nights.pass_time(30) in (1, 2, 3)  # and the nights go on


def test_a_backup_that_still_runs_is_not_joined_by_another(
    nights: Nights, connection: sqlite3.Connection, actor: Actor
) -> None:
    add_job(connection, "backup", {}, actor=Actor("anna", "command line"))
    nights.nightly.tick(connection, nights.now)
    assert len(list_jobs(connection)) == 1


# ---- the job


def test_the_worker_makes_the_backup_of_the_night_in_a_lane_of_its_own(
    settings: Settings, connection: sqlite3.Connection, tmp_path: Path, make_worker: Callable[..., Worker]
) -> None:
    out = tmp_path / "backups"
    (settings.home / "settings.toml").write_text(f'backup_folder = "{out}"\n')
    worker = make_worker(settings=replace(settings, backup_folder=str(out)), handlers=HANDLERS)

    def made() -> list[Job]:
        return list_jobs(connection, states=("done", "failed"))

    wait_until(made, worker.tick)
    (job,) = list_jobs(connection)
    assert (job.kind, job.lane, job.state, job.created_by) == ("backup", "keep", "done", "nightly backup"), job.error
    (generation,), _ = list_generations(out)
    last = last_good_backup(connection)
    assert last is not None
    assert (last.name, last.folder) == (generation.name, str(out))


def test_a_backup_that_fails_is_on_record_with_its_reason(
    settings: Settings, connection: sqlite3.Connection, tmp_path: Path, make_worker: Callable[..., Worker]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    (settings.home / "settings.toml").write_text(f'backup_folder = "{tmp_path / "file" / "backups"}"\n')
    worker = make_worker(handlers=HANDLERS)
    add_job(connection, "backup", {}, actor=Actor("anna", "command line"))
    wait_until(lambda: list_jobs(connection, states=("failed",)), worker.tick)
    (record,) = list_backups(connection)
    assert "could not be written" in (record.error or "")
    assert not record.is_good
    assert last_good_backup(connection) is None


def test_only_an_administrator_may_ask_for_a_backup() -> None:
    assert KINDS["backup"].action == "administer"
