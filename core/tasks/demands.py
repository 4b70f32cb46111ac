"""What every task demands before a training, said once."""

from collections.abc import Mapping

import numpy as np

from core.errors import CoreError, InvalidInput


def demand_splits(train: np.ndarray, validation: np.ndarray) -> None:
    """Raise `CoreError` where there is nothing to learn from, or nothing to choose the best epoch by."""
    if not len(train):
        raise CoreError("Freeze a snapshot with training cases first. Received: an empty training split")
    if not len(validation):
        raise CoreError(
            "Freeze a snapshot with a validation share, for example --split 0.7,0.15,0.15: without one there is "
            "nothing to choose the best epoch by. Received: an empty validation split"
        )


def demand_loss(losses: Mapping[str, str], wanted: str, task: str) -> str:
    """The loss that a recipe asks for, by its name among the task's; `default` is the first of them.

    Raises:
        InvalidInput: it is none of them.
    """
    kind = next(iter(losses)) if wanted == "default" else wanted
    if kind not in losses:
        raise InvalidInput(f"The loss of a {task} is one of {', '.join(losses)}. Received: {wanted}")
    return kind
