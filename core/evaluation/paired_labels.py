"""Two models that answer several labels at once, on the same cases: what differs for each label, and over all of them.

Each label is a question of its own: its AUC is compared by DeLong, its decisions by McNemar, its F1 and its balanced
accuracy by drawing patients once for both. What is said of single labels stands on intervals so wide that all of them
hold together at 95 % (Bonferroni), as of subgroups.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.measures.estimates import Estimate, estimates_json
from core.measures.groups import FEWEST_PATIENTS, FEWEST_POSITIVES
from core.measures.intervals import LEVEL, number_patients
from core.measures.metrics import (
    f1,
    multi_label_counts,
    rank_scores,
    ratio,
    recall,
    roc_auc,
    specificity,
    weigh_ranking,
)
from core.measures.paired import (
    ALL_ALIKE,
    NOTABLE,
    OF_ONE_PATIENT,
    SAME,
    TOO_FEW,
    UNDEFINED,
    AucDifference,
    SeedNoise,
    compare_aucs,
    ends_of_verdict,
    fewest_patients,
    turned,
    verdict,
)

Weighed = Callable[[np.ndarray], dict[str, np.ndarray]]
Noise = Callable[[Callable[[np.ndarray], float]], SeedNoise | None]  # from how an AUC is taken of scores
OF_LABEL = ("auc", "f1", "balanced_accuracy")
MEANS_OF_LABELS = ("auc", "f1_macro", "balanced_accuracy")
NO_CASE = "One of the classes has no case here, or every case."


@dataclass(frozen=True)
class Sides:
    """The cases that are compared on, and what both models say of them: `targets` 0/1 `(cases, labels)`, `scores` and
    `said` (0/1) of each model likewise."""

    names: tuple[str, ...]
    targets: np.ndarray
    scores: Sequence[np.ndarray]
    said: Sequence[np.ndarray]
    ids: list[int]
    patients: list[str]


def measure_labels(targets: np.ndarray, scores: np.ndarray, said: np.ndarray) -> Weighed:
    """From weights `(resamples, cases)` to arrays `(resamples,)`: `auc`, `f1_macro` and `balanced_accuracy`, means over
    the labels that have a value in all the cases; `accuracy`, the share of cases with every label right; and the first
    three of each label, `auc/0` and so on."""
    rankings = [rank_scores(truth == 1, one) for truth, one in zip(targets.T, scores.T, strict=True)]
    right = (said == targets).all(axis=1)
    some, both_sides = np.flatnonzero(targets.any(axis=0)), told_apart(targets)

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        tables = multi_label_counts(targets, said, weights)
        found = {
            "auc": np.stack([roc_auc(*weigh_ranking(one, weights)) for one in rankings], axis=1),
            "f1": f1(tables),
            "balanced_accuracy": (recall(tables) + specificity(tables)) / 2,
        }
        told = {
            "auc": _mean(found["auc"], both_sides),
            "f1_macro": _mean(found["f1"], some),
            "balanced_accuracy": _mean(found["balanced_accuracy"], both_sides),
            "accuracy": ratio(weights @ right, weights.sum(axis=1)),
        }
        return told | {f"{name}/{k}": found[name][:, k] for name in OF_LABEL for k in range(targets.shape[1])}

    return measure


def _mean(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Over labels; NaN where a resample has lost one of them, instead of a mean over something else."""
    return np.asarray(values[:, kept].mean(axis=1)) if len(kept) else np.full(len(values), np.nan)


def told_apart(targets: np.ndarray) -> np.ndarray:
    """The labels that some of the cases have and others have not: the columns of an AUC."""
    return np.array([k for k, one in enumerate(targets.T) if 0 < one.sum() < len(one)], int)


def named_difference(name: str) -> str:
    """A metric's name as that of a difference; of churn, which is none, its own."""
    return name if name == "churn" else f"{name}_difference"


