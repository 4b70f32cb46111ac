"""From a DICOM data set's pixel data to real values: decompress, cut to the stored bits, apply the modality LUT."""

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import imagecodecs
import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames, get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import iter_pixels, pixel_array
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGExtended12Bit

from core.errors import InvalidInput, some_of
from core.images.decoded import Pixels, native, real_values, whole_numbers, whole_type
from core.images.dicom_instances import numbers, told_of_frame

# Start-of-frame markers of JPEG (ISO 10918-1 table B.1) and JPEG-LS (ISO 14495-1 C.1.1), all of one layout.
JPEG_FRAME = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf\xf7]")

# The first that is there decodes. GDCM ends the process on some damaged files, so it gets only what no other can do.
DECODERS = ("pylibjpeg", "pyjpegls", "pillow", "pydicom", "gdcm")


NEEDED = ("SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "PixelRepresentation")
MOST_WHOLE = 65536  # up to here whole numbers are kept as such (`whole_numbers`)


def real_pixels(dataset: Dataset) -> Pixels:
    """Pixels of a single frame as (rows, columns) after the modality LUT, or as (rows, columns, 3).

    Raises:
        InvalidInput: colour of more than 16 bits, values that are not numbers, pixels of another size than announced.
    """
    _check_header(dataset)
    _check_codestreams(dataset, 1)
    return _real(_decompressed(dataset), dataset, 0)


def real_frames(dataset: Dataset, frames: int, wanted: Sequence[int]) -> Iterator[Pixels]:
    """The same of frames of an object that has several, in the order in which they are stored.

    Args:
        wanted: which of them, counted from 0 and ascending.

    Raises:
        InvalidInput: as `real_pixels`, or fewer frames than announced.
    """
    _check_header(dataset)
    _check_codestreams(dataset, frames)
    chosen = None if len(wanted) == frames else set(wanted)
    count = 0
    for number, pixels in zip(wanted, _decompressed_frames(dataset, frames, chosen), strict=False):
        yield _real(pixels, dataset, number)
        count += 1
    if count != len(wanted):
        raise InvalidInput(f"Frames are missing; export the file again. Received: {count} of {len(wanted)} frames")


def _real(pixels: Pixels, dataset: Dataset, frame: int) -> Pixels:
    pixels = native(pixels)
    if pixels.shape[:2] != (dataset.Rows, dataset.Columns) or pixels.ndim > 3:
        said = " x ".join(str(size) for size in pixels.shape)
        raise InvalidInput(
            f"The pixels are not those that the header announces; export the file again. "
            f"Received: {dataset.Rows} x {dataset.Columns} in the header, {said} in the pixels"
        )
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
    elif pixels.ndim == 2:
        pixels = _through_modality_lut(_stored_bits(pixels, dataset), _transformation(dataset, frame))
    if pixels.ndim == 3 and pixels.dtype not in (np.uint8, np.uint16):
        raise InvalidInput(f"Colour must have 8 or 16 bits a channel; export it so. Received: {pixels.dtype}")
    return real_values(pixels)


def _transformation(dataset: Dataset, frame: int) -> Dataset:
    """Where slope and intercept of a frame stand: with its functional groups (C.7.6.16.2.9), or in the data set."""
    told = told_of_frame(dataset, frame, "PixelValueTransformationSequence")
    return dataset if told is None else told


def _through_modality_lut(pixels: Pixels, dataset: Dataset) -> Pixels:
    """PS3.3 C.11.1: the table or the rescale; whole numbers stay whole, and a rescale by 1 and 0 changes nothing."""
    if "ModalityLUTSequence" in dataset:
        real = apply_modality_lut(pixels, dataset)
        if real.dtype != np.float64:
            return real
    else:
        rescale = _rescale_of(dataset)
        if rescale is None:
            return pixels
        whole = _rescaled_as_whole(pixels, *rescale)
        if whole is not None:
            return whole
        slope, intercept = rescale
        real = pixels.astype(np.float64) * slope + intercept
    return pixels if np.array_equal(real, pixels) else whole_numbers(real)


def _rescale_of(dataset: Dataset) -> tuple[float, float] | None:
    """Slope and intercept (PS3.3 C.11.1.1.2); None where neither has a value.

    Raises:
        InvalidInput: only one of them has, one is no number, or by the slope all values would be one.
    """
    said = [dataset.get(word) for word in ("RescaleSlope", "RescaleIntercept")]
    if all(value in (None, "") for value in said):
        return None
    slope, intercept = (found[0] if (found := numbers(value, 1)) else None for value in said)
    if slope is None or intercept is None or slope == 0:
        told = [
            "nothing" if value in (None, "") else "no number" if number is None else f"{number:g}"
            for value, number in zip(said, (slope, intercept), strict=True)
        ]
        raise InvalidInput(
            f"The header does not say what the pixel values mean; export the file again. "
            f"Received: rescale slope {told[0]}, intercept {told[1]}"
        )
    return slope, intercept


def _rescaled_as_whole(pixels: Pixels, by: float, plus: float) -> Pixels | None:
    """The same in whole numbers, five times as quickly, where slope and intercept are whole; else None."""
    slope, inter = _whole_of(by), _whole_of(plus)
    if slope is None or inter is None or pixels.dtype.itemsize > 2:
        return None
    if not np.issubdtype(pixels.dtype, np.integer):
        return None
    if (slope, inter) == (1, 0):
        return pixels
    before = int(pixels.min()), int(pixels.max())
    low, high = sorted(end * slope + inter for end in before)
    if max(-low, high) >= MOST_WHOLE or (low, high) == before:
        return None
    kind = whole_type(low, high)
    if kind is np.float32:
        return None
    # Modulo 65,536, in which the stored types count: what leaves the range on the way comes back into it.
    real = pixels.astype(np.uint16, copy=False)
    real = real if slope == 1 else real * np.uint16(slope % MOST_WHOLE)
    whole: Pixels = (real + np.uint16(inter % MOST_WHOLE)).view(kind)
    return whole


def _whole_of(number: float) -> int | None:
    return int(number) if float(number).is_integer() and abs(number) < MOST_WHOLE else None


def codestream_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns that a compressed frame itself announces; None where it does not say."""
    start = frame.find(b"\xff\x4f\xff\x51", 0, 4096)  # JPEG 2000: SOC and SIZ, ISO 15444-1 A.5.1
    if start >= 0:
        right, bottom, left, top = (int.from_bytes(frame[start + at : start + at + 4], "big") for at in (8, 12, 16, 20))
        return bottom - top, right - left
    if not frame.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        if JPEG_FRAME.match(frame, at):
            rows, columns = (int.from_bytes(frame[at + skip : at + skip + 2], "big") for skip in (5, 7))
            return (rows, columns) if rows else None
        # A fill byte stands alone; every other marker here has a length.
        at += 1 if frame[at + 1] == 0xFF else 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None


def _check_codestreams(dataset: Dataset, frames: int) -> None:
    """The header was checked against the limit on pixels; a compressed frame must not be larger than it says."""
    if "PixelData" not in dataset or not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    said = (int(dataset.Rows), int(dataset.Columns))
    for frame in generate_frames(dataset.PixelData, number_of_frames=frames):
        found = codestream_size(frame)
        if found and found != said:
            raise InvalidInput(
                f"The header and the compressed image differ in size; export the file again. "
                f"Received: {said[1]} x {said[0]} and {found[1]} x {found[0]} pixels"
            )


def _decompressed(dataset: Dataset) -> Any:
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        plain = _plain_words(dataset)
        return dataset.pixel_array if plain is None else plain
    if _is_jpeg_of_12_bits(dataset):
        return imagecodecs.jpeg8_decode(get_frame(dataset.PixelData, 0, number_of_frames=1))
    return pixel_array(dataset, decoding_plugin=_plugin(dataset))


def _plain_words(dataset: Dataset) -> Pixels | None:
    """Grey of 16 bits as nearly every CT and MR has it, where it lies in the file; None of everything else."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax not in (ExplicitVRLittleEndian, ImplicitVRLittleEndian) or "PixelData" not in dataset:
        return None
    said = tuple(dataset.get(word) for word in ("SamplesPerPixel", "BitsAllocated", "PixelRepresentation"))
    if said not in ((1, 16, 0), (1, 16, 1)) or not str(dataset.PhotometricInterpretation).startswith("MONOCHROME"):
        return None
    words = dataset.PixelData
    if not isinstance(words, bytes) or len(words) != 2 * dataset.Rows * dataset.Columns:
        return None
    kind = "<i2" if said[2] else "<u2"
    return np.frombuffer(words, kind).reshape(dataset.Rows, dataset.Columns).copy()


def _decompressed_frames(dataset: Dataset, frames: int, chosen: AbstractSet[int] | None) -> Iterator[Any]:
    if _is_jpeg_of_12_bits(dataset):
        for number, frame in enumerate(generate_frames(dataset.PixelData, number_of_frames=frames)):
            if chosen is None or number in chosen:
                yield imagecodecs.jpeg8_decode(frame)
    else:
        yield from iter_pixels(
            dataset, decoding_plugin=_plugin(dataset), indices=sorted(chosen) if chosen is not None else None
        )


def _is_jpeg_of_12_bits(dataset: Dataset) -> bool:
    """None of pydicom's free decoders does 12 bits."""
    is_grey = int(dataset.SamplesPerPixel) == 1
    return dataset.file_meta.TransferSyntaxUID == JPEGExtended12Bit and int(dataset.BitsStored) > 8 and is_grey


def _plugin(dataset: Dataset) -> str:
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return ""
    there = get_decoder(syntax).available_plugins
    return next((name for name in DECODERS if name in there), "")


def _check_header(dataset: Dataset) -> None:
    """What is needed to read pixels at all (PS3.3 C.7.6.3.1), by its name.

    Raises:
        InvalidInput: something of it is missing, or more bits are stored than there are.
    """
    if "PixelData" not in dataset:  # of floating point, which needs none of this
        return
    lacking = [word for word in NEEDED if dataset.get(word) in (None, "")]
    if lacking:
        raise InvalidInput(
            f"The header lacks what is needed to read the pixels; export the file again. "
            f"Received: no {some_of(lacking, len(NEEDED))}"
        )
    stored, allocated = (int(dataset.get(word) or 0) for word in ("BitsStored", "BitsAllocated"))
    if not 1 <= stored <= allocated:
        raise InvalidInput(
            f"The header does not say which bits of a pixel count; export the file again. "
            f"Received: {stored} bits stored of {allocated}"
        )


def _stored_bits(pixels: Pixels, dataset: Dataset) -> Pixels:
    """Bits above the stored ones may hold an old overlay (PS3.5-2004 section 8.1.2), which is no part of a value.

    Values used to be allowed further up, too, as their High Bit says. Some headers say so of values that lie at the
    bottom, where they have to be nowadays: that is seen by the bits below the lowest, which are then not empty.

    Raises:
        InvalidInput: the pixels fit neither.
    """
    if not np.issubdtype(pixels.dtype, np.integer):
        return pixels
    bits, stored = pixels.dtype.itemsize * 8, int(dataset.BitsStored)
    spare, above = bits - stored, int(dataset.get("HighBit") or 0) + 1 - stored
    at_the_bottom: Pixels = (pixels << spare) >> spare if spare > 0 else pixels
    if not 0 < above <= spare or np.array_equal(at_the_bottom, pixels):
        return at_the_bottom
    if (pixels & ((1 << above) - 1)).any():
        raise InvalidInput(
            f"The header and the pixels differ in which bits count; export the file again. "
            f"Received: {stored} bits stored, the highest of them bit {int(dataset.HighBit)}"
        )
    return (pixels << (spare - above)) >> spare
