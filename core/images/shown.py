"""How an image is seen in lists, and by what its like is found: made where the image is read."""

from dataclasses import dataclass

from core.images.decoded import DecodedImage
from core.images.perceptual import perceptual_hash
from core.images.render import to_uint8
from core.images.thumbnails import thumbnail_of


@dataclass(frozen=True)
class Shown:
    """A thumbnail (WebP) and the perceptual hash of one image's pixels."""

    thumbnail: bytes
    perceptual_hash: str


def shown_of(image: DecodedImage) -> Shown:
    """What an image, or the middle frame of several, looks like."""
    seen = to_uint8(image.picture, image.photometric, image.windows)
    return Shown(thumbnail_of(seen), perceptual_hash(seen))
