"""A few numbers about the pixels of an image, by which one scanner, or one way of exporting, is told from another."""

import numpy as np

LONGEST_SIDE = 256  # px; beyond it every k-th row and column is looked at


def describe_pixels(pixels: np.ndarray, frames: int) -> dict[str, float]:
    """Brightness, contrast, range and sharpness of an image, or of the middle frame of a volume, in stored values.

    Args:
        pixels: `(rows, columns[, channels])`, of a volume with frames in front.

    Returns:
        `brightness` (mean), `contrast` (standard deviation), `darkest` and `brightest` (1st and 99th percentile), and
        `sharpness` (mean step between neighbours as a share of the contrast).
    """
    image = pixels[frames // 2] if frames > 1 else pixels
    step = max(1, max(image.shape[:2]) // LONGEST_SIDE)
    seen = image[::step, ::step].astype(np.float64)
    grey = seen.mean(axis=-1) if seen.ndim == 3 else seen
    contrast = float(grey.std())
    steps = [float(np.abs(np.diff(grey, axis=axis)).mean()) for axis in (0, 1) if grey.shape[axis] > 1]
    darkest, brightest = np.percentile(grey, (1, 99))
    return {
        "brightness": float(grey.mean()),
        "contrast": contrast,
        "darkest": float(darkest),
        "brightest": float(brightest),
        "sharpness": float(np.mean(steps)) / contrast if contrast and steps else 0.0,
    }
