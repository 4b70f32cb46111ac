"""What of an image is background: dark pixels that hang together with the border, so that lungs are no background."""

import numpy as np
from scipy.ndimage import binary_fill_holes, label

BORDER_SHARE = 1 / 32  # of the side
LEAST_SHARE, MOST_SHARE = 0.01, 0.9  # of the image; below there is no outside to speak of, above no body


def outside_body(image: np.ndarray) -> np.ndarray:
    """Bool `(size, size)`, of a volume `(depth, size, size)`: as dark as the dark part of the border and connected to
    it; all False where hardly any or all of the image is.

    The border's own pixels are parted by Otsu's threshold into background and body that reaches the border. Of the
    whole image that threshold would part mediastinum from lungs; half-way down to the background it does not.

    Args:
        image: uint8 `(size, size, channels)` or `(depth, size, size, channels)` as a network sees it.
    """
    grey = image.mean(axis=-1)
    wide = max(1, round(BORDER_SHARE * grey.shape[-1]))
    at_border = np.ones(grey.shape, bool)
    at_border[..., wide:-wide, wide:-wide] = False  # of a volume the border of each frame: its ends cut the body
    threshold = otsu_threshold(grey[at_border])
    dark = grey[at_border & (grey <= threshold)]
    background = float(np.median(dark)) if dark.size else 0.0
    parts, _ = label(grey <= (background + threshold) / 2)
    touching = np.unique(parts[at_border])
    outside = ~binary_fill_holes(~np.isin(parts, touching[touching > 0]))
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