def compare_labels(
    sides: Sides,
    metrics: Mapping[str, Estimate],
    plain: Sequence[Mapping[str, float]],
    noise: Noise,
    comparisons: int = 1,
    *,
    only_seeds: bool = False,
) -> dict[str, dict[str, Any]]:
    """By label: `n` of the cases that have it, `small`, `metrics` (differences of `OF_LABEL` and `churn`), `values` of
    each model, `delong`, `mcnemar` with newly right and newly wrong cases, and the `verdict` on its AUC, which is
    undefined for a label that no case has, or every case, or one patient alone (`verdict_reason`).

    Args:
        metrics, plain: of `measure_labels`, the differences with intervals and the values of each model.
        comparisons: how many pairs of models are compared at once.
        only_seeds: the two differ in nothing but their seed.
    """
    patients = len(set(sides.patients))
    n_of = sides.targets.sum(axis=0)
    rarer = np.minimum(n_of, len(sides.targets) - n_of)
    small = [bool(n < FEWEST_POSITIVES or patients < FEWEST_PATIENTS) for n in rarer]
    level = 1 - (1 - LEVEL) / max(1, comparisons * small.count(False))
    found = {}
    for k, name in enumerate(sides.names):
        own = {key: metrics[f"{key}/{k}"] for key in (*OF_LABEL, "churn")}
        right = [one[:, k] == sides.targets[:, k] for one in sides.said]
        delong = _delong(sides, k, LEVEL)
        found[name] = {
            "n": int(n_of[k]),
            "small": small[k],
            "metrics": estimates_json({named_difference(key): one for key, one in own.items()}),
            "values": [{key: plain_number(one[f"{key}/{k}"]) for key in OF_LABEL} for one in plain],
            "delong": delong.to_json() if delong else None,
            "mcnemar": turned(right, sides.ids),
            **(_judge(sides, k, level, noise, only_seeds) if rarer[k] and not small[k] else _untested(int(rarer[k]))),
        }
    return found


def _untested(rarer: int) -> dict[str, str]:
    return {"verdict": TOO_FEW} if rarer else {"verdict": UNDEFINED, "verdict_reason": NO_CASE}


def _delong(sides: Sides, k: int, level: float) -> AucDifference | None:
    first, second = (one[:, k] for one in sides.scores)
    return compare_aucs(sides.targets[:, k] == 1, first, second, sides.patients, level=level)


def _judge(sides: Sides, k: int, level: float, noise: Noise, only_seeds: bool) -> dict[str, str]:
    """The verdict on one label's AUC, with seed noise where it is known."""
    tested = _delong(sides, k, level)
    if tested is None:
        return {"verdict": UNDEFINED, "verdict_reason": f"{OF_ONE_PATIENT}."}
    positive, once = sides.targets[:, k] == 1, np.ones((1, len(sides.ids)))
    known = noise(lambda scores: float(roc_auc(*weigh_ranking(rank_scores(positive, scores[:, k]), once))[0]))
    patients = fewest_patients(positive, number_patients(sides.patients))
    low, high, _ = ends_of_verdict(
        tested.difference,
        (tested.low, tested.high),
        "DeLong",
        known,
        error=tested.error,
        patients=patients,
        level=level,
    )
    unknown = only_seeds and known is None
    said = verdict(low, high, notable=NOTABLE, seeds_unknown=unknown, patients=patients, level=level)
    return {"verdict": said, **({"verdict_reason": ALL_ALIKE} if said == UNDEFINED else {})}


def tell_labels(per_label: Mapping[str, Mapping[str, Any]]) -> str:
    """Which labels the second model is better or worse on, as a sentence."""
    by_verdict: dict[str, list[str]] = {}
    for name, one in per_label.items():
        by_verdict.setdefault(one["verdict"], []).append(name)
    parts = [
        f"{said}{':' if said in (SAME, TOO_FEW, UNDEFINED) else ' on'} {', '.join(by_verdict[said])}"
        for said in ("better", "worse", SAME, TOO_FEW, UNDEFINED)
        if said in by_verdict
    ]
    if len(by_verdict) == 1 and len(per_label) > 1:
        parts = [f"{next(iter(by_verdict))} on each of the {len(per_label)}"]
    how = "AUC by DeLong, with seed noise where it is known, intervals that hold all together"
    return f"Label by label ({how}): {'; '.join(parts)}."


def plain_number(value: float) -> float | None:
    """None where there is no number, as JSON has it."""
    return None if np.isnan(value) else value
