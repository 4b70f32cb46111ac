"""Occlusion (Zeiler and Fergus 2014, doi:10.1007/978-3-319-10590-1_53): what the answer loses with a square hidden."""

from collections.abc import Iterator

import numpy as np

from core.explain.asking import Asking

SQUARES_A_SIDE = 8  # of the image in one square
STEPS_A_SQUARE = 2


class Occlusion(Asking):
    """A square walks over the image by half its side; each pixel gets the mean loss of the squares over it."""

    def attribute(self, image: np.ndarray, class_index: int) -> np.ndarray:
        places = squares_over(image.shape[0])
        size = image.shape[0]
        whole, *hidden = self.ask(image, _seen(size, places), len(places) + 1, class_index)
        total, times = np.zeros((size, size)), np.zeros((size, size))
        for place, strength in zip(places, hidden, strict=True):
            total[place] += whole - strength
            times[place] += 1
        return np.asarray(total / times)


def squares_over(size: int) -> list[tuple[slice, slice]]:
    """The squares, row by row; the last of each row and column ends at the border."""
    side = max(2, size // SQUARES_A_SIDE)
    step = max(1, side // STEPS_A_SQUARE)
    starts = sorted({*range(0, size - side, step), size - side})
    return [(slice(row, row + side), slice(column, column + side)) for row in starts for column in starts]


def _seen(size: int, places: list[tuple[slice, slice]]) -> Iterator[np.ndarray]:
    yield np.ones((size, size), bool)
    for place in places:
        mask = np.ones((size, size), bool)
        mask[place] = False
        yield mask
