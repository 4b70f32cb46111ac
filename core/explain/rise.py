"""RISE (Petsiuk et al. 2018, arXiv:1806.07421): which parts were seen when the answer was strong."""

from collections.abc import Iterator, Sequence

import numpy as np

from core.explain.asking import Asking
from core.explain.maps import resize_map

MASKS = 1000
CELLS, CELLS_OF_VOLUME = 7, 5  # a side
SEEN = 0.5  # chance of a cell


class Rise(Asking):
    """The mean of random masks, each weighted by how far its answer lies above the mean answer.

    Taking the mean off leaves the expectation as published and less noise: a cell of no weight tends to 0.
    """

    def attribute(self, image: np.ndarray, class_index: int) -> np.ndarray:
        sides = image.shape[:-1]
        spoken = self.ask(image, random_masks(sides, self.seed), MASKS, class_index)
        found = np.zeros(sides)
        for weight, mask in zip(spoken - spoken.mean(), random_masks(sides, self.seed), strict=False):
            found += weight * mask
        return found / (MASKS * SEEN)


def random_masks(sides: Sequence[int], seed: int) -> Iterator[np.ndarray]:
    """Smooth masks of these sides, 0 to 1, without end, the same for the same seed."""
    draws = np.random.default_rng(seed)
    cells = CELLS if len(sides) == 2 else CELLS_OF_VOLUME
    wide = [-(-side // cells) for side in sides]
    while True:
        grid = (draws.random((cells + 1,) * len(sides)) < SEEN).astype(np.float32)
        moved = draws.integers(0, wide)
        large = resize_map(grid, *((cells + 1) * cell for cell in wide))
        yield large[tuple(slice(start, start + side) for start, side in zip(moved, sides, strict=True))]
