"""Frames in transfer syntaxes for which pydicom has no word, taken out as plain pixels before it looks at them."""

import zlib
from collections.abc import Callable

import imagecodecs
import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import ExplicitVRLittleEndian

from core.errors import InvalidInput
from core.images.dicom_decoders import DEFLATED_FRAMES, ENCAPSULATED_UNCOMPRESSED, JPEG_XL

Unpack = Callable[[bytes, Dataset, int], bytes]  # a frame, its data set, and how many bytes it has to become


def unwrap(dataset: Dataset) -> None:
    """In place: frames that are encapsulated as they are (PS3.5 section A.4.11), deflated, or in JPEG XL, as plain
    pixels in Explicit VR Little Endian. Other data sets stay as they are.

    Raises:
        InvalidInput: a frame unpacks to another size than the header announces.
    """
    unpack = _UNPACK.get(dataset.file_meta.get("TransferSyntaxUID", ""))
    if unpack is None:
        return
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if "PixelData" not in dataset:
        return
    count = max(1, int(dataset.get("NumberOfFrames") or 1))
    bits = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("SamplesPerPixel") or 1)
    bits *= int(dataset.BitsAllocated)
    size = -(-bits // 8)
    # Each frame was filled up to whole and even bytes, which is not so once they follow on each other.
    frames = [
        unpack(frame, dataset, size)[:size] for frame in generate_frames(dataset.PixelData, number_of_frames=count)
    ]
    together = b"".join(frames)
    if bits % 8:
        each = [np.unpackbits(np.frombuffer(frame, np.uint8), bitorder="little")[:bits] for frame in frames]
        together = np.packbits(np.concatenate(each), bitorder="little").tobytes()
    dataset.PixelData = together + bytes(len(together) % 2)
    dataset["PixelData"].is_undefined_length = False


def _as_it_is(frame: bytes, dataset: Dataset, size: int) -> bytes:
    return frame


def _inflated(frame: bytes, dataset: Dataset, size: int) -> bytes:
    """RFC 1951; a byte more than the frame needs may have made it even."""
    content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(frame, size + 2)
    if not size <= len(content) <= size + 1:
        raise _other_size(dataset)
    return content


def _of_jpeg_xl(frame: bytes, dataset: Dataset, size: int) -> bytes:
    """ISO 18181-1. Colour comes out as RGB, whatever it was made of."""
    samples = int(dataset.get("SamplesPerPixel") or 1)
    shape = (int(dataset.Rows), int(dataset.Columns), *([samples] if samples > 1 else []))
    pixels = np.empty(shape, f"<u{int(dataset.BitsAllocated) // 8}")
    try:
        imagecodecs.jpegxl_decode(frame, out=pixels)  # which refuses another size before it decodes
    except ValueError as error:
        raise _other_size(dataset) from error
    if samples == 3:
        dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0
    return pixels.tobytes()


def _other_size(dataset: Dataset) -> InvalidInput:
    return InvalidInput(
        f"The header and the compressed image differ in size; export the file again. "
        f"Received: {dataset.Columns} x {dataset.Rows} pixels in the header"
    )


_UNPACK: dict[str, Unpack] = {
    ENCAPSULATED_UNCOMPRESSED: _as_it_is,
    DEFLATED_FRAMES: _inflated,
    **dict.fromkeys(JPEG_XL, _of_jpeg_xl),
}
