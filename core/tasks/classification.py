"""Classification: one of the classes for each case, or any number of them (multi-label).

Single-label gives a softmax over the classes, multi-label a sigmoid for each class.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.errors import CoreError, InvalidInput
from core.measures.metrics import (
    accuracy,
    confusion_counts,
    multi_label_counts,
    one_against_rest,
    rank_scores,
    recall,
    roc_auc,
    specificity,
    weigh_ranking,
)
from core.projects.schema import Classification

HEADLINE = "balanced_accuracy"
LOGITS, PROBABILITIES = "logits", "probabilities"  # names of the two last layers, relied on by explanations
HIGHEST_CLASS_WEIGHT = 50.0  # beyond it one rare image would steer the whole step


def encode_targets(schema: Classification, values: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Values `{"classes": [...]}` as `(n, k)` float32: one 1 a row, or any number of them if multi-label."""
    columns = {name: at for at, name in enumerate(schema.names)}
    targets = np.zeros((len(values), len(columns)), np.float32)
    for row, value in enumerate(values):
        for name in value["classes"]:
            targets[row, columns[name]] = 1.0
        if not schema.multi_label and targets[row].sum() != 1:
            raise InvalidInput(f"Each case needs exactly one class. Received: {dict(value)!r} at position {row}")
    return targets


def output_activation(schema: Classification) -> str:
    return "sigmoid" if schema.multi_label else "softmax"


def loss_name(schema: Classification) -> str:
    """`sigmoid_cross_entropy` or `softmax_cross_entropy`, both taken on logits."""
    return f"{output_activation(schema)}_cross_entropy"


def build_head(features: Any, schema: Classification, regularizer: Any = None) -> Any:
    """The last two layers on a `(batch, n)` tensor: `logits`, then `probabilities`, always in float32."""
    import keras

    logits = keras.layers.Dense(len(schema.names), name=LOGITS, dtype="float32", kernel_regularizer=regularizer)
    return keras.layers.Activation(output_activation(schema), name=PROBABILITIES, dtype="float32")(logits(features))


def decode_scores(schema: Classification, scores: np.ndarray, *, threshold: float = 0.5) -> dict[str, list[str]]:
    """The value of one case's `(k,)` probabilities: the highest class, or all at or above the threshold."""
    if schema.multi_label:
        return {"classes": [name for name, score in zip(schema.names, scores, strict=True) if score >= threshold]}
    return {"classes": [schema.names[int(np.argmax(scores))]]}


def check_trainable(schema: Classification, train: np.ndarray, validation: np.ndarray) -> None:
    """Raise `CoreError` unless `(n, k)` targets give something to learn and something to check it on."""
    if not len(train):
        raise CoreError("Freeze a snapshot with training cases first. Received: an empty training split")
    if not len(validation):
        raise CoreError(
            "Freeze a snapshot with a validation share, for example --split 0.7,0.15,0.15: without one there is "
            "nothing to choose the best epoch by. Received: an empty validation split"
        )
    present = train.sum(axis=0)
    if schema.multi_label:
        useless = [name for name, n in zip(schema.names, present, strict=True) if n in (0, len(train))]
        if len(useless) == len(schema.names):
            raise CoreError(
                f"Label cases with and without each class first: no class of the training split has both. "
                f"Received: {', '.join(useless)}"
            )
        return
    if (present > 0).sum() < 2:
        only = [name for name, n in zip(schema.names, present, strict=True) if n]
        raise CoreError(
            f"Label cases of a second class and freeze a new snapshot: the training split holds one class, and "
            f"there is nothing to tell apart. Received: {', '.join(only)} ({len(train)} cases)"
        )


def class_weights(schema: Classification, targets: np.ndarray) -> np.ndarray:
    """Weights `(2, k)`: row 0 for "not of the class", row 1 for "of the class"; their mean over the cases is 1.

    Single-label reads only row 1: n / (classes present * n of the class), as in scikit-learn's "balanced".
    """
    count, n = targets.sum(axis=0), len(targets)
    if schema.multi_label:
        pair = np.stack([n - count, count])
        weights = np.where((count > 0) & (count < n), n / (2 * np.maximum(pair, 1)), 1.0)
    else:
        ofclass = np.where(count > 0, n / (np.maximum((count > 0).sum(), 1) * np.maximum(count, 1)), 1.0)
        weights = np.stack([np.ones_like(ofclass), ofclass])
    return np.minimum(weights, HIGHEST_CLASS_WEIGHT).astype(np.float32)


def score_validation(schema: Classification, targets: np.ndarray, scores: np.ndarray) -> dict[str, float | None]:
    """Accuracy, balanced accuracy and AUC of one epoch; None where a class is missing. No intervals: evaluation
    gives those. The definitions are those of `core.measures`.
    """
    once, truth = np.ones((1, len(targets))), targets.astype(int)
    if schema.multi_label:
        predicted = (scores >= 0.5).astype(int)
        tables = multi_label_counts(truth, predicted, once)
        balanced, right = (recall(tables) + specificity(tables)) / 2, (truth == predicted).all(axis=1).mean()
    else:
        matrix = confusion_counts(truth.argmax(1), scores.argmax(1), targets.shape[1], once)
        balanced, right = recall(one_against_rest(matrix)), accuracy(matrix)[0]
    aucs = [
        roc_auc(*weigh_ranking(rank_scores(truth[:, k] == 1, scores[:, k]), once))[0] for k in range(truth.shape[1])
    ]
    if len(aucs) == 2 and not schema.multi_label:
        aucs = aucs[1:]  # the curve of the second class; the first is the same one seen from the other end
    return {
        "accuracy": _plain(float(right)),
        "balanced_accuracy": _mean(balanced.ravel()),
        "auc": _mean(np.array(aucs)),
    }


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else value
