"""Child processes on this machine. Each leads a session of its own, so it outlives the worker and Ctrl-C."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from core.clock import utc_now
from core.jobs.context import job_folder
from core.jobs.records import Job
from core.settings import PROJECT_ROOT, Settings
from core.training.device import CPU, Device

# A start time follows corrections of the system clock; a process number is not reused within seconds.
START_TOLERANCE_SECONDS = 5.0


def start_child(settings: Settings, job: Job, handlers: str, device: Device) -> subprocess.Popen[bytes]:
    """Start the process of one attempt; what it prints goes to the job's log."""
    folder = job_folder(settings, job.id)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("ab") as log:
        log.write(f"--- attempt {job.attempt}, {utc_now()}, {job.device}\n".encode())
        log.flush()
        arguments = [str(job.id), "--attempt", str(job.attempt)]
        return _start("core.jobs.child", arguments, settings, handlers, device, folder, log.fileno())


def start_warm(settings: Settings, handlers: str) -> subprocess.Popen[bytes]:
    """Start the warm child for explanations; what it prints goes to `warm.log` among the jobs."""
    folder = settings.home / "jobs"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "warm.log").open("wb") as log:
        return _start("core.jobs.warm", [], settings, handlers, CPU, folder, log.fileno())


def child_environment(device: Device, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a child: only its own device is visible, before anything can import TensorFlow."""
    paths = [str(PROJECT_ROOT), *filter(None, [environ.get("PYTHONPATH")])]
    return {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **environ,
        "CUDA_VISIBLE_DEVICES": device.environment()["CUDA_VISIBLE_DEVICES"] or "-1",
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
    }


def _start(
    module: str, arguments: list[str], settings: Settings, handlers: str, device: Device, folder: Path, log: int
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments, "--home", str(settings.home), "--handlers", handlers],
        cwd=folder,
        env=child_environment(device),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def started_at(pid: int) -> float:
    """When a process started, in epoch seconds."""
    return float(psutil.Process(pid).create_time())


def is_alive(pid: int, started: float | None) -> bool:
    """Whether this very process lives; another that was given its number does not count, nor does a zombie."""
    try:
        process = psutil.Process(pid)
        same = started is None or abs(process.create_time() - started) < START_TOLERANCE_SECONDS
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def started_before_boot(started: float | None) -> bool:
    """Whether the machine was restarted since."""
    return started is not None and started < psutil.boot_time() - START_TOLERANCE_SECONDS


def ask_to_end(pid: int) -> None:
    """SIGTERM to the process alone: its own helpers must live while it ends in good order."""
    _signal(os.kill, pid, signal.SIGTERM)


def kill_group(pid: int, started: float | None) -> None:
    """SIGKILL to a process and all it started; never to a stranger that was given its number."""
    try:
        stranger = started is not None and abs(started_at(pid) - started) >= START_TOLERANCE_SECONDS
    except psutil.NoSuchProcess:
        stranger = False  # a group keeps the number of its leader while any member lives
    if not stranger:
        _signal(os.killpg, pid, signal.SIGKILL)


def _signal(send: Callable[[int, int], None], pid: int, number: signal.Signals) -> None:
    try:
        send(pid, number)
    except (ProcessLookupError, PermissionError):
        return  # it ended by itself in the meantime; macOS says "not permitted" of a zombie
