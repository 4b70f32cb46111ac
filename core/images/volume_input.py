"""From a stored volume to what a network sees of it in three dimensions, and back onto the volume's own grid.

Frames are windowed as in two dimensions, all by one window, and become uint8. Along each axis values are interpolated
linearly; where an axis shrinks the filter widens, so that every voxel counts. Masks take the nearest voxel.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PIL import Image

from core.errors import InvalidInput
from core.images.decoded import Pixels
from core.images.render import AS_STORED, MOST_SCALED, InputSpec, Resize, to_uint8, told_of, windows_for
from core.images.volumes import HasFrames, model_frames, shown_windows

OVERLAP = 0.25  # of neighbouring patches at prediction, at least
MOST_RESAMPLED = 1 << 31  # voxels of a volume at another spacing, so that an absurd one does not fill memory and disk
LEAST_SIDE, MOST_VOXELS = 4, 1 << 24  # of what a network sees at once

Shape = tuple[int, int, int]
Spacing = tuple[float, float, float]


class HasGrid(HasFrames, Protocol):
    """A case, or an image that was read from a file, with the distances between its voxels."""

    @property
    def slice_spacing_mm(self) -> float | None: ...


@dataclass(frozen=True)
class VolumeSpec:
    """A whole volume: its frames fitted into a square as images are, then resampled to `depth` frames; or, with a
    spacing, at that spacing with its middle in the middle, cut or between borders, so that sizes stay what they are."""

    depth: int
    size: int
    channels: int = 1
    resize: Resize = "stretch"
    spacing_mm: Spacing | None = None
    window: str = AS_STORED
    window_values: tuple[float, float] | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.depth, self.size, self.size, self.channels

    def to_json(self) -> dict[str, Any]:
        return {**told_of(self), "spacing_mm": list(self.spacing_mm) if self.spacing_mm else None}


@dataclass(frozen=True)
class PatchSpec:
    """A volume at a spacing (between frames, rows, columns), seen in patches that overlap at prediction."""

    patch_size: Shape
    spacing_mm: Spacing
    channels: int = 1
    overlap: float = OVERLAP
    window: str = AS_STORED
    window_values: tuple[float, float] | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return *self.patch_size, self.channels

    def to_json(self) -> dict[str, Any]:
        return {**told_of(self), "patch_size": list(self.patch_size), "spacing_mm": list(self.spacing_mm)}


Spec = InputSpec | VolumeSpec | PatchSpec


def spec_of(said: Mapping[str, Any]) -> Spec:
    """The spec that a model keeps as its fact `input`."""
    if "window_values" in said:
        said = {**said, "window_values": tuple(said["window_values"])}
    if "patch_size" in said:
        return PatchSpec(**{**said, "patch_size": tuple(said["patch_size"]), "spacing_mm": tuple(said["spacing_mm"])})
    if "depth" in said:
        return VolumeSpec(**{**said, "spacing_mm": tuple(said["spacing_mm"]) if said["spacing_mm"] else None})
    return InputSpec(**said)


def check_volume_shape(what: str, sides: Sequence[int]) -> None:
    """Raise `InvalidInput` unless these are the sides of something that a network can see at once."""
    if len(sides) != 3 or min(sides) < LEAST_SIDE or math.prod(sides) > MOST_VOXELS:
        raise InvalidInput(
            f"{what} gives depth, rows and columns, each from {LEAST_SIDE}, and at most {MOST_VOXELS:,} voxels "
            f"together. Received: {','.join(map(str, sides))}"
        )


def check_spacing(spacing_mm: Sequence[float]) -> None:
    """Raise `InvalidInput` unless a recipe tells the spacing of all three axes, or of none."""
    if len(spacing_mm) != 3 or (any(spacing_mm) and not all(spacing_mm)):
        raise InvalidInput(
            f"spacing_mm is three numbers, between frames, rows and columns, or 0,0,0 where none is wanted. "
            f"Received: {','.join(f'{side:g}' for side in spacing_mm)}"
        )


def spacing_of(of: HasGrid) -> Spacing | None:
    """Millimetres between frames, rows and columns; None where one of them is not known."""
    if of.spacing_mm is None or not of.slice_spacing_mm:
        return None
    return (of.slice_spacing_mm, *of.spacing_mm)


def grid_at(shape: Sequence[int], spacing_mm: Spacing | None, wanted_mm: Spacing) -> Shape:
    """How many voxels a volume has at another spacing; as many as before where its own is not known."""
    frames, rows, columns = (
        max(1, round(side * own / wanted))
        for side, own, wanted in zip(shape, spacing_mm or wanted_mm, wanted_mm, strict=True)
    )
    return frames, rows, columns


def resampled_grid(shape: Sequence[int], spacing_mm: Spacing | None, wanted_mm: Spacing, whose: str = "") -> Shape:
    """`grid_at` of a volume that is about to be brought there.

    Raises:
        InvalidInput: it would have absurdly many voxels, as of a header that tells a wrong spacing.
    """
    grid = grid_at(shape, spacing_mm, wanted_mm)
    if math.prod(grid) > MOST_RESAMPLED or grid[1] * grid[2] > max(MOST_SCALED, shape[1] * shape[2]):
        own, wanted = (" x ".join(f"{side:g}" for side in sides) for sides in (spacing_mm or wanted_mm, wanted_mm))
        raise InvalidInput(
            f"At {wanted} mm this volume would have {' x '.join(f'{side:,}' for side in grid)} voxels; look at the "
            f"spacing that its file tells, or take a coarser one (spacing_mm). Received: {own} mm{whose}"
        )
    return grid


def window_starts(side: int, length: int, overlap: float) -> list[int]:
    """Where windows begin along an axis: evenly spread, overlapping by at least that share of their length; one that
    is longer than the axis has it in its middle."""
    if side <= length:
        return [-((length - side) // 2)]
    step = max(1, int(length * (1 - overlap)))
    count = -(-(side - length) // step) + 1
    return [round(at * (side - length) / (count - 1)) for at in range(count)]


def volume_input(pixels: Pixels, of: HasGrid, spec: VolumeSpec) -> Pixels:
    """What a network sees of a whole volume, or of an image as its only frame: uint8 of `spec.shape`.

    Raises:
        InvalidInput: as `resampled_grid`.
    """
    if spec.spacing_mm is None:
        each = InputSpec(spec.size, spec.channels, spec.resize, spec.window, window_values=spec.window_values)
        frames = model_frames(pixels, of, each)
        return np.stack(list(_along_frames(iter(frames), len(frames), spec.depth)))
    volume = pixels if of.frames > 1 else pixels[np.newaxis]
    rows, columns = volume.shape[1:3]
    grid = resampled_grid((of.frames, rows, columns), spacing_of(of), spec.spacing_mm)
    seen = np.zeros(spec.shape, np.uint8)
    into, taken = zip(*(_in_the_middle(*sides) for sides in zip(grid, spec.shape[:3], strict=True)), strict=True)
    for at, frame in enumerate(resampled_frames(pixels, of, grid, spec)):
        if taken[0].start <= at < taken[0].stop:
            seen[into[0].start + at - taken[0].start, into[1], into[2]] = frame[taken[1], taken[2]]
    return seen


def _in_the_middle(side: int, length: int) -> tuple[slice, slice]:
    """Where an axis lies in the one of a network's input, and what of it is taken."""
    both = min(side, length)
    into, first = (length - both) // 2, (side - both) // 2
    return slice(into, into + both), slice(first, first + both)


