"""Kernel SHAP (Lundberg and Lee 2017, arXiv:1705.07874): each superpixel's Shapley value, by a weighted regression."""

from math import comb

import numpy as np

from core.explain.asking import Asking
from core.explain.superpixels import superpixels

SAMPLES = 2000


class KernelShap(Asking):
    """The parts sum to the difference between the image and its blur, exactly.

    Where there are so few superpixels that every coalition can be asked, the values are exact.
    """

    def attribute(self, image: np.ndarray, class_index: int) -> np.ndarray:
        patches = superpixels(image)
        values = self.values_of(image, patches, class_index)
        return np.asarray(
            (values / np.bincount(patches.ravel()))[patches]
        )  # a large patch is not brighter for its size

    def values_of(self, image: np.ndarray, patches: np.ndarray, class_index: int) -> np.ndarray:
        """The Shapley value of each patch, `(k,)`."""
        n_patches = int(patches.max()) + 1
        if n_patches == 1:
            coalitions, weights = np.empty((0, 1), int), np.empty(0)
        else:
            coalitions, weights = draw_coalitions(n_patches, SAMPLES, self.seed)
        asked = np.concatenate([np.zeros((1, n_patches), int), np.ones((1, n_patches), int), coalitions])
        spoken = self.ask(image, (row[patches] for row in asked.astype(bool)), len(asked), class_index)
        return solve_shapley(coalitions, weights, spoken[2:], spoken[0], spoken[1])


def draw_coalitions(n: int, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Coalitions `(m, n)` and their weights: all of them where they are few, else drawn by the kernel, in pairs."""
    sizes = np.arange(1, n)
    if 2**n - 2 <= samples:
        every = (np.arange(1, 2**n - 1)[:, None] >> np.arange(n)) & 1
        of_size = np.array([(n - 1) / (comb(n, int(size)) * size * (n - size)) for size in sizes])
        return every, of_size[every.sum(axis=1) - 1]
    draws = np.random.default_rng(seed)
    chances = (n - 1) / (sizes * (n - sizes))
    drawn = draws.choice(sizes, samples // 2, p=chances / chances.sum())
    ranks = draws.random((len(drawn), n)).argsort(axis=1).argsort(axis=1)
    half = (ranks < drawn[:, None]).astype(int)
    return np.concatenate([half, 1 - half]), np.ones(2 * len(half))


def solve_shapley(
    coalitions: np.ndarray, weights: np.ndarray, spoken: np.ndarray, none: float, all_seen: float
) -> np.ndarray:
    """The weighted least squares of the paper under its constraint that the values sum to `all_seen - none`.

    The last value is put into the constraint, so that the sum holds to the last digit.
    """
    if coalitions.shape[1] == 1:
        return np.array([all_seen - none])
    last = coalitions[:, -1:]
    rest = coalitions[:, :-1] - last
    target = spoken - none - last[:, 0] * (all_seen - none)
    weighed = rest.T * weights
    values = np.linalg.lstsq(weighed @ rest, weighed @ target, rcond=None)[0]
    return np.append(values, all_seen - none - values.sum())
