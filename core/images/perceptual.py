"""By what the like of a picture is found: 64 bits that scaling, brightness and compression leave as they are."""

import numpy as np
from PIL import Image

from core.images.decoded import Pixels

HASH_SIDE, SEEN_SIDE = 8, 32
# The first 8 rows of the orthonormal cosine transform (DCT-II) of 32 values.
LOW_COSINES = np.sqrt(2 / SEEN_SIDE) * np.cos(
    np.pi / SEEN_SIDE * np.outer(np.arange(HASH_SIDE), np.arange(SEEN_SIDE) + 0.5)
)
LOW_COSINES[0] /= np.sqrt(2)


def perceptual_hash(seen: Pixels) -> str:
    """64 bits as 16 hex digits: which of the 8 x 8 lowest cosine terms of a picture lie above their median.

    Args:
        seen: uint8 of (rows, columns) or (rows, columns, 3).
    """
    small = seen_small(seen)
    low = (LOW_COSINES @ small.astype(np.float64) @ LOW_COSINES.T).ravel()
    low = np.where(np.abs(low) < 1e-6, 0.0, low)  # a flat picture has no terms, only rounding
    middle = np.median(low[1:])
    low[0] = middle  # the first term is only the brightness
    bits = low > middle
    return f"{int.from_bytes(np.packbits(bits).tobytes(), 'big'):016x}"


def seen_small(seen: Pixels) -> Pixels:
    """A picture at 32 x 32 px, in grey."""
    picture = Image.fromarray(seen).convert("L")
    return np.asarray(picture.resize((SEEN_SIDE, SEEN_SIDE), Image.Resampling.BOX))
