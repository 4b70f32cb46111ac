"""Groups of cases that a network sees as alike, from its features alone: no label and no attribute takes part."""

from dataclasses import dataclass

import numpy as np

FEWEST_A_GROUP = 30  # on average; smaller groups tell nothing of a metric
MOST_GROUPS = 8
MOST_DIRECTIONS = 16
LOOKED_AT = 1000  # cases of which the silhouette is taken: it compares each with each
SUREST = 1e-6


@dataclass(frozen=True)
class Clusters:
    """`group` is a number from 0 for each case, 0 the largest; `distance` says how far a case is from its middle."""

    group: np.ndarray  # int (cases,)
    distance: np.ndarray  # float (cases,)
    silhouette: float


def find_clusters(
    features: np.ndarray, scores: np.ndarray, *, probabilities: bool = True, seed: int = 0
) -> Clusters | None:
    """Cluster cases by what a network sees in them beside what it answers; None where they are too few or all alike.

    What the answer already says (a linear function of the log-odds, or of the numbers) is taken out of the features,
    or groups would be right and wrong answers by themselves. Then: principal directions, k-means for each k from 2 to
    8 that leaves 30 cases a group, and of them the k with the largest mean silhouette (Rousseeuw 1987,
    doi:10.1016/0377-0427(87)90125-7).

    Args:
        features: `(cases, d)`, what the last layer before the answer gives.
        scores: `(cases, k)`, probabilities of classes, or else numbers.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score
    from threadpoolctl import threadpool_limits

    most = min(MOST_GROUPS, len(features) // FEWEST_A_GROUP)
    points = _directions(_beside_the_answer(features, _log_odds(scores) if probabilities else scores))
    if most < 2 or points.shape[1] == 0:
        return None
    shown = np.random.default_rng(seed).permutation(len(points))[:LOOKED_AT]
    best: Clusters | None = None
    for k in range(2, most + 1):
        with threadpool_limits(1):  # threads that wait for each other take longer than the work, on a busy machine
            found = KMeans(k, n_init=4, random_state=seed).fit(points)
        if len(set(found.labels_[shown].tolist())) < 2:
            continue
        apart = float(silhouette_score(points[shown], found.labels_[shown]))
        if best is None or apart > best.silhouette:
            distance = np.linalg.norm(points - found.cluster_centers_[found.labels_], axis=1)
            best = Clusters(_largest_first(found.labels_), distance, apart)
    return best


def _log_odds(scores: np.ndarray) -> np.ndarray:
    scores = np.clip(scores.astype(np.float64), SUREST, 1 - SUREST)
    return np.asarray(np.log(scores) - np.log1p(-scores))


def _beside_the_answer(features: np.ndarray, said: np.ndarray) -> np.ndarray:
    """Standardised features `(n, d)` less their linear fit on what was said `(n, k)`."""
    answer = np.column_stack([np.ones(len(said)), said])
    spread = features.std(axis=0)
    told = (features[:, spread > 0].astype(np.float64) - features[:, spread > 0].mean(axis=0)) / spread[spread > 0]
    fitted: np.ndarray = answer @ np.linalg.lstsq(answer, told, rcond=None)[0]
    return np.asarray(told - fitted)


def _directions(points: np.ndarray) -> np.ndarray:
    """Their first principal components `(n, at most 16)`; none where nothing varies."""
    if points.shape[1] == 0:
        return points
    values, vectors = np.linalg.eigh(np.cov(points, rowvar=False).reshape(points.shape[1], points.shape[1]))
    kept = [at for at in np.argsort(-values)[:MOST_DIRECTIONS] if values[at] > SUREST]
    return np.asarray(points @ vectors[:, kept])


def _largest_first(labels: np.ndarray) -> np.ndarray:
    order = np.argsort(-np.bincount(labels), kind="stable")
    return np.asarray(np.argsort(order)[labels])
