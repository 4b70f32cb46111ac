"""How far the probabilities of one class mean what they say, for one weighting of the cases or for thousands at once.

Every function takes `truth`, 0 or 1 `(cases,)`, `scores`, probabilities `(cases,)`, and weights `(resamples, cases)`
as in `core.measures.metrics`, and gives one value per weighting; NaN means "undefined here".
"""

import math

import numpy as np

from core.measures.metrics import ratio

BINS = 10  # of equal width, for the calibration error
SUREST = 1e-7  # a probability of exactly 0 or 1 has no logit
MANY = 2000  # cases
STEPS = 25  # Newton's method needs four or five where there is a solution
STEEPEST = 1e3  # a slope that is past this is on its way to infinity: the scores part the classes without overlap

Line = tuple[np.ndarray, np.ndarray]


def brier_score(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean squared difference between probability and outcome (Brier 1950,
    doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2); the lower the better."""
    return ratio(weights @ (scores - truth) ** 2, weights.sum(axis=1))


def log_loss(chosen: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of -log of the probability `(cases,)` given to what is true, which is kept above 0."""
    return ratio(weights @ -np.log(np.clip(chosen, np.finfo(chosen.dtype).eps, 1)), weights.sum(axis=1))


def calibration_error(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Expected calibration error: in ten bins of equal width, how far the mean probability is from the share of cases
    of the class, averaged over the cases (Naeini et al. 2015, PMC4410090; classwise, Kull et al. 2019,
    arXiv:1910.12656)."""
    bins = np.minimum((scores * BINS).astype(int), BINS - 1)
    gaps = np.zeros((len(truth), BINS))
    gaps[np.arange(len(truth)), bins] = scores - truth
    return ratio(np.abs(weights @ gaps).sum(axis=1), weights.sum(axis=1))


def calibration_line(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray, start: Line | None = None) -> Line:
    """Intercept and slope of a logistic regression of the outcome on the logit of the probability (Cox 1958; Van
    Calster et al. 2019, doi:10.1186/s12916-019-1466-7): 0 and 1 where the probabilities mean what they say; a slope
    below 1 says that they are too extreme.

    Undefined where the scores do not differ, or part the classes without overlap.

    Args:
        start: the line of all the cases, each `(1,)`: from there a resample is reached in two or three steps.
    """
    logits = _logits(scores)
    columns = np.stack([np.ones_like(logits), logits, logits**2], axis=1)
    at = np.array([[0.0, 1.0]]) if start is None else np.stack(start, axis=1)
    if not np.isfinite(at).all():
        at = np.array([[0.0, 1.0]])
    wanted = (weights * truth) @ columns[:, :2]
    step = np.full((len(weights), 2), np.inf)
    for _ in range(STEPS):  # of one row as long as all weightings stand at the same line
        said = _sigmoid(at[:, :1] + at[:, 1:] * logits)
        step = _solve(_sums(weights, said * (1 - said), columns), wanted - _sums(weights, said, columns[:, :2]))
        at = at + step
        if not (np.abs(step) > _near(start, len(truth))).any():
            break
    lost = ~(np.abs(step).max(axis=1) <= _near(start, len(truth))) | (np.abs(at[:, 1]) > STEEPEST)
    at[lost] = np.nan
    return at[:, 0], at[:, 1]


def calibration_in_the_large(
    truth: np.ndarray, scores: np.ndarray, weights: np.ndarray, start: np.ndarray | None = None
) -> np.ndarray:
    """By how much, as a logit, the probabilities are too low on the whole: the intercept where the slope is held at 1.

    Undefined where all the weight is on one of the two outcomes.
    """
    logits = _logits(scores)
    one = np.ones((len(logits), 1))
    positives, total = weights @ truth, weights.sum(axis=1)
    at = np.zeros(1) if start is None or not np.isfinite(start).all() else start
    for _ in range(STEPS):
        said = _sigmoid(at[:, None] + logits)
        step = ratio(positives - _sums(weights, said, one)[:, 0], _sums(weights, said * (1 - said), one)[:, 0])
        step = np.clip(step, -4, 4)  # far from the answer a whole step would leap over it
        at = at + step
        if not (np.abs(step) > _near(start, len(truth))).any():
            break
    return np.where((positives > 0) & (positives < total), at, np.nan)


def _near(start: Line | np.ndarray | None, n: int) -> float:
    """How small the last of Newton's steps is, which shrink by squares.

    Of many cases a resample is one step from the line of all of them (Andrews 2002, doi:10.1111/1468-0262.00294): what
    a second step would change is of the order of 1 / n, where the interval is as wide as 1 / sqrt(n).
    """
    if start is None:
        return 1e-10
    return 1e-4 if n < MANY else math.inf


def _sums(weights: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Weighted sums `(resamples, columns)`; one row that serves all weightings costs no product for each of them."""
    total: np.ndarray = weights @ (columns * rows[0][:, None]) if len(rows) == 1 else (weights * rows) @ columns
    return total


def _logits(scores: np.ndarray) -> np.ndarray:
    clipped = np.clip(scores.astype(np.float64), SUREST, 1 - SUREST)
    logits: np.ndarray = np.log(clipped) - np.log1p(-clipped)
    return logits


def _solve(bend: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Newton's step of two unknowns, `(resamples, 2)`; NaN where the equations have no single answer."""
    a, b, c = bend.T
    determinant = a * c - b**2
    sound = determinant > 1e-12 * np.maximum(a * c, 1e-300)
    with np.errstate(divide="ignore", invalid="ignore"):
        step = (
            np.stack([c * slope[:, 0] - b * slope[:, 1], a * slope[:, 1] - b * slope[:, 0]], 1) / determinant[:, None]
        )
    return np.where(sound[:, None], step, np.nan)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1 + np.tanh(values / 2)))
