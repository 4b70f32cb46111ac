"""What all methods do to maps and images, without TensorFlow; of volumes the same along a third axis."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageFilter

from core.explain.volume_maps import blurred_volume, coarsen_volume, resize_volume

BLUR_SHARE = 0.1  # of the side: what is hidden turns into its surroundings, not into a black hole unlike any image
SUREST = 1e-6  # a probability is never nearer to 0 or 1 when its odds are taken
COARSE, COARSE_VOLUME = 16, 8  # cells a side on which maps of any grain are compared
VOXELS_AT_ONCE = 1 << 19  # that a network takes in one go; in between it holds each some hundred times


def at_once(shape: Sequence[int], most: int) -> int:
    """How many images `(rows, columns, channels)` a network takes in one go; of volumes fewer, so that memory stays
    bounded: `(depth, rows, columns, channels)`."""
    return most if len(shape) == 3 else max(1, min(most, VOXELS_AT_ONCE // math.prod(shape[:3])))


def in_parts(answer: Callable[[np.ndarray], np.ndarray], images: np.ndarray, most: int = 64) -> np.ndarray:
    """What is answered of a batch, a few images or volumes at a time."""
    step = at_once(images.shape[1:], most)
    return np.concatenate([np.asarray(answer(images[at : at + step])) for at in range(0, len(images), step)])


def explained_outputs(answer: Callable[[np.ndarray], np.ndarray], images: np.ndarray, *, is_number: bool) -> np.ndarray:
    """Which output of each is explained where nobody names one, `(n,)`: the likeliest class; of several quantities the
    first, for years and kilograms are not compared."""
    return np.zeros(len(images), int) if is_number else np.asarray(in_parts(answer, images).argmax(axis=1))


def resize_map(values: np.ndarray, *sides: int) -> np.ndarray:
    """A map `(r, c)` or `(d, r, c)` at another resolution, linear along each axis, float32."""
    if values.ndim == 3:
        return resize_volume(values, sides)
    rows, columns = sides
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(picture.resize((columns, rows), Image.Resampling.BILINEAR))


def coarsen(values: np.ndarray, side: int = COARSE) -> np.ndarray:
    """A map as means over `side` cells along each axis: where it lies, whatever its grain."""
    if values.ndim == 3:
        return coarsen_volume(values, [min(side, COARSE_VOLUME)] * 3)
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX))


def peak_of(values: np.ndarray) -> tuple[int, ...]:
    """Row and column (of a volume frame, row and column) of a map's highest place; of a plateau, as superpixels make
    it, the middle."""
    highest = np.argwhere(values >= values.max() - 1e-6 * max(float(np.ptp(values)), 1e-12))
    return tuple(int(at) for at in highest[((highest - highest.mean(axis=0)) ** 2).sum(axis=1).argmin()])


def spoken_for(values: np.ndarray) -> np.ndarray:
    """What spoke for the answer, of signed maps `(n, r, c)` or `(n, d, r, c)`: 0 to 1 within each; all 0 where nothing
    did."""
    positive = np.maximum(values, 0).astype(np.float32)
    highest = positive.max(axis=tuple(range(1, values.ndim)), keepdims=True)
    return np.asarray(positive / np.maximum(highest, 1e-12), np.float32)


def blurred(image: np.ndarray) -> np.ndarray:
    """An image `(rows, columns, channels)` or a volume of uint8 without its structures: what stands where a part is
    hidden."""
    if image.ndim == 4:
        return blurred_volume(image, BLUR_SHARE)
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
