"""What was sent or written down for an import and is needed no longer: it goes though no further import comes."""

import logging
import math
import shutil
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from core.images.pacs.landing import forget_left
from core.images.sealed_paths import forget_expired
from core.jobs.undecided import folders_needed, uploads_folder
from core.settings import Settings
from core.store.database import opened

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
        except OSError as error:  # a disk that refuses this must not end the worker
            log.warning("What imports no longer need could not be removed: %s", error.strerror)
        else:
            if paths or uploads or pulls:
                words = "Removed %d expired lists of paths, %d abandoned uploads and what %d pulls had left"
                log.info(words, paths, uploads, pulls)


def _changed_at(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:  # an import has just taken it away
        return math.inf
