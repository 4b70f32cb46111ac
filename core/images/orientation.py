"""How a volume lies in the patient, and how its array is turned to be read: in frames, rows and columns.

Directions are LPS as in DICOM PS3.3 C.7.6.2: x towards the patient's left, y towards the back, z towards the head.
Turning only permutes and mirrors axes; no voxel is ever resampled.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from core.images.decoded import Affine, Pixels

X, Y, Z = 0, 1, 2
# Which way x, y and z of other spaces go, where those of LPS go to the patient's left, back and head. Each of these
# turns is its own way back.
TO_LPS = {
    "left-posterior-superior": np.diag([1.0, 1.0, 1.0, 1.0]),
    "right-anterior-superior": np.diag([-1.0, -1.0, 1.0, 1.0]),
    "left-anterior-superior": np.diag([1.0, -1.0, 1.0, 1.0]),
}
TO_LPS |= {"".join(word[0] for word in space.split("-")): turn for space, turn in TO_LPS.items()}
RAS_AND_LPS = TO_LPS["ras"]  # NIfTI's space from and to DICOM's
# Thicker than this many times the next spacing, an axis is taken for the one the scanner went along in slices.
THICK = 2.0
ROUNDED = 1e-6  # of the volume of a voxel: what float32 headers make of axes at right angles
# What frames, rows and columns run along, and which way: for frames along each direction of the patient.
READING = {
    Z: ((Z, 1), (Y, 1), (X, 1)),  # axial, from feet to head, seen from the feet
    Y: ((Y, 1), (Z, -1), (X, 1)),  # coronal, from front to back, head up
    X: ((X, 1), (Z, -1), (Y, 1)),  # sagittal, from right to left, face to the left
}

PLANES = {Z: "axial", Y: "coronal", X: "sagittal"}  # by what frames run along
ENDS = (frozenset("RL"), frozenset("AP"), frozenset("HF"))  # of each axis of the patient
LETTERS = re.compile(r"([APLRHF]{1,3})\\([APLRHF]{1,3})")


@dataclass(frozen=True)
class Layout:
    """Which axes of a file become frames, rows and columns, and which of these are mirrored."""

    axes: tuple[int, int, int]
    mirrored: tuple[bool, bool, bool]

    def turn(self, array: Pixels) -> Pixels:
        """A view of the file's array as (frames, rows, columns)."""
        turned: Pixels = array.transpose(self.axes)[tuple(slice(None, None, -1 if m else 1) for m in self.mirrored)]
        return turned

    def turn_affine(self, affine: Pixels, shape: Sequence[int]) -> Affine:
        """From (column, row, frame) to millimetres, where `affine` goes there from the indices of the file."""
        to_file = np.zeros((4, 4))
        to_file[3, 3] = 1
        for at, (axis, mirrored) in enumerate(zip(self.axes, self.mirrored, strict=True)):
            to_file[axis, 2 - at] = -1 if mirrored else 1
            to_file[axis, 3] = shape[axis] - 1 if mirrored else 0
        return tuple(tuple(float(number) for number in row) for row in affine @ to_file)


def choose_layout(shape: Sequence[int], affine: Pixels | None) -> Layout:
    """The turn by which a volume is read: axial frames, unless it was plainly taken in slices of another plane.

    Axial frames run from feet to head, rows towards the back, columns towards the patient's left, who is so on the
    right of the screen. An oblique axis counts for the direction it comes nearest to. Of a volume of one slice that
    slice is the frame. Without an affine nothing is turned: the last axis of the file has the frames.

    Args:
        shape: of the file's three axes.
        affine: 4 x 4 from the file's indices to LPS millimetres; None where it is not known.
    """
    flat = [axis for axis in range(3) if shape[axis] == 1]
    if affine is None:
        frame = flat[0] if len(flat) == 1 else 2
        column, row = (axis for axis in range(3) if axis != frame)
        return Layout((frame, row, column), (False, False, False))
    steps = affine[:3, :3]
    spacing = np.linalg.norm(steps, axis=0)
    direction_of = nearest_directions(steps / spacing)
    frames_along = direction_of[flat[0]] if len(flat) == 1 else _frames_along(spacing, direction_of)
    axis_of = {direction: axis for axis, direction in enumerate(direction_of)}
    reading = READING[frames_along]
    frame, row, column = (axis_of[direction] for direction, _ in reading)
    away = [bool(steps[direction, axis_of[direction]] * sign < 0) for direction, sign in reading]
    return Layout((frame, row, column), (away[0], away[1], away[2]))


def spacings_of(affine: Affine) -> tuple[tuple[float, float], float]:
    """Millimetres between rows and between columns; millimetres between frames.

    Frames of a tilted gantry are shifted against each other: between them lies what is along their normal, as in a
    DICOM series (`core.images.series.Geometry`), so that the three numbers together are the volume of a voxel.
    """
    column, row, frame = (math.hypot(*(line[at] for line in affine[:3])) for at in range(3))
    square = abs(float(np.linalg.det(np.asarray(affine, np.float64)[:3, :3]))) / (column * row * frame)
    return (row, column), frame if square > 1 - ROUNDED else frame * square


def nearest_directions(cosines: Pixels) -> tuple[int, ...]:
    """For each axis the direction it comes nearest to, each direction once."""
    return max(permutations(range(3)), key=lambda order: sum(abs(cosines[to, axis]) for axis, to in enumerate(order)))


def directions_of(affine: Affine) -> tuple[int, int, int]:
    """What frames, rows and columns of a stored volume run along, each of X, Y and Z once; an oblique axis counts for
    the direction it comes nearest to.

    Args:
        affine: from (column, row, frame) to LPS millimetres.
    """
    steps = np.asarray(affine, np.float64)[:3, :3]
    column, row, frame = nearest_directions(steps / np.linalg.norm(steps, axis=0))
    return frame, row, column


def _frames_along(spacing: Pixels, direction_of: Sequence[int]) -> int:
    thickest, next_one = np.argsort(-spacing, kind="stable")[:2]
    return direction_of[int(thickest)] if spacing[thickest] >= THICK * spacing[next_one] else Z


def split_letters(text: str) -> tuple[str, str] | None:
    r"""Where rows and columns of a single image lead, from `L\F` (DICOM PS3.3 C.7.6.1.1.1); None for anything else.

    Each is one to three letters of different axes, the strongest first; the two do not lead along the same axis.
    """
    found = LETTERS.fullmatch(text)
    if not found:
        return None
    along = [
        [next(axis for axis, ends in enumerate(ENDS) if letter in ends) for letter in word] for word in found.groups()
    ]
    if along[0][0] == along[1][0] or any(len(set(axes)) < len(axes) for axes in along):
        return None
    return found[1], found[2]