def resampled_frames(pixels: Pixels, of: HasFrames, grid: Shape, spec: VolumeSpec | PatchSpec) -> Iterator[Pixels]:
    """The frames of a volume on another grid, uint8 (rows, columns, channels) each, one after the other."""
    volume = pixels if of.frames > 1 else pixels[np.newaxis]
    windows = shown_windows(volume, windows_for(spec, of.windows))
    depth, rows, columns = grid

    def seen() -> Iterator[Pixels]:
        for frame in volume:
            picture = Image.fromarray(to_uint8(frame, of.photometric, windows))
            picture = picture.convert("L" if spec.channels == 1 else "RGB")
            if picture.size != (columns, rows):
                picture = picture.resize((columns, rows), Image.Resampling.BILINEAR)
            yield np.asarray(picture).reshape(rows, columns, spec.channels)

    return _along_frames(seen(), len(volume), depth)


class MaskFrames(Protocol):
    """A mask (frames, rows, columns) that is there frame by frame; an array is one."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __getitem__(self, frame: int, /) -> Pixels: ...


def nearest_frames(mask: MaskFrames, grid: Shape) -> Iterator[Pixels]:
    """A mask on another grid, uint8 (rows, columns) each: the nearest voxel of each."""
    frame_of, row_of, column_of = (_nearest(old, new) for old, new in zip(mask.shape, grid, strict=True))
    for frame in frame_of:
        yield mask[int(frame)][np.ix_(row_of, column_of)]


def back_onto_grid(frames: Iterable[Pixels], depth: int, grid: Shape) -> Iterator[Pixels]:
    """Maps over a resampled volume, float32 (rows, columns, k) a frame, on the volume's own grid: (k, rows, columns).

    Args:
        frames: `depth` of them, taken one after the other; only as many are held as one frame is mixed of.
    """
    own_depth, rows, columns = grid
    for values in _along_frames(iter(frames), depth, own_depth):
        maps = np.moveaxis(values, -1, 0)
        if maps.shape[1:] == (rows, columns):
            yield maps
        else:
            yield np.stack(
                [
                    np.asarray(Image.fromarray(np.ascontiguousarray(one, np.float32)).resize(
                        (columns, rows), Image.Resampling.BILINEAR
                    ))
                    for one in maps
                ]
            )  # fmt: skip


def _along_frames(frames: Iterator[Pixels], old: int, new: int) -> Iterator[Pixels]:
    """`new` frames out of `old` ones by a triangle filter, of the same type; few of the old ones are held at once."""
    held, taken = deque[Pixels](), 0
    first = 0
    for at in range(new):
        start, weights = _weights(at, old, new)
        while taken < start + len(weights):
            held.append(next(frames))
            taken += 1
        while first < start:
            held.popleft()
            first += 1
        if len(weights) == 1:
            yield held[0]
            continue
        mixed = np.tensordot(weights, np.stack([held[part] for part in range(len(weights))]).astype(np.float32), 1)
        yield np.rint(mixed).astype(np.uint8) if held[0].dtype == np.uint8 else mixed


def _weights(at: int, old: int, new: int) -> tuple[int, Pixels]:
    """The first old frame that the new frame `at` is mixed of, and the shares of it and of those that follow."""
    centre, scale = (at + 0.5) * old / new - 0.5, max(old / new, 1.0)
    low, high = max(0, math.floor(centre - scale) + 1), min(old - 1, math.ceil(centre + scale) - 1)
    low, high = min(low, old - 1), max(high, 0)
    near = np.maximum(1 - np.abs(np.arange(low, high + 1) - centre) / scale, 0).astype(np.float32)
    if not near.any():  # beyond an edge: the outermost frame goes on
        return (0 if centre < 0 else old - 1), np.ones(1, np.float32)
    kept = np.flatnonzero(near)
    near = near[kept[0] : kept[-1] + 1]
    return low + int(kept[0]), near / near.sum()


def _nearest(old: int, new: int) -> Pixels:
    places: Pixels = np.minimum((np.arange(new) + 0.5) * old // new, old - 1).astype(np.intp)
    return places
