"""What was sent or written down for an import and is needed no longer: it goes though no further import comes."""

import logging
import math
import shutil
import sqlite3
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from core.errors import NotFound
from core.images.pacs.landing import forget_left
from core.images.sealed_paths import forget_expired
from core.images.stored_files import StoredFiles, list_notes
from core.jobs.records import get_job
from core.jobs.undecided import folders_needed, uploads_folder
from core.settings import Settings
from core.store.database import opened
from core.store.files import Files

ABANDONED_SECONDS = 48 * 3600
FORGETTING_SECONDS = 3600.0

log = logging.getLogger("readroom.jobs")


def remove_abandoned_uploads(settings: Settings, now: float | None = None) -> int:
    """Take away what nobody imported within two days of its last piece; how many uploads went. What an import still
    reads stays, and so does what came from a modality or a PACS and waits for somebody's word."""
    moment = time.time() if now is None else now
    old = [one for one in uploads_folder(settings).glob("*") if moment - _changed_at(one) > ABANDONED_SECONDS]
    if not old:
        return 0
    with opened(settings) as connection:
        needed = folders_needed(connection)
    gone = 0
    for folder in old:
        if not any(path.is_relative_to(folder) for path in needed):
            with suppress(FileNotFoundError):  # somebody else takes it away just now
                shutil.rmtree(folder)
                gone += 1
    return gone


def finish_broken_imports(settings: Settings) -> int:
    """Do what a killed import would have done at its end, where no further attempt will; how many files went."""
    files = Files(settings.home)
    with opened(settings) as connection:
        over = [job for job in list_notes(files) if _is_over(connection, job)]
        return sum(StoredFiles(files, job).finish(connection) for job in over)


class Forgetting:
    """Once an hour, whether jobs run or not: what was promised to be gone after some days must not wait for one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._done_at: datetime | None = None

    def tick(self, now: datetime) -> None:
        """Forget if it is time to."""
        if self._done_at and 0 <= (now - self._done_at).total_seconds() < FORGETTING_SECONDS:
            return
        self._done_at = now
        try:
            paths = forget_expired(self._settings, now.timestamp())
            uploads = remove_abandoned_uploads(self._settings, now.timestamp())
            pulls = forget_left(self._settings, now.timestamp())
            files = finish_broken_imports(self._settings)
        except OSError as error:  # a disk that refuses this must not end the worker
            log.warning("What imports no longer need could not be removed: %s", error.strerror)
        else:
            if paths or uploads or pulls or files:
                words = (
                    "Removed %d expired lists of paths, %d abandoned uploads, what %d pulls had left "
                    "and %d files of imports that broke off"
                )
                log.info(words, paths, uploads, pulls, files)


def _changed_at(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:  # an import has just taken it away
        return math.inf


def _is_over(connection: sqlite3.Connection, job_id: int) -> bool:
    try:
        return not get_job(connection, job_id).is_active
    except NotFound:  # erased with its project
        return True
