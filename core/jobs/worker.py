"""The supervisor of a home: it hands waiting jobs to child processes and looks after them.

One worker serves a home at a time; a lock of the operating system sees to that. The worker
may be killed at any moment: its children live on, and the next worker adopts them by process
number and start time. `python -m core.jobs.worker --home DIR` runs it.
"""

import argparse
import logging
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.datasets.loading import remove_unused_images
from core.erasing.erase import finish_erasing
from core.errors import Unavailable
from core.jobs.abandoned import Forgetting
from core.jobs.child import HANDLERS
from core.jobs.context import job_folder
from core.jobs.drifting import DriftWatch
from core.jobs.endings import explain_ending
from core.jobs.keeping_warm import WarmKeeper
from core.jobs.kinds import KINDS, Lane
from core.jobs.launchers import local
from core.jobs.nightly import NightlyBackup
from core.jobs.records import Job, claim_job, find_next, finish_job, get_job, list_jobs, list_running, requeue_job
from core.jobs.watching import watch_until
from core.logs import start_log
from core.people.homes import enter_home
from core.settings import Settings, load_settings
from core.store.database import connect
from core.store.files import Files, clear_parts
from core.store.locks import FileLock, is_held, take_lock
from core.training.device import CPU, Device, choose_devices, list_devices

TICK_SECONDS = 0.2
BEAT_SECONDS = 5.0
WORK_SLOTS = 2
STOP_GRACE_SECONDS = 20.0
TIDY_SECONDS = 3600.0
ERASING_SECONDS = 30.0
STARTING_SECONDS = 120.0  # until the child has said that it began

log = logging.getLogger("readroom.jobs")
Clock = Callable[[], datetime]


def utc_clock() -> datetime:
    """The present."""
    return datetime.now(UTC)


def worker_lock_path(settings: Settings) -> Path:
    """The lock that the worker of a home holds as long as it lives."""
    return settings.home / "worker.lock"


def beat_path(settings: Settings) -> Path:
    """The file whose time says when the worker last stirred: one that holds its lock may still hang."""
    return settings.home / "worker.beat"


def worker_alive(settings: Settings) -> bool:
    """Whether a worker serves this home right now."""
    return is_held(worker_lock_path(settings))


def worker_silent_seconds(settings: Settings) -> float | None:
    """How long ago the worker of this home last stirred; None where none runs."""
    if not worker_alive(settings):
        return None
    beat = beat_path(settings)
    return max(0.0, time.time() - beat.stat().st_mtime) if beat.exists() else 0.0


@dataclass
class _Child:
    """A child process of this worker. `settled_at` is when its job was first seen settled while it lived on."""

    job: Job
    process: subprocess.Popen[bytes]
    settled_at: datetime | None = None


