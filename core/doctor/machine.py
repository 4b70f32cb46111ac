"""The machine: Python and its packages, disk, memory, devices, browser, clock."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from core.doctor.findings import Finding
from core.settings import Settings
from core.store.audit import clock_faults
from core.store.database import opened
from core.training.device import list_devices

ENOUGH_DISK_BYTES = 5 << 30
ENOUGH_MEMORY_BYTES = 4 << 30
GIGABYTE = 1 << 30
SECONDS_FOR_TIMEDATECTL = 5
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "firefox")
PACKAGES = ("streamlit", "starlette", "uvicorn", "numpy", "pydicom", "onnxruntime", "keras")
TENSORFLOW = ("tensorflow-cpu", "tensorflow")


def look_at_python(settings: Settings) -> Finding:
    told = platform.python_version()
    works = (3, 11) <= sys.version_info < (3, 14)
    return Finding("Python", works, told, "" if works else "Readroom needs 3.11 to 3.13.")


def look_at_packages(settings: Settings) -> Finding:
    found = {name: _version(name) for name in ("readroom", *PACKAGES)}
    found["tensorflow"] = next(filter(None, map(_version, TENSORFLOW)), None)
    missing = [name for name, number in found.items() if number is None and name != "readroom"]
    told = ", ".join(f"{name} {number or 'not installed'}" for name, number in found.items())
    return Finding("packages", not missing, told, f"{', '.join(missing)} missing; run: make setup" if missing else "")


def look_at_disk(settings: Settings) -> Finding:
    """The disk of the home, and that of the backups where it is another one."""
    disks = {"the home": _standing(settings.home)}
    if settings.backup_folder:
        backups = _standing(Path(settings.backup_folder))
        if _device(backups) != _device(disks["the home"]):
            disks["the backups"] = backups
    free = {whose: shutil.disk_usage(path).free for whose, path in disks.items()}
    tight = [whose for whose, size in free.items() if size < ENOUGH_DISK_BYTES]
    told = ", ".join(f"{size / GIGABYTE:.1f} GB free for {whose}" for whose, size in free.items())
    mend = f"Make room for at least 5 GB on the disk of {' and of '.join(tight)}." if tight else ""
    return Finding("disk", not tight, told, mend)


def look_at_memory(settings: Settings) -> Finding:
    memory = psutil.virtual_memory()
    works = memory.total >= ENOUGH_MEMORY_BYTES
    told = f"{memory.total / GIGABYTE:.1f} GB, {memory.available / GIGABYTE:.1f} GB of it free, {os.cpu_count()} cores"
    return Finding("memory", works, told, "" if works else "Training needs at least 4 GB.")


def look_at_training(settings: Settings) -> Finding:
    works = all(importlib.util.find_spec(name) is not None for name in ("tensorflow", "keras"))
    told = "TensorFlow and Keras are installed" if works else "TensorFlow or Keras is missing"
    return Finding("training", works, told, "" if works else "Run: make setup")


def look_at_devices(settings: Settings) -> Finding:
    told = ", ".join(device.name for device in list_devices())
    return Finding("devices", True, f"{told}; `readroom doctor --gpu` trains some steps to be sure")


def look_at_browser(settings: Settings) -> Finding:
    found = next((name for name in BROWSERS if shutil.which(name)), None)
    told = f"{found} is here" if found else "none on this machine; open the printed address elsewhere"
    return Finding("browser", True, told)


def look_at_clock(settings: Settings) -> Finding:
    now = datetime.now(UTC)
    faults = []
    if settings.database_path.exists():
        with opened(settings) as connection:
            faults = clock_faults(connection, now=now)
    told = f"{now:%Y-%m-%d %H:%M} UTC{_synchronised()}"
    if not faults:
        return Finding("clock", True, told)
    mend = "Set the clock by a time server (timedatectl set-ntp true); what was stored keeps its order by number."
    return Finding("clock", False, f"{told}. {' '.join(faults)}", mend)


def _standing(path: Path) -> Path:
    """The folder itself, or the nearest one above it that is there already."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _device(path: Path) -> int:
    return path.stat().st_dev


def _synchronised() -> str:
    """What the system says of its time server; nothing where it cannot be asked."""
    words = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS_FOR_TIMEDATECTL, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    told = {"yes": ", kept by a time server", "no": ", not kept by a time server"}
    return told.get(done.stdout.strip(), "") if done.returncode == 0 else ""


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
