"""How far trainings lie apart that differ in nothing but their seed: what a difference of two models must exceed."""

import json
import math
import sqlite3
from collections.abc import Callable, Sequence

import numpy as np

from core.evaluation.paired_labels import Noise
from core.evaluation.records import find_predictions
from core.measures.paired import FEWEST_SEEDS, SeedNoise
from core.training.recipe import recipe_to_json
from core.training.records import Model, get_run, list_models


def read_seed_noise(connection: sqlite3.Connection, pair: tuple[Model, Model], ids: list[int]) -> Noise:
    """How far the AUCs of trainings lie apart, on these cases, that differ from one of the pair in their seed alone: a
    function of how an AUC is taken of scores `(cases, classes)`.

    What is not known of one of the two is taken from the other; None where neither has three seeds that were evaluated
    on these cases.
    """
    trainings = []
    for models in list_trainings(connection, pair):
        scores: dict[int, np.ndarray] = {}  # by seed: two models of one seed are one training
        for seed, model in models:
            known = find_predictions(connection, model.id, ids)
            if len(known) == len(set(ids)):
                scores[seed] = np.array([known[case_id] for case_id in ids])
        trainings.append(list(scores.values()))

    def noise_of(area: Callable[[np.ndarray], float]) -> SeedNoise | None:
        return seed_noise_of([[area(one) for one in some] for some in trainings])

    return noise_of


def seed_noise_of(trainings: Sequence[Sequence[float]]) -> SeedNoise | None:
    """Of one number of each training, `(recipes, seeds)`; None where no recipe has three seeds with that number."""
    enough = [some for some in trainings if len(some) >= FEWEST_SEEDS and not any(math.isnan(one) for one in some)]
    if not enough:
        return None
    return SeedNoise(tuple(float(np.std(some, ddof=1)) for some in enough), tuple(len(some) for some in enough))


def list_trainings(connection: sqlite3.Connection, pair: tuple[Model, Model]) -> list[list[tuple[int, Model]]]:
    """For each recipe of the pair its models with their seeds, the pair's own among them; ensembles are left out."""
    siblings: dict[str, list[tuple[int, Model]]] = {}
    for model in list_models(connection, pair[0].project):
        if model.task == pair[0].task and not model.facts.get("members") and not model.facts.get("point_of"):
            seed = get_run(connection, model.run).recipe.seed
            siblings.setdefault(_kin(connection, model), []).append((seed, model))
    return [siblings.get(kin, []) for kin in dict.fromkeys(_kin(connection, model) for model in pair)]


def differ_in_seed_alone(connection: sqlite3.Connection, pair: tuple[Model, Model]) -> bool:
    """Whether two models are of one recipe, snapshot and fold, and put together alike (of as many members)."""
    one, other = pair
    alike = [(len(model.facts.get("members", ())), model.facts.get("views")) for model in pair]
    return alike[0] == alike[1] and _kin(connection, one) == _kin(connection, other)


def _kin(connection: sqlite3.Connection, model: Model) -> str:
    """Everything that decides a training but its seed, as text."""
    run = get_run(connection, model.run)
    return json.dumps([run.snapshot, run.fold, {**recipe_to_json(run.recipe), "seed": None}], sort_keys=True)
