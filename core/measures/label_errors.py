"""Which references are likely wrong, from what a model says of cases that it has not learnt from."""

import numpy as np

TOO_FAR = 2.0  # times the half width of a model's interval: of normal errors 1 in 1,000 are, of heavy tails 1 in 100


def suspect_labels(targets: np.ndarray, scores: np.ndarray, *, multi_label: bool) -> np.ndarray:
    """Positions of the cases whose label a model contradicts as surely as it usually is of another class, the surest
    first: the off-diagonal of the confident joint (Northcutt et al. 2021, arXiv:1911.00068), ordered by the margin
    between the given class and the one that it seems to be.

    Args:
        targets: 0/1 `(cases, classes)`; each column is a question of its own where `multi_label`.
        scores: probabilities `(cases, classes)`.
    """
    if multi_label:
        margins = np.stack(
            [
                _margins(np.stack([1 - y, y], 1), np.stack([1 - p, p], 1))
                for y, p in zip(targets.T, scores.T, strict=True)
            ]
        ).min(axis=0)
    else:
        margins = _margins(targets, scores)
    at = np.flatnonzero(margins < 0)
    return np.asarray(at[np.argsort(margins[at], kind="stable")])


def _margins(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Probability of the given class less that of the one it confidently seems to be; 1 where that is its own."""
    given = targets.argmax(axis=1)
    counts = targets.sum(axis=0)
    # How sure the model is of a class among the cases that are said to be of it; of a class without cases it never is.
    usual = np.where(counts > 0, (targets * scores).sum(axis=0) / np.maximum(counts, 1), np.inf)
    sure = np.where(scores >= usual, scores, -np.inf)
    seems = np.where(np.isfinite(sure).any(axis=1), sure.argmax(axis=1), given)
    rows = np.arange(len(given))
    return np.where(seems == given, 1.0, scores[rows, given] - scores[rows, seems])


def suspect_numbers(targets: np.ndarray, predictions: np.ndarray, half_width: float | np.ndarray) -> np.ndarray:
    """Positions of the cases whose number lies more than twice as far from the model's as its interval reaches, the
    furthest first: the residual beside its out-of-sample spread (Zhou et al. 2023, arXiv:2305.16583), which is here
    that of split conformal prediction (Lei et al. 2018, doi:10.1080/01621459.2017.1307116).

    Args:
        targets, predictions: `(cases,)` in the same unit as the half width, which may be of each case.
    """
    apart, reach = np.abs(targets - predictions), np.broadcast_to(half_width, targets.shape)
    at = np.flatnonzero(apart > TOO_FAR * reach)
    apart, reach = apart[at], reach[at]
    # An interval may have no width: all of validation was answered exactly. What lies outside is then infinitely far.
    times = np.divide(apart, reach, out=np.full(len(at), np.inf), where=reach > 0)
    return np.asarray(at[np.lexsort((-apart, -times))])
