"""Classification: one of the classes for each case, or any number of them (multi-label).

Single-label gives a softmax over the classes, multi-label a sigmoid for each class.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from core.errors import CoreError, InvalidInput
from core.measures.calibration import choose_threshold, fit_temperature
from core.measures.classification import THRESHOLD, Thresholds, measure_classification, predict_classes
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
from core.projects.schema import Classification, make_classification
from core.tasks.demands import demand_loss, demand_splits

HEADLINE = "balanced_accuracy"
RAW, PROBABILITIES = "logits", "probabilities"  # names of the two last layers, relied on by explanations
PAINTS = False
DRAWS = False
LOSSES = {
    "cross_entropy": "the further a probability is from the truth, the more it costs",
    "focal": "cross entropy that looks away from cases already answered surely, for rare and hard ones",
}
SUREST = 1e-7  # a probability is never nearer to 0 or 1 when its logarithm is taken
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


def loss_name(schema: Classification, wanted: str) -> str:
    """`sigmoid_` or `softmax_`, then `cross_entropy` or `focal`, all taken on logits."""
    kind = demand_loss(LOSSES, wanted, "classification")
    return f"{output_activation(schema)}_{kind}"


def build_head(features: Any, schema: Classification, terms: np.ndarray, regularizer: Any = None) -> Any:
    """The last two layers on a `(batch, n)` tensor: `logits`, then `probabilities`, always in float32."""
    import keras

    logits = keras.layers.Dense(len(schema.names), name=RAW, dtype="float32", kernel_regularizer=regularizer)
    return keras.layers.Activation(output_activation(schema), name=PROBABILITIES, dtype="float32")(logits(features))


def raw_of(schema: Classification, scores: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Logits that give these probabilities; those of a softmax are known but for a number that is added to all."""
    scores = np.clip(scores.astype(np.float64), SUREST, 1 - SUREST)
    logits = np.log(scores) - np.log1p(-scores) if schema.multi_label else np.log(scores)
    return np.asarray(logits, np.float32)


def calibrate(
    schema: Classification, targets: np.ndarray, scores: np.ndarray, patients: Sequence[str]
) -> dict[str, Any]:
    """`temperature`, and `thresholds` by class: of the second of two, of each where several are answered; none where
    one of three or more is chosen."""
    from scipy.special import expit, softmax

    logits = raw_of(schema, scores, np.empty(0)).astype(np.float64)
    found = fit_temperature(logits, targets, multi_label=schema.multi_label)
    logits /= found.temperature
    calm = expit(logits) if schema.multi_label else softmax(logits, axis=1)
    asked = range(len(schema.names)) if schema.multi_label else [1] if len(schema.names) == 2 else []
    chosen = {schema.names[k]: choose_threshold(targets[:, k].astype(int), calm[:, k]) for k in asked}
    return {
        "temperature": found.to_json(),
        "thresholds": {name: threshold.to_json() for name, threshold in chosen.items() if threshold},
    }


def calibrate_network(network: Any, schema: Classification, calibration: Mapping[str, Any]) -> Any:
    """The network with its logits divided by the temperature before they become probabilities."""
    import keras

    scale = 1 / calibration["temperature"]["temperature"]
    calm = keras.layers.Rescaling(scale, name="temperature", dtype="float32")(network.get_layer(RAW).output)
    answer = keras.layers.Activation(output_activation(schema), name=PROBABILITIES, dtype="float32")(calm)
    return keras.Model(network.input, answer, name=network.name)


def thresholds_of(schema: Classification, calibration: Mapping[str, Any]) -> list[float] | None:
    """The threshold of each class in schema order, one half where none was chosen; None where none was at all."""
    chosen = calibration.get("thresholds") or {}
    return [chosen[name]["value"] if name in chosen else THRESHOLD for name in schema.names] if chosen else None


def decode_scores(
    schema: Classification, scores: np.ndarray, calibration: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, list[str]]:
    """The value of one case's `(k,)` probabilities; see `core.measures.classification.predict_classes`."""
    (chosen,) = _decide(schema, scores, calibration)
    return {"classes": [name for name, taken in zip(schema.names, chosen, strict=True) if taken]}


def _decide(schema: Classification, scores: np.ndarray, calibration: Mapping[str, Any]) -> np.ndarray:
    thresholds = thresholds_of(schema, calibration)
    return predict_classes(scores[None], multi_label=schema.multi_label, thresholds=thresholds)


def check_trainable(schema: Classification, train: np.ndarray, validation: np.ndarray) -> None:
    """Raise `CoreError` unless `(n, k)` targets give something to learn and something to check it on."""
    demand_splits(train, validation)
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


def confidence_of(
    schema: Classification, scores: np.ndarray, calibration: Mapping[str, Any] = MappingProxyType({})
) -> float:
    """How sure a model is of its decision: the probability of what it chose; multi-label, of its least sure class."""
    (chosen,) = _decide(schema, scores, calibration)
    if schema.multi_label:
        return float(np.where(chosen, scores, 1 - scores).min())
    return float(scores[chosen.argmax()])


def loss_terms(schema: Classification, train: np.ndarray, *, balanced: bool) -> np.ndarray:
    """How much a case counts that is not, or is, of each class; ones unless balanced."""
    weights = class_weights(schema, train)
    return weights if balanced else np.ones_like(weights)


def sampling_shares(schema: Classification, train: np.ndarray) -> np.ndarray | None:
    """As often as a case counts in a balanced loss; of several answers the one that counts most."""
    weights = class_weights(schema, train)
    if schema.multi_label:
        return np.asarray(np.where(train > 0, weights[1], weights[0]).max(axis=1))
    return np.asarray(train @ weights[1])


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


def measure(
    schema: Classification,
    targets: np.ndarray,
    scores: np.ndarray,
    patients: Sequence[str],
    calibration: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    seed: int,
) -> dict[str, Any]:
    """`core.measures.classification` as JSON, with the thresholds that decided, unless each case has its own."""
    one: Mapping[str, Any] = {}
    if isinstance(calibration, Mapping):
        one = calibration
        thresholds: Thresholds | None = thresholds_of(schema, one)
    else:
        thresholds = _thresholds_of_each(schema, calibration)
    measured = measure_classification(
        targets.astype(int),
        scores,
        patients,
        classes=schema.names,
        multi_label=schema.multi_label,
        thresholds=thresholds,
        seed=seed,
    )
    return measured.to_json() | {"thresholds": dict(one.get("thresholds") or {})}


def _thresholds_of_each(schema: Classification, calibrations: Sequence[Mapping[str, Any]]) -> np.ndarray | None:
    """`(n, k)` where each case was answered by a model of its own; None where none of them chose any."""
    chosen = [thresholds_of(schema, calibration) for calibration in calibrations]
    if not any(chosen):
        return None
    return np.array([one or [THRESHOLD] * len(schema.names) for one in chosen])


def output_names(schema: Classification) -> tuple[str, ...]:
    return schema.names


def describe_schema(schema: Classification) -> dict[str, Any]:
    return {
        "classes": list(schema.names),
        "multi_label": schema.multi_label,
        "activation": output_activation(schema),
    }


def schema_of(facts: Mapping[str, Any]) -> Classification:
    return make_classification(facts["classes"], multi_label=bool(facts["multi_label"]))


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else value
