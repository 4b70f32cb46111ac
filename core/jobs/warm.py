"""The warm child: one process that keeps models loaded and explains within a second.

It takes jobs of the lane `explain` by itself, outside the slots of other work, and ends when
nobody has asked for a while. The worker starts it when an explanation waits or a page that
shows explanations is opened (`request_warm`).
"""

import argparse
import importlib
import json
import logging
import os
import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import Any

from core.errors import CoreError
from core.jobs.child import HANDLERS, end_on_sigterm, run_job
from core.jobs.launchers.local import is_alive, started_at
from core.jobs.records import claim_job, has_queued
from core.settings import Settings, load_settings
from core.store.database import opened
from core.store.files import Files, write_whole
from core.store.locks import is_held, take_lock

BUSY_POLL_SECONDS, IDLE_POLL_SECONDS = 0.02, 0.2
BUSY_FOR_SECONDS = 60.0  # after this without work it looks less often

log = logging.getLogger("readroom.jobs")


def request_warm(settings: Settings, model_id: int) -> None:
    """Say that explanations of this model will be wanted soon; cheap, answers at once, leaves no job."""
    write_whole(_wish_path(settings), json.dumps({"model": model_id}).encode())


def is_warm_wanted(settings: Settings) -> bool:
    """Whether `request_warm` was called and no warm child has heard it yet."""
    return _wish_path(settings).exists()


def warm_lock_path(settings: Settings) -> Path:
    """The lock that the one warm child holds as long as it lives."""
    return settings.home / "warm.lock"


def find_warm_process(settings: Settings) -> tuple[int, float] | None:
    """Process number and start time of the living warm child, or None."""
    path = _process_path(settings)
    if not is_held(warm_lock_path(settings)) or not path.exists():
        return None
    pid, started = json.loads(path.read_text("utf-8"))
    return (pid, started) if is_alive(pid, started) else None  # else the lock's holder has not written yet


def main(arguments: list[str] | None = None) -> int:
    """Serve explanations until idle for long enough or asked to end."""
    parser = argparse.ArgumentParser(prog="python -m core.jobs.warm")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--handlers", default=HANDLERS)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    settings = load_settings(given.home)
    terminated = end_on_sigterm()
    lock = take_lock(warm_lock_path(settings))
    if lock is None:
        log.info("Another warm child serves this home; leaving.")
        return 0
    write_whole(_process_path(settings), json.dumps([os.getpid(), started_at(os.getpid())]).encode())
    with opened(settings) as connection:
        _serve(connection, settings, given.handlers, terminated)
    lock.release()
    return 0


def _serve(connection: sqlite3.Connection, settings: Settings, handlers: str, terminated: threading.Event) -> None:
    kept: dict[str, Any] = {}
    pid, started = os.getpid(), started_at(os.getpid())
    last_work = time.monotonic()
    while not terminated.is_set():
        idle = time.monotonic() - last_work
        if has_queued(connection, "explain"):
            job = claim_job(connection, "explain", "cpu", pid=pid, pid_started=started)
            if job:
                run_job(settings, job, handlers, kept=kept)  # asked to end, it ends after this one
                last_work = time.monotonic()
        elif is_warm_wanted(settings):
            _preload(connection, settings, handlers, kept)
            last_work = time.monotonic()
        elif idle > settings.explain_idle_seconds:
            return
        else:
            terminated.wait(BUSY_POLL_SECONDS if idle < BUSY_FOR_SECONDS else IDLE_POLL_SECONDS)


def _preload(connection: sqlite3.Connection, settings: Settings, handlers: str, kept: dict[str, Any]) -> None:
    """Load the wished model ahead of the first question, with the `preload` beside the handlers."""
    wish = json.loads(_wish_path(settings).read_text("utf-8"))
    _wish_path(settings).unlink()
    try:
        importlib.import_module(handlers.partition(":")[0]).preload(
            connection, Files(settings.home), settings, wish["model"], kept
        )
    except CoreError as error:
        log.warning("The model could not be loaded ahead: %s", error)


def _process_path(settings: Settings) -> Path:
    return settings.home / "warm.json"


def _wish_path(settings: Settings) -> Path:
    return settings.home / "warm.wanted"


if __name__ == "__main__":
    sys.exit(main())
