"""Answering only where a model is sure: coverage against risk, and the limit that keeps an aim.

Selective classification (Geifman and El-Yaniv 2017, arXiv:1705.08500): a case is answered where its confidence is at
the limit or above; coverage is the share that is answered, risk the share of errors among those. Arrays in, numbers
out.
"""

from dataclasses import dataclass

import numpy as np

LEAST_ANSWERED = 10  # an accuracy of fewer cases chooses no limit


@dataclass(frozen=True)
class RiskCoverage:
    """Each possible limit, from the strictest: what is answered at it and how much of that is right, `(limits,)`."""

    limits: np.ndarray
    coverage: np.ndarray
    accuracy: np.ndarray


def sureness(scores: np.ndarray, *, multi_label: bool) -> np.ndarray:
    """How sure a classifier is of its answer `(cases,)`: its highest probability (Hendrycks and Gimpel 2017,
    arXiv:1610.02136), multi-label that of the class that it is least sure about."""
    sure: np.ndarray = np.maximum(scores, 1 - scores).min(axis=1) if multi_label else scores.max(axis=1)
    return sure


def risk_coverage(sure: np.ndarray, right: np.ndarray) -> RiskCoverage:
    """The curve over all limits; cases that are equally sure are answered together.

    Args:
        sure: `(n,)`.
        right: bool `(n,)`.
    """
    order = np.argsort(-sure, kind="stable")
    last = np.flatnonzero(np.append(np.diff(sure[order]) != 0, True))  # of those that are equally sure
    answered = last + 1
    return RiskCoverage(sure[order][last], answered / len(sure), np.cumsum(right[order])[last] / answered)


def choose_limit(curve: RiskCoverage, aim: float, n: int) -> int | None:
    """Where in the curve most is answered with an accuracy of at least `aim`; None where nowhere is.

    The accuracy at a limit that was chosen for it flatters: the interval beside it says how little is known.
    """
    fits = np.flatnonzero((curve.accuracy >= aim) & (curve.coverage * n >= LEAST_ANSWERED - 1e-9))
    return int(fits[-1]) if len(fits) else None