class Worker:
    """The state of one supervisor between two ticks. Whoever makes one holds the worker lock.

    Args:
        handlers: `module:NAME` of the bodies by kind, passed on to the children.
        devices: the training slots; by default what this machine has.
        stop_grace_seconds: from the wish to stop to SIGKILL, whatever the kind says; for tests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        handlers: str = HANDLERS,
        devices: Sequence[Device] | None = None,
        clock: Clock = utc_clock,
        stop_grace_seconds: float | None = None,
    ) -> None:
        self._settings, self._handlers, self._clock = settings, handlers, clock
        self._devices = tuple(devices or list_devices())
        self._may_lose_devices = not devices and any(device.kind == "gpu" for device in self._devices)
        self._stop_grace_seconds = stop_grace_seconds
        self._connection: sqlite3.Connection = connect(settings)
        self._children: dict[tuple[int, int], _Child] = {}
        self._stops_since: dict[tuple[int, int], datetime] = {}
        self._silences: dict[tuple[int, int], float] = {}
        self._warm = WarmKeeper(settings, handlers)
        self._nightly = NightlyBackup(settings)
        self._drift = DriftWatch()
        self._forgetting = Forgetting(settings)
        self._awake_since = self._ticked_at = clock()
        self._tidied_at: datetime | None = None
        self._erased_at: datetime | None = None

    def tick(self) -> None:
        """Look after every running job, then fill the free slots. Quick; never waits for a child."""
        now = self._clock()
        # A laptop that slept did not hang: silence counts only while this worker was awake to hear it.
        # Nor did one whose clock was set back: what was counted before is counted anew.
        if not 0 <= (now - self._ticked_at).total_seconds() <= self._settings.heartbeat_seconds / 2:
            self._awake_since = now
        self._ticked_at = now
        running = list_running(self._connection)
        for job in running:
            self._look_after(job, now)
        self._reap({_key(job) for job in running}, now)
        self._nightly.tick(self._connection, now)
        self._drift.tick(self._connection, now)
        self._fill()
        self._warm.tick(self._connection)
        self._finish_erasing(now)
        self._forgetting.tick(now)
        self._tidy(now)

    def close(self) -> None:
        """Let go of the home. Running jobs live on; the warm child ends, since nobody would look after it."""
        self._warm.close()
        self._connection.close()
        for child in self._children.values():
            if child.process.poll() is None:
                child.process.returncode = 0  # it outlives us on purpose; without this, Popen warns of it

    def _look_after(self, job: Job, now: datetime) -> None:
        child = self._children.get(_key(job))
        pid = child.process.pid if child else job.pid
        if child:
            alive = child.process.poll() is None
        else:
            alive = job.pid is not None and local.is_alive(job.pid, job.pid_started)
        if not alive or pid is None:
            self._settle_broken(job, child)
        elif job.stop_requested:
            self._stop(job, pid, now)
        elif (silent := self._silent_seconds(job, now)) > self._silence_allowed(job):
            self._silences[_key(job)] = silent
            local.kill_group(pid, job.pid_started)

    def _stop(self, job: Job, pid: int, now: datetime) -> None:
        """SIGTERM once, SIGKILL to the whole group after the grace."""
        since = self._stops_since.get(_key(job))
        if since is None:
            self._stops_since[_key(job)] = now
            if job.pid and job.lane != "explain":  # before it began, and in the warm child, the row tells it
                local.ask_to_end(pid)
        elif (now - since).total_seconds() > self._grace(job):
            local.kill_group(pid, job.pid_started)

    def _grace(self, job: Job) -> float:
        if self._stop_grace_seconds is not None:
            return self._stop_grace_seconds
        return KINDS[job.kind].stop_grace_seconds if job.kind in KINDS else STOP_GRACE_SECONDS

    def _silent_seconds(self, job: Job, now: datetime) -> float:
        heard = datetime.fromisoformat(job.heartbeat_at) if job.heartbeat_at else self._awake_since
        if heard > now:  # the clock was set back: what was heard before says nothing about the silence since
            heard = self._awake_since
        return (now - max(heard, self._awake_since)).total_seconds()

    def _silence_allowed(self, job: Job) -> float:
        seconds = self._settings.heartbeat_seconds
        return seconds if job.pid else max(seconds, STARTING_SECONDS)

    def _settle_broken(self, seen: Job, child: _Child | None) -> None:
        """The process of a job is gone and the row still says `running`: queue it again, or fail with a sentence."""
        job = get_job(self._connection, seen.id)  # it may have settled or begun between our look and its end
        if job.state != "running" or job.attempt != seen.attempt or (child is None and job.pid != seen.pid):
            return
        pid = child.process.pid if child else job.pid
        if pid is not None:
            local.kill_group(pid, job.pid_started)  # whatever it had started must not work on
        ending = explain_ending(
            job,
            child.process.returncode if child else None,
            silent_seconds=self._silences.pop(_key(job), None),
            rebooted=child is None and local.started_before_boot(job.pid_started),
            has_kept=self._has_kept(job),
        )
        self._stops_since.pop(_key(job), None)
        log.warning("Job %d, attempt %d: %s", job.id, job.attempt, ending.sentence)
        if job.stop_requested:
            finish_job(self._connection, job, "stopped", note="Stopped; it did not end by itself and was ended.")
        elif ending.final or (ending.counts and job.attempt >= job.attempts_allowed):
            tries = f" It was tried {job.attempt} times." if job.attempt > 1 else ""
            finish_job(
                self._connection, job, "failed", error=ending.sentence + tries, why=ending.why, remedy=ending.remedy
            )
        else:
            requeue_job(self._connection, job, f"{ending.sentence} It is tried again.", counts=ending.counts)

    def _has_kept(self, job: Job) -> bool:
        looks = KINDS[job.kind].has_kept if job.kind in KINDS else None
        return looks is None or looks(self._connection, job_folder(self._settings, job.id), job.arguments)

    def _reap(self, running: set[tuple[int, int]], now: datetime) -> None:
        """Forget children whose job is settled; end those that live on long after."""
        for key, child in list(self._children.items()):
            if key in running:
                continue
            self._stops_since.pop(key, None)
            child.settled_at = child.settled_at or now
            if child.process.poll() is not None:
                local.kill_group(child.process.pid, None)
                del self._children[key]
            elif (now - child.settled_at).total_seconds() > STOP_GRACE_SECONDS:
                local.kill_group(child.process.pid, None)

    def _fill(self) -> None:
        """Claim what the free slots can take: a training for each free device, two jobs of other work, one backup."""
        occupants = {_key(job): job for job in list_running(self._connection)}
        occupants.update({key: child.job for key, child in self._children.items()})
        busy = [job.device or "cpu" for job in occupants.values() if job.lane == "train"]
        while waiting := find_next(self._connection, "train"):
            device = self._choose_devices(busy, int(waiting.arguments.get("devices", 1)))
            if device is None or not self._start_next("train", device):
                break
            busy.append(device.name)
        working = sum(job.lane == "work" for job in occupants.values())
        while working < WORK_SLOTS and self._start_next("work", CPU):
            working += 1
        if not any(job.lane == "keep" for job in occupants.values()):
            self._start_next("keep", CPU)

    def _choose_devices(self, busy: Sequence[str], wanted: int) -> Device | None:
        """What the next training gets. A GPU may have been lost since this worker began, or be back: the driver is
        asked once more before one is given away, or a run that lost it would be resumed on it for ever."""
        chosen = choose_devices(self._devices, busy, wanted)
        if chosen is None or not self._may_lose_devices:
            return chosen
        before, self._devices = self._devices, list_devices()
        if self._devices != before:
            names = (", ".join(device.name for device in devices) for devices in (self._devices, before))
            log.warning("This machine has other devices than before: %s; it had %s", *names)
        return choose_devices(self._devices, busy, wanted)

    def _start_next(self, lane: Lane, device: Device) -> bool:
        job = claim_job(self._connection, lane, device.name)
        if job is None:
            return False
        try:
            process = local.start_child(self._settings, job, self._handlers, device)
        except OSError as error:
            sentence = f"The system could not start a process for the job: {error}"
            finish_job(self._connection, job, "failed", error=sentence, remedy="Close other programs, then resume.")
        else:
            self._children[_key(job)] = _Child(job, process)
        return True

    def _finish_erasing(self, now: datetime) -> None:
        """Remove what an erasing left behind when its process died: at the start, then twice a minute."""
        if self._erased_at and 0 <= (now - self._erased_at).total_seconds() < ERASING_SECONDS:
            return
        self._erased_at = now
        finish_erasing(Files(self._settings.home))

    def _tidy(self, now: datetime) -> None:
        """At the first quiet moment of each hour, when no job runs or waits, remove what nobody has used for long."""
        if self._tidied_at and (now - self._tidied_at).total_seconds() < TIDY_SECONDS:
            return
        if list_jobs(self._connection, states=("queued", "running"), limit=1):
            return
        self._tidied_at = now
        files, keep_days = Files(self._settings.home), self._settings.prepared_keep_days
        try:
            removed = remove_unused_images(files, now=now, keep_days=keep_days)
        except OSError as error:  # a disk that refuses this must not end the worker
            log.warning("Prepared images could not be removed: %s", error)
        else:
            if removed:
                log.info("Removed %d files of prepared images that were not used for long", removed)


def _key(job: Job) -> tuple[int, int]:
    return job.id, job.attempt


def beat(settings: Settings) -> None:
    """Leave a sign of life every few seconds; a disk that takes none must not end the worker."""
    path = beat_path(settings)
    with suppress(OSError):
        if not path.exists() or abs(time.time() - path.stat().st_mtime) > BEAT_SECONDS:
            path.touch()


def serve(settings: Settings, lock: FileLock, stopping: threading.Event, *, handlers: str = HANDLERS) -> None:
    """Tick until asked to stop, then let go of the home in good order."""
    worker = Worker(settings, handlers=handlers)
    watching = threading.Thread(target=watch_until, args=(settings, stopping), name="watched folders", daemon=True)
    watching.start()
    try:
        while not stopping.wait(TICK_SECONDS):
            try:
                worker.tick()
                beat(settings)
            except (sqlite3.OperationalError, Unavailable) as error:
                log.warning("The database did not answer; the next tick tries again: %s", error)
    finally:
        worker.close()
        lock.release()


def main(arguments: list[str] | None = None) -> int:
    """Serve a home until SIGTERM or Ctrl-C; stand by while another worker serves it."""
    parser = argparse.ArgumentParser(prog="python -m core.jobs.worker")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--handlers", default=HANDLERS)
    given = parser.parse_args(arguments)
    settings = load_settings(given.home)
    enter_home(settings)
    start_log(settings, "worker")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    lock = take_lock(worker_lock_path(settings))
    if lock is None:
        log.warning("Another worker serves this home; standing by until it ends.")
    while lock is None and not stopping.wait(TICK_SECONDS):
        lock = take_lock(worker_lock_path(settings))
    if lock:
        log.info("Serving %s", settings.home)
        if cleared := clear_parts(settings.home):
            log.info("Deleted %d files that were left half-written by processes that were killed", cleared)
        serve(settings, lock, stopping, handlers=given.handlers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
