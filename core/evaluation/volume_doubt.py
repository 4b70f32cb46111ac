"""Where a model that paints is unsure in a volume: `core.explain.doubt`, frame by frame or from windows in 3-D."""

import math
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.evaluation.painting import probable_frames
from core.evaluation.predictor import Predictor, open_predictor
from core.explain.doubt import METHOD, entropy_of, keep_doubt, refuse_unpainted, structure_index
from core.explain.maps import resize_map
from core.explain.shelf import write_overlay
from core.images.frames import case_pixels
from core.images.records import Case, get_case
from core.images.volume_input import PatchSpec
from core.progress import Portion, Progress, stop_if_asked
from core.store.files import Files
from core.training.records import get_model
from core.training.stored import model_spec

MOST_KEPT = 1 << 24  # voxels of a stored map, 32 MB; in larger volumes each frame is kept smaller
LOADED = 0.1


@dataclass(frozen=True)
class VolumeDoubt:
    """`values` are bits, float16 `(frames, rows, columns)`, the last two perhaps fewer than the volume's; the mean is
    over all voxels, and `frame`, from 0, is the one whose mean is highest."""

    values: np.ndarray
    mean: float
    frame: int


def asks_volume_doubt(connection: sqlite3.Connection, arguments: Mapping[str, Any]) -> bool:
    """Whether this asks for doubt that is mapped here: on a volume, or by a model that sees volumes."""
    if arguments.get("method") != METHOD:
        return False
    case, model = get_case(connection, arguments["case"]), get_model(connection, None, arguments["model"])
    return case.frames > 1 or ("input" in model.facts and isinstance(model_spec(model), PatchSpec))


def explain_volume_doubt(
    connection: sqlite3.Connection, files: Files, arguments: Mapping[str, Any], folder: Path, progress: Progress
) -> dict[str, Any]:
    """Answer as `core.explain.run.explain_case` does, with `mean_doubt` and the most doubtful `frame`, from 1.

    Raises:
        InvalidInput: no model that paints, a case of another project, or no such structure or frame.
        Stopped: somebody asked to stop.
    """
    case, model = get_case(connection, arguments["case"]), get_model(connection, None, arguments["model"])
    schema = refuse_unpainted(model, case)
    at = structure_index(schema, arguments.get("class"))
    progress.report(0.0, "Loading the model")
    predictor = open_predictor(files, model)
    pixels = case_pixels(files, case)
    found = map_volume_doubt(predictor, case, pixels, at, Portion(progress, LOADED, 1.0))
    values = found.values if case.frames > 1 else found.values[0]
    result = keep_doubt(connection, files, model, case, schema.names[at], values, found.mean)
    if arguments.get("overlay"):
        shown = arguments.get("frame") or found.frame + 1
        result |= write_overlay(folder, case, pixels, values, shown if case.frames > 1 else None)
    progress.report(1.0, f"Mapped the doubt about “{schema.names[at]}”")
    return {**result, "frame": found.frame + 1}


def map_volume_doubt(
    predictor: Predictor, case: Case, pixels: np.ndarray, structure: int, progress: Progress
) -> VolumeDoubt:
    """The doubt about one structure at each voxel; only a few frames of probabilities are held at once."""
    shrink = max(1.0, math.sqrt(case.frames * case.rows * case.columns / MOST_KEPT))
    rows, columns = (max(1, int(side / shrink)) for side in (case.rows, case.columns))
    values = np.empty((case.frames, rows, columns), np.float16)
    means, begun = [], time.monotonic()
    for frame, probable in enumerate(probable_frames(predictor, pixels, case, progress)):
        stop_if_asked(progress)
        doubt = entropy_of(probable[structure])
        values[frame] = doubt if doubt.shape == (rows, columns) else resize_map(doubt, rows, columns)
        means.append(float(doubt.mean()))
        done = (frame + 1) / case.frames
        left = (time.monotonic() - begun) / done * (1 - done)
        note = f"Doubt on frame {frame + 1} of {case.frames}, {left:.0f} s left"
        progress.report(done, note, seconds_left=left)
    return VolumeDoubt(values, float(np.mean(means)), int(np.argmax(means)))
