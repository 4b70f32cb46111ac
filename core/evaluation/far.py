"""How far each case of a split is, in what the network sees of it, from the cases that the network was trained on.

Deep nearest neighbours (Sun et al. 2022, arXiv:2204.06507): the distance of the features before the answer to the
nearest training cases; what is further than nearly all validation cases are is out of distribution. It finds what a
model is wrongly sure of, which low probabilities do not. Kept where an evaluation leaves it, as groups by appearance.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from core.evaluation.appearance import look_at
from core.evaluation.kept_looks import look_key, read_look
from core.progress import Portion, Progress
from core.store.files import Files, array_bytes
from core.training.ensemble import runs_behind
from core.training.records import Model
from core.training.request import cases_of_run

VERSION = 1  # raise it when distances are found in another way
NEAREST = 5  # training cases whose mean distance counts: one twin is no neighbourhood
BEYOND = 99  # percentile of the validation cases' distances
MOST_TRAINING, MOST_VALIDATION = 1000, 500  # are looked at, drawn with a seed: each costs an answer
FEWEST = 20  # of either; fewer say nothing of what is usual
SEED = 0


@dataclass(frozen=True)
class Distances:
    """One distance a case, in standard deviations of the training cases' features, and where the unusual begins."""

    distance: np.ndarray
    limit: float
    n_training: int
    n_validation: int


def measure_distances(features: np.ndarray, training: np.ndarray) -> np.ndarray:
    """The mean distance `(cases,)` of each case's features to those of its nearest training cases.

    Args:
        features: `(cases, d)`; training: `(m, d)`, of which `NEAREST` count, or all where they are fewer.
    """
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    middle, spread = training.mean(axis=0), training.std(axis=0)
    # a feature that never moved in training says most where it moves
    spread = np.where(spread > 0, spread, max(float(spread.mean()), 1e-9))
    with threadpool_limits(1):
        known = NearestNeighbors(n_neighbors=min(NEAREST, len(training)), algorithm="brute")
        known.fit((training - middle) / spread)
        return np.asarray(known.kneighbors((features - middle) / spread)[0].mean(axis=1))


def keep_distances(
    connection: sqlite3.Connection,
    files: Files,
    model: Model,
    case_ids: Sequence[int],
    features: np.ndarray | None,
    progress: Progress,
) -> None:
    """Measure the distances of these cases and keep them; nothing where they are kept already, or where training or
    validation cases are too few.

    Args:
        features: `(cases, d)` of `look_at`, where somebody has looked already.

    Raises:
        Stopped: somebody asked to stop.
    """
    key = _key(model, case_ids)
    if files.has("prepared", key):
        return
    training, validation = _usual_cases(connection, model)
    if min(len(training), len(validation)) < FEWEST:
        return
    look = partial(look_at, connection, files, model, doing="Distance to the training cases, ")
    if features is None:
        features = look(case_ids, Portion(progress, 0.0, 0.5))
    usual = look([*training, *validation], Portion(progress, 0.5, 1.0)) if features is not None else None
    if features is None or usual is None:
        return
    learnt, held_out = usual[: len(training)].astype(float), usual[len(training) :].astype(float)
    limit = np.percentile(measure_distances(held_out, learnt), BEYOND)
    found = [limit, len(training), len(validation), *measure_distances(features.astype(float), learnt)]
    files.put_under("prepared", key, array_bytes(np.array(found)))


def read_distances(files: Files, model: Model, case_ids: Sequence[int]) -> Distances | None:
    """The kept distances of these cases; None where there are none, or they were cleared away."""
    kept = read_look(files, _key(model, case_ids))
    if kept is None or len(kept) != len(case_ids) + 3:
        return None
    return Distances(kept[3:], float(kept[0]), int(kept[1]), int(kept[2]))


def _usual_cases(connection: sqlite3.Connection, model: Model) -> tuple[list[int], list[int]]:
    """Training and validation cases of a model, of an ensemble of all its members, at most so many."""
    training, validation = set[int](), set[int]()
    for run in runs_behind(connection, model):
        train, held_out = cases_of_run(connection, run)
        training |= {case.case_id for case in train}
        validation |= {case.case_id for case in held_out}
    return _drawn(training, MOST_TRAINING), _drawn(validation - training, MOST_VALIDATION)


def _drawn(case_ids: set[int], most: int) -> list[int]:
    ordered = np.array(sorted(case_ids), int)
    taken = np.random.default_rng(SEED).permutation(len(ordered))[:most]
    return [int(one) for one in ordered[np.sort(taken)]]


def _key(model: Model, case_ids: Sequence[int]) -> str:
    return look_key("distance", VERSION, model, list(case_ids))
