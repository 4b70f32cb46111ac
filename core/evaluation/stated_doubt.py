"""Whether a model that paints is less sure where it paints worse: the evidence that its doubt has.

How sure it is of a case is the mean probability of what it painted there, which each evaluation keeps; the Dice of the
same cases is kept too, so nothing is painted anew and no further case is looked at.
"""

import sqlite3
from dataclasses import dataclass

import numpy as np

from core.evaluation.records import Evaluation, find_predictions, list_measured
from core.measures.estimates import Estimate
from core.measures.following import follow

FEWEST_CASES = 10  # of fewer a rank correlation says nothing
MAPS_UNCHECKED = (
    "That a map of doubt marks where within an image this model is wrong was not checked: it shows what the model "
    "states. Explanations, or `readroom evidence`, gathers the evidence."
)
ERRORS_NEED_NONE = "A map of errors needs no evidence, for it is the difference from the reference."


@dataclass(frozen=True)
class DoubtEvidence:
    """Of one structure the rank correlation (Spearman) of how sure the model is with its Dice, -1 to 1, over the cases
    on which it is in the reference and was painted."""

    structure: str
    n_cases: int
    n_patients: int
    follows: Estimate

    @property
    def is_shown(self) -> bool:
        """Whether being less sure goes with a lower Dice beyond noise."""
        return self.follows.low is not None and self.follows.low > 0

    @property
    def verdict(self) -> str:
        if self.follows.value is None or self.follows.low is None or self.follows.high is None:
            return f"Not known: {self.follows.reason or self.follows.note}"
        if self.is_shown:
            return "Less sure where its Dice is lower"
        if self.follows.high < 0:
            return "Surer where its Dice is lower: do not go by its doubt"
        return "Not shown that it is less sure where its Dice is lower"


def gather_doubt_evidence(connection: sqlite3.Connection, evaluation: Evaluation) -> tuple[DoubtEvidence, ...]:
    """Of each structure, from what an evaluation of painted structures has left."""
    measured = list_measured(connection, evaluation.id)
    scores = find_predictions(connection, evaluation.model, {one.case_id for one in measured})
    found = []
    for at, name in enumerate(evaluation.result["structures"]):
        rows = [
            (scores[one.case_id][at], one.dice, one.patient)
            for one in sorted(measured, key=lambda one: one.case_id)
            if one.structure == name and one.dice is not None and one.case_id in scores
            if one.reference_pixels and one.predicted_pixels
        ]
        patients = [patient for *_, patient in rows]
        follows = Estimate(None, None, None, reason=f"{len(rows)} of at least {FEWEST_CASES} cases.")
        if len(rows) >= FEWEST_CASES:
            sure, dice = np.array([row[:2] for row in rows], float).T
            follows = follow(sure, dice, np.ones(len(rows), bool), patients)
        if follows.reason.startswith("The scores"):
            follows = Estimate(None, None, None, reason="It is equally sure of all of these cases, or equally good.")
        found.append(DoubtEvidence(name, len(rows), len(set(patients)), follows))
    return tuple(found)
