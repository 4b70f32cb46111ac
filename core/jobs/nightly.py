"""The backup of each night: when the next one is due, and its job in the queue when it is."""

import sqlite3
import time
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo

from core.jobs.records import add_job, list_jobs
from core.settings import Settings
from core.store.audit import Actor
from core.store.backups import Backup, last_good_backup

KIND = "backup"
LOOK_SECONDS = 60.0
# After one that failed, and after one that a wrong clock called for: never a storm.
PAUSE = timedelta(hours=3)
NIGHTLY = Actor("nightly backup", "job")


def next_backup_at(last_good: Backup | None, now: datetime, hour: int, *, zone: tzinfo | None = None) -> datetime:
    """When the next backup is due: at the first such hour, by the clock on the wall, after the last good one began.

    Without a good one it is due now; so it is when the last one lies in the future, because then a clock was wrong.
    """
    began = datetime.fromisoformat(last_good.started_at) if last_good else None
    if began is None or began > now:
        return now
    wall = began.astimezone(zone).replace(tzinfo=None)  # by the calendar: a day of 23 or 25 hours ends at this hour too
    due = wall.replace(hour=hour, minute=0, second=0, microsecond=0)
    if due <= wall:
        due += timedelta(days=1)
    return due.replace(tzinfo=zone) if zone else due.astimezone()


class NightlyBackup:
    """What one worker knows of the nights between two ticks.

    Args:
        monotonic: seconds that no clock jump touches; for tests.
    """

    def __init__(self, settings: Settings, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._monotonic = settings, monotonic
        self._looked_at: float | None = None
        self._asked_at: float | None = None

    def tick(self, connection: sqlite3.Connection, now: datetime) -> None:
        """Queue a backup where one is due. Looks once a minute; a machine that was off at that hour catches up."""
        ticks = self._monotonic()
        if not self._settings.backup_folder or (self._looked_at is not None and ticks - self._looked_at < LOOK_SECONDS):
            return
        self._looked_at = ticks
        if self._asked_at is not None and ticks - self._asked_at < PAUSE.total_seconds():
            return
        if now < next_backup_at(last_good_backup(connection), now, self._settings.backup_hour):
            return
        # What a worker before this one asked for counts too, so that one that keeps dying does not ask again and again.
        for job in list_jobs(connection, kinds=(KIND,), limit=1):
            if job.is_active or abs(now - datetime.fromisoformat(job.created_at)) < PAUSE:
                return
        self._asked_at = ticks
        add_job(connection, KIND, {}, actor=NIGHTLY)
