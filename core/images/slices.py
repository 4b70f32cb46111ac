"""Slices or frames put together to one array, one at a time, so that a volume is held in memory once."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from core.errors import InvalidInput
from core.images.decoded import DecodedImage, Pixels, Window, whole_type
from core.images.series import Geometry
from core.images.volumes import volume_window


@dataclass
class Slices:
    """An array of (frames, rows, columns), or of (frames, rows, columns, 3), that grows frame by frame.

    Its type widens where a slice needs it, so that no value changes: scanners may rescale each slice otherwise.
    """

    most: int
    array: Pixels | None = None
    count: int = 0
    images: list[DecodedImage] = field(default_factory=list)

    def add(self, pixels: Pixels) -> None:
        """The next frame.

        Raises:
            InvalidInput: it differs from the others in size or in colour.
        """
        if self.array is None:
            self.array = np.empty((self.most, *pixels.shape), pixels.dtype)
        if pixels.shape != self.array.shape[1:]:
            said = " x ".join(str(size) for size in reversed(pixels.shape[:2]))
            raise InvalidInput(f"The image differs from the rest of its series in size or colour. Received: {said}")
        self._widen(pixels)
        self.array[self.count] = pixels
        self.count += 1

    def add_image(self, image: DecodedImage) -> None:
        """The next slice with what its header says; the pixels are copied and let go of."""
        if self.images and image.photometric != self.images[0].photometric:
            raise InvalidInput(
                f"The image differs from the rest of its series in how grey is meant. Received: {image.photometric}"
            )
        self.add(image.pixels)
        self.images.append(replace(image, pixels=image.pixels[:0]))

    def pixels(self) -> Pixels:
        """All frames so far."""
        assert self.array is not None
        return self.array[: self.count]

    def _widen(self, pixels: Pixels) -> None:
        assert self.array is not None
        old, new = self.array.dtype, pixels.dtype
        if old == new:
            return
        if np.float32 in (old, new):
            wide: np.dtype[Any] = np.dtype(np.float32)  # holds all of 16 bits exactly
        elif self.count == 0:
            wide = new
        else:
            there = self.array[: self.count]
            low, high = (int(f(ends)) for f, ends in (
                (min, (there.min(), pixels.min())), (max, (there.max(), pixels.max())),
            ))  # fmt: skip
            wide = np.dtype(whole_type(low, high))
        if wide != old:
            self.array = self.array.astype(wide)


def joined(slices: Slices, geometry: Geometry, oddities: tuple[str, ...] = ()) -> DecodedImage:
    """The volume of slices in the order of their places, with what the header of the middle one says."""
    images, pixels = slices.images, slices.pixels()
    middle = images[len(images) // 2]
    windows = {image.windows for image in images}
    return replace(
        middle,
        pixels=pixels,
        frames=len(images),
        spacing_mm=geometry.spacing_mm,
        spacing_at="patient",
        slice_spacing_mm=geometry.slice_spacing_mm,
        affine=geometry.affine,
        windows=windows_of(pixels, windows),
        headers=tuple(header for image in images for header in image.headers),
        to_check=next((image.to_check for image in images if image.to_check), None),
        oddities=tuple(dict.fromkeys((*oddities, *(said for image in images for said in image.oddities)))),
    )


def windows_of(pixels: Pixels, said: set[tuple[Window, ...]]) -> tuple[Window, ...]:
    """The windows of all frames where they say the same; else one for all, so that no frame is brighter by chance."""
    if pixels.ndim != 3:
        return ()
    only = next(iter(said)) if len(said) == 1 else ()
    return only or (volume_window(pixels),)
