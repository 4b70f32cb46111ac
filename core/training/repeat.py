"""Whether a model that was trained again is the same one, and if not, by how much and what else was different."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.store.files import Files
from core.training.records import Model, Run
from core.training.stored import load_network

TOLD = {
    "code": "code",
    "packages": "packages",
    "python": "Python",
    "device": "device",
    "precision": "precision",
    "threads": "threads",
    "oneDNN": "oneDNN",
    "deterministic_operations": "whether operations are deterministic",
    "cores": "number of cores",
    "platform": "operating system",
}


@dataclass(frozen=True)
class Repetition:
    """`largest_difference` is that of two weights at the same place; None where the networks are built differently."""

    of: str
    identical: bool
    largest_difference: float | None
    same_calibration: bool
    different: tuple[str, ...]
    sentence: str

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "different": list(self.different)}


def trained_batch(run: Run) -> int:
    """The batch of a run's steps: its recipe's, or the part of it that fitted into memory."""
    return int(run.told.get("preflight", {}).get("batch", run.recipe.batch))


def compare_repetition(files: Files, first: Model, first_run: Run, again: Model, again_run: Run) -> Repetition:
    """The stored weights of both, bit by bit, and what of their environments differs. Imports Keras."""
    weights = [load_network(files, model).get_weights() for model in (first, again)]
    largest = _largest_difference(*weights)
    identical = largest is not None and all(map(np.array_equal, *weights))
    same = first.calibration == again.calibration
    then, now = first_run.environment, again_run.environment
    different = tuple(words for key, words in TOLD.items() if then.get(key, now.get(key)) != now.get(key))
    if trained_batch(first_run) != trained_batch(again_run):
        different += ("batch",)
    if first.facts.get("stopped") and first.facts["epochs"] != again.facts.get("epochs"):
        different += (f"number of epochs ({first.name} was stopped after {first.facts['epochs']})",)
    if identical:
        sentence = f"The weights are bit-identical to those of {first.name}"
        sentence += "." if same else ", but the calibration differs."
    elif largest is None:
        sentence = f"The network is built differently from that of {first.name}; the weights cannot be compared."
    else:
        sentence = f"The weights differ from those of {first.name}, by {largest:.2g} at most."
    if different:
        sentence += f" Different from then: {', '.join(different)}."
    return Repetition(first.name, identical, largest, same, different, sentence)


def _largest_difference(first: list[np.ndarray], second: list[np.ndarray]) -> float | None:
    if [weight.shape for weight in first] != [weight.shape for weight in second]:
        return None
    return max((float(np.abs(a - b).max()) for a, b in zip(first, second, strict=True) if a.size), default=0.0)
