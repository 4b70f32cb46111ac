"""Label maps of every kind of file: the numbers that come out are those that went in."""

import io
import struct
import zlib
from typing import Any

import imagecodecs
import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from core.errors import InvalidInput
from core.images.grids import grid_of
from core.images.mask_reading import read_label_map
from core.settings import Settings

NUMBERS = np.array([[0, 1, 2], [3, 0, 250]], np.uint8)


def png(array: np.ndarray, mode: str | None = None, palette: list[int] | None = None) -> bytes:
    image = Image.fromarray(array, mode) if mode == "P" else Image.fromarray(array)
    if palette:
        image.putpalette(palette)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def saved(write: Any, *given: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    write(stream, *given, **options)
    return stream.getvalue()


def refusal(content: bytes, settings: Settings, name: str = "x.png") -> str:
    with pytest.raises(InvalidInput) as caught:
        read_label_map(content, settings, name=name)
    assert "Received: " in str(caught.value)
    return str(caught.value)


DEEP = NUMBERS.astype(np.uint16)  # small numbers, of which the upper 8 of 16 bits say nothing
OPAQUE = np.full_like(DEEP, 65535)
PICTURES = {
    "grey": png(NUMBERS),
    "16 bit": png(NUMBERS.astype(np.uint16)),
    "palette": png(NUMBERS, "P", [7] * 768),
    "three equal channels": png(np.stack([NUMBERS] * 3, axis=-1)),
    "grey and alpha": png(np.stack([NUMBERS, np.full_like(NUMBERS, 255)], axis=-1)),
    "16 bit and alpha": imagecodecs.png_encode(np.stack([DEEP, OPAQUE], axis=-1)),
    "three equal channels of 16 bit": imagecodecs.png_encode(np.stack([DEEP] * 3, axis=-1)),
    "three equal channels of 16 bit and alpha": imagecodecs.png_encode(np.stack([DEEP] * 3 + [OPAQUE], axis=-1)),
    "tiff": saved(tifffile.imwrite, NUMBERS),
    "array": saved(np.save, NUMBERS),
}


@pytest.mark.parametrize("content", PICTURES.values(), ids=PICTURES)
def test_a_picture_gives_its_numbers_and_no_colours(content: bytes, settings: Settings) -> None:
    on_image = read_label_map(content, settings).on(grid_of(1, 2, 3, None))
    np.testing.assert_array_equal(on_image, NUMBERS[np.newaxis])


@pytest.mark.parametrize("bits", [2, 4])
def test_a_png_of_a_few_bits_a_pixel_gives_its_numbers_and_no_brightness(bits: int, settings: Settings) -> None:
    content = shallow_png([[0, 1, 2, 3], [3, 0, 2**bits - 1, 1]], bits)
    assert np.asarray(Image.open(io.BytesIO(content))).max() == 255
    on_image = read_label_map(content, settings).on(grid_of(1, 2, 4, None))
    assert on_image.tolist() == [[[0, 1, 2, 3], [3, 0, 2**bits - 1, 1]]]


def shallow_png(rows: list[list[int]], bits: int) -> bytes:
    """Grey of a few bits a pixel, which Pillow reads but does not write (PNG specification, section 11.2.2)."""
    lines = [b"\0" + int("".join(f"{one:0{bits}b}" for one in row), 2).to_bytes(len(row) * bits // 8) for row in rows]
    head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), bits, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(b"".join(lines))), (b"IEND", b""))
    chunks = [len(of).to_bytes(4) + kind + of + zlib.crc32(kind + of).to_bytes(4) for kind, of in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_a_picture_fits_an_image_that_lies_somewhere(settings: Settings) -> None:
    somewhere = tuple(tuple(float(number) for number in line) for line in np.eye(4))
    assert read_label_map(PICTURES["grey"], settings).on(grid_of(1, 2, 3, somewhere)).shape == (1, 2, 3)


def test_a_picture_of_another_size_is_told(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="a mask of 3 x 2 pixels and an image of 3 x 4 pixels"):
        read_label_map(PICTURES["grey"], settings).on(grid_of(1, 4, 3, None))


def test_a_stack_is_no_map_of_a_volume_that_lies_somewhere(settings: Settings) -> None:
    stack = saved(tifffile.imwrite, np.zeros((4, 2, 3), np.uint8), photometric="minisblack")
    label_map = read_label_map(stack, settings)
    assert label_map.on(grid_of(4, 2, 3, None)).shape == (4, 2, 3)
    somewhere = tuple(tuple(float(number) for number in line) for line in np.eye(4))
    with pytest.raises(InvalidInput, match="The mask does not say how it lies"):
        label_map.on(grid_of(4, 2, 3, somewhere))


def test_a_volume_said_to_be_a_label_map_is_read(settings: Settings) -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    image = nibabel.Nifti1Image(values, np.diag([-1.0, -1.0, 2.0, 1.0]))
    image.header.set_intent("label")
    label_map = read_label_map(image.to_bytes(), settings, name="x.nii")
    np.testing.assert_array_equal(label_map.values, values)
    assert label_map.values.dtype == np.uint8
    np.testing.assert_array_equal(label_map.grid.affine, np.diag([1.0, 1.0, 2.0, 1.0]))


def test_what_is_no_label_map_is_refused(settings: Settings) -> None:
    colours = np.stack([NUMBERS, NUMBERS[::-1], NUMBERS], axis=-1)
    assert "colour picture" in refusal(png(colours), settings)
    assert "JPEG blurs" in refusal(saved(Image.fromarray(NUMBERS).save, format="JPEG"), settings)
    half = nibabel.Nifti1Image(np.full((2, 2, 2), 0.5, np.float32), np.eye(4)).to_bytes()
    assert "8 voxels that are not whole numbers" in refusal(half, settings)
    below = nibabel.Nifti1Image(np.full((2, 2, 2), -1, np.int16), np.eye(4)).to_bytes()
    assert "Received: -1 to -1" in refusal(below, settings)
    assert "ends in .txt" in refusal(b"no mask", settings, "x.txt")
    assert "damaged" in refusal(PICTURES["grey"][:40], settings)
