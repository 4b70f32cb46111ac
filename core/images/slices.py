"""Slices or frames put together to one array, one at a time, so that a volume is held once, in memory or a file."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from core.errors import InvalidInput
from core.images.decoded import DecodedImage, Pixels, Window, whole_type
from core.images.series import Geometry
from core.images.volumes import volume_window
from core.store.growing import GrowingArray


@dataclass
class Slices:
    """An array of (frames, rows, columns), or of (frames, rows, columns, 3), that grows frame by frame.

    Its type widens where a slice needs it, so that no value changes: scanners may rescale each slice otherwise.

    Args:
        most: frames there may be.
        file: what takes the frames as they come; given up (None) once the type had to widen.
    """

    most: int
    file: GrowingArray | None = None
    count: int = 0
    images: list[DecodedImage] = field(default_factory=list)
    _shape: tuple[int, ...] = ()  # of a frame
    _type: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.int16))
    _array: Pixels | None = None

    def add(self, pixels: Pixels) -> None:
        """The next frame.

        Raises:
            InvalidInput: it differs from the others in size or in colour.
            Unavailable: the disk on which the file lies is full, read-only or gone.
        """
        if not self.count:
            self._shape, self._type = pixels.shape, pixels.dtype
        if pixels.shape != self._shape:
            said = " x ".join(str(size) for size in reversed(pixels.shape[:2]))
            raise InvalidInput(f"The image differs from the rest of its series in size or colour. Received: {said}")
        if pixels.dtype != self._type:
            self._widen(_type_of_both(self.pixels(), pixels))
        if self.file is not None:
            self.file.add(pixels.astype(self._type, copy=False))
        else:
            if self._array is None:
                self._array = np.empty((self.most, *self._shape), self._type)
            self._array[self.count] = pixels
        self.count += 1

    def add_image(self, image: DecodedImage) -> None:
        """The next slice with what its header says; the pixels are copied and let go of."""
        if self.images and image.photometric != self.images[0].photometric:
            raise InvalidInput(
                f"The image differs from the rest of its series in how grey is meant. Received: {image.photometric}"
            )
        self.add(image.pixels)
        self.images.append(replace(image, pixels=image.pixels[:0].copy()))

    def pixels(self) -> Pixels:
        """All frames so far."""
        if self.file is not None:
            return self.file.frames()
        assert self._array is not None
        return self._array[: self.count]

    def _widen(self, wide: np.dtype[Any]) -> None:
        if wide == self._type:
            return
        array = np.empty((self.most, *self._shape), wide)
        array[: self.count] = self.pixels()
        self._array, self._type, self.file = array, wide, None


def _type_of_both(there: Pixels, pixels: Pixels) -> np.dtype[Any]:
    """The narrowest type that holds these frames and one more of another type."""
    if np.float32 in (there.dtype, pixels.dtype):
        return np.dtype(np.float32)  # holds all of 16 bits exactly
    low, high = min(there.min(), pixels.min()), max(there.max(), pixels.max())
    return np.dtype(whole_type(int(low), int(high)))


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
