"""The stored form of a volume: real values as (frames, rows, columns) in one of the four stored types."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from core.errors import InvalidInput
from core.images.decoded import LARGEST_VALUE, DecodedImage, Pixels, Window, native, whole_type
from core.images.orientation import Layout, choose_layout, spacings_of
from core.images.render import (
    AS_STORED,
    HIGH_PERCENT,
    LOW_PERCENT,
    NARROWEST_WIDTH,
    InputSpec,
    model_input,
    windows_for,
)
from core.settings import Settings

AT_ONCE = 1 << 22  # voxels looked at together, so that checking a volume needs no second one in memory
SAMPLED = 1 << 22  # voxels of which the window of a floating volume is told


def check_volume_size(shape: tuple[int, int, int], settings: Settings) -> None:
    """Refuse, before any voxel is read, a volume without voxels or with absurdly many."""
    said = " x ".join(str(size) for size in shape)
    if min(shape) < 1:
        raise InvalidInput(f"The volume has no voxels; export it again. Received: {said} voxels")
    if math.prod(shape) > settings.max_image_pixels:
        raise InvalidInput(
            f"The volume has more than {settings.max_image_pixels:,} voxels, the limit against decompression bombs; "
            f"raise max_image_pixels in settings.toml if it is genuine. Received: {said} voxels"
        )


def stored_volume(values: Pixels, layout: Layout, *, slope: float = 1.0, inter: float = 0.0) -> Pixels:
    """The volume turned and scaled, equal in value (float64 is rounded to float32).

    Whole numbers stay whole where slope and intercept are whole.

    Args:
        values: the file's array of three axes, contiguous in memory.

    Raises:
        InvalidInput: it holds NaN or infinity, or values that no stored type holds.
    """
    kind = _stored_type(values, slope, inter)
    turned = layout.turn(values)
    stored = np.empty(turned.shape, kind)
    for frame, into in zip(turned, stored, strict=True):
        if (slope, inter) != (1.0, 0.0):
            frame = frame.astype(np.float64) * slope + inter
        into[...] = frame
    return stored


def image_of_volume(
    values: Pixels,
    affine: Pixels | None,
    spacing_mm: Sequence[float] | None,
    *,
    slope: float = 1.0,
    inter: float = 0.0,
) -> DecodedImage:
    """The volume of a file turned to be read in frames (`choose_layout`), without a window; one slice is an image.

    Args:
        values: the file's array of three axes, contiguous in memory.
        affine: from its indices to LPS millimetres, where that is known.
        spacing_mm: along its axes, where only that is known.
    """
    first, second, third = values.shape
    layout = choose_layout((first, second, third), affine)
    volume = stored_volume(values, layout, slope=slope, inter=inter)
    turned, pixel_mm, slice_mm = None, None, None
    if affine is not None:
        turned = layout.turn_affine(affine, (first, second, third))
        pixel_mm, slice_mm = spacings_of(turned)
    elif spacing_mm:
        frame, row, column = (spacing_mm[axis] for axis in layout.axes)
        pixel_mm, slice_mm = (row, column), frame
    frames = len(volume)
    return DecodedImage(
        pixels=volume if frames > 1 else volume[0],
        frames=frames,
        spacing_mm=pixel_mm,
        spacing_at="patient" if pixel_mm else None,
        slice_spacing_mm=slice_mm if frames > 1 else None,
        affine=turned,
    )


def volume_window(volume: Pixels) -> Window:
    """0.1 % to 99.9 % of the values of all frames, so that it is the same whichever frame is seen first."""
    if volume.dtype.kind in "iu":
        least = int(volume.min())
        counted = np.zeros(int(volume.max()) - least + 1, np.int64)
        for frame in volume:
            counted += np.bincount(frame.ravel().astype(np.int32) - least, minlength=len(counted))
        up_to = np.cumsum(counted)
        low, high = (
            float(np.searchsorted(up_to, percent / 100 * (volume.size - 1), side="right")) + least
            for percent in (LOW_PERCENT, HIGH_PERCENT)
        )
    else:
        step = max(1, volume.size // SAMPLED)
        while math.gcd(step, volume.shape[-1]) > 1:  # else always the same columns would be looked at
            step += 1
        low, high = (float(value) for value in np.percentile(volume.reshape(-1)[::step], [LOW_PERCENT, HIGH_PERCENT]))
    return Window("0.1 % to 99.9 %", (low + high) / 2, max(high - low, NARROWEST_WIDTH))


def shown_windows(volume: Pixels, windows: Sequence[Window]) -> Sequence[Window]:
    """The windows that are told; else one of all frames of a grey volume, and none of a coloured one, which needs
    none."""
    return windows or ((volume_window(volume),) if volume.ndim == 3 else ())


class HasFrames(Protocol):
    """A case, or an image that was read from a file."""

    @property
    def frames(self) -> int: ...
    @property
    def photometric(self) -> str: ...
    @property
    def windows(self) -> tuple[Window, ...]: ...
    @property
    def spacing_mm(self) -> tuple[float, float] | None: ...


def model_frames(pixels: Pixels, of: HasFrames, spec: InputSpec) -> Pixels:
    """What a network sees of an image or of every frame of a volume: uint8 of (frames, size, size, channels)."""
    see = frame_sight(pixels, of, spec)
    return np.stack([see(frame) for frame in range(of.frames)])


def frame_sight(pixels: Pixels, of: HasFrames, spec: InputSpec) -> Callable[[int], Pixels]:
    """What a network sees of each frame, counted from 0, of an image or a volume: uint8 of (size, size, channels).

    All frames go by one window, so that an empty one is not blown up to noise.
    """
    if of.frames == 1:
        return lambda _: model_input(pixels, of.photometric, of.windows, spec, of.spacing_mm)
    windows = shown_windows(pixels, windows_for(spec, of.windows))
    settled = replace(spec, window=AS_STORED)  # of the volume, not of each frame
    return lambda frame: model_input(pixels[frame], of.photometric, windows, settled, of.spacing_mm)


def with_neighbours(frames: Pixels, neighbours: int) -> Pixels:
    """Each frame with so many on either side as channels: (n, size, size, channels) to (n, size, size, channels times
    `2 * neighbours + 1`). Beyond an end the last frame stands for those that are not there."""
    at = np.arange(len(frames))
    around = [np.clip(at + step, 0, len(frames) - 1) for step in range(-neighbours, neighbours + 1)]
    return np.concatenate([frames[places] for places in around], axis=-1)


def _stored_type(values: Pixels, slope: float, inter: float) -> type[np.generic]:
    if (slope, inter) == (1.0, 0.0) and values.dtype.newbyteorder("=") in (np.uint8, np.uint16, np.int16):
        return values.dtype.newbyteorder("=").type
    least, most = _extremes(values)
    if values.dtype.kind in "iu" and slope.is_integer() and inter.is_integer():
        ends = (int(least) * int(slope) + int(inter), int(most) * int(slope) + int(inter))
        return whole_type(min(ends), max(ends))
    largest = max(abs(float(end) * slope + inter) for end in (least, most))
    if largest > LARGEST_VALUE:
        raise InvalidInput(f"The volume holds values beyond {LARGEST_VALUE:g}; rescale it. Received: {largest:g}")
    return np.float32


def _extremes(values: Pixels) -> tuple[float | int, float | int]:
    """The least and the greatest value.

    Raises:
        InvalidInput: some are not numbers.
    """
    least, most, bad = math.inf, -math.inf, 0
    for some in _pieces(values):
        if some.dtype.kind == "f":
            bad += int(some.size - np.count_nonzero(np.isfinite(some)))
        least, most = min(least, some.min().item()), max(most, some.max().item())
    if bad:
        raise InvalidInput(
            f"The volume holds values that are not numbers; replace them and export it again. "
            f"Received: {bad} voxels of NaN or infinity"
        )
    return least, most


def _pieces(values: Pixels) -> Iterator[Pixels]:
    flat = values.reshape(-1, order="A")  # as it lies in memory, so nothing is copied
    for start in range(0, flat.size, AT_ONCE):
        yield native(flat[start : start + AT_ONCE])
