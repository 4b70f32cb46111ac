"""Maps in three dimensions: at another resolution, without structures, and back from what a network saw of a volume.

Along each axis places are mixed by a small matrix, so memory holds the map and no more.
"""

from collections.abc import Sequence

import numpy as np

from core.images.records import Case
from core.images.render import InputSpec, place_in_square
from core.images.volume_input import VolumeSpec, grid_at, spacing_of

MOST_KEPT = 1 << 21  # voxels of a stored map, 8 MB; that of a larger volume is coarser and covers the same extent
Shape = tuple[int, ...]


def resize_volume(values: np.ndarray, sides: Sequence[int]) -> np.ndarray:
    """A map `(d, r, c)` at another resolution, linear along each axis, float32."""
    return _mixed(values, [_between(old, new) for old, new in zip(values.shape, sides, strict=True)])


def coarsen_volume(values: np.ndarray, sides: Sequence[int]) -> np.ndarray:
    """A map `(d, r, c)` as means over that many cells along each axis."""
    return _mixed(values, [_cells(old, new) for old, new in zip(values.shape, sides, strict=True)])


def blurred_volume(volume: np.ndarray, share: float) -> np.ndarray:
    """uint8 `(depth, rows, columns, channels)` blurred by this share of each side."""
    from scipy.ndimage import gaussian_filter  # the web process and the commands come by here and blur nothing

    sigma = [max(1.0, share * side) for side in volume.shape[:3]]
    soft = gaussian_filter(volume.astype(np.float32), (*sigma, 0), mode="nearest")
    return np.asarray(np.rint(soft), np.uint8)


def kept_shape(case: Case) -> tuple[int, int, int]:
    """Frames, rows and columns of a volume's stored map: its own, or all fewer by one factor where they are many."""
    own = (case.frames, case.rows, case.columns)
    shrink = max(1.0, (own[0] * own[1] * own[2] / MOST_KEPT) ** (1 / 3))
    frames, rows, columns = (max(1, int(side / shrink)) for side in own)
    return frames, rows, columns


def onto_volume(values: np.ndarray, case: Case, spec: VolumeSpec) -> np.ndarray:
    """A map of what a network saw of a volume, of any resolution, on the volume's own grid (`kept_shape`), float32.

    0 where the network saw nothing of the volume.
    """
    matrices = []
    for side, kept, (first, length) in zip(values.shape, kept_shape(case), _extent(case, spec), strict=True):
        matrices.append(_between(side, kept, first, length))
    return _mixed(values, matrices)


def seen_mask(mask: np.ndarray, case: Case, spec: VolumeSpec) -> np.ndarray:
    """A mask `(frames, rows, columns)` as it lies on what a network sees, bool of `(depth, size, size)`.

    A voxel of the network's is inside as soon as one of the mask's is in it: a mark on one frame of many is not lost.
    """
    seen = mask > 0
    for axis, (side, (first, length)) in enumerate(zip(spec.shape[:3], _extent(case, spec), strict=True)):
        own = seen.shape[axis]
        begin = (first + np.arange(own) / own * length) * side
        wide = length / own * side  # of a voxel of the mask's, in voxels of the network's
        at = np.arange(side)[:, None]
        overlap = np.minimum(begin + wide, at + 1) - np.maximum(begin, at)
        touched = overlap >= 0.5 * min(wide, 1.0) - 1e-6  # half of the smaller of the two lies in the other
        seen = np.moveaxis(np.tensordot(touched.astype(np.float32), seen.astype(np.float32), (1, axis)) > 0, 0, axis)
    return np.asarray(seen, bool)


def _extent(case: Case, spec: VolumeSpec) -> list[tuple[float, float]]:
    """Where the volume lies along each axis of the network's input: begin and length, in shares of that axis."""
    if spec.spacing_mm is not None:
        grid = grid_at((case.frames, case.rows, case.columns), spacing_of(case), spec.spacing_mm)
        found = []
        for side, length in zip(grid, spec.shape[:3], strict=True):
            begin = (length - side) // 2 if side <= length else -((side - length) // 2)
            found.append((begin / length, side / length))
        return found
    place = place_in_square(case.rows, case.columns, InputSpec(spec.size, spec.channels, spec.resize))
    size = spec.size
    return [(0.0, 1.0), (place.top / size, place.height / size), (place.left / size, place.width / size)]


def _between(old: int, new: int, first: float = 0.0, length: float = 1.0) -> np.ndarray:
    """Linear shares `(new, old)`: `new` places spread over a part of an axis of `old` ones, 0 beyond that axis."""
    share = first + (np.arange(new) + 0.5) / new * length
    at = np.clip(share * old - 0.5, 0, old - 1)
    low = np.minimum(at.astype(int), max(old - 2, 0))
    matrix = np.zeros((new, old), np.float32)
    matrix[np.arange(new), low] = 1 - (at - low)
    matrix[np.arange(new), np.minimum(low + 1, old - 1)] += at - low
    matrix[(share < 0) | (share > 1)] = 0
    return matrix


def _cells(old: int, new: int) -> np.ndarray:
    """Shares `(new, old)` of means over cells that lie side by side."""
    edges = np.linspace(0, old, new + 1)
    begin, end = np.arange(old), np.arange(1, old + 1)
    overlap = np.minimum(end, edges[1:, None]) - np.maximum(begin, edges[:-1, None])
    return np.asarray(np.maximum(overlap, 0) * new / old, np.float32)


def _mixed(values: np.ndarray, matrices: Sequence[np.ndarray]) -> np.ndarray:
    found = np.asarray(values, np.float32)
    for axis, matrix in enumerate(matrices):
        found = np.moveaxis(np.tensordot(matrix, found, (1, axis)), 0, axis)
    return np.ascontiguousarray(found)
