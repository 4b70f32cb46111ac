"""What all methods do to maps and images, in NumPy alone."""

import numpy as np
from PIL import Image, ImageFilter

BLUR_SHARE = 0.1  # of the side: what is hidden turns into its surroundings, not into a black hole unlike any image
SUREST = 1e-6  # a probability is never nearer to 0 or 1 when its odds are taken
COARSE = 16  # cells a side on which maps of any grain are compared


def resize_map(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """A map `(r, c)` at another resolution, bilinear, float32."""
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(picture.resize((columns, rows), Image.Resampling.BILINEAR))


def coarsen(values: np.ndarray, side: int = COARSE) -> np.ndarray:
    """A map `(r, c)` as means over `side` by `side` cells: where it lies, whatever its grain."""
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX))


def peak_of(values: np.ndarray) -> tuple[int, int]:
    """Row and column of a map's highest place; of a plateau, as superpixels make it, the middle."""
    highest = np.argwhere(values >= values.max() - 1e-6 * max(float(np.ptp(values)), 1e-12))
    row, column = highest[((highest - highest.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    return int(row), int(column)


def spoken_for(values: np.ndarray) -> np.ndarray:
    """What spoke for the answer, of signed maps `(n, r, c)`: 0 to 1 within each; all 0 where nothing did."""
    positive = np.maximum(values, 0).astype(np.float32)
    highest = positive.max(axis=(1, 2), keepdims=True)
    return np.asarray(positive / np.maximum(highest, 1e-12), np.float32)


def blurred(image: np.ndarray) -> np.ndarray:
    """An image `(rows, columns, channels)` of uint8 without its structures: what stands where a part is hidden."""
    radius = max(1.0, BLUR_SHARE * image.shape[0])
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(radius))).reshape(image.shape)


def strength_of(scores: np.ndarray, classes: np.ndarray, *, is_number: bool) -> np.ndarray:
    """How strongly `(n, k)` scores speak for what is explained: log-odds of a class, or the number itself.

    A sure answer barely moves as a probability; its odds do.
    """
    chosen: np.ndarray = np.asarray(scores, float)[np.arange(len(classes)), classes]
    if is_number:
        return chosen
    chosen = np.clip(chosen, SUREST, 1 - SUREST)
    odds: np.ndarray = np.log(chosen) - np.log1p(-chosen)
    return odds
