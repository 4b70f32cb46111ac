"""Waiting for a job, with or without a worker: the command line works without `readroom up`."""

import threading
from collections.abc import Callable

from core.jobs.context import job_folder
from core.jobs.records import Job, get_job
from core.jobs.worker import TICK_SECONDS, Worker, worker_lock_path
from core.settings import Settings
from core.store.database import opened
from core.store.locks import FileLock, take_lock


def wait_for_job(
    settings: Settings,
    job_id: int,
    on_progress: Callable[[Job], None] = lambda job: None,
    *,
    worker: Callable[[Settings], Worker] = Worker,
) -> Job:
    """The job once it is settled; meanwhile this process is the worker, unless another is.

    A worker that ends while we wait is replaced by us. When the wait is broken off, the job runs on.

    Args:
        on_progress: called with the job about five times a second.

    Raises:
        NotFound: there is no such job.
    """
    lock: FileLock | None = None
    ours: Worker | None = None
    pause = threading.Event()
    try:
        with opened(settings) as connection:
            while True:
                job = get_job(connection, job_id)
                on_progress(job)
                if not job.is_active:
                    return job
                if lock is None and (lock := take_lock(worker_lock_path(settings))):
                    ours = worker(settings)
                if ours:
                    ours.tick()
                pause.wait(TICK_SECONDS)
    finally:
        if ours:
            ours.close()
        if lock:
            lock.release()


def read_log(settings: Settings, job_id: int, *, last_bytes: int | None = None) -> str:
    """What a job's processes printed, or the end of it; "" where nothing was printed yet."""
    path = job_folder(settings, job_id) / "log.txt"
    if not path.exists():
        return ""
    with path.open("rb") as stream:
        if last_bytes is not None:
            stream.seek(max(0, path.stat().st_size - last_bytes))
        return stream.read().decode("utf-8", errors="replace")
