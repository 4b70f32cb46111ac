"""RISE (Petsiuk et al. 2018, arXiv:1806.07421): which parts were seen when the answer was strong."""

from collections.abc import Iterator

import numpy as np

from core.explain.asking import Asking
from core.explain.maps import resize_map

MASKS = 1000
CELLS = 7  # a side
SEEN = 0.5  # chance of a cell


class Rise(Asking):
    """The mean of random masks, each weighted by how far its answer lies above the mean answer.

    Taking the mean off leaves the expectation as published and less noise: a cell of no weight tends to 0.
    """

    def attribute(self, image: np.ndarray, class_index: int) -> np.ndarray:
        size = image.shape[0]
        spoken = self.ask(image, random_masks(size, self.seed), MASKS, class_index)
        found = np.zeros((size, size))
        for weight, mask in zip(spoken - spoken.mean(), random_masks(size, self.seed), strict=False):
            found += weight * mask
        return found / (MASKS * SEEN)


def random_masks(size: int, seed: int) -> Iterator[np.ndarray]:
    """Smooth masks `(size, size)` of 0 to 1 without end, the same for the same seed."""
    draws = np.random.default_rng(seed)
    cell = -(-size // CELLS)
    while True:
        grid = (draws.random((CELLS + 1, CELLS + 1)) < SEEN).astype(np.float32)
        down, right = draws.integers(0, cell, 2)
        yield resize_map(grid, (CELLS + 1) * cell, (CELLS + 1) * cell)[down : down + size, right : right + size]
