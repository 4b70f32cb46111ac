"""The worker's part of the warm child: start it when an explanation is wanted, and end it with the worker."""

import logging
import sqlite3
import subprocess
import time

from core.jobs.kinds import KINDS
from core.jobs.launchers import local
from core.jobs.records import claim_job, finish_job, has_queued
from core.jobs.warm import find_warm_process, is_warm_wanted, warm_lock_path
from core.settings import Settings
from core.store.locks import is_held

RETRY_SECONDS = 2.0
GOODBYE_SECONDS = 5.0
DEATHS_ALLOWED = 3

log = logging.getLogger("readroom.jobs")


class WarmKeeper:
    """Whether there is a warm child, when it was started last, and how often in a row it died of itself."""

    def __init__(self, settings: Settings, handlers: str) -> None:
        self._settings, self._handlers = settings, handlers
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._deaths = 0

    def tick(self, connection: sqlite3.Connection) -> None:
        """Start the warm child where one is wanted and none lives; a job is never left waiting for ever."""
        if self._process and (code := self._process.poll()) is not None:
            self._process = None
            self._deaths = self._deaths + 1 if code else 0
        waiting = has_queued(connection, "explain")
        if self._deaths >= DEATHS_ALLOWED and waiting:
            self._refuse(connection)
        elif (waiting or is_warm_wanted(self._settings)) and self._may_start():
            self._started_at = time.monotonic()
            self._process = local.start_warm(self._settings, self._handlers)

    def close(self) -> None:
        """Ask the warm child to end after what it does now, also one that an earlier worker started."""
        found = find_warm_process(self._settings)
        if found:
            local.ask_to_end(found[0])
        if self._process:
            try:
                self._process.wait(GOODBYE_SECONDS)
            except subprocess.TimeoutExpired:  # it loads a large model; the question is asked again later
                local.kill_group(self._process.pid, None)
                self._process.wait()

    def _may_start(self) -> bool:
        rested = time.monotonic() - self._started_at > RETRY_SECONDS * self._deaths
        return rested and self._process is None and not is_held(warm_lock_path(self._settings))

    def _refuse(self, connection: sqlite3.Connection) -> None:
        while job := claim_job(connection, "explain", "cpu"):
            sentence = f"The process for explanations ended {self._deaths} times in a row; jobs/warm.log says why."
            finish_job(connection, job, "failed", error=sentence, remedy=KINDS["explain"].remedy)
        log.error("The warm child ended %d times in a row; see jobs/warm.log", self._deaths)
        self._deaths = 0
