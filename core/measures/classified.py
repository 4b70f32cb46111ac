"""The numbers of a classifier on some cases, for one weighting of these or for thousands at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.measures.estimates import Estimate
from core.measures.metrics import (
    Ranking,
    accuracy,
    average_precision,
    confusion_counts,
    f1,
    kappa,
    matthews,
    multi_label_counts,
    negative_predictive_value,
    npv_even,
    one_against_rest,
    ppv_even,
    precision,
    rank_scores,
    ratio,
    recall,
    roc_auc,
    specificity,
    weigh_ranking,
)
from core.measures.probabilities import (
    Line,
    brier_score,
    calibration_error,
    calibration_in_the_large,
    calibration_line,
    log_loss,
)
from core.measures.shares import share_of

OF_TABLES = {
    "precision": precision,
    "recall": recall,
    "specificity": specificity,
    "npv": negative_predictive_value,
    "ppv_even": ppv_even,
    "npv_even": npv_even,
    "f1": f1,
    "kappa": kappa,
    "mcc": matthews,
}
OF_SCORES = ("auc", "average_precision", "brier", "ece", "calibration_slope", "calibration_intercept")
PER_CLASS = (*OF_TABLES, *OF_SCORES)
# A mean over the classes that have a value in all the cases, by what it is a mean of.
MEANS = {
    "balanced_accuracy": "balanced",
    "f1_macro": "f1",
    "auc": "auc",
    "average_precision": "average_precision",
    "precision_macro": "precision",
    "recall_macro": "recall",
    "specificity_macro": "specificity",
    "precision_weighted": "precision",
    "recall_weighted": "recall",
    "specificity_weighted": "specificity",
    "f1_weighted": "f1",
}
MICRO = ("precision_micro", "recall_micro", "specificity_micro", "f1_micro")
AVERAGED = tuple(dict.fromkeys(MEANS.values()))
OVERALL = (
    "accuracy",
    "accuracy_at_half",
    *MEANS,
    *MICRO,
    "kappa",
    "mcc",
    "brier",
    "log_loss",
    "ece",
    "calibration_slope",
    "calibration_intercept",
)
SAME_AS_ACCURACY = ("precision_micro", "recall_micro", "f1_micro", "recall_weighted")
SHARES_RIGHT = ("accuracy", "accuracy_at_half")  # the second where thresholds were chosen
Thresholds = Sequence[float] | np.ndarray
THRESHOLD = 0.5  # of each class of a multi-label project; single-label takes the highest probability


def predict_classes(scores: np.ndarray, *, multi_label: bool, thresholds: Thresholds | None = None) -> np.ndarray:
    """0/1 `(cases, classes)`: multi-label every class at or above its threshold; of two classes the second one from
    its threshold on; of more the one with the highest probability.

    Args:
        thresholds: one for each class, one half each where there are none; `(cases, classes)` where not all cases were
            answered by the same model.
    """
    if multi_label:
        above: np.ndarray = (scores >= (THRESHOLD if thresholds is None else np.asarray(thresholds))).astype(int)
        return above
    if thresholds is not None and scores.shape[1] == 2:
        chosen = (scores[:, 1] >= np.asarray(thresholds)[..., 1]).astype(int)
    else:
        chosen = scores.argmax(axis=1)
    one_hot: np.ndarray = np.eye(scores.shape[1], dtype=int)[chosen]
    return one_hot


@dataclass(frozen=True)
class WeighedCases:
    """The cases prepared once, so that each weighting of them is only arithmetic."""

    targets: np.ndarray
    scores: np.ndarray
    predicted: np.ndarray
    rankings: tuple[Ranking, ...]
    multi_label: bool
    at_half: np.ndarray | None  # what would be predicted without thresholds

    @staticmethod
    def of(targets: np.ndarray, scores: np.ndarray, multi_label: bool, thresholds: Thresholds | None) -> "WeighedCases":
        return WeighedCases(
            targets,
            scores.astype(np.float64),
            predict_classes(scores, multi_label=multi_label, thresholds=thresholds),
            tuple(rank_scores(targets[:, k] == 1, scores[:, k]) for k in range(targets.shape[1])),
            multi_label,
            predict_classes(scores, multi_label=multi_label) if thresholds is not None else None,
        )

    def matrix(self, weights: np.ndarray) -> np.ndarray:
        """Confusion matrices `(resamples, classes, classes)`; multi-label one of 2 x 2 for each class."""
        if self.multi_label:
            return multi_label_counts(self.targets, self.predicted, weights)
        return confusion_counts(self.targets.argmax(1), self.predicted.argmax(1), self.targets.shape[1], weights)

    def values(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Everything per class `(resamples, classes)`, what is of all classes together `(resamples,)`, the tables."""
        matrix = self.matrix(weights)
        tables = matrix if self.multi_label else one_against_rest(matrix)
        ranked = [weigh_ranking(ranking, weights) for ranking in self.rankings]
        found = {name: measure(tables) for name, measure in OF_TABLES.items()}
        every = tables.sum(axis=-3)  # all answers to all questions together
        found |= {
            "tables": tables,
            "support": tables[..., 1, :].sum(-1),
            "accuracy": self._share_right(self.predicted, weights) if self.multi_label else accuracy(matrix),
            "auc": np.stack([roc_auc(*pair) for pair in ranked], axis=1),
            "average_precision": np.stack([average_precision(*pair) for pair in ranked], axis=1),
            "balanced": (found["recall"] + found["specificity"]) / 2 if self.multi_label else found["recall"],
            "precision_micro": precision(every),
            "recall_micro": recall(every),
            "specificity_micro": specificity(every),
            "f1_micro": f1(every),
            **self._of_probabilities(weights),
        }
        if not self.multi_label:
            found |= {"kappa_all": kappa(matrix), "mcc_all": matthews(matrix)}
        if self.at_half is not None:
            found["accuracy_at_half"] = self._share_right(self.at_half, weights)
        return found

    def _of_probabilities(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        columns = list(zip(self.targets.T, self.scores.T, strict=True))
        brier = np.stack([brier_score(truth, scores, weights) for truth, scores in columns], axis=1)
        if self.multi_label:  # one question for each class: the mean over the questions
            given = np.where(self.targets == 1, self.scores, 1 - self.scores)
            loss = np.stack([log_loss(one, weights) for one in given.T]).mean(axis=0)
        else:
            loss = log_loss(self.scores[np.arange(len(self.targets)), self.targets.argmax(1)], weights)
        return {
            "brier": brier,
            # Of exclusive classes half the sum, so that two classes have the usual score and more still end at 1.
            "brier_all": brier.mean(axis=1) if self.multi_label else brier.sum(axis=1) / 2,
            "log_loss": loss,
            "ece": np.stack([calibration_error(truth, scores, weights) for truth, scores in columns], axis=1),
        }

    def lines(self, weights: np.ndarray, start: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """Slope and intercept of calibration, `(resamples, classes)`; sought from the line of all cases."""
        two_sided = self.targets.shape[1] == 2 and not self.multi_label
        slopes, crossings, larges = [], [], []
        for k in range(self.targets.shape[1]):
            truth, scores = self.targets[:, k], self.scores[:, k]
            if two_sided and k == 0:  # seen from the other end below
                continue
            at: Line | None = (start["crossing"][:, k], start["calibration_slope"][:, k]) if start else None
            crossing, slope = calibration_line(truth, scores, weights, at)
            slopes.append(slope)
            crossings.append(crossing)
            larges.append(
                calibration_in_the_large(
                    truth, scores, weights, start["calibration_intercept"][:, k] if start else None
                )
            )
        if two_sided:
            slopes, crossings, larges = slopes * 2, [-crossings[0], *crossings], [-larges[0], *larges]
        names = ("calibration_slope", "crossing", "calibration_intercept")
        return {name: np.stack(found, axis=1) for name, found in zip(names, (slopes, crossings, larges), strict=True)}

    def shares(self, patients: np.ndarray, level: float) -> dict[str, Estimate]:
        """What is a plain share of cases, by its key in `flat_values`, with Wilson's interval.

        Args:
            patients: a number from 0 for each case.
        """
        found = {}
        for k, (truth, said) in enumerate(zip(self.targets.T == 1, self.predicted.T == 1, strict=True)):
            hits, cleared = truth & said, ~truth & ~said
            of_class = {
                "recall": (hits, truth),
                "specificity": (cleared, ~truth),
                "precision": (hits, said),
                "npv": (cleared, ~said),
            }
            for name, (part, whole) in of_class.items():
                found[f"{name}/{k}"] = share_of(part, whole, patients, "", level)
        every = np.ones(len(self.targets), bool)
        right = {"accuracy": self.predicted, "accuracy_at_half": self.at_half}
        for name, said_so in right.items():
            if said_so is not None:
                found[name] = share_of((self.targets == said_so).all(axis=1), every, patients, "", level)
        if not self.multi_label:  # of exclusive classes these are the accuracy under other names
            found |= dict.fromkeys(SAME_AS_ACCURACY, found["accuracy"])
        return found

    def _share_right(self, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return ratio(weights @ (self.targets == predicted).all(axis=1), weights.sum(axis=1))


def flat_values(
    values: Mapping[str, np.ndarray], averaged: Mapping[str, np.ndarray], *, two_sided: bool
) -> dict[str, np.ndarray]:
    """One array `(resamples,)` per number; a mean is taken over the classes that have a value in all the cases,
    so a resample that has lost one of them is undefined instead of a mean over something else."""
    flat = {f"{name}/{k}": values[name][:, k] for name in PER_CLASS for k in range(values[name].shape[1])}
    flat |= {name: values[name] for name in (*SHARES_RIGHT, *MICRO, "log_loss") if name in values}
    for name, kind in MEANS.items():
        weights = values["support"] if name.endswith("_weighted") else None
        flat[name] = _mean(values[kind], averaged[kind], weights)
    flat["brier"] = values["brier_all"]
    flat["kappa"] = values["kappa_all"] if "kappa_all" in values else values["kappa"].mean(axis=1)
    flat["mcc"] = values["mcc_all"] if "mcc_all" in values else values["mcc"].mean(axis=1)
    flat["ece"] = values["ece"][:, 1] if two_sided else values["ece"].mean(axis=1)
    if two_sided:
        # Two classes have one ROC curve, seen from both ends; that of the second class is the usual one.
        flat["auc"] = values["auc"][:, 1]
        flat["calibration_slope"] = values["calibration_slope"][:, 1]
        flat["calibration_intercept"] = values["calibration_intercept"][:, 1]
    return flat


def _mean(values: np.ndarray, kept: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    if not kept.any():
        return np.full(len(values), np.nan)
    if weights is None:
        return np.asarray(values[:, kept].mean(axis=1))
    return ratio((values[:, kept] * weights[:, kept]).sum(axis=1), weights[:, kept].sum(axis=1))
