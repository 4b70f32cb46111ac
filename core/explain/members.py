"""The map of an ensemble: the mean of its members' maps, each taken where that member's own test says."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.explain.checks import MOST_ALIKE, resize_map
from core.explain.grad_cam import GradCam

LAYER = "each member's own"


class MeanCam:
    """Speaks for several `GradCam` as if they were one; maps are as fine as the finest of them."""

    layer = LAYER

    def __init__(self, cams: Sequence[GradCam]) -> None:
        self._cams = cams

    def network(self, images: np.ndarray, *, training: bool = False) -> np.ndarray:
        """The mean of what the members say, `(n, k)`."""
        return np.asarray(np.mean([cam.network(images, training=training) for cam in self._cams], axis=0))

    def warm(self) -> None:
        for cam in self._cams:
            cam.warm()

    def explain(self, images: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Maps and scores of a batch, as `GradCam.explain`."""
        maps, scores = zip(*(cam.explain(images, classes) for cam in self._cams), strict=True)
        rows, columns = max(found.shape[1:] for found in maps)
        alike = [np.stack([resize_map(one, rows, columns) for one in found]) for found in maps]
        return np.asarray(np.mean(alike, axis=0, dtype=np.float32)), np.asarray(np.mean(scores, axis=0))


def combine_facts(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The check and the choice of layer of all members, as a model keeps its own: passed where all have passed."""
    checks = [part["check"] for part in parts]
    passed = all(check["passed"] for check in checks)
    similarity = max(float(check["similarity"]) for check in checks)
    failed = sum(not check["passed"] for check in checks)
    verdict = (
        "all of them hang on what was learnt" if passed else f"do not trust the mean, {failed} show the image instead"
    )
    sentence = (
        f"The mean of {len(parts)} members' maps; with shuffled weights a member's map resembles its own by "
        f"{similarity:.2f} at most (rank correlation, below {MOST_ALIKE:g} is good): {verdict}."
    )
    count = sum(int(check["n"]) for check in checks)
    drops = {part["layer_choice"]["layer"]: max(part["layer_choice"]["drops"].values()) for part in parts}
    return {
        "layer_choice": {"layer": LAYER, "drops": drops, "n": count},
        "check": {"similarity": similarity, "n": count, "passed": passed, "sentence": sentence},
    }
