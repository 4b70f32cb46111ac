"""The shelf of explanations: what a map is called there, and its picture for whoever asks for a file."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import InvalidInput
from core.explain.overlay import draw_overlay
from core.explain.plane_pictures import draw_planes, peak_frame
from core.images.records import Case
from core.images.render import SCALED, to_uint8
from core.images.volume_input import spacing_of
from core.images.volumes import shown_windows
from core.labels.marks import Mark
from core.store.files import write_whole
from core.training.records import Model


def explanation_key(model: Model, case: Case, method: str, class_name: str, layer: str) -> str:
    """The name of a map on the shelf: the same model file, pixels, window, method, layer and class give the same."""
    first = case.windows[0] if case.windows else None
    window = [first.centre, first.width, *([first.curve] if first.curve else [])] if first else None
    parts: list[object] = [model.keras_hash, case.pixel_hash, case.photometric, window, method, layer, class_name]
    if case.frames > 1:
        parts.append(spacing_of(case))  # the same voxels further apart may be seen otherwise
    elif model.facts.get("input", {}).get("resize") == SCALED:
        parts.append(case.spacing_mm)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def scores_key(explanation: str, marks: Sequence[Mark]) -> str:
    """The name of the numbers of one map on the shelf: the same map, held against the same marks, gives the same."""
    drawn = [[mark.kind, mark.frame, mark.geometry, mark.label] for mark in marks]
    return hashlib.sha256(json.dumps(["scores", explanation, drawn], sort_keys=True).encode()).hexdigest()


def write_overlay(
    folder: Path, case: Case, pixels: np.ndarray, values: np.ndarray, frame: int | None = None
) -> dict[str, Any]:
    """`overlay`, the path of the PNG, and of a volume `frame`, the one that it shows, counted from 1."""
    path, told = folder / "overlay.png", {}
    if case.frames == 1:
        png = draw_overlay(to_uint8(pixels, case.photometric, case.windows), values)
    else:
        if frame is not None and not 1 <= frame <= case.frames:
            raise InvalidInput(f"The frames of this case are 1 to {case.frames}. Received: {frame}")
        shown = peak_frame(values, case.frames) if frame is None else frame - 1
        png = draw_planes(pixels, case, shown_windows(pixels, case.windows), values, shown)
        told = {"frame": shown + 1}
    write_whole(path, png)
    return {"overlay": str(path), **told}
