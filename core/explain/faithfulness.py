"""Do the pixels that a map marks decide the answer? Deletion and insertion (Petsiuk et al. 2018, arXiv:1806.07421)."""

from dataclasses import dataclass

import numpy as np

from core.explain.maps import blurred, in_parts, resize_map
from core.training.stored import Answer

SHARES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7)  # of the pixels, the most marked first


@dataclass(frozen=True)
class Faithfulness:
    """Areas under the score's curve, over the share of pixels taken away from the image or put onto its blur.

    Of a class the score is its probability, of a number the number itself.
    """

    deletion: float
    insertion: float

    @property
    def score(self) -> float:
        """Higher is better: the answer falls soon when marked pixels go, and comes soon when they come."""
        return self.insertion - self.deletion


def measure_faithfulness(answer: Answer, image: np.ndarray, values: np.ndarray, class_index: int) -> Faithfulness:
    """
    Args:
        image: uint8 `(size, size, channels)`, or a volume `(depth, size, size, channels)`.
        values: its map at any resolution.
    """
    blur, marked = blurred(image), resize_map(values, *image.shape[:-1])
    # A map may be flat over half the image; ties are cut by place, so that the share is always the same.
    order = np.argsort(-marked.ravel(), kind="stable")
    batch = [image, blur]
    for share in SHARES:
        chosen = np.zeros(marked.size, bool)
        chosen[order[: round(share * marked.size)]] = True
        mask = chosen.reshape(*marked.shape, 1)
        batch += [np.where(mask, blur, image), np.where(mask, image, blur)]
    scores = in_parts(answer, np.stack(batch))[:, class_index].astype(float)
    whole, nothing = scores[:2]
    steps = [0.0, *SHARES, 1.0]
    return Faithfulness(
        deletion=float(np.trapezoid([whole, *scores[2::2], nothing], steps)),
        insertion=float(np.trapezoid([nothing, *scores[3::2], whole], steps)),
    )


def move_map(values: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """The same map at a random other place (it wraps around): as large, as smooth, and of another image's place."""
    by = [int(draws.integers(-(-side // 4), side - side // 4 + 1)) for side in values.shape]
    return np.roll(values, by, axis=tuple(range(values.ndim)))
