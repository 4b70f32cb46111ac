"""What a training that broke off has kept for a further attempt to go on from.

Whoever looks after jobs asks, so nothing here imports TensorFlow.
"""

import sqlite3
from pathlib import Path

from core.training.records import find_model_of_run

CHECKPOINT = "checkpoint.npz"  # in the job's folder


def has_kept(connection: sqlite3.Connection, folder: Path, run_id: int) -> bool:
    """Whether there is a checkpoint, or the model itself, of which only what comes after is missing."""
    return (folder / CHECKPOINT).exists() or find_model_of_run(connection, run_id) is not None
