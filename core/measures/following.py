"""How well a few facts about cases predict a class, and whether a model's score follows what they predict."""

import numpy as np

from core.measures.estimates import Estimate, estimate_of
from core.measures.intervals import patient_bootstrap
from core.measures.metrics import ratio

FOLDS = 5
KINDS = 12  # of one fact that are told apart; a number with more is cut into this many ranges
RESAMPLES = 1000


def predict_from_facts(
    facts: list[list[str]], positive: np.ndarray, patients: np.ndarray, *, seed: int = 0
) -> np.ndarray | None:
    """Probabilities of the class `(cases,)` by logistic regression on the facts, each from a fit that has not seen the
    case's patient (five folds by patient, stratified); None where a fold would lack one of the two outcomes.

    Args:
        facts: one list of words for each fact, a word a case; numbers should come as ranges already.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.preprocessing import OneHotEncoder

    if min(_patients_with(positive, patients), _patients_with(~positive, patients)) < FOLDS:
        return None
    table, found = np.array(facts, dtype=object).T, np.empty(len(positive))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for train, held in folds.split(table, positive, patients):
        if len(np.unique(positive[train])) < 2:
            return None
        encoder = OneHotEncoder(handle_unknown="ignore", max_categories=KINDS)
        fitted = LogisticRegression(C=1.0, max_iter=500).fit(encoder.fit_transform(table[train]), positive[train])
        found[held] = fitted.predict_proba(encoder.transform(table[held]))[:, 1]
    return found


def _patients_with(chosen: np.ndarray, patients: np.ndarray) -> int:
    return len(np.unique(patients[chosen]))


def follow(scores: np.ndarray, predicted: np.ndarray, positive: np.ndarray, patients: list[str]) -> Estimate:
    """Rank correlation of a model's scores with what the facts predict, among cases of the same outcome, so that being
    right does not count as following; 0 where it does not follow. Interval by bootstrap over patients.
    """
    from scipy.stats import rankdata

    one, other = np.empty(len(scores)), np.empty(len(scores))
    for chosen in (positive, ~positive):
        if chosen.any():
            one[chosen], other[chosen] = rankdata(scores[chosen]), rankdata(predicted[chosen])
            for ranks in (one, other):  # about 0, so that ranks which are all alike are 0 to the last digit
                ranks[chosen] = (ranks[chosen] - ranks[chosen].mean()) / chosen.sum()

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        sums = np.zeros((3, len(weights)))
        for chosen in (positive, ~positive):
            some, total = weights[:, chosen], weights[:, chosen].sum(axis=1)
            x, y = one[chosen], other[chosen]
            mean_x, mean_y = ratio(some @ x, total), ratio(some @ y, total)
            parts = np.stack([some @ (x * y) - total * mean_x * mean_y, some @ x**2 - total * mean_x**2,
                              some @ y**2 - total * mean_y**2])  # fmt: skip
            sums += np.nan_to_num(parts)
        return {
            "follows": np.where(sums[1] * sums[2] > 1e-18, ratio(sums[0], np.sqrt(np.abs(sums[1] * sums[2]))), np.nan)
        }

    interval = patient_bootstrap(measure, patients, resamples=RESAMPLES)["follows"]
    found = float(measure(np.ones((1, len(scores))))["follows"][0])
    return estimate_of(found, interval, undefined="The scores or the facts do not differ among cases of one outcome.")
