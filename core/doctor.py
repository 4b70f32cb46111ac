"""What works here, what does not, and how to mend it: one finding for each thing that Readroom stands on."""

import importlib.util
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from core.errors import CoreError
from core.images.dicom_decoders import decoder_findings
from core.jobs.worker import worker_alive
from core.settings import PROJECT_ROOT, Settings
from core.store.database import check_whole, opened, prepare_home
from core.training.device import list_devices

ENOUGH_DISK_BYTES = 5 << 30
ENOUGH_MEMORY_BYTES = 4 << 30
GIGABYTE = 1 << 30
TRIAL_STEPS = 20
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "firefox")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `said` is a sentence, with the remedy where it does not work."""

    subject: str
    works: bool
    said: str


def examine(settings: Settings) -> list[Finding]:
    """Look at everything that is quick to look at."""
    looks: tuple[Callable[[Settings], Finding], ...] = (
        _python, _home, _database, _disk, _memory, _training, _devices, _worker, _browser,
    )  # fmt: skip
    findings = [look(settings) for look in looks]
    findings += [Finding(f"decoder {name}", works, said) for name, works, said in decoder_findings()]
    return findings


def examine_gpu(*, steps: int = TRIAL_STEPS) -> Finding:
    """Train some steps, in a process of its own, on the device that a run would get: its name and images/s."""
    done = subprocess.run(
        [sys.executable, "-m", "core.training.trial", "--steps", str(steps)],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Finding("training trial", False, f"{steps} steps could not be trained: {last}")
    return Finding("training trial", True, done.stdout.strip().splitlines()[-1])


def _python(settings: Settings) -> Finding:
    version = platform.python_version()
    works = (3, 11) <= sys.version_info < (3, 14)
    return Finding("Python", works, version if works else f"{version}; Readroom needs 3.11 to 3.13.")


def _home(settings: Settings) -> Finding:
    try:
        prepare_home(settings)
    except CoreError as error:
        return Finding("home", False, str(error))
    open_to_others = settings.home.stat().st_mode & 0o077
    if open_to_others:
        return Finding("home", False, f"{settings.home} can be read by other users; run: chmod 700 {settings.home}")
    return Finding("home", True, str(settings.home))


def _database(settings: Settings) -> Finding:
    if not settings.database_path.exists():
        return Finding("database", False, "There is none; mend the home first.")
    try:
        with opened(settings) as connection:
            said = check_whole(connection)
    except sqlite3.DatabaseError as error:
        said = str(error)
    works = said == "ok"
    return Finding(
        "database", works, f"whole, SQLite {sqlite3.sqlite_version}" if works else f"{said}; restore a backup."
    )


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(settings.home if settings.home.exists() else settings.home.anchor).free
    works = free >= ENOUGH_DISK_BYTES
    said = f"{free / GIGABYTE:.1f} GB free"
    return Finding("disk", works, said if works else f"{said}; make room for at least 5 GB.")


def _memory(settings: Settings) -> Finding:
    total = psutil.virtual_memory().total
    works = total >= ENOUGH_MEMORY_BYTES
    said = f"{total / GIGABYTE:.1f} GB, {os.cpu_count()} cores"
    return Finding("memory", works, said if works else f"{said}; training needs at least 4 GB.")


def _training(settings: Settings) -> Finding:
    works = importlib.util.find_spec("tensorflow") is not None and importlib.util.find_spec("keras") is not None
    return Finding(
        "training", works, "TensorFlow and Keras are installed" if works else "TensorFlow is missing; run: make setup"
    )


def _devices(settings: Settings) -> Finding:
    return Finding("devices", True, ", ".join(device.name for device in list_devices()))


def _worker(settings: Settings) -> Finding:
    works = settings.home.is_dir() and worker_alive(settings)
    return Finding("worker", works, "running" if works else "not running; start it with: readroom up")


def _browser(settings: Settings) -> Finding:
    found = next((name for name in BROWSERS if shutil.which(name)), None)
    return Finding(
        "browser", True, f"{found} is here" if found else "none on this machine; open the printed address elsewhere."
    )
