"""Integrated Gradients (Sundararajan et al. 2017, arXiv:1703.01365): what each pixel added to the answer."""

from typing import Any

import numpy as np

from core.explain.asking import Report
from core.explain.maps import blurred, spoken_for
from core.explain.slopes import Slopes

STEPS, MOST_STEPS = 32, 512
GAP_ALLOWED = 0.01  # of the difference that the parts must sum to
LEAST = 1e-3  # differences of raw outputs below it count as this large


class IntegratedGradients:
    """The way begins at the blurred image, so that what is measured is structure and not brightness."""

    def __init__(self, network: Any, raw: str) -> None:
        self.network, self._slopes = network, Slopes(network, raw)
        self.report: Report = lambda share: None

    def explain(self, images: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `GradCam.explain`, at the resolution of the input."""
        parts = [self.attribute(image, int(which))[0] for image, which in zip(images, classes, strict=True)]
        return spoken_for(np.stack(parts)), np.asarray(self.network(images, training=False))

    def attribute(self, image: np.ndarray, class_index: int) -> tuple[np.ndarray, float]:
        """Signed parts `(size, size)`, of a volume `(depth, size, size)`, whose sum is the difference of the raw
        outputs, and the gap that is left.

        Steps are doubled until parts and difference agree within a hundredth.
        """
        end, start = self._slopes.scale(np.stack([image, blurred(image)]))
        _, (high, low) = self._slopes.at(np.stack([end, start]), class_index)
        steps = STEPS
        while True:
            along = ((np.arange(steps) + 0.5) / steps).reshape(-1, *[1] * end.ndim)
            mean = np.zeros(end.shape)
            for at in range(0, steps, self._slopes.at_once):
                slopes, _ = self._slopes.at(start + along[at : at + self._slopes.at_once] * (end - start), class_index)
                mean += slopes.sum(axis=0) / steps
                self.report(min(1.0, (at + len(slopes)) / steps))
            parts = (mean * (end - start)).sum(axis=-1)
            gap = abs(parts.sum() - (high - low)) / max(abs(high - low), LEAST)
            if gap <= GAP_ALLOWED or steps >= MOST_STEPS:
                return parts, float(gap)
            steps *= 2
