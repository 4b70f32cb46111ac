"""What a result may hang on besides snapshot and recipe: code, packages, machine, threads. Recorded with each run."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from core.settings import PROJECT_ROOT
from core.training.device import FULL, Device

PACKAGES = ("keras", "tensorflow", "tensorflow-cpu", "numpy", "pillow", "pydicom", "onnx", "onnxruntime", "tf2onnx")


def describe_environment(device: Device, precision: str = FULL) -> dict[str, Any]:
    """The environment of this process as JSON values. Reads TensorFlow's thread counts.

    Args:
        precision: the policy that the network is trained by (`prepare_device`).
    """
    import tensorflow as tf
    from tensorflow.python.framework.config import is_op_determinism_enabled  # there is no public way to ask, nor
    from tensorflow.python.util._pywrap_util_port import IsMklEnabled  # for this

    return {
        "code": code_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": {"name": device.name, "title": device.title, "memory_bytes": device.memory_bytes},
        "precision": precision,
        "cores": os.cpu_count(),
        # 0 leaves the number to TensorFlow, which takes one for each core.
        "threads": {
            "within_operations": tf.config.threading.get_intra_op_parallelism_threads(),
            "between_operations": tf.config.threading.get_inter_op_parallelism_threads(),
        },
        "deterministic_operations": bool(is_op_determinism_enabled()),
        "oneDNN": bool(IsMklEnabled()),  # whose kernels round otherwise than TensorFlow's own
    }


def code_version(root: Path = PROJECT_ROOT) -> str:
    """Readroom's version, with the git commit where it runs from a checkout: "0.1.0 at 1a2b3c4d, changed"."""
    named = _version("readroom") or "unreleased"
    if not (root / ".git").exists():
        return named
    commit = _git(root, "rev-parse", "HEAD")
    if not commit:
        return named
    return f"{named} at {commit}" + (", changed" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")


def _git(root: Path, *arguments: str) -> str:
    """What git says; "" where it is not installed or refuses (a checkout of another user)."""
    try:
        done = subprocess.run(("git", *arguments), cwd=root, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
