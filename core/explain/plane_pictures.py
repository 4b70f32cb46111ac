"""A map laid over a volume, as one picture: a frame, and beside it the planes through the middle row and column."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from core.explain.maps import peak_of, resize_map
from core.explain.overlay import RAMP, encode_png, lay_over
from core.images.decoded import Window
from core.images.records import Case
from core.images.render import to_uint8

FRAME_PX, BESIDE_PX, GAP_PX = 512, 252, 8


def peak_frame(values: np.ndarray, frames: int) -> int:
    """The frame, from 0, on which a map `(d, r, c)` over so many frames is highest."""
    return min(frames - 1, int((peak_of(values)[0] + 0.5) * frames / len(values)))


def draw_planes(
    volume: np.ndarray,
    case: Case,
    windows: Sequence[Window],
    values: np.ndarray,
    frame: int,
    *,
    ramp: np.ndarray = RAMP,
) -> bytes:
    """A PNG: frame `frame` (from 0) on the left, on the right the planes through the middle row and middle column.

    Millimetres are as long in all directions where they are known; where it is not known how far apart the frames lie
    they are as high as a pixel is wide, as in the viewer. The head is up where the way it lies is known.

    Args:
        volume: `(frames, rows, columns)`, or with colours; only the three planes are read.
        values: the map over it `(d, r, c)`, 0 to 1, of any resolution.
    """
    high, wide = case.spacing_mm or (1.0, 1.0)
    deep = case.slice_spacing_mm
    row, column = case.rows // 2, case.columns // 2
    at_frame, at_row, at_column = (
        min(kept - 1, int((place + 0.5) * kept / side))
        for place, kept, side in zip((frame, row, column), values.shape, volume.shape, strict=False)
    )
    upwards = case.affine is not None and case.affine[2][2] > 0  # LPS: the frames go from the feet to the head
    turn = slice(None, None, -1 if upwards else 1)
    planes = [
        (volume[frame], values[at_frame], (high, wide), FRAME_PX),
        (volume[:, row][turn], values[:, at_row][turn], (deep or wide, wide), BESIDE_PX),
        (volume[:, :, column][turn], values[:, :, at_column][turn], (deep or high, high), BESIDE_PX),
    ]
    pictures = []
    for pixels, heat, (down_mm, right_mm), box_px in planes:
        seen = to_uint8(np.ascontiguousarray(pixels), case.photometric, windows)
        scale = box_px / max(seen.shape[0] * down_mm, seen.shape[1] * right_mm)
        rows, columns = (max(1, round(n * mm * scale)) for n, mm in zip(seen.shape, (down_mm, right_mm), strict=False))
        large = np.asarray(Image.fromarray(seen).resize((columns, rows), Image.Resampling.BILINEAR))
        pictures.append(lay_over(large, resize_map(heat, rows, columns), ramp=ramp))
    return encode_png(_beside(*pictures))


def _beside(large: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """One picture on the left, the others one under the other, on black."""
    under = sum(one.shape[0] for one in others) + GAP_PX * (len(others) - 1)
    width = large.shape[1] + GAP_PX + max(one.shape[1] for one in others)
    whole = np.zeros((max(large.shape[0], under), width, 3), large.dtype)
    whole[: large.shape[0], : large.shape[1]] = large
    top = 0
    for one in others:
        whole[top : top + one.shape[0], large.shape[1] + GAP_PX :][:, : one.shape[1]] = one
        top += one.shape[0] + GAP_PX
    return whole
