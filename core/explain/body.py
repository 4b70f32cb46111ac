"""What of an image is background: dark pixels that hang together with the border, so that lungs are no background."""

import numpy as np
from scipy.ndimage import binary_fill_holes, label

LEAST_SHARE, MOST_SHARE = 0.01, 0.9  # of the image; below there is no outside to speak of, above no body


def outside_body(image: np.ndarray) -> np.ndarray:
    """Bool `(size, size)`: at most Otsu's threshold and connected to the border; all False where hardly any or all is.

    Args:
        image: uint8 `(size, size, channels)` as a network sees it.
    """
    grey = image.mean(axis=-1)
    parts, _ = label(grey <= otsu_threshold(grey))
    at_border = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    outside = np.isin(parts, at_border[at_border > 0])
    outside = ~binary_fill_holes(~outside)
    return outside if LEAST_SHARE <= outside.mean() <= MOST_SHARE else np.zeros_like(outside)


def otsu_threshold(grey: np.ndarray) -> float:
    """The grey value that parts dark and bright best (Otsu 1979, doi:10.1109/TSMC.1979.4310076)."""
    counts, edges = np.histogram(grey, 256, (0, 256))
    below = counts.cumsum()[:-1].astype(float)
    above = counts.sum() - below
    sums = (counts * np.arange(256)).cumsum()
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    return float(edges[int(np.nan_to_num(apart).argmax()) + 1])
