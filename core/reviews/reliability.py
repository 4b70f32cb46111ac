"""Whether probabilities mean what they say: what share of the cases with a score near p is of the class."""

import sqlite3
from dataclasses import dataclass

import numpy as np

from core.datasets.records import Snapshot
from core.evaluation.operating import read_scored
from core.evaluation.records import Evaluation
from core.measures.shares import share_of
from core.training.records import get_model

MOST_BINS = 10
CASES_A_BIN = 10  # fewer bins where there are fewer cases: a share of three cases says nothing


@dataclass(frozen=True)
class ReliabilityBin:
    """`n` cases of like scores: the mean score, the share that is of the class, and its 95 % interval (`share_of`)."""

    mean_score: float
    share: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Reliability:
    """One class; its calibration error, slope and intercept are in the document of the evaluation."""

    of: str
    n: int
    bins: tuple[ReliabilityBin, ...]


def measure_reliability(
    connection: sqlite3.Connection, snapshot: Snapshot, evaluation: Evaluation, of: str
) -> Reliability:
    """Of the scores that an evaluation has stored, for one class against the rest; bins hold equally many cases."""
    seen = read_scored(connection, get_model(connection, None, evaluation.model), snapshot, evaluation.split)
    at = seen.classes.index(of)
    return reliability_of(of, seen.targets[:, at], seen.scores[:, at], seen.patient_numbers)


def reliability_of(of: str, truth: np.ndarray, scores: np.ndarray, patients: np.ndarray) -> Reliability:
    """
    Args:
        truth: 0/1 `(cases,)`.
        scores: probabilities `(cases,)`.
        patients: a number from 0 for each case.
    """
    order = np.argsort(scores, kind="stable")
    parts = np.array_split(order, max(1, min(MOST_BINS, len(scores) // CASES_A_BIN)))
    bins = []
    for part in parts:
        if not len(part):
            continue
        share = share_of(truth[part] == 1, np.ones(len(part), bool), patients[part], "")
        assert share.value is not None
        assert share.low is not None
        assert share.high is not None
        bins.append(ReliabilityBin(float(scores[part].mean()), share.value, share.low, share.high, len(part)))
    return Reliability(of=of, n=len(scores), bins=tuple(bins))
