"""Shortcut checks: how well what a model should not need - size, scanner, site, burned-in corners - predicts the label,
and whether its score follows that (Geirhos et al. 2020, doi:10.1038/s42256-020-00257-z)."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.evaluation.operating import Scored
from core.evaluation.subgroups import group_values, is_a_name, read_known
from core.images.records import get_cases
from core.images.similarity import seen_picture
from core.measures.estimates import Estimate
from core.measures.following import follow, predict_from_facts
from core.measures.groups import Answers, estimate
from core.store.files import Files

CORNER = 8  # the side of a corner is the eighth part of the picture's
MOST_CASES = 2000  # whose corners are read, drawn by chance
SEED = 0
SUSPICIOUS = 0.6  # an AUC whose whole interval lies above this is said to be one


@dataclass(frozen=True)
class Shortcut:
    """Facts of one kind: the AUC with which they alone predict the class, and how the model's score follows them."""

    name: str
    n_cases: int
    n_patients: int
    auc: Estimate
    follows: Estimate

    @property
    def suspicious(self) -> bool:
        return self.auc.low is not None and self.auc.low > SUSPICIOUS

    @property
    def followed(self) -> bool:
        return self.suspicious and self.follows.low is not None and self.follows.low > 0


def check_shortcuts(connection: sqlite3.Connection, files: Files, seen: Scored, of_class: str) -> list[Shortcut]:
    """Each fact that differs between the cases, the size together, the four corners, and all of them at once.

    The facts are cut into ranges without a look at the class. Of more than 2,000 cases those are drawn by chance.
    """
    k, n = seen.classes.index(of_class), len(seen.case_ids)
    at = np.sort(np.random.default_rng(SEED).permutation(n)[:MOST_CASES])
    ids = [seen.case_ids[position] for position in at]
    positive, scores = seen.targets[at, k] == 1, seen.scores[at, k]
    patients, names = seen.patient_numbers[at], [seen.patients[position] for position in at]
    kinds = {name: facts for name, facts in _facts(connection, files, ids).items() if facts}
    if len(kinds) > 1:
        kinds["all of these"] = [fact for facts in kinds.values() for fact in facts]
    found = []
    for name, facts in kinds.items():
        predicted = predict_from_facts(facts, positive, patients, seed=SEED)
        if predicted is None:
            few = Estimate(None, None, None, reason="Too few patients with and without the class for five folds.")
            found.append(Shortcut(name, len(ids), len(set(names)), few, few))
            continue
        told = Answers(positive, predicted > 0.5, predicted, positive, patients)
        auc = estimate(told, np.ones(len(ids), bool), "auc")
        found.append(Shortcut(name, len(ids), len(set(names)), auc, follow(scores, predicted, positive, names)))
    return found


def _facts(connection: sqlite3.Connection, files: Files, ids: Sequence[int]) -> dict[str, list[list[str]]]:
    known = {name: values for name, values in read_known(connection, ids).items() if not is_a_name(values)}
    ranged = {name: group_values(values) for name, values in known.items()}
    differing = {name: values for name, values in ranged.items() if len(set(values)) > 1}
    size = [differing.pop(name) for name in ("image width", "image height") if name in differing]
    return {
        "size of the image": size,
        **{name: [values] for name, values in differing.items()},
        "brightness of the four corners": _corners(connection, files, ids),
    }


def _corners(connection: sqlite3.Connection, files: Files, ids: Sequence[int]) -> list[list[str]]:
    """Mean and spread of the four corners of each picture, as four ranges each; what does not differ is left out."""
    numbers = []
    for case in get_cases(connection, ids):
        picture = seen_picture(files, case).astype(np.float32)
        picture = picture.mean(axis=-1) if picture.ndim == 3 else picture
        rows, columns = (max(1, side // CORNER) for side in picture.shape)
        parts = [
            picture[:rows, :columns],
            picture[:rows, -columns:],
            picture[-rows:, :columns],
            picture[-rows:, -columns:],
        ]
        numbers.append([value for part in parts for value in (part.mean(), part.std())])
    facts = [group_values([f"{value:.2f}" for value in column]) for column in np.array(numbers).T]
    return [fact for fact in facts if len(set(fact)) > 1]


def warn_of(found: Sequence[Shortcut]) -> Mapping[str, str]:
    """For each shortcut that there is, what it means in a sentence."""
    told = {}
    for one in found:
        if one.followed:
            told[one.name] = f"{one.name}: predicts the class alone, and the model's score follows it within a class."
        elif one.suspicious:
            told[one.name] = f"{one.name}: predicts the class alone; that the model's score follows it is not shown."
    return told
