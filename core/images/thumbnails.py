"""Small pictures for grids and lists, kept under the hash of the pixels they show."""

import io
from collections.abc import Sequence

from PIL import ExifTags, Image

from core.images.decoded import Pixels, Window
from core.images.render import to_uint8

LONGEST_SIDE_PX = 256
QUALITY = 80


def make_thumbnail(pixels: Pixels, photometric: str, windows: Sequence[Window] = (), *, said: str = "") -> bytes:
    """A WebP of at most 256 px a side, seen through the file's window, which keeps what is `said` of it."""
    return thumbnail_of(to_uint8(pixels, photometric, windows), said=said)


def thumbnail_of(seen: Pixels, *, said: str = "") -> bytes:
    """A WebP of at most 256 px a side, from uint8 of (rows, columns) or (rows, columns, 3), which keeps what is `said`
    of it as its description."""
    picture = Image.fromarray(seen)
    times = max(picture.size) // LONGEST_SIDE_PX
    if times > 1:  # whole pixels are taken together first, which is six times as quick as a filter over all of them
        picture = picture.reduce(times)
    scale = min(1.0, LONGEST_SIDE_PX / max(picture.size))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    buffer = io.BytesIO()
    told = Image.Exif()
    if said:
        told[ExifTags.Base.ImageDescription] = said
    # of the encoder's efforts 2 takes half as long again and saves a fifth of 6 kB; 4, the usual one, thrice as long
    picture.save(buffer, "WEBP", quality=QUALITY, method=1, **({"exif": told} if said else {}))
    return buffer.getvalue()
