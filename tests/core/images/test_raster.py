"""PNG, JPEG and TIFF as they come, good and bad."""

import io
import struct
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from core.errors import InvalidInput
from core.images.decoding import decode, kind_of
from core.images.raster import read_raster, upright
from core.settings import Settings

GREY = np.arange(30 * 40, dtype=np.uint8).reshape(30, 40)
COLOUR = np.random.default_rng(1).integers(0, 255, (30, 40, 3), np.uint8)
DEEP = (np.arange(30 * 40, dtype=np.uint16) * 50).reshape(30, 40)
DEEP_COLOUR = np.random.default_rng(2).integers(0, 65535, (30, 40, 3), np.uint16)


def saved(array: np.ndarray | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(array: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def refusal(content: bytes, settings: Settings, name: str = "") -> str:
    with pytest.raises(InvalidInput) as caught:
        decode(content, settings, b"", name=name)
    assert "Received: " in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("array", [GREY, DEEP, COLOUR], ids=["grey", "16 bit", "colour"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_lossless_files_give_back_every_value(array: np.ndarray, kind: str, settings: Settings) -> None:
    image = read_raster(saved(array, kind), settings)
    assert image.pixels.dtype == array.dtype
    np.testing.assert_array_equal(image.pixels, array)
    assert image.photometric == ("RGB" if array.ndim == 3 else "MONOCHROME2")


@pytest.mark.parametrize("array", [DEEP_COLOUR, np.dstack([DEEP_COLOUR, np.full((30, 40), 65535, np.uint16)])])
def test_16_bit_colour_png_keeps_16_bits_and_drops_an_opaque_alpha(array: np.ndarray, settings: Settings) -> None:
    np.testing.assert_array_equal(read_raster(imagecodecs.png_encode(array), settings).pixels, DEEP_COLOUR)


@pytest.mark.parametrize("compression", ["lzw", "deflate", "packbits", "zstd", None])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_tiff_of_any_usual_compression(compression: str | None, byteorder: Any, settings: Settings) -> None:
    content = tiff(DEEP.astype(byteorder + "u2"), compression=compression, byteorder=byteorder)
    image = read_raster(content, settings)
    assert image.pixels.dtype == np.uint16
    np.testing.assert_array_equal(image.pixels, DEEP)


def test_planar_tiff_comes_channels_last(settings: Settings) -> None:
    content = tiff(np.moveaxis(DEEP_COLOUR, -1, 0), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_raster(content, settings).pixels, DEEP_COLOUR)


def test_signed_and_floating_tiff_keep_their_values(settings: Settings) -> None:
    for array in (DEEP.astype(np.int16) - 1000, (DEEP / 7).astype(np.float32)):
        image = read_raster(tiff(array), settings)
        assert image.pixels.dtype == array.dtype
        np.testing.assert_array_equal(image.pixels, array)


def test_a_tiff_where_white_is_zero_says_so(settings: Settings) -> None:
    image = read_raster(tiff(GREY, photometric="miniswhite"), settings)
    assert image.photometric == "MONOCHROME1"
    np.testing.assert_array_equal(image.pixels, GREY)


def test_jpeg_is_close_to_what_was_saved(settings: Settings) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    image = read_raster(saved(smooth, "JPEG", quality=95), settings)
    assert np.abs(image.pixels.astype(int) - smooth).max() < 6


def test_colour_of_three_equal_channels_is_grey(settings: Settings) -> None:
    image = read_raster(saved(np.repeat(GREY[..., None], 3, 2)), settings)
    assert image.photometric == "MONOCHROME2"
    np.testing.assert_array_equal(image.pixels, GREY)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_exif_rotation_is_applied_as_pillow_does(orientation: int, kind: str, settings: Settings) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    content = saved(GREY, kind, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    np.testing.assert_array_equal(read_raster(content, settings).pixels, np.asarray(expected))


@given(orientation=st.integers(1, 8))
def test_turning_upright_loses_no_pixel(orientation: int) -> None:
    assert sorted(upright(DEEP, orientation).ravel()) == sorted(DEEP.ravel())


def test_a_palette_becomes_its_colours(settings: Settings) -> None:
    paletted = Image.fromarray(COLOUR).quantize(16)
    image = read_raster(saved(paletted), settings)
    np.testing.assert_array_equal(image.pixels, np.asarray(paletted.convert("RGB")))
    tiffed = read_raster(saved(paletted, "TIFF"), settings)
    np.testing.assert_array_equal(tiffed.pixels, np.asarray(paletted.convert("RGB")))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_bilevel_becomes_black_and_white(kind: str, settings: Settings) -> None:
    image = read_raster(saved(Image.fromarray(GREY > 100), kind), settings)
    np.testing.assert_array_equal(image.pixels, np.where(GREY > 100, 255, 0))
    assert image.pixels.dtype == np.uint8


def test_an_opaque_alpha_channel_is_dropped(settings: Settings) -> None:
    opaque = np.dstack([COLOUR, np.full((30, 40), 255, np.uint8)])
    np.testing.assert_array_equal(read_raster(saved(opaque), settings).pixels, COLOUR)
    np.testing.assert_array_equal(read_raster(tiff(opaque, photometric="rgb"), settings).pixels, COLOUR)
    with_grey = np.dstack([GREY, np.full((30, 40), 255, np.uint8)])
    np.testing.assert_array_equal(read_raster(saved(Image.fromarray(with_grey, "LA")), settings).pixels, GREY)


def test_transparent_parts_are_refused(settings: Settings) -> None:
    half = np.dstack([COLOUR, np.full((30, 40), 128, np.uint8)])
    assert "transparent" in refusal(saved(half), settings)
    keyed = saved(Image.fromarray(GREY), transparency=7)
    assert "transparent" in refusal(keyed, settings)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_refused(kind: str, settings: Settings) -> None:
    assert "convert the image to RGB" in refusal(saved(Image.new("CMYK", (20, 20)), kind), settings)


def test_an_animation_is_refused(settings: Settings) -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(GREY[::-1].copy())]
    assert "2 pictures" in refusal(saved(frames[0], save_all=True, append_images=frames[1:]), settings)


def test_the_pages_of_a_tiff_are_frames(settings: Settings) -> None:
    stack = np.stack([DEEP, DEEP[::-1], DEEP // 2])
    for content in (
        tiff(stack, imagej=True),
        tiff(stack, photometric="minisblack"),
        tiff(stack, photometric="minisblack", metadata=None),
        tiff(stack, photometric="minisblack", bigtiff=True),
    ):
        image = read_raster(content, settings)
        np.testing.assert_array_equal(image.pixels, stack)
        assert (image.frames, image.affine, image.spacing_mm, len(image.windows)) == (3, None, None, 1)
    pages = [Image.fromarray(GREY), Image.fromarray(GREY[::-1].copy())]
    pillows = read_raster(saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]), settings)
    np.testing.assert_array_equal(pillows.pixels, np.stack([GREY, GREY[::-1]]))


def test_a_list_of_pages_that_leads_back_into_itself_is_refused(settings: Settings) -> None:
    """Followed for ever it would hang its reader."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((4, 4), np.uint8), byteorder="<", metadata=None)
    content = bytearray(buffer.getvalue())
    (first,) = struct.unpack_from("<I", content, 4)
    (tags,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * tags, first)
    with pytest.raises(InvalidInput, match=r"leads back into itself|damaged"):
        decode(bytes(content), settings, bytes(32))


def test_pages_in_colour_stay_in_colour(settings: Settings) -> None:
    stack = np.stack([COLOUR, np.stack([COLOUR[..., 0]] * 3, axis=-1)])
    image = read_raster(tiff(stack, photometric="rgb", metadata=None), settings)
    assert (image.frames, image.photometric) == (2, "RGB")
    np.testing.assert_array_equal(image.pixels, stack)


def test_pages_of_two_sizes_are_no_stack(settings: Settings, tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "x.tif") as writer:
        writer.write(DEEP, photometric="minisblack", metadata=None)
        writer.write(DEEP[:10], photometric="minisblack", metadata=None)
    assert "differ in size or colour" in refusal((tmp_path / "x.tif").read_bytes(), settings)


def test_a_stack_of_two_axes_is_refused(settings: Settings) -> None:
    assert "along one axis" in refusal(tiff(np.stack([[DEEP, DEEP]] * 3), imagej=True), settings)


def test_a_preview_beside_the_picture_is_no_second_picture(settings: Settings) -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(DEEP)
        writer.write(DEEP[::2, ::2], subfiletype=1)
    np.testing.assert_array_equal(read_raster(buffer.getvalue(), settings).pixels, DEEP)


def test_nan_and_infinity_are_refused_and_counted(settings: Settings) -> None:
    bad = DEEP.astype(np.float32)
    bad[0, :3] = np.nan, np.inf, -np.inf
    assert "3 pixels of NaN" in refusal(tiff(bad), settings)


def test_an_image_without_pixels_is_refused(settings: Settings) -> None:
    content = bytearray(saved(GREY))
    content[16:20] = bytes(4)
    assert "no pixels" in refusal(bytes(content), settings)


@pytest.mark.parametrize("side", ["rows", "columns", "both"])
def test_a_tiff_or_a_jpeg_without_pixels_is_refused(side: str, settings: Settings) -> None:
    sides = {"rows": (257,), "columns": (256,), "both": (256, 257)}[side]  # ImageWidth and ImageLength, TIFF 6.0
    content = bytearray(tiff(GREY))
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        for tag in sides:
            at = file.pages[0].tags[tag].valueoffset
            content[at : at + 4] = bytes(4)
    assert "no pixels" in refusal(bytes(content), settings)
    content = bytearray(saved(GREY, "JPEG"))
    frame = content.index(b"\xff\xc0")  # rows and columns stand 5 and 7 bytes behind, ISO 10918-1 B.2.2
    for tag in sides:
        at = frame + (5 if tag == 257 else 7)
        content[at : at + 2] = bytes(2)
    assert "This JPEG is damaged" in refusal(bytes(content), settings)


def test_too_many_pixels_are_refused_before_they_are_decoded(settings: Settings) -> None:
    small = Settings(home=settings.home, max_image_pixels=1000)
    for content in (saved(GREY), saved(GREY, "JPEG"), tiff(GREY)):
        assert "1,000 pixels" in refusal(content, small)
    # a bomb: 40,000 x 40,000 announced in 33 bytes of header, nothing behind it
    bomb = bytearray(saved(GREY))
    bomb[16:24] = (40000).to_bytes(4, "big") * 2
    assert "decompression bombs" in refusal(bytes(bomb), settings)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("left", [0.3, 0.6, 0.9])
def test_a_cut_off_file_is_refused(kind: str, left: float, settings: Settings) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (100, 100), np.uint8)
    content = saved(noise, kind)
    refusal(content[: int(len(content) * left)], settings)


def test_a_cut_off_16_bit_png_is_refused(settings: Settings) -> None:
    content = imagecodecs.png_encode(DEEP_COLOUR)
    refusal(content[: len(content) // 2], settings)


def test_a_tiff_cut_off_in_its_last_strip_is_refused(settings: Settings) -> None:
    assert "cut off" in refusal(tiff(DEEP)[:-20], settings)


def test_an_empty_file_is_refused(settings: Settings) -> None:
    assert refusal(b"", settings) == "The file is empty; copy or export it again. Received: 0 bytes"


def test_a_wrong_extension_does_not_matter_where_the_content_is_an_image(settings: Settings) -> None:
    image = decode(saved(GREY, "JPEG"), settings, b"", name="scan.png")
    assert image.pixels.shape == GREY.shape


def test_a_wrong_extension_is_named_where_the_content_is_none(settings: Settings) -> None:
    assert "ends in .png" in refusal(b"hello, I am a text", settings, "scan.png")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (saved(GREY, "GIF"), "a GIF image"),
        (saved(GREY, "BMP"), "a BMP image"),
        (saved(GREY, "WEBP"), "a WebP image"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"name,label\n", "a text file"),
        (b"\x00\x01\x02\x03", "a file of an unknown kind"),
    ],
)
def test_other_kinds_are_named(content: bytes, named: str, settings: Settings) -> None:
    assert kind_of(content) == named
    assert named in refusal(content, settings)


@given(
    st.binary(max_size=300), st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\x00", b"MM\x00*", b""])
)
def test_no_bytes_bring_more_than_a_refusal(tail: bytes, start: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode(start + tail, Settings(home=None), b"")  # type: ignore[arg-type]
