"""The process of one attempt: `python -m core.jobs.child JOB_ID --home DIR --attempt N`.

The worker starts it with only its own device visible; TensorFlow lives and dies here.
"""

import argparse
import importlib
import logging
import os
import signal
import sys
import threading
import traceback as traces
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import CoreError, Stopped, Unavailable
from core.jobs.context import Body, JobContext, job_folder
from core.jobs.kinds import DEFAULT_REMEDY, KINDS, Lane
from core.jobs.launchers.local import started_at
from core.jobs.records import Job, begin_job, finish_job
from core.jobs.reporting import GIVEN_AWAY, JobProgress, write_event
from core.logs import without_text
from core.settings import Settings, load_settings
from core.store.audit import Actor
from core.store.database import opened
from core.store.files import Files
from core.store.locks import take_lock
from core.store.troubles import find_remedy

HANDLERS = "core.jobs.handlers:HANDLERS"
# The web process and the warm child come first on a busy machine.
NICENESS: dict[Lane, int] = {"train": 10, "work": 5, "explain": 0, "keep": 10}
PREDECESSOR_SECONDS = 30.0
WRITTEN = "A job writes as it works: prepared images, checkpoints, models, and its own row in the database."
NO_MEMORY = "The system gave it no more memory: this job and other programs together want more than the machine has."
ASK_OTHERWISE = "Change what the sentence names and ask for it anew; resumed as it is, this would end in the same way."

log = logging.getLogger("readroom.jobs")


def main(arguments: list[str] | None = None) -> int:
    """Do one attempt of one job; the answer is the exit code."""
    parser = argparse.ArgumentParser(prog="python -m core.jobs.child")
    parser.add_argument("job", type=int)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--attempt", type=int, required=True)
    parser.add_argument("--handlers", default=HANDLERS)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    settings = load_settings(given.home)
    terminated = end_on_sigterm()
    # An earlier attempt may still be dying; two never share the folder.
    lock = take_lock(job_folder(settings, given.job) / "lock", wait_seconds=PREDECESSOR_SECONDS)
    if lock is None:
        log.error("An earlier attempt of job %d still runs; leaving.", given.job)
        return GIVEN_AWAY
    with opened(settings) as connection:
        job = begin_job(connection, given.job, given.attempt, os.getpid(), started_at(os.getpid()))
    if job is None:
        log.error("Attempt %d of job %d was given to another process; leaving.", given.attempt, given.job)
        return GIVEN_AWAY
    os.nice(NICENESS[job.lane])
    job_folder(settings, job.id).mkdir(parents=True, exist_ok=True)
    run_job(settings, job, given.handlers, terminated=terminated)
    lock.release()
    return 0


def end_on_sigterm() -> threading.Event:
    """From now on SIGTERM asks the work to stop in good order instead of ending the process."""
    terminated = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: terminated.set())
    return terminated


def load_handlers(place: str) -> Mapping[str, Body]:
    """The bodies by kind, from `module:NAME`."""
    module, _, name = place.partition(":")
    found: Mapping[str, Body] = getattr(importlib.import_module(module), name)
    return found


def run_job(
    settings: Settings,
    job: Job,
    handlers: str,
    *,
    terminated: threading.Event | None = None,
    kept: dict[str, Any] | None = None,
) -> None:
    """Run the body of an attempt that is ours, and settle the job by how the body ends."""
    folder = job_folder(settings, job.id)
    _leave_event(folder, event="started", attempt=job.attempt, device=job.device)
    with JobProgress(settings, job, folder, terminated=terminated) as progress, opened(settings) as connection:
        context = JobContext(
            connection=connection,
            files=Files(settings.home),
            settings=settings,
            job=job,
            folder=folder,
            device=job.device or "cpu",
            actor=Actor(job.created_by, "job"),
            progress=progress,
            kept={} if kept is None else kept,
        )
        outcome = _outcome(context, handlers)
    log.info("Job %d ended: %s", job.id, outcome["state"])
    # The event comes first: once the row is settled, another attempt may use the folder.
    _leave_event(folder, event=outcome["state"], attempt=job.attempt, error=outcome.get("error"))
    with opened(settings) as connection:
        if not finish_job(connection, job, **outcome):
            log.error("Job %d was settled by another process; dropped here: %s", job.id, outcome)


def _leave_event(folder: Path, **facts: object) -> None:
    """Events are there to be looked at; a full disk must not keep the job from being settled."""
    try:
        write_event(folder, **facts)
    except OSError as error:
        log.warning("The event could not be written: %s", error)


def _outcome(context: JobContext, handlers: str) -> dict[str, Any]:
    try:
        result = dict(load_handlers(handlers)[context.job.kind](context))
        # A stopped training still leaves its best weights: the job is stopped and has a result.
        stopped = bool(result.get("stopped")) and context.progress.should_stop()
        return {"state": "stopped" if stopped else "done", "result": result}
    except Stopped as error:
        return {"state": "stopped", "note": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever it is, the job is settled, and the log has where it was
        told = _failure(context.job, error)
        log.error("Job %d failed\n%s", context.job.id, told["traceback"])
        return told


def _failure(job: Job, error: Exception) -> dict[str, Any]:
    kind = KINDS.get(job.kind)
    remedy = kind.remedy if kind else DEFAULT_REMEDY
    repeats = _would_repeat(error) and not (kind and kind.mends_outside)
    hides = kind is not None and kind.opens_files
    trace = without_text(error) if hides else "".join(traces.format_exception(error))
    trouble, why = find_remedy(error), getattr(error, "why", "")
    if trouble or isinstance(error, Unavailable):
        sentence = f"{trouble} Received: {error}" if trouble else str(error)
        sentence = _without_files(sentence, error) if hides else sentence
        remedy = "Make room or mend what it names, then resume the job."
        why = why or WRITTEN
    elif isinstance(error, CoreError):
        usual = ASK_OTHERWISE if repeats else "Mend what it names, then resume the job."
        sentence, remedy = str(error), error.remedy or usual
    elif isinstance(error, MemoryError):
        sentence, why = "There was not enough memory for the job.", NO_MEMORY
    else:
        said = "" if hides else f": {error}"
        sentence = f"This is a defect in Readroom, not in your data: {type(error).__name__}{said}"
        remedy = "Resume the job once; if it fails again, report it with the traceback."
    told = {"error": sentence, "why": why or None, "remedy": remedy, "traceback": trace}
    return {"state": "failed", "would_repeat": repeats, **told}


def _without_files(sentence: str, error: BaseException | None) -> str:
    """What the system says of a file without the name of that file, which it quotes."""
    while error is not None:
        for name in (getattr(error, "filename", None), getattr(error, "filename2", None)):
            if isinstance(name, str) and name:
                sentence = sentence.replace(repr(name), "a file").replace(name, "a file")
        error = error.__cause__
    return sentence


def _would_repeat(error: Exception) -> bool:
    """Of what the machine did, or of a defect, nobody knows."""
    return isinstance(error, CoreError) and error.would_repeat and find_remedy(error) is None


if __name__ == "__main__":
    sys.exit(main())
