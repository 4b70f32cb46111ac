"""The ONNX file of a model, made in a child process that may use so much memory and no more.

TensorFlow's way to ONNX took 22 GB for the classic stack at 224 pixels, so the child is watched:
an address-space limit would be too blunt, because TensorFlow reserves far more than it uses.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from core.progress import Progress
from core.settings import PROJECT_ROOT
from core.store.files import Files
from core.training.records import Model

SECONDS_BETWEEN_LOOKS = 0.1
EXPORT_INTERRUPTED = "The export was interrupted."  # stored before it begins; homes hold these words
LAST_WORDS = 300  # characters of the child's error that are kept
GIGABYTE = 1 << 30

Outcome = tuple[str | None, str | None]  # the file's hash, or why there is none


def make_onnx(files: Files, model: Model, folder: Path, memory_bytes: int, progress: Progress) -> Outcome:
    """Export and compare in a child; a file that predicts otherwise than Keras is not kept.

    Answers the hash of the stored file and None, or None and the reason. A missing ONNX file is never an error:
    predictions then go through Keras.
    """
    out = folder / "model.onnx"
    weights_bytes = 4 * model.parameters
    if weights_bytes * 3 > memory_bytes:
        return None, _too_large(memory_bytes, f"its weights alone take {weights_bytes / GIGABYTE:.1f} GB")
    command = [sys.executable, "-m", "core.training.onnx_child", str(files.path("models", model.keras_hash)), str(out)]
    log = folder / "onnx.log"
    with log.open("wb") as stream:
        child = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=stream, stderr=subprocess.STDOUT)
        reason = watch_child(child, memory_bytes, progress.should_stop)
    if reason is None and child.returncode != 0:
        words = log.read_text("utf-8", "replace").strip().splitlines()
        reason = f"The export failed: {words[-1][-LAST_WORDS:] if words else f'exit code {child.returncode}'}"
    if reason is None:
        onnx_hash: str | None = files.put_bytes("models", out.read_bytes())
    else:
        onnx_hash = None
    out.unlink(missing_ok=True)
    return onnx_hash, reason


def watch_child(child: "subprocess.Popen[bytes]", memory_bytes: int, should_stop: Callable[[], bool]) -> str | None:
    """Wait for a child and kill it when it grows too large or somebody asks to stop; the answer is why, or None."""
    process = psutil.Process(child.pid)
    try:
        while child.poll() is None:
            if _memory_of(process) > memory_bytes:
                return _too_large(memory_bytes, "the export went beyond it")
            if should_stop():
                return "Training was stopped before the export."
            time.sleep(SECONDS_BETWEEN_LOOKS)
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
    return None


def _memory_of(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _too_large(memory_bytes: int, how: str) -> str:
    return (
        f"The export may use {memory_bytes / GIGABYTE:.1f} GB (onnx_memory_bytes in settings.toml), and {how}. "
        f"Download the .keras file, or train a smaller network."
    )
