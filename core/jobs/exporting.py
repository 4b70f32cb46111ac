"""Why a model has no ONNX file, as of now: the stored reason is written before the export begins, and a killed process
writes no other.
"""

import sqlite3

from core.jobs.records import get_job
from core.training.onnx_export import EXPORT_INTERRUPTED
from core.training.records import Model, get_run

UNDER_WAY = "The export is under way."
NOT_YET = "It was not made yet."


def why_no_onnx(connection: sqlite3.Connection, model: Model) -> str:
    """A sentence: what was stored; or, as long as the run's job lives and will make the file, that it is being made."""
    if model.onnx_left_out_because != EXPORT_INTERRUPTED:
        return model.onnx_left_out_because or NOT_YET
    job = get_run(connection, model.run).job
    alive = job is not None and get_job(connection, job).is_active
    return UNDER_WAY if alive else EXPORT_INTERRUPTED
