"""How surely a model contradicts a mask, pixel by pixel, and which masks of a split are contradicted unusually much.

A pixel is judged by the probability that the model gives to what was painted there (Lad and Mueller 2023,
arXiv:2307.05080). Those of which it is sure are counted, as a share of what reader and model have painted: at the edge
of every structure the two differ a little, and there a model doubts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SURE = 0.9  # the probability of the contrary from which on a pixel is contradicted surely
LEAST_SHARE, MUCH = 0.05, 0.5  # shares below which a mask is never suspected, and from which on it always is
FENCE = 1.5  # quartile ranges beyond the upper quartile (Tukey 1977, Exploratory Data Analysis)


@dataclass(frozen=True)
class Contradicted:
    """One structure on one case, in pixels. `missing` are those where only the model has it, and is sure; `surplus`
    those where only the reader has it and the model is sure that it is not there. `sure` is the mean probability that
    the model gives to its own answer on both."""

    painted: int  # by the reader, the model, or both
    missing: int
    surplus: int
    sure: float

    @property
    def share(self) -> float:
        """Of what both have painted; NaN where that is nothing."""
        return (self.missing + self.surplus) / self.painted if self.painted else np.nan


class Contradictions:
    """Counts frame by frame; volumes are never held whole."""

    def __init__(self, structures: int) -> None:
        self._sums = np.zeros((structures, 4))  # painted, missing, surplus, sum of the model's probabilities on both

    def add(self, reference: np.ndarray, painted: np.ndarray, probable: np.ndarray) -> None:
        """One frame `(structures, rows, columns)`: bool, bool, and the probabilities of the structures."""
        missing = painted & ~reference & (probable >= SURE)
        surplus = reference & ~painted & (probable <= 1 - SURE)
        axes = (1, 2)
        told = np.where(missing, probable, np.where(surplus, 1 - probable, 0.0)).sum(axis=axes, dtype=np.float64)
        counts = [one.sum(axis=axes) for one in (reference | painted, missing, surplus)]
        self._sums += np.stack([*counts, told], axis=1)

    def to_array(self) -> np.ndarray:
        """`(structures, 4)`, which `contradicted_of` reads."""
        return self._sums


def contradicted_of(row: np.ndarray) -> Contradicted:
    """One row of `Contradictions.to_array`."""
    painted, missing, surplus, told = row.tolist()
    sure = told / (missing + surplus) if missing + surplus else 0.0
    return Contradicted(int(painted), int(missing), int(surplus), sure)


def suspect_masks(found: Sequence[Contradicted]) -> np.ndarray:
    """Positions of the masks of which an unusually large share is contradicted surely, the largest first: beyond the
    upper fence of these masks, and never below a twentieth."""
    shares = np.array([one.share for one in found])
    known = shares[~np.isnan(shares)]
    if not len(known):
        return np.array([], int)
    low, high = np.percentile(known, [25, 75])
    at = np.flatnonzero(shares >= np.clip(high + FENCE * (high - low), LEAST_SHARE, MUCH))  # NaN is never
    return np.asarray(at[np.argsort(-shares[at], kind="stable")])
