"""Superpixels by SLIC (Achanta et al. 2012, doi:10.1109/TPAMI.2012.120): patches that follow what the image shows."""

import numpy as np

PATCHES_A_SIDE = 7
ROUNDS = 5
COMPACTNESS = 20.0  # how many grey levels one patch width of distance counts as
NEIGHBOURS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]


def superpixels(image: np.ndarray, a_side: int = PATCHES_A_SIDE) -> np.ndarray:
    """A number from 0 for each pixel `(size, size)`, without gaps in the numbers.

    Each pixel goes to the nearest of the nine centres around it, by place and grey level; a patch may have islands.
    """
    size = image.shape[0]
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    width = size / a_side
    cell_rows, cell_columns = (np.minimum((axis / width).astype(int), a_side - 1) for axis in (rows, columns))
    pixels = np.concatenate(
        [np.stack([rows, columns], axis=-1) * COMPACTNESS / width, image.astype(np.float32)], axis=-1
    ).reshape(-1, 2 + image.shape[-1])
    own = (cell_rows * a_side + cell_columns).ravel()
    near = np.stack(
        [
            np.clip(cell_rows + down, 0, a_side - 1) * a_side + np.clip(cell_columns + right, 0, a_side - 1)
            for down, right in NEIGHBOURS
        ],
        axis=-1,
    ).reshape(-1, len(NEIGHBOURS))
    centres = _means(pixels, own, a_side**2, np.zeros((a_side**2, pixels.shape[1]), np.float32))
    for _ in range(ROUNDS):
        distances = ((pixels[:, None] - centres[near]) ** 2).sum(axis=-1)
        own = near[np.arange(len(near)), distances.argmin(axis=1)]
        centres = _means(pixels, own, a_side**2, centres)
    return np.unique(own, return_inverse=True)[1].reshape(size, size)


def _means(pixels: np.ndarray, own: np.ndarray, n: int, before: np.ndarray) -> np.ndarray:
    """The centre of each patch; one that lost all its pixels stays where it was."""
    counts = np.bincount(own, minlength=n)[:, None]
    sums = np.stack([np.bincount(own, part, minlength=n) for part in pixels.T], axis=-1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), before).astype(np.float32)
