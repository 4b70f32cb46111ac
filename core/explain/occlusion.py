"""Occlusion (Zeiler and Fergus 2014, doi:10.1007/978-3-319-10590-1_53): what the answer loses with a square hidden,
of a volume with a box hidden."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from core.explain.asking import Asking

SQUARES_A_SIDE = 8  # of the image in one square
BOXES_A_SIDE = 5  # of a volume: 729 boxes, where 8 would make 3,375
STEPS_A_SQUARE = 2
Place = tuple[slice, ...]


class Occlusion(Asking):
    """A square walks over the image by half its side; each pixel gets the mean loss of the squares over it."""

    def attribute(self, image: np.ndarray, class_index: int) -> np.ndarray:
        sides = image.shape[:-1]
        places = squares_over(*sides)
        whole, *hidden = self.ask(image, _seen(sides, places), len(places) + 1, class_index)
        total, times = np.zeros(sides), np.zeros(sides)
        for place, strength in zip(places, hidden, strict=True):
            total[place] += whole - strength
            times[place] += 1
        return np.asarray(total / times)


def squares_over(*sides: int) -> list[Place]:
    """The squares of an image or the boxes of a volume, row by row; the last along an axis ends at the border."""
    a_side = SQUARES_A_SIDE if len(sides) == 2 else BOXES_A_SIDE
    along = []
    for size in sides:
        side = max(2, size // a_side)
        step = max(1, side // STEPS_A_SQUARE) if len(sides) == 2 else -(-side // STEPS_A_SQUARE)
        starts = sorted({*range(0, size - side, step), size - side})
        along.append([slice(start, start + side) for start in starts])
    return list(itertools.product(*along))


def _seen(sides: Sequence[int], places: list[Place]) -> Iterator[np.ndarray]:
    yield np.ones(sides, bool)
    for place in places:
        mask = np.ones(sides, bool)
        mask[place] = False
        yield mask
