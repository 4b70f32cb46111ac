"""SmoothGrad (Smilkov et al. 2017, arXiv:1706.03825): the mean slope over noisy copies of an image."""

from typing import Any

import numpy as np

from core.explain.asking import Report
from core.explain.maps import spoken_for
from core.explain.slopes import Slopes

COPIES = 32
NOISE_SHARE = 0.1  # of the range of the image


class SmoothGrad:
    """The size of the slope, whichever way it points: it shows what the answer hangs on, not what spoke for it."""

    def __init__(self, network: Any, raw: str, *, seed: int = 0) -> None:
        self.network, self._slopes, self._seed = network, Slopes(network, raw), seed
        self.report: Report = lambda share: None

    def explain(self, images: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `GradCam.explain`, at the resolution of the input."""
        maps = [self.attribute(image, int(which)) for image, which in zip(images, classes, strict=True)]
        return spoken_for(np.stack(maps)), np.asarray(self.network(images, training=False))

    def attribute(self, image: np.ndarray, class_index: int) -> np.ndarray:
        """The size of the mean slope `(size, size)`, of a volume `(depth, size, size)`; of colours the largest."""
        scaled = self._slopes.scale(image[None])[0]
        draws, total, step = np.random.default_rng(self._seed), np.zeros(scaled.shape), self._slopes.at_once
        for done in range(0, COPIES, step):
            noise = draws.normal(0, NOISE_SHARE * np.ptp(scaled), (min(step, COPIES - done), *scaled.shape))
            total += self._slopes.at(scaled + noise, class_index)[0].sum(axis=0)
            self.report((done + len(noise)) / COPIES)
        found: np.ndarray = np.abs(total / COPIES).max(axis=-1)
        return found
