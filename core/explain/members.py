"""The map of an ensemble: the mean of its members' maps, each taken where that member's own test says."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.explain.maps import resize_map
from core.explain.verdict import MOST_ALIKE

LAYER = "each member's own"


def scores_by(tool: Any, images: np.ndarray) -> np.ndarray:
    """What the model answers that a method works on, `(n, k)`."""
    return np.asarray(tool.answer(images) if hasattr(tool, "answer") else tool.network(images, training=False))


class MeanTool:
    """One method at work on several models, as if they were one; maps are as fine as the finest of them."""

    def __init__(self, tools: Sequence[Any]) -> None:
        self.tools = tools
        self.layer = LAYER if hasattr(tools[0], "layer") else ""

    def answer(self, images: np.ndarray) -> np.ndarray:
        """The mean of what the members say, `(n, k)`."""
        return np.asarray(np.mean([scores_by(tool, images) for tool in self.tools], axis=0))

    def explain(self, images: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Maps and scores of a batch, as `GradCam.explain`."""
        maps, scores = zip(*(tool.explain(images, classes) for tool in self.tools), strict=True)
        sides = max(found.shape[1:] for found in maps)
        alike = [np.stack([resize_map(one, *sides) for one in found]) for found in maps]
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
