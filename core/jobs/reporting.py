"""How a running body speaks to the database: at most once a second, from a thread of its own.

The body only leaves word in memory, so that a report costs a training step nothing.
The thread stores the newest word, beats while there is none, and learns of a wish to stop.
"""

import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from core.clock import utc_now
from core.errors import Unavailable
from core.jobs.records import Job, beat_job, is_stop_requested, plain_json, report_job, requeue_job
from core.settings import Settings
from core.store.database import opened

PULSE_SECONDS = 0.2
REPORT_SECONDS = 1.0
GIVEN_AWAY = 75  # the exit code of a process whose job was given to another

log = logging.getLogger("readroom.jobs")


def leave_at_once(reason: str) -> None:
    """End this process without another step. Every body may be killed at any moment, so nothing is lost."""
    log.error("%s", reason)
    os._exit(GIVEN_AWAY)


class JobProgress:
    """The `Progress` of one attempt. Use it as a context; on leaving, the last word is stored.

    Facts add up: a report that names `epoch` and a later one that names `loss` leave both in the row.
    `terminated` is set when the process is asked to end. Where no user wished that (the machine goes
    down), the job goes back into the queue and the process leaves at once, to go on from its checkpoint later.
    """

    def __init__(
        self,
        settings: Settings,
        job: Job,
        folder: Path,
        *,
        terminated: threading.Event | None = None,
        leave: Callable[[str], None] = leave_at_once,
    ) -> None:
        self._settings, self._job, self._folder = settings, job, folder
        self._terminated = terminated or threading.Event()
        self._leave = leave
        self._stop, self._closing = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._fraction, self._note, self._facts = job.fraction, job.note, dict[str, Any]()
        self._has_news = False
        self._stored_at = 0.0
        self._beat_seconds = min(5.0, settings.heartbeat_seconds / 6)
        self._thread = threading.Thread(target=self._pulse, name="job-pulse", daemon=True)

    def report(self, fraction: float, note: str, **facts: object) -> None:
        with self._lock:
            self._fraction, self._note = min(1.0, max(0.0, float(fraction))), note
            self._facts.update(facts)
            self._has_news = True

    def should_stop(self) -> bool:
        return self._stop.is_set()

    def __enter__(self) -> "JobProgress":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join()

    def _pulse(self) -> None:
        with opened(self._settings) as connection:
            closing = False
            while not closing:
                closing = self._closing.wait(PULSE_SECONDS)
                try:
                    self._speak(connection, last=closing)
                except (sqlite3.OperationalError, Unavailable, OSError) as error:
                    # A full disk or a long lock: the next pulse tries again, and if none gets
                    # through, the worker finds the job silent and ends it.
                    log.warning("The job could not be reported: %s", error)

    def _speak(self, connection: sqlite3.Connection, *, last: bool) -> None:
        if is_stop_requested(connection, self._job):
            self._stop.set()
        elif self._terminated.is_set():
            requeue_job(connection, self._job, "Interrupted; it goes on as soon as a worker runs.", counts=False)
            self._leave("This process was asked to end; the job goes back into the queue.")
        waited = time.monotonic() - self._stored_at
        mine = True
        if self._has_news and (last or waited >= REPORT_SECONDS):
            with self._lock:
                fraction, note, facts = self._fraction, self._note, dict(self._facts)
                self._has_news = False
            mine = report_job(connection, self._job, fraction=fraction, note=note, facts=facts)
            write_event(self._folder, fraction=fraction, note=note, **facts)
        elif waited >= self._beat_seconds:
            mine = beat_job(connection, self._job)
        else:
            return
        self._stored_at = time.monotonic()
        if not mine:
            self._leave("This attempt was given to another process.")


def write_event(folder: Path, **facts: object) -> None:
    """Add one line to the job's `events.jsonl`; work without a folder (an explanation) leaves no events."""
    if not folder.is_dir():
        return
    with (folder / "events.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(plain_json({"at": utc_now(), **facts}) + "\n")


def read_events(folder: Path) -> list[dict[str, Any]]:
    """All events of a job, oldest first; a line that a kill cut short is left out."""
    try:
        lines = (folder / "events.jsonl").read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    events = []
    for line in lines:
        try:
            events.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return events
