"""How good drawn images are, by what a judge (a classifier of the same images) sees in them.

`fid_like` is the Frechet distance of Heusel et al. 2017 (arXiv:1706.08500) on the features of that judge: it is not
the FID of the literature, whose features are of photographs, and can be compared only under the same judge and n.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.measures.estimates import Estimate, estimate_of, estimates_json
from core.measures.intervals import LEVEL, none_of, number_patients, percentile_interval
from core.measures.shares import share_of

FRECHET_RESAMPLES = 200  # each takes two decompositions
CLOSE_PERCENTILE = 1.0
AT_ONCE = 256
JUDGED = ("class_consistency", "judge_accuracy")  # shares that hang on the judge alone
TOO_FEW = "A distance between two sets takes two images of each."
ONE_PATIENT = "How close images of two patients are is not known: no training image has a neighbour of another patient."


@dataclass(frozen=True)
class Seen:
    """What a judge sees in some images.

    features: `(n, d)`.
    right: whether it names the class that an image is of, or was drawn for, `(n,)`.
    close_pixels, close_features: whether a training image is closer than training images of different patients are to
        their nearest, but for the closest percent of them, `(n,)`; see `close_limit`.
    """

    features: np.ndarray
    right: np.ndarray
    close_pixels: np.ndarray
    close_features: np.ndarray
    comparable: bool = True  # whether the training images tell how close those of two patients are

    def __len__(self) -> int:
        return len(self.features)


def nearest_of(
    asked: np.ndarray, known: np.ndarray, keys: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """For each row of `asked` `(n, d)` the nearest of `known` `(m, d)`: its Euclidean distance and its place, `(n,)`.

    Args:
        keys: of the rows of `asked` and of `known`; rows of the same key are not compared.
    """
    squares = np.einsum("ij,ij->i", known, known)
    distances, places = np.empty(len(asked)), np.empty(len(asked), np.int64)
    for start in range(0, len(asked), AT_ONCE):
        some = asked[start : start + AT_ONCE]
        between = squares - 2 * (some @ known.T) + np.einsum("ij,ij->i", some, some)[:, None]
        if keys is not None:
            between[keys[0][start : start + AT_ONCE, None] == keys[1][None, :]] = np.inf
        found = between.argmin(axis=1)
        places[start : start + AT_ONCE] = found
        distances[start : start + AT_ONCE] = np.sqrt(np.maximum(between[np.arange(len(some)), found], 0))
    return distances, places


def are_copies(distances: np.ndarray, pixels: int) -> np.ndarray:
    """Whether images of so many grey values from 0 to 1 are the same but for less than half a level of 255 in each, by
    the distances `(n,)` between them."""
    return np.asarray(distances < np.sqrt(pixels) / 255 / 2)


def close_limit(distances: np.ndarray, copies: np.ndarray | None = None) -> float:
    """Below which a distance to the nearest training image is suspicious: a low percentile of those between training
    images and their nearest of another patient; 0 where there is none.

    Args:
        copies: which of them are of an image that another patient has too, `(n,)`; they tell nothing of how alike
            patients are, and with more of them than the percentile nothing would be suspicious.
    """
    known = distances[np.isfinite(distances) & (True if copies is None else ~copies)]
    return float(np.percentile(known, CLOSE_PERCENTILE)) if len(known) else 0.0


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Between two sets of features `(n, d)`, each taken as normally distributed; NaN with fewer than two of either."""
    if min(len(first), len(second)) < 2:
        return float("nan")
    spreads = [np.atleast_2d(np.cov(part, rowvar=False)) for part in (first, second)]
    values, vectors = np.linalg.eigh(spreads[0])
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ spreads[1] @ root), 0)).sum()
    apart = np.square(first.mean(axis=0) - second.mean(axis=0)).sum()
    return float(max(0.0, apart + np.trace(spreads[0]) + np.trace(spreads[1]) - 2 * shared))


def measure_drawn(real: Seen, drawn: Seen, patients: Sequence[str], *, seed: int) -> dict[str, Any]:
    """Numbers of drawn images against the real ones of a split, each with its interval: of the distance by bootstrap
    over patients, of shares Wilson's, with the design effect of several real images a patient; drawn ones are
    independent.

    Returns:
        `metrics`: `fid_like`; `class_consistency`, how often the judge sees what was asked for, and `judge_accuracy`,
        how often it is right on real images; `memorised`, the share of drawn images that are close to a training image
        by pixels and by features, `memorised_pixels` and `memorised_features` by one of them, and `real_close`, the
        same as `memorised` of the real images; with `n_cases`, `n_patients`, `n_samples`, `seed`, `level`, `resamples`.
    """
    both = drawn.close_pixels & drawn.close_features
    of_drawn = {
        "class_consistency": drawn.right,
        "memorised": both,
        "memorised_pixels": drawn.close_pixels,
        "memorised_features": drawn.close_features,
    }
    of_real = {"judge_accuracy": real.right, "real_close": real.close_pixels & real.close_features}
    metrics = {"fid_like": _frechet(real.features, drawn.features, patients, seed)}
    # Drawn images have no patient: each stands alone.
    metrics |= _shares(of_drawn, [str(at) for at in range(len(drawn))], comparable=drawn.comparable)
    metrics |= _shares(of_real, patients, comparable=real.comparable)
    return {
        "n_cases": len(real),
        "n_patients": len(set(patients)),
        "n_samples": len(drawn),
        "metrics": estimates_json(metrics),
        "seed": seed,
        "level": LEVEL,
        "resamples": FRECHET_RESAMPLES,
        "fid_like_resamples": FRECHET_RESAMPLES,
        "close_percentile": CLOSE_PERCENTILE,
    }


def _shares(marks: dict[str, np.ndarray], units: Sequence[str], *, comparable: bool) -> dict[str, Estimate]:
    numbers, found = number_patients(units), {}
    for name, mark in marks.items():
        known = comparable or name in JUDGED
        every = np.full(len(units), known)
        found[name] = share_of(np.asarray(mark, bool), every, numbers, "There is no image." if known else ONE_PATIENT)
    return found


def _frechet(real: np.ndarray, drawn: np.ndarray, patients: Sequence[str], seed: int) -> Estimate:
    """With the spread of resamples around the value itself: drawing twice from the same images makes them poorer and
    so lifts every resample's distance."""
    found = frechet_distance(real, drawn)
    of_patient: dict[str, list[int]] = {}
    for at, patient in enumerate(patients):
        of_patient.setdefault(patient, []).append(at)
    groups, random = list(of_patient.values()), np.random.default_rng(seed)
    note = (
        f"Not the FID of the literature: features of this project's own judge, {len(real)} real and {len(drawn)} drawn "
        "images."
    )
    if len(groups) < 2:
        return estimate_of(found, none_of(len(groups)), undefined=TOO_FEW, note=note)
    values = np.array(
        [
            frechet_distance(
                real[[at for group in random.integers(0, len(groups), len(groups)) for at in groups[group]]],
                drawn[random.integers(0, len(drawn), len(drawn))],
            )
            for _ in range(FRECHET_RESAMPLES)
        ]
    )
    centred = np.maximum(values - np.nanmedian(values) + found, 0) if not np.isnan(values).all() else values
    return estimate_of(found, percentile_interval(centred), undefined=TOO_FEW, note=note)
