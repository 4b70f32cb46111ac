"""Superpixels by SLIC (Achanta et al. 2012, doi:10.1109/TPAMI.2012.120): patches that follow what the image shows; of
a volume supervoxels, by the same rule with one axis more."""

import itertools

import numpy as np

PATCHES_A_SIDE = 7
PATCHES_A_SIDE_OF_VOLUME = 4  # 64 in all; 7 would be 343, for whose shares thousands of answers are too few
ROUNDS = 5
COMPACTNESS = 20.0  # how many grey levels one patch width of distance counts as


def superpixels(image: np.ndarray, a_side: int | None = None) -> np.ndarray:
    """A number from 0 for each pixel `(size, size)` or voxel `(depth, size, size)`, without gaps in the numbers.

    Each goes to the nearest of the centres around it (nine, of a volume 27), by place and grey level; a patch may have
    islands.
    """
    sides = image.shape[:-1]
    a_side = a_side or (PATCHES_A_SIDE if len(sides) == 2 else PATCHES_A_SIDE_OF_VOLUME)
    places = np.stack(np.meshgrid(*(np.arange(side, dtype=np.float32) for side in sides), indexing="ij"), axis=-1)
    widths = np.array(sides, np.float32) / a_side
    cells = np.minimum((places / widths).astype(int), a_side - 1).reshape(-1, len(sides))
    features = np.concatenate([places * COMPACTNESS / widths, image.astype(np.float32)], axis=-1)
    features = features.reshape(-1, features.shape[-1])
    n, grid = a_side ** len(sides), (a_side,) * len(sides)
    own = np.ravel_multi_index(tuple(cells.T), grid)
    centres = _means(features, own, n, np.zeros((n, features.shape[1]), np.float32))
    for _ in range(ROUNDS):
        own = _nearest(features, cells, centres, a_side)
        centres = _means(features, own, n, centres)
    return np.unique(own, return_inverse=True)[1].reshape(sides)


def _nearest(features: np.ndarray, cells: np.ndarray, centres: np.ndarray, a_side: int) -> np.ndarray:
    """The nearest centre of each; one neighbour after the other, so that memory does not grow with their number."""
    grid = (a_side,) * cells.shape[1]
    own, least = np.zeros(len(cells), int), np.full(len(cells), np.inf, np.float32)
    for step in itertools.product((-1, 0, 1), repeat=cells.shape[1]):
        near = np.ravel_multi_index(tuple(np.clip(cells + np.array(step), 0, a_side - 1).T), grid)
        distance = ((features - centres[near]) ** 2).sum(axis=-1)
        better = distance < least
        own[better], least[better] = near[better], distance[better]
    return own


def _means(pixels: np.ndarray, own: np.ndarray, n: int, before: np.ndarray) -> np.ndarray:
    """The centre of each patch; one that lost all its pixels stays where it was."""
    counts = np.bincount(own, minlength=n)[:, None]
    sums = np.stack([np.bincount(own, part, minlength=n) for part in pixels.T], axis=-1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), before).astype(np.float32)
