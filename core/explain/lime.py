"""LIME (Ribeiro et al. 2016, arXiv:1602.04938): a linear rule over superpixels, true near one image."""

import numpy as np

from core.explain.asking import Asking
from core.explain.superpixels import superpixels

SAMPLES = 1000
KERNEL_WIDTH = 0.25  # as the paper's own package has it, and so are cosine distance and the ridge
RIDGE = 1.0


class Lime(Asking):
    """Superpixels are seen or hidden by the toss of a coin; nearer samples count more."""

    def attribute(self, image: np.ndarray, class_index: int) -> np.ndarray:
        patches = superpixels(image)
        seen = np.random.default_rng(self.seed).integers(0, 2, (SAMPLES, patches.max() + 1))
        seen[0] = 1
        spoken = self.ask(image, (row[patches] for row in seen.astype(bool)), SAMPLES, class_index)
        return np.asarray(fit_near(seen, spoken)[patches])


def fit_near(seen: np.ndarray, spoken: np.ndarray) -> np.ndarray:
    """Weights `(k,)` of a ridge regression of `spoken (n,)` on `seen (n, k)`, samples near "all seen" counting more."""
    near = np.sqrt(seen.mean(axis=1))  # cosine between a row of zeros and ones and the row of ones
    weights = np.sqrt(np.exp(-((1 - near) ** 2) / KERNEL_WIDTH**2))
    total = weights.sum()
    centred, target = seen - weights @ seen / total, spoken - weights @ spoken / total
    weighed = centred.T * weights
    found: np.ndarray = np.linalg.solve(weighed @ centred + RIDGE * np.eye(seen.shape[1]), weighed @ target)
    return found
