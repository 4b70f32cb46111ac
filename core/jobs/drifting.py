"""The drift watch: a check is made after every import, and once a day, wherever a model is in production.

It is queued as a job, but where too few new cases have come in to say anything: that needs no process of its own.
"""

import sqlite3
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from core.clock import utc_text
from core.jobs.records import add_job, list_jobs
from core.reviews.drift import list_unchecked, settle_few
from core.store.audit import Actor

KIND = "drift"
LOOK_SECONDS = 60.0
EVERY = timedelta(days=1)
PAUSE = timedelta(hours=3)  # after one that failed
WATCH = Actor("drift watch", "job")


class DriftWatch:
    """What one worker knows of the checks between two ticks.

    Args:
        monotonic: seconds that no clock jump touches; for tests.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._looked_at: float | None = None

    def tick(self, connection: sqlite3.Connection, now: datetime) -> None:
        """Make or queue what is due, once a minute at most; a project that is importing waits until that is over."""
        ticks = self._monotonic()
        if self._looked_at is not None and ticks - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = ticks
        for project in list_unchecked(connection, utc_text(now - EVERY)):
            importing = list_jobs(connection, project=project, kinds=("import",), states=("queued", "running"))
            last = next(iter(list_jobs(connection, project=project, kinds=(KIND,), limit=1)), None)
            tired = last is not None and last.state != "done" and _age(last.created_at, now) < PAUSE
            if importing or tired or (last is not None and last.is_active):
                continue
            if not settle_few(connection, project):
                add_job(connection, KIND, {"project": project}, project=project, actor=WATCH)


def _age(created_at: str, now: datetime) -> timedelta:
    return abs(now - datetime.fromisoformat(created_at))
