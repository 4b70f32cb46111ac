"""Training the folds of a frozen snapshot through the command line, as a user would; what is trained stays trained."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.loop import run_command

SEEDS = "each fold with a seed of its own"  # so that means and spreads are over seeds, too


def train_fold(home: Path, project: str, fold: int, *asked: str, kind: str = "fold") -> float:
    """Seconds from the command to the stored model `KIND-K` of seed K; one that is there stays as it is.

    Args:
        asked: further words of `readroom train`, such as a recipe.
        kind: what tells apart several models of one fold.
    """
    name = f"{kind}-{fold}"
    clock = home / f"{name}.seconds"
    if name not in {row["model"] for row in run_command(home, "models", project)["models"]}:
        began = time.monotonic()
        seed = ("--set", f"seed={fold}")
        words = ("--snapshot", "folds", "--fold", str(fold), "--name", name, *seed, *asked, "--wait")
        run_command(home, "train", project, *words)
        clock.write_text(str(time.monotonic() - began), "utf-8")
    return float(clock.read_text("utf-8"))


def spread_of(folds: Sequence[float]) -> str:
    """Of one number a fold."""
    return f"{len(folds)} folds, {min(folds):.3f} to {max(folds):.3f}"


def spread_of_cases(folds: Sequence[np.ndarray]) -> str:
    """Of the cases of each fold."""
    means = [float(fold.mean()) for fold in folds]
    return f"n = {sum(len(fold) for fold in folds)}, {spread_of(means)}"
