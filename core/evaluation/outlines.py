"""A reference and what a model painted, as outlines over the frame on which they differ most."""

import io
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import binary_erosion

from core.datasets.records import list_snapshot_cases
from core.errors import InvalidInput, NotFound
from core.evaluation.records import find_predicted_masks
from core.images.frames import read_frame
from core.images.records import Case, get_case
from core.images.render import to_uint8
from core.labels.mask_store import read_kept_mask
from core.store.files import Files

REFERENCE, PAINTED = (240, 228, 66), (86, 180, 233)  # yellow and sky blue of Okabe and Ito (2008)
MISSED, ADDED, FILLED = (213, 94, 0), (0, 114, 178), 0.7  # vermilion and blue of the same, and how opaque
Draw = Callable[[np.ndarray, np.ndarray, np.ndarray], bytes]
LEAST_SIDE = 640  # pixels of the picture: on a small image an outline of one image pixel would hide what it goes around


@dataclass(frozen=True)
class Outlined:
    """A picture (PNG) of one frame, counted from 0, of so many."""

    png: bytes
    frame: int
    frames: int


def outline_case(
    connection: sqlite3.Connection,
    files: Files,
    *,
    model_id: int,
    snapshot_id: int,
    case_id: int,
    structure: str,
    frame: int | None = None,
    draw: Draw | None = None,
) -> Outlined:
    """One structure of a case: the frozen reference and the model's mask; without a frame, where they differ most.

    Args:
        draw: `draw_outlines` (without one), `draw_errors` or `draw_bare`.

    Raises:
        NotFound: the snapshot has no such case, the model has not painted it, or there is no such frame.
        InvalidInput: there is no such structure.
    """
    case = get_case(connection, case_id)
    frozen = next(iter(list_snapshot_cases(connection, snapshot_id, only=[case_id])), None)
    painted = {mask.structure: mask for mask in find_predicted_masks(connection, model_id, case_id)}
    if frozen is None or not painted:
        raise NotFound("painted case", case_id)
    reference = {mask.structure: mask for mask in frozen.masks}
    if structure not in reference or structure not in painted:
        raise InvalidInput(f"The structures are {', '.join(reference)}. Received: {structure[:80]!r}")
    one, other = (read_kept_mask(files, of[structure].mask_hash, case) for of in (reference, painted))
    return outline_masks(files, case, one, other, frame, draw)


def outline_masks(
    files: Files,
    case: Case,
    one: np.ndarray,
    other: np.ndarray,
    frame: int | None = None,
    draw: Draw | None = None,
) -> Outlined:
    """Two masks of a case, `(frames, rows, columns)` each, on one frame as in `outline_case`.

    Raises:
        NotFound: there is no such frame.
    """
    if frame is None:
        frame = _worst_frame(one, other)
    pixels = read_frame(files.check("pixels", case.pixel_hash), case.frames, frame)
    seen = to_uint8(pixels, case.photometric, case.windows)
    return Outlined((draw or draw_outlines)(seen, one[frame], other[frame]), frame, case.frames)


def draw_outlines(seen: np.ndarray, reference: np.ndarray, painted: np.ndarray) -> bytes:
    """A PNG of `seen` (uint8 `(rows, columns)` or with 3 channels), enlarged as needed, with both masks' outlines.

    Where they run on each other the reference is on top.
    """
    colour = np.repeat(seen[..., None], 3, axis=2) if seen.ndim == 2 else seen
    scale = max(1, -(-LEAST_SIDE // max(seen.shape[:2])))
    picture = _enlarged(colour, scale)
    for mask, line in ((painted, PAINTED), (reference, REFERENCE)):
        large = _enlarged(mask != 0, scale)
        picture[large & ~binary_erosion(large, iterations=2)] = line
    return _png(picture)


def draw_errors(seen: np.ndarray, reference: np.ndarray, painted: np.ndarray) -> bytes:
    """A PNG as `draw_outlines`, of what was missed and what was painted beside the reference, each filled."""
    colour = (np.repeat(seen[..., None], 3, axis=2) if seen.ndim == 2 else seen).astype(float)
    for mask, fill in (((reference != 0) & (painted == 0), MISSED), ((painted != 0) & (reference == 0), ADDED)):
        colour[mask] = (1 - FILLED) * colour[mask] + FILLED * np.array(fill)
    scale = max(1, -(-LEAST_SIDE // max(seen.shape[:2])))
    return _png(_enlarged(np.rint(colour).astype(np.uint8), scale))


def draw_bare(seen: np.ndarray, reference: np.ndarray, painted: np.ndarray) -> bytes:
    """A PNG as `draw_outlines`, of the image alone."""
    colour = np.repeat(seen[..., None], 3, axis=2) if seen.ndim == 2 else seen
    return _png(_enlarged(colour, max(1, -(-LEAST_SIDE // max(seen.shape[:2])))))


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def _enlarged(values: np.ndarray, scale: int) -> np.ndarray:
    return np.ascontiguousarray(values.repeat(scale, axis=0).repeat(scale, axis=1))


def _worst_frame(reference: np.ndarray, painted: np.ndarray) -> int:
    """Where most pixels differ; of two that agree everywhere, where most is painted."""
    apart = (reference != painted).sum(axis=(1, 2))
    return int((apart if apart.any() else reference.sum(axis=(1, 2))).argmax())
