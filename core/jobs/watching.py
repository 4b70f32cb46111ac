"""The worker's look into watched folders, in a thread of its own: a slow network disk must not hold up the jobs."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import datetime

from core.errors import Conflict, CoreError, NotAllowed, Unavailable
from core.images.watched_folders import WatchedFolder, list_news, list_watched, note_look
from core.jobs.asking import ask_import
from core.jobs.records import Job, list_jobs
from core.people.accounts import find_user
from core.people.roles import may
from core.projects.records import get_project
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import opened

TICK_SECONDS = 1.0
JOBS_LOOKED_AT = 200
PAUSE_SECONDS = 3 * 3600.0  # after an import that failed or was stopped: never a storm

log = logging.getLogger("readroom.watching")


class FolderWatcher:
    """What one worker knows of the watched folders between two looks.

    Args:
        monotonic: seconds that no clock jump touches; for tests.
        clock: seconds since the epoch, by which files are told to lie quiet; for tests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._monotonic, self._clock = settings, monotonic, clock
        self._looked_at: dict[int, float] = {}

    def tick(self, connection: sqlite3.Connection) -> None:
        """Look into each folder that is due, and queue an import where something new lies quiet."""
        for watched in list_watched(connection, self._settings):
            looked_at = self._looked_at.get(watched.project)
            if looked_at is not None and self._monotonic() - looked_at < watched.every_seconds:
                continue
            self._looked_at[watched.project] = self._monotonic()
            try:
                self._look(connection, watched)
                note_look(connection, watched.project, "")
            except Unavailable:
                raise
            except CoreError as error:  # the folder is gone, or who set it may no longer
                note_look(connection, watched.project, str(error))

    def _look(self, connection: sqlite3.Connection, watched: WatchedFolder) -> None:
        imports = list_jobs(connection, project=watched.project, kinds=("import",), limit=JOBS_LOOKED_AT)
        last = next((job for job in imports if job.arguments.get("watched")), None)
        if last and last.is_active:
            return
        setter = find_user(connection, watched.set_by)  # whoever set it from the command line may be no user here
        if setter is not None and not (setter.active and may(connection, setter, "administer", None)):
            raise NotAllowed(
                f"Who had this folder watched no longer administers this Readroom; an administrator sets it anew. "
                f"Received: {watched.set_by}"
            )
        if not list_news(connection, self._settings, watched, self._clock()):
            return
        if last and last.created_at >= watched.set_at:
            self._refuse_storm(last)
        job = ask_import(
            connection,
            self._settings,
            get_project(connection, watched.project),
            [str(watched.folder)],
            hold_back="odd",
            watched_quiet_seconds=watched.quiet_seconds,
            actor=Actor(watched.set_by, "job"),
        )
        log.info("Queued job %d for the watched folder of project %d", job.id, watched.project)

    def _refuse_storm(self, last: Job) -> None:
        """What is new would be asked for again and again, and would end each time as it ended the last time.

        Raises:
            Conflict: the last import failed, or somebody stopped it, not long ago.
        """
        if last.state not in ("failed", "stopped") or last.finished_at is None:
            return
        if self._clock() - datetime.fromisoformat(last.finished_at).timestamp() < PAUSE_SECONDS:
            ended = "failed" if last.state == "failed" else "was stopped"
            raise Conflict(
                f"Something new lies here, and its import did not end well: look at it and resume it; by itself it is "
                f"tried again in three hours, or once the folder is set anew. Received: job {last.id}, which {ended}"
            )


def watch_until(settings: Settings, stopping: threading.Event) -> None:
    """Look into the folders until asked to stop."""
    watcher = FolderWatcher(settings)
    with opened(settings) as connection:
        while not stopping.wait(TICK_SECONDS):
            try:
                watcher.tick(connection)
            except (sqlite3.OperationalError, Unavailable, OSError) as error:
                log.warning("The watched folders could not be looked at; the next look tries again: %s", error)
