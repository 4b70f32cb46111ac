"""A worker that is ticked by hand, and every process that a test leaves behind ended."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from core.images.decoded import DecodedImage
from core.images.decoding import decode
from core.jobs.launchers.local import ask_to_end, is_alive, kill_group
from core.jobs.records import Job, get_job, list_running
from core.jobs.warm import find_warm_process
from core.jobs.worker import Worker
from core.people.accounts import ensure_user
from core.projects.deidentification import Deidentification
from core.settings import Settings
from core.store.audit import Actor
from core.training.device import CPU
from tests.core.jobs.bodies import PLACE

PATIENCE_SECONDS = 150.0


@pytest.fixture
def admin(connection: sqlite3.Connection) -> Actor:
    """Ada, who administers this Readroom, before a screen."""
    ensure_user(connection, "ada", role="admin")
    return Actor("ada", "screen")


@pytest.fixture
def make_worker(settings: Settings, connection: sqlite3.Connection) -> Iterator[Callable[..., Worker]]:
    made: list[Worker] = []

    def make(**options: object) -> Worker:
        made.append(Worker(**{"settings": settings, "handlers": PLACE, "devices": [CPU], **options}))
        return made[-1]

    yield make
    for job in list_running(connection):
        if job.pid:
            kill_group(job.pid, job.pid_started)
    for worker in made:
        for child in worker._children.values():
            kill_group(child.process.pid, None)
            child.process.wait()
        worker.close()
    if found := find_warm_process(settings):
        ask_to_end(found[0])
        wait_until(lambda: not is_alive(*found))


@pytest.fixture
def worker(make_worker: Callable[..., Worker]) -> Worker:
    return make_worker()


@pytest.fixture
def read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Imports read files in this process: to start one that may die takes a second, and is tested elsewhere."""

    @contextmanager
    def reader(settings: Settings, secret: bytes, options: Deidentification) -> Iterator[Callable[..., DecodedImage]]:
        yield lambda content, name: decode(content, settings, secret, name=name, options=options)

    import core.images.ingest  # noqa: F401 - it goes on knowing readers by the class itself

    monkeypatch.setattr("core.images.reading_children.ReadingChildren", reader)


def wait_until(condition: Callable[[], object], tick: Callable[[], None] = lambda: None) -> None:
    """Tick until something holds; a test that waits in vain fails."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        tick()
        time.sleep(0.02)


@pytest.fixture
def settled(connection: sqlite3.Connection) -> Callable[[Worker, Job], Job]:
    """Tick a worker until a job is settled."""

    def settle(worker: Worker, job: Job) -> Job:
        wait_until(lambda: not get_job(connection, job.id).is_active, worker.tick)
        return get_job(connection, job.id)

    return settle
