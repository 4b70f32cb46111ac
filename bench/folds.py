"""Training the folds of a frozen snapshot through the command line, as a user would; what is trained stays trained."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.loop import train_once

SEEDS = "each fold with a seed of its own"  # so that means and spreads are over seeds, too


def train_fold(home: Path, project: str, fold: int, *asked: str, kind: str = "fold") -> float:
    """Seconds from the command to the stored model `KIND-K` of seed K (`train_once`).

    Args:
        asked: further words of `readroom train`, such as a recipe.
        kind: what tells apart several models of one fold.
    """
    words = ("--snapshot", "folds", "--fold", str(fold), "--set", f"seed={fold}")
    return train_once(home, project, f"{kind}-{fold}", *words, *asked)


def spread_of(folds: Sequence[float]) -> str:
    """Of one number a fold."""
    return f"{len(folds)} folds, {min(folds):.3f} to {max(folds):.3f}"


def spread_of_cases(folds: Sequence[np.ndarray]) -> str:
    """Of the cases of each fold."""
    means = [float(fold.mean()) for fold in folds]
    return f"n = {sum(len(fold) for fold in folds)}, {spread_of(means)}"
