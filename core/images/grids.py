"""Whether two arrays of voxels lie on one grid in the patient, and how one is turned to lie as the other.

Only permuting and mirroring is done, never resampling: what does not fit voxel on voxel is told apart in words.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from core.errors import InvalidInput
from core.images.decoded import Affine, Pixels
from core.images.orientation import nearest_directions

# How far, in voxels, the far corner may lie off: headers round to float32, and no half voxel passes.
NEAR = 0.1
TURNED_LEAST = 0.01  # of a direction cosine, before a grid is called turned
DIRECTIONS = (("left", "right"), ("back", "front"), ("head", "feet"))  # +x, -x, ... of LPS


@dataclass(frozen=True)
class Grid:
    """Voxels along three axes, and their way to LPS millimetres; an image has one frame.

    Of the grid of a case the axes are (column, row, frame); where it is uneven, frames lie on no grid (`is_uneven`).
    """

    shape: tuple[int, int, int]
    affine: Pixels | None
    uneven: bool = False

    @property
    def spacing_mm(self) -> Pixels | None:
        return None if self.affine is None else np.linalg.norm(self.affine[:3, :3], axis=0)


@dataclass(frozen=True)
class Fit:
    """How the axes of one grid become those of another: which axis each is, and which of these are mirrored."""

    axes: tuple[int, int, int]
    mirrored: tuple[bool, bool, bool]

    def turn(self, values: Pixels) -> Pixels:
        """A view of the array with the axes of the other grid."""
        turned: Pixels = values.transpose(self.axes)[tuple(slice(None, None, -1 if m else 1) for m in self.mirrored)]
        return turned


class HasPlaces(Protocol):
    """A case, or an image that was read from a file, with where it lies in the patient."""

    @property
    def frames(self) -> int: ...
    @property
    def slice_spacing_mm(self) -> float | None: ...
    @property
    def affine(self) -> Affine | None: ...


def is_uneven(of: HasPlaces) -> bool:
    """Whether the frames of a volume lie on no grid, since slices are missing, shifted or unevenly apart: its affine
    then tells directions alone (`core.images.series.Geometry`)."""
    return of.frames > 1 and of.affine is not None and of.slice_spacing_mm is None


def grid_of(frames: int, rows: int, columns: int, affine: Affine | None, *, uneven: bool = False) -> Grid:
    """The grid of a case."""
    return Grid((columns, rows, frames), None if affine is None else np.asarray(affine, np.float64), uneven)


def frames_of(values: Pixels, mask: Grid, image: Grid) -> Pixels:
    """The values of a mask as (frames, rows, columns) of the image, voxel on voxel.

    Raises:
        InvalidInput: the grids differ; the sentence says in what. Or the image is uneven and lies on none.
    """
    if image.uneven:
        raise InvalidInput(
            f"The slices of the image are not evenly apart, so that no grid tells on which of them a voxel of the mask "
            f"lies; save the mask as DICOM SEG or RTSTRUCT, which tell the place of each slice. "
            f"Received: {grid_in_words(mask)}"
        )
    if (mask.affine is None) != (image.affine is None):
        silent, other = ("mask", "image") if mask.affine is None else ("image", "mask")
        raise InvalidInput(
            f"The {silent} does not say how it lies in the patient, and the {other} does, so that nobody can tell "
            f"which voxel is which; save the mask with the affine of its image. "
            f"Received: {grid_in_words(mask)} and an image of {grid_in_words(image)}"
        )
    fit = Fit((0, 1, 2), (False, False, False)) if mask.affine is None else _fit(mask, image)
    if fit is None or tuple(mask.shape[axis] for axis in fit.axes) != image.shape:
        raise InvalidInput(
            f"The mask lies on another grid than its image; resample it onto that. Received: {difference(mask, image)}"
        )
    turned: Pixels = fit.turn(values).transpose(2, 1, 0)
    return turned


def difference(mask: Grid, image: Grid) -> str:
    """What tells two grids apart, for people: voxels, spacing, place and direction."""
    axes = (0, 1, 2) if mask.affine is None or image.affine is None else _nearest(mask, image)
    as_image = Grid(
        tuple(mask.shape[axis] for axis in axes),  # type: ignore[arg-type]
        None if mask.affine is None else mask.affine[:, [*axes, 3]],
    )
    said = f"the mask has {grid_in_words(as_image)}, the image {grid_in_words(image)}"
    if mask.affine is None or image.affine is None:
        return said
    assert as_image.affine is not None
    cosines = np.abs(np.sum(_cosines(as_image.affine) * _cosines(image.affine), axis=0))
    if (cosines < 1 - TURNED_LEAST**2 / 2).any():
        degrees = math.degrees(math.acos(min(1.0, float(cosines.min()))))
        return f"{said}, and it is turned against it by {degrees:.1f} degrees"
    off = _centre(as_image) - _centre(image)
    parts = [
        f"{abs(by):.1f} mm further to the {towards if by > 0 else away}"
        for by, (towards, away) in zip(off, DIRECTIONS, strict=True)
        if abs(by) >= 0.05
    ]
    return f"{said}; its middle lies {' and '.join(parts)}" if parts else said


def grid_in_words(grid: Grid) -> str:
    """`60 x 35 x 30 voxels of 1.0 mm`."""
    voxels = " x ".join(str(size) for size in grid.shape) + " voxels"
    spacing = grid.spacing_mm
    if spacing is None:
        return voxels
    told = [f"{size:.4g}" if size % 1 else f"{size:.1f}" for size in spacing]
    return f"{voxels} of {told[0] if len(set(told)) == 1 else ' x '.join(told)} mm"


def _fit(mask: Grid, image: Grid) -> Fit | None:
    """How the mask's array is turned; None where no turning brings its voxels onto the image's."""
    assert mask.affine is not None
    assert image.affine is not None
    axes = _nearest(mask, image)
    if tuple(mask.shape[axis] for axis in axes) != image.shape:
        return None
    way = np.linalg.inv(mask.affine) @ image.affine  # from the image's indices to the mask's
    mirrored = tuple(bool(way[axis, at] < 0) for at, axis in enumerate(axes))
    plain = np.zeros((4, 4))
    plain[3, 3] = 1
    for at, (axis, is_mirrored) in enumerate(zip(axes, mirrored, strict=True)):
        plain[axis, at] = -1 if is_mirrored else 1
        plain[axis, 3] = mask.shape[axis] - 1 if is_mirrored else 0
    if np.abs((way - plain) @ corners(image.shape).T)[:3].max() > NEAR:
        return None
    return Fit(axes, mirrored)  # type: ignore[arg-type]


def corners(shape: Sequence[int]) -> Pixels:
    """The indices of the eight corner voxels, homogeneous."""
    ends = [(0, size - 1) for size in shape]
    return np.array([[x, y, z, 1] for x in ends[0] for y in ends[1] for z in ends[2]], np.float64)


def _nearest(mask: Grid, image: Grid) -> tuple[int, int, int]:
    """For each axis of the image, the one of the mask that runs nearest to it."""
    assert mask.affine is not None
    assert image.affine is not None
    first, second, third = nearest_directions(_cosines(mask.affine).T @ _cosines(image.affine))
    return first, second, third


def _cosines(affine: Pixels) -> Pixels:
    steps = affine[:3, :3]
    unit: Pixels = steps / np.linalg.norm(steps, axis=0)
    return unit


def _centre(grid: Grid) -> Pixels:
    assert grid.affine is not None
    middle: Pixels = grid.affine @ np.array([*((size - 1) / 2 for size in grid.shape), 1])
    return middle[:3]
