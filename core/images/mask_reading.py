"""Masks as they come: label maps of whole numbers in PNG, TIFF, NIfTI, NRRD or NumPy files, each number a structure.

Where a file tells how its voxels lie in the patient that is kept, so that a mask meets its image voxel on voxel.
"""

import io
from dataclasses import dataclass

import numpy as np
import tifffile
from PIL import Image

from core.errors import InvalidInput
from core.images.decoded import Pixels, check_size, native, reading
from core.images.grids import Grid, frames_of, grid_in_words
from core.images.names import name_parts
from core.images.nifti import nifti_version, read_nifti_labels
from core.images.nrrd import MAGIC, read_nrrd_labels
from core.images.raster import deep_png, is_deep_png, pages_of
from core.images.tiff_lzw import refuse_broken_lzw
from core.images.volumes import check_volume_size
from core.settings import Settings

LARGEST_NUMBER = 65_535
SHALLOW_STEPS = {2: 255 // 3, 4: 255 // 15}  # between one number and the next, by the bit depth of a PNG's IHDR
TIFF_STARTS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


@dataclass(frozen=True)
class LabelMap:
    """Whole numbers on the axes (column, row, frame) of a file; 0 is nothing.

    A `picture` is seen as its image is seen: it tells nothing of the patient and needs not.
    """

    values: Pixels
    grid: Grid
    picture: bool = False

    def on(self, image: Grid) -> Pixels:
        """The numbers as (frames, rows, columns) of an image.

        Raises:
            InvalidInput: it lies on another grid; the sentence says in what they differ.
        """
        if not self.picture:
            return frames_of(self.values, self.grid, image)
        if self.grid.shape != image.shape:
            raise InvalidInput(
                f"The mask is of another size than its image. Received: a mask of {_pixels(self.grid)} and an image "
                f"of {_pixels(image)}"
            )
        turned: Pixels = self.values.transpose(2, 1, 0)
        return turned


def read_label_map(content: bytes, settings: Settings, *, name: str = "") -> LabelMap:
    """The label map of a file, by its content.

    Raises:
        InvalidInput: colours, a lossy picture, numbers that are not whole or negative, damaged, or no mask at all.
    """
    if content.startswith(b"\x89PNG"):
        return _of_picture(_png_numbers(content, settings))
    if content.startswith(TIFF_STARTS):
        return _of_picture(_tiff_numbers(content, settings))
    if content.startswith(b"\x93NUMPY"):
        return _of_picture(_array(content, settings))
    if nifti_version(content) is not None:
        values, affine = read_nifti_labels(content, settings)
        first, second, third = values.shape
        return LabelMap(whole(values), Grid((first, second, third), affine))
    if content.startswith(MAGIC):
        values, affine = read_nrrd_labels(content, settings)
        first, second, third = values.shape
        return LabelMap(whole(values), Grid((first, second, third), affine))
    if content.startswith(b"\xff\xd8\xff"):
        raise InvalidInput("A JPEG blurs the numbers of a mask; save it as PNG. Received: a JPEG image")
    raise InvalidInput(
        f"Masks come as PNG, TIFF, NIfTI, NRRD, DICOM SEG or RTSTRUCT; save it as one of these. "
        f"Received: a file that ends in {name_parts(name)[1].lower() or 'nothing'}"
    )


def whole(values: Pixels) -> Pixels:
    """The numbers of a label map in the narrowest unsigned type.

    Raises:
        InvalidInput: some are negative, too large or not whole.
    """
    values = native(values)
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if values.dtype.kind == "f":
        rounded = np.rint(values)
        if not np.array_equal(rounded, values):  # NaN is equal to nothing
            bad = int(np.count_nonzero(rounded != values))
            raise InvalidInput(
                f"A mask holds whole numbers, one for each structure; this one has others, as probabilities do. "
                f"Received: {bad:,} voxels that are not whole numbers"
            )
        values = rounded
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > LARGEST_NUMBER:
        raise InvalidInput(f"The numbers of a mask go from 0 to {LARGEST_NUMBER:,}. Received: {low} to {high}")
    return values.astype(np.uint8 if high < 256 else np.uint16)


def _of_picture(frames: Pixels) -> LabelMap:
    """A map of (frames, rows, columns) that tells nothing of the patient; only of one frame that does no harm."""
    count, rows, columns = frames.shape
    return LabelMap(whole(frames).transpose(2, 1, 0), Grid((columns, rows, count), None), picture=count == 1)


def _png_numbers(content: bytes, settings: Settings) -> Pixels:
    """The numbers themselves: of a palette the places in it, never its colours."""
    with reading("PNG"), Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        check_size(image.height, image.width, settings)
        if image.mode not in ("1", "L", "P", "I", "I;16", "I;16B", "LA", "RGB", "RGBA"):
            raise InvalidInput(f"A mask is a picture of grey values or a palette. Received: {image.mode}")
        pixels = deep_png(content) if is_deep_png(content) else np.asarray(image)
        if image.mode == "L":  # of 2 and 4 bits a pixel Pillow makes brightness, up to 255
            pixels = pixels // SHALLOW_STEPS.get(content[24], 1)
        if pixels.ndim == 3 and pixels.shape[2] == 2:  # grey with alpha
            pixels = pixels[..., 0]
        elif pixels.ndim == 3:
            if not (pixels[..., :1] == pixels[..., 1:3]).all():
                raise InvalidInput(
                    "The mask is a colour picture, and colours say no structure; save it with a number for each "
                    "structure. Received: RGB"
                )
            pixels = pixels[..., 0]
        return pixels[np.newaxis]


def _tiff_numbers(content: bytes, settings: Settings) -> Pixels:
    with reading("TIFF"), tifffile.TiffFile(io.BytesIO(content)) as tiff:
        pages = list(pages_of(tiff))
        first = tiff.pages[0]
        check_volume_size((len(pages), int(first.shape[0]), int(first.shape[1])), settings)
        for page in pages:
            refuse_broken_lzw(page, content)
        pixels: Pixels = np.squeeze(tiff.asarray())
        if pixels.ndim == 2:
            pixels = pixels[np.newaxis]
        if pixels.ndim != 3 or "S" in tiff.series[0].axes:
            raise InvalidInput(f"A mask has one number a pixel. Received: a TIFF of the shape {pixels.shape}")
        return pixels


def _array(content: bytes, settings: Settings) -> Pixels:
    with reading("NumPy array"):
        array: Pixels = np.load(io.BytesIO(content), allow_pickle=False)
    if array.ndim == 2:
        array = array[np.newaxis]
    if array.ndim != 3 or array.dtype.kind not in "biuf":
        raise InvalidInput(f"A mask is an array (frames, rows, columns) of numbers. Received: {array.shape}")
    check_volume_size(array.shape, settings)
    return array


def _pixels(grid: Grid) -> str:
    if grid.shape[2] == 1:
        return f"{grid.shape[0]} x {grid.shape[1]} pixels"
    return grid_in_words(grid)
