"""PNG, JPEG and TIFF: grey or colour, 8 or 16 bit, upright, without losing a grey level; pages of a TIFF are frames."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from core.errors import InvalidInput, some_of
from core.images.decoded import DecodedImage, Photometric, Pixels, check_size, content_of, reading, real_values
from core.images.tiff_lzw import refuse_broken_lzw
from core.images.volumes import check_volume_size, volume_window
from core.settings import Settings

# Our own limit comes from the settings and is checked before any pixel is decoded; Pillow's would only warn.
Image.MAX_IMAGE_PIXELS = None

Page = tuple[Pixels, Photometric, int]  # its pixels, what grey means, its EXIF orientation
NAMED_AT_MOST = 3
ORIENTATION_TAG = 274  # EXIF 2.3 section 4.6.4, the same number in TIFF 6.0


def read_raster(source: Path | bytes, settings: Settings) -> DecodedImage:
    """The image of a PNG, JPEG or TIFF file, by its content.

    Palettes become their colours, bilevel becomes 0 and 255, an opaque alpha channel is
    dropped, colour with three equal channels becomes grey, EXIF rotation is applied.

    Raises:
        InvalidInput: CMYK or another colour space, transparency, an animation, pages that differ in size or kind,
            too many pixels, values that are not numbers, damaged.
    """
    content = content_of(source)
    if content[:2] in (b"II", b"MM"):
        pages = _read_tiff(content, settings)
        return _stack(pages) if len(pages) > 1 else _image(*pages[0])
    return _image(*_read_png_or_jpeg(content, settings))


def _stack(pages: Sequence[Page]) -> DecodedImage:
    """Pages of one size and kind as the frames of one case. Where they lie in the patient nobody tells."""
    frames = [_image(*page, may_turn_grey=False) for page in pages]
    kinds = {(frame.pixels.shape, frame.photometric) for frame in frames}
    if len(kinds) > 1:
        told = [" x ".join(str(size) for size in reversed(frame.pixels.shape[:2])) for frame in frames]
        raise InvalidInput(
            f"The pages of the TIFF differ in size or colour; save each as a file of its own. "
            f"Received: {some_of(list(dict.fromkeys(told)), NAMED_AT_MOST)} pixels in {len(frames)} pages"
        )
    pixels = real_values(np.stack([frame.pixels for frame in frames]))
    windows = (volume_window(pixels),) if pixels.ndim == 3 else ()
    return DecodedImage(pixels, frames[0].photometric, frames=len(frames), windows=windows)


def _image(pixels: Pixels, photometric: Photometric, orientation: int, *, may_turn_grey: bool = True) -> DecodedImage:
    pixels = _without_alpha(pixels)
    if (
        may_turn_grey
        and pixels.ndim == 3
        and np.array_equal(pixels[..., 0], pixels[..., 1])
        and _last_two_equal(pixels)
    ):
        pixels = pixels[..., 0]
    pixels = real_values(upright(pixels, orientation))
    return DecodedImage(pixels, photometric if pixels.ndim == 2 else "RGB")


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """The image as its EXIF orientation (1 to 8) means it to be seen; unknown numbers change nothing."""
    turns = {
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
        8: lambda p: np.rot90(p),
    }
    turned: Pixels = turns.get(orientation, lambda p: p)(pixels)
    return turned


# ---- PNG and JPEG


def _read_png_or_jpeg(content: bytes, settings: Settings) -> tuple[Pixels, Photometric, int]:
    kind = "PNG" if content.startswith(b"\x89PNG") else "JPEG"
    with reading(kind):
        if kind == "PNG":
            columns, rows = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
            check_size(rows, columns, settings)
        with Image.open(io.BytesIO(content), formats=[kind]) as image:
            check_size(image.height, image.width, settings)
            _refuse_several(image)
            pixels = deep_png(content) if kind == "PNG" and is_deep_png(content) else _pillow_pixels(image)
            return pixels, "MONOCHROME2", int(image.getexif().get(ORIENTATION_TAG, 1))


def _refuse_several(image: Image.Image) -> None:
    frames = int(getattr(image, "n_frames", 1))
    # An MPO is a JPEG photograph with further views (a preview, the other eye); the first is the photograph.
    if frames > 1 and image.format != "MPO":
        raise InvalidInput(
            f"The file is an animation; save the picture that is meant as a file of its own. "
            f"Received: {frames} pictures"
        )


def is_deep_png(content: bytes) -> bool:
    """Whether a PNG has 16 bit a channel (its IHDR chunk: PNG specification, section 11.2.2)."""
    return content[24] == 16


def deep_png(content: bytes) -> Pixels:
    """The pixels of such a PNG, of which Pillow would cut all but plain grey to 8 bit."""
    pixels: Pixels = imagecodecs.png_decode(content)
    return pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels


def _pillow_pixels(image: Image.Image) -> Pixels:
    if image.mode in ("P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in ("1", "L", "I;16", "I;16B", "I", "F", "LA", "RGB", "RGBA"):
        return np.asarray(image)
    raise _colour_space(image.mode)


def _colour_space(name: str) -> InvalidInput:
    return InvalidInput(f"The colours are not grey or RGB; convert the image to RGB first. Received: {name}")


def _without_alpha(pixels: Pixels) -> Pixels:
    """Grey or RGB of an opaque image.

    Raises:
        InvalidInput: parts are transparent, so that what is seen depends on the viewer's background.
    """
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return pixels
    alpha = pixels[..., -1]
    most = np.iinfo(alpha.dtype).max if np.issubdtype(alpha.dtype, np.integer) else alpha.dtype.type(1)
    seen_through = int(np.count_nonzero(alpha != most))
    if seen_through:
        raise InvalidInput(
            f"The image has transparent parts; flatten it onto a background first. Received: {seen_through} such pixels"
        )
    return pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]


def _last_two_equal(pixels: Pixels) -> bool:
    return bool(np.array_equal(pixels[..., 1], pixels[..., 2]))


# ---- TIFF


def _read_tiff(content: bytes, settings: Settings) -> list[Page]:
    """The pictures of a TIFF; reduced copies of them (previews) do not count."""
    with reading("TIFF"), tifffile.TiffFile(io.BytesIO(content)) as tiff:
        pages = [page for page in pages_of(tiff) if not page.is_reduced]
        for page in pages:
            check_size(page.imagelength, page.imagewidth, settings)  # first, as tifffile divides by it
        if not pages or any(page.imagedepth != 1 for page in pages):
            raise InvalidInput(f"The TIFF holds no flat picture; export it again. Received: {len(pages)} pages")
        first = pages[0]
        stack = tiff.series[0] if len(pages) == 1 and (tiff.is_imagej or tiff.is_shaped) else None
        count = max(len(pages), stack.size // max(1, first.size) if stack else 1)
        check_volume_size((count, first.imagelength, first.imagewidth), settings)
        if stack is not None and count > 1:  # ImageJ keeps a stack behind one directory
            return _hidden_pages(stack, first, count)
        if len(pages) > 1 and (tiff.is_imagej or tiff.is_shaped or tiff.is_ome):
            _refuse_two_axes(tiff.series[0])
        for page in pages:
            _refuse_cut_off(page, len(content))
            refuse_broken_lzw(page, content)
        check_volume_size((1, 1, sum(page.imagelength * page.imagewidth for page in pages)), settings)
        return [_page(page) for page in pages]


def pages_of(tiff: tifffile.TiffFile) -> Iterator[tifffile.TiffPage]:
    """The pages of a TIFF, each once.

    Raises:
        InvalidInput: its list of pages leads back into itself, and would be followed for ever.
    """
    seen = set[int]()
    for page in tiff.pages:
        if page.offset in seen:
            raise InvalidInput(
                f"The TIFF is damaged: its list of pages leads back into itself; export it again. "
                f"Received: {len(seen)} pages, then one of them again"
            )
        seen.add(page.offset)
        if isinstance(page, tifffile.TiffPage):
            yield page


def _page(page: tifffile.TiffPage) -> Page:
    colours = _colours(page)
    pixels = _channels_last(page.asarray(), page)
    if colours == "PALETTE":
        # The map has 16 bits an entry, of which 8-bit pictures use the upper 8 (TIFF 6.0 section 5).
        pixels = (np.moveaxis(np.asarray(page.colormap), 0, -1)[pixels] >> 8).astype(np.uint8)
    elif page.bitspersample == 1:
        pixels = pixels.astype(bool)
    tag = page.tags.get(ORIENTATION_TAG)
    photometric: Photometric = "MONOCHROME1" if colours == "MINISWHITE" else "MONOCHROME2"
    return pixels, photometric, int(tag.value) if tag else 1


def _refuse_two_axes(stack: tifffile.TiffPageSeries) -> None:
    """Channels and slices, or slices and times, in one row of pages would be read as one stack."""
    along = [axis for axis, size in zip(stack.axes, stack.shape, strict=True) if axis not in "YXS" and size > 1]
    if len(along) > 1:
        raise _no_stack(stack)


def _no_stack(stack: tifffile.TiffPageSeries) -> InvalidInput:
    return InvalidInput(
        f"The TIFF must be a stack of grey pictures along one axis; save the part that is meant as a file of its own. "
        f"Received: axes {stack.axes} of {' x '.join(map(str, stack.shape))}"
    )


def _hidden_pages(stack: tifffile.TiffPageSeries, first: tifffile.TiffPage, count: int) -> list[Page]:
    """The frames of a stack of one axis beside rows and columns, in grey."""
    colours = _colours(first)
    pixels: Pixels = np.squeeze(stack.asarray())
    if pixels.shape != (count, first.imagelength, first.imagewidth) or colours not in ("MINISBLACK", "MINISWHITE"):
        raise _no_stack(stack)
    photometric: Photometric = "MONOCHROME1" if colours == "MINISWHITE" else "MONOCHROME2"
    return [(frame, photometric, 1) for frame in pixels]


def _colours(page: tifffile.TiffPage) -> str:
    colours = str(tifffile.PHOTOMETRIC(page.photometric).name)
    if colours not in ("MINISBLACK", "MINISWHITE", "RGB", "PALETTE") and not (
        colours == "YCBCR" and page.compression == tifffile.COMPRESSION.JPEG  # its decoder gives RGB
    ):
        raise _colour_space("CMYK" if colours == "SEPARATED" else colours)
    return colours


def _refuse_cut_off(page: tifffile.TiffPage, length: int) -> None:
    """A missing strip would otherwise come back as zeros."""
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if offset == 0 or count == 0 or offset + count > length:
            raise InvalidInput(
                f"The TIFF is cut off; copy or export it again. Received: {length:,} bytes, image data up to "
                f"{offset + count:,}"
            )


def _channels_last(pixels: Pixels, page: tifffile.TiffPage) -> Pixels:
    if page.axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim != 2 and not (pixels.ndim == 3 and pixels.shape[2] in (2, 3, 4)):
        raise InvalidInput(f"The TIFF must be grey or RGB. Received: {page.samplesperpixel} channels")
    return pixels
