"""How long moving a threshold over 10,000 cases computes, beside the same counts by scikit-learn at each threshold."""

import statistics
import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import confusion_matrix

from bench.harness import Figure, Figures, Row
from core.measures.thresholds import at_threshold, sweep

CASES, TURNS, STEPS = 10_000, 5, 501
MOST_MS = 100


def measure() -> Figures:
    """A move draws the numbers at one threshold, and the curves over all of them."""
    random = np.random.default_rng(0)
    positive, scores, patients = random.random(CASES) < 0.3, random.random(CASES), np.arange(CASES) // 2
    thresholds = np.linspace(0, 1, STEPS)

    def ours() -> None:
        at_threshold(positive, scores, patients, 0.5, 0.1)
        sweep(positive, scores, thresholds)

    def theirs() -> None:
        for threshold in thresholds:
            confusion_matrix(positive, scores >= threshold)

    pairs = [(_milliseconds(ours), _milliseconds(theirs)) for _ in range(TURNS)]
    middle = statistics.median(mine for mine, _ in pairs)
    ratios = [other / mine for mine, other in pairs]
    return [
        Figure(f"a threshold moved over {CASES:,} cases", middle, "ms", f"budget {MOST_MS} ms", middle < MOST_MS,
               f"{TURNS} turns; without the drawing in the browser"),
        Figure("the same, times faster than scikit-learn's matrix at each threshold", statistics.median(ratios), "", "",
               None, f"{min(ratios):.0f} to {max(ratios):.0f}"),
    ]  # fmt: skip


def _milliseconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


ROWS = [Row("operating_point", "quick", measure)]
