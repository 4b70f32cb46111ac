"""Frames as planes in the patient: how what was drawn on one plane comes to lie on a frame of an image.

A plane is 4 x 4 from (column, row, 0, 1) to LPS millimetres; its third column is the unit normal, so that the third
index is a distance in millimetres. Frames of a series need not be evenly spaced: each has a plane of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from core.errors import InvalidInput
from core.images.decoded import Affine, Pixels
from core.images.grids import NEAR
from core.images.series import Instance

NEAR_SLICE = 0.2  # of the distance to the next slice: treatment planning rounds to a tenth of a millimetre
ALONE_MM = 1.0  # where there is no next slice


@dataclass(frozen=True)
class Frames:
    """The frames of a case: their planes where these are known, and which frame an instance is (by its UID)."""

    rows: int
    columns: int
    count: int
    planes: tuple[Pixels | None, ...]
    frame_of: Callable[[str], int | None]

    def near(self, point: Pixels, named: Sequence[str] = ()) -> int | None:
        """The frame on which a point lies; of a frame without a plane, the one that is named."""
        planes = [(at, plane) for at, plane in enumerate(self.planes) if plane is not None]
        if not planes:
            return next((frame for uid in named if (frame := self.frame_of(uid)) is not None), None)
        off = np.array([abs(plane[:3, 2] @ (point - plane[:3, 3])) for _, plane in planes])
        best = int(off.argmin())
        return planes[best][0] if off[best] <= NEAR_SLICE * self._step(best, [plane for _, plane in planes]) else None

    def _step(self, at: int, planes: Sequence[Pixels]) -> float:
        """Millimetres to the next slice."""
        here = planes[at]
        steps = [abs(here[:3, 2] @ (planes[next_one][:3, 3] - here[:3, 3])) for next_one in (at - 1, at + 1)
                 if 0 <= next_one < len(planes)]  # fmt: skip
        return float(min(steps, default=ALONE_MM)) or ALONE_MM


class Segments(Protocol):
    """What a DICOM object draws: numbered segments with names, of the instances that it refers to."""

    @property
    def names(self) -> Mapping[int, str]: ...
    @property
    def referenced(self) -> frozenset[str]: ...
    def drawn(self, numbers: Sequence[int], on: Frames) -> Pixels:
        """The union of some segments as uint8 (frames, rows, columns).

        Raises:
            InvalidInput: something of them lies beside the frames.
        """
        ...


def plane_of(position: Sequence[float], orientation: Sequence[float], spacing_mm: Sequence[float]) -> Pixels:
    """A plane by Image Position, Image Orientation and Pixel Spacing (PS3.3 C.7.6.2)."""
    row, column = np.array(orientation[:3], np.float64), np.array(orientation[3:], np.float64)
    normal = np.cross(row, column)
    plane = np.eye(4)
    plane[:3, 0], plane[:3, 1] = row * spacing_mm[1], column * spacing_mm[0]
    plane[:3, 2], plane[:3, 3] = normal / np.linalg.norm(normal), position
    return plane


def plane_of_instance(one: Instance) -> Pixels | None:
    """The plane of an image or frame; None where its place, its direction or its spacing is not told."""
    if one.position is None or one.orientation is None or one.spacing_mm is None:
        return None
    return plane_of(one.position, one.orientation, one.spacing_mm)


def planes_of(affine: Affine | None, frames: int) -> tuple[Pixels | None, ...]:
    """The planes of evenly spaced frames."""
    if affine is None:
        return (None,) * frames
    whole = np.asarray(affine, np.float64)
    normal = np.cross(whole[:3, 0], whole[:3, 1])
    found = []
    for frame in range(frames):
        plane = whole.copy()
        plane[:3, 2], plane[:3, 3] = normal / np.linalg.norm(normal), whole[:3, 3] + frame * whole[:3, 2]
        found.append(plane)
    return tuple(found)


def lay(values: Pixels, drawn_on: Pixels, onto: Pixels, into: Pixels) -> None:
    """Paint what is not 0 in `values` into a frame's mask, pixel on pixel; both may be turned or cut out.

    Raises:
        InvalidInput: the pixels of the two planes do not lie on each other, or some lie outside the frame.
    """
    rows, columns = values.shape
    ends = np.array([[0, 0, 0, 1], [columns - 1, rows - 1, 0, 1], [columns - 1, 0, 0, 1]], np.float64).T
    way = np.linalg.inv(onto) @ drawn_on  # from the mask's (column, row) to the frame's
    at = (way @ ends)[:2]
    steps = np.rint(way[:2, :2])
    if not np.array_equal(np.abs(steps).sum(axis=0), [1, 1]) or not np.array_equal(np.abs(steps).sum(axis=1), [1, 1]):
        raise InvalidInput("The mask lies on other pixels than its image: it is turned or has another spacing. "
                           f"Received: {_spacing(drawn_on)} mm, the image {_spacing(onto)} mm")  # fmt: skip
    plain = steps @ ends[:2] + np.rint(at[:, :1])
    if np.abs(at - plain).max() > NEAR:
        raise InvalidInput(
            f"The mask lies on other pixels than its image. Received: {_spacing(drawn_on)} mm from "
            f"({at[0, 0]:.2f}, {at[1, 0]:.2f}) of an image of {_spacing(onto)} mm"
        )
    turned = values if steps[0, 0] else values.T  # its rows run along the frame's rows
    along_columns, along_rows = steps[0].sum(), steps[1].sum()
    turned = turned[:: int(along_rows), :: int(along_columns)]
    left, top = (int(side.min()) for side in plain)
    painted = np.argwhere(turned)
    if not len(painted):
        return
    painted += np.array([top, left])
    low, high = painted.min(axis=0), painted.max(axis=0)
    if (low < 0).any() or (high >= into.shape).any():
        raise InvalidInput(
            f"A part of the mask lies outside its image. Received: pixels from ({low[1]}, {low[0]}) to "
            f"({high[1]}, {high[0]}) of {into.shape[1]} x {into.shape[0]}"
        )
    into[painted[:, 0], painted[:, 1]] = 1


def fill(outlines: Sequence[Pixels], rows: int, columns: int) -> Pixels:
    """The pixels whose centres lie inside closed outlines of (column, row) points; an outline within another is a hole.

    Pixel (0, 0) has its centre at (0, 0), as in Image Position (PS3.3 C.7.6.2.1.1).
    """
    crossings = np.zeros((rows, columns + 1), np.int64)
    for outline in outlines:
        for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
            if y0 == y1:
                continue
            first, last = int(np.ceil(min(y0, y1))), int(np.ceil(max(y0, y1))) - 1  # half open: a corner counts once
            row = np.arange(max(first, 0), min(last, rows - 1) + 1)
            x = x0 + (row - y0) * (x1 - x0) / (y1 - y0)
            np.add.at(crossings, (row, np.clip(np.ceil(x), 0, columns).astype(int)), 1)
    inside: Pixels = (np.cumsum(crossings, axis=1)[:, :columns] % 2).astype(np.uint8)
    return inside


def _spacing(plane: Pixels) -> str:
    return " x ".join(f"{np.linalg.norm(plane[:3, at]):.4g}" for at in range(2))
