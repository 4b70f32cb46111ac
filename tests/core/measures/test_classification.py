import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from core.errors import InvalidInput
from core.measures.classification import measure_classification

FEW = 40  # resamples, where the test is about the value


def made_up_cases(seed: int, n: int, classes: int):
    random = np.random.default_rng(seed)
    truth = np.r_[np.arange(classes), random.integers(0, classes, n)]
    scores = random.dirichlet(np.ones(classes), len(truth))
    scores[np.arange(len(truth)), truth] += 0.3
    scores /= scores.sum(axis=1, keepdims=True)
    return truth, scores.round(2), [f"p{k // 2}" for k in range(len(truth))]


@given(st.integers(0, 10**6), st.integers(5, 60), st.integers(2, 4))
@settings(max_examples=40)
def test_single_label_values_equal_scikit_learn(seed, n, classes):
    truth, scores, patients = made_up_cases(seed, n, classes)
    scores = scores / scores.sum(axis=1, keepdims=True)
    found = measure_classification(
        np.eye(classes, dtype=int)[truth], scores, patients, classes=list("abcd")[:classes], resamples=FEW
    )
    predicted = scores.argmax(axis=1)
    one_hot = np.eye(classes)[truth]
    auc = sk.roc_auc_score(truth, scores[:, 1]) if classes == 2 else sk.roc_auc_score(truth, scores, multi_class="ovr")
    expected = {
        "accuracy": sk.accuracy_score(truth, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, predicted),
        "f1_macro": sk.f1_score(truth, predicted, average="macro"),
        "auc": auc,
        "average_precision": sk.average_precision_score(one_hot, scores),
        **averages(truth, predicted),
        **specificities(one_hot, np.eye(classes)[predicted]),
        "recall_macro": sk.recall_score(truth, predicted, average="macro", zero_division=0),
        "kappa": sk.cohen_kappa_score(truth, predicted),
        "mcc": sk.matthews_corrcoef(truth, predicted),
        "brier": sk.brier_score_loss(truth, scores, labels=range(classes), scale_by_half=True)
        if classes > 2
        else sk.brier_score_loss(truth, scores[:, 1]),
        "log_loss": sk.log_loss(truth, scores),
    }
    values = {name: found.metrics[name].value for name in expected}
    if len(set(predicted)) < classes:  # scikit-learn counts 0 where nothing was predicted; here that is undefined
        expected = {name: value for name, value in expected.items() if not name.startswith("precision_m") and
                    name != "precision_weighted"}  # fmt: skip
        values = {name: values[name] for name in expected}
    if len(set(predicted)) == 1:
        assert values.pop("mcc") is None
        expected.pop("mcc")
    assert values == pytest.approx(expected, abs=1e-9)
    assert found.confusion_matrix == sk.confusion_matrix(truth, predicted).tolist()
    assert [found.per_class[c]["support"].value for c in found.classes] == np.bincount(truth).tolist()


def specificities(targets, predicted):
    """Recall of what a case is not; weighted by the cases of each class, as scikit-learn weighs."""
    each = sk.recall_score(1 - targets, 1 - predicted, average=None, zero_division=0)
    return {
        "specificity_macro": each.mean(),
        "specificity_weighted": np.average(each, weights=targets.sum(axis=0)),
        "specificity_micro": sk.recall_score(1 - targets, 1 - predicted, average="micro", zero_division=0),
    }


def averages(truth, predicted):
    scores = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}
    kinds = [(name, kind) for name in scores for kind in ("micro", "weighted")] + [("precision", "macro")]
    return {f"{name}_{kind}": scores[name](truth, predicted, average=kind, zero_division=0) for name, kind in kinds}


@given(st.integers(0, 10**6), st.integers(5, 60), st.integers(2, 4))
@settings(max_examples=40)
def test_multi_label_values_equal_scikit_learn(seed, n, classes):
    random = np.random.default_rng(seed)
    targets = np.concatenate([np.eye(classes, dtype=int), random.integers(0, 2, (n, classes))])
    scores = (targets * 0.3 + random.random(targets.shape)).clip(0, 1).round(2)
    patients = [str(k) for k in range(len(targets))]
    found = measure_classification(
        targets, scores, patients, classes=list("abcd")[:classes], multi_label=True, resamples=FEW
    )
    predicted = (scores >= 0.5).astype(int)
    expected = {
        "accuracy": sk.accuracy_score(targets, predicted),
        "balanced_accuracy": np.mean(
            [sk.balanced_accuracy_score(targets[:, k], predicted[:, k]) for k in range(classes)]
        ),
        "f1_macro": sk.f1_score(targets, predicted, average="macro"),
        "auc": sk.roc_auc_score(targets, scores),
        "average_precision": sk.average_precision_score(targets, scores),
        "f1_micro": sk.f1_score(targets, predicted, average="micro"),
        "f1_weighted": sk.f1_score(targets, predicted, average="weighted"),
        "recall_micro": sk.recall_score(targets, predicted, average="micro"),
        "recall_weighted": sk.recall_score(targets, predicted, average="weighted"),
        "recall_macro": sk.recall_score(targets, predicted, average="macro"),
        "precision_micro": sk.precision_score(targets, predicted, average="micro"),
        **specificities(targets, predicted),
        "brier": np.mean([sk.brier_score_loss(targets[:, k], scores[:, k]) for k in range(classes)]),
        "log_loss": np.mean([sk.log_loss(targets[:, k], scores[:, k]) for k in range(classes)]),
    }
    assert {name: found.metrics[name].value for name in expected} == pytest.approx(expected, abs=1e-9)
    assert found.confusion_matrix == sk.multilabel_confusion_matrix(targets, predicted).tolist()


def test_every_interval_holds_its_value():
    truth, scores, patients = made_up_cases(3, 80, 3)
    found = measure_classification(np.eye(3, dtype=int)[truth], scores, patients, classes=list("abc"))
    overall = [found.metrics[name] for name in found.metrics if name != "ece"]  # resampling raises that one
    estimates = [*overall, *(row[m] for row in found.per_class.values() for m in ("recall", "auc"))]
    assert all(e.low < e.value < e.high for e in estimates)


def test_one_class_alone_has_no_auc_and_the_reason_says_so():
    targets, scores = np.array([[1, 0]] * 4), np.array([[0.9, 0.1]] * 4)
    found = measure_classification(targets, scores, list("abcd"), classes=["well", "ill"], resamples=FEW)
    assert found.metrics["auc"].value is None
    assert "cases of another" in found.metrics["auc"].reason
    assert found.metrics["accuracy"].value == 1
    assert "too narrow" in found.metrics["f1_weighted"].note
    assert found.metrics["accuracy"].method == "Wilson"
    assert (found.metrics["accuracy"].low, found.metrics["accuracy"].high) == pytest.approx((0.5101, 1.0), abs=1e-4)
    assert found.metrics["kappa"].value is None
    assert "Chance alone" in found.metrics["kappa"].reason
    assert found.metrics["calibration_slope"].value is None
    assert found.per_class["ill"]["recall"].value is None
    assert found.per_class["ill"]["f1"].value is None
    assert found.confusion_matrix_by_row == [[1, 0], [None, None]]
    assert found.curves["roc"]["ill"] is None


def test_a_class_without_a_case_is_left_out_of_the_means_and_named():
    truth, scores, patients = made_up_cases(1, 40, 3)
    kept = truth != 2
    targets = np.eye(3, dtype=int)[truth[kept]]
    found = measure_classification(
        targets, scores[kept], np.array(patients)[kept].tolist(), classes=["a", "b", "rare"], resamples=FEW
    )
    recalls = sk.recall_score(truth[kept], scores[kept].argmax(1), labels=[0, 1], average=None)
    assert found.metrics["balanced_accuracy"].value == pytest.approx(recalls.mean())
    assert "2 of 3 classes" in found.metrics["balanced_accuracy"].note
    assert "rare" in found.metrics["auc"].note


def test_a_resample_that_lost_a_class_is_counted_and_not_averaged_over_the_rest():
    targets = np.eye(2, dtype=int)[[0, 0, 0, 0, 0, 1]]
    scores = np.array([[0.8, 0.2]] * 4 + [[0.4, 0.6], [0.3, 0.7]])
    found = measure_classification(targets, scores, list("abcdef"), classes=["well", "ill"])
    assert found.metrics["balanced_accuracy"].undefined_resamples == pytest.approx(2000 * (5 / 6) ** 6, rel=0.1)
    assert found.metrics["accuracy"].undefined_resamples == 0


def test_the_intervals_of_a_class_of_one_patient_say_that_they_are_too_narrow():
    truth, scores, _ = made_up_cases(2, 40, 3)
    patients = [f"p{at}" if of else "alone" for at, of in enumerate(truth)]
    found = measure_classification(np.eye(3, dtype=int)[truth], scores, patients, classes=list("abc"), resamples=FEW)
    told = {name: "cases of one patient only" in one["auc"].note for name, one in found.per_class.items()}
    assert told == {"a": True, "b": False, "c": False}
    assert "cases of one patient only" in found.metrics["f1_macro"].note
    assert "cases of one patient only" not in found.metrics["brier"].note


def test_wilsons_interval_of_a_class_of_one_patient_is_as_wide_as_one_patient_allows():
    """Its images count as one draw, so the interval that is of them is not said to be too narrow."""
    truth, scores, _ = made_up_cases(2, 40, 3)
    patients = [f"p{at // 2}" if of else "alone" for at, of in enumerate(truth)]
    found = measure_classification(np.eye(3, dtype=int)[truth], scores, patients, classes=list("abc"), resamples=FEW)
    recall, area = found.per_class["a"]["recall"], found.per_class["a"]["auc"]
    assert recall.method == "Wilson, design effect"
    assert recall.high - recall.low > 0.6
    assert "cases of one patient only" not in recall.note
    assert "cases of one patient only" in area.note


def test_one_patient_gives_values_without_intervals():
    targets, scores = np.eye(2, dtype=int)[[0, 1, 1]], np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    found = measure_classification(targets, scores, ["p"] * 3, classes=["a", "b"])
    assert found.metrics["auc"].value == 1
    assert found.metrics["auc"].low is None
    assert "two patients" in found.metrics["auc"].note
    assert found.n_patients == 1


def test_the_document_is_plain_json_without_nan():
    truth, scores, patients = made_up_cases(5, 20, 3)
    found = measure_classification(np.eye(3, dtype=int)[truth], scores, patients, classes=list("abc"), resamples=FEW)
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert {"accuracy", "balanced_accuracy", "f1_macro", "auc", "average_precision"} <= set(document["metrics"])
    assert {"value", "low", "high"} <= set(document["per_class"]["a"]["precision"])


@pytest.mark.parametrize(
    ("targets", "scores", "said"),
    [
        (np.zeros((0, 2)), np.zeros((0, 2)), "at least one case"),
        (np.eye(2), np.zeros((2, 3)), "cases, classes"),
        (np.eye(2), np.array([[math.nan, 1], [0, 1]]), "finite"),
        (np.ones((2, 2)), np.full((2, 2), 0.5), "exactly one class"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(targets, scores, said):
    with pytest.raises(InvalidInput, match=said):
        measure_classification(targets, scores, ["p"] * len(targets), classes=["a", "b"])


@pytest.mark.parametrize(("n", "apart", "said"), [(60, 1.0, "89 %"), (400, 5.0, "85 to 91 %"), (400, 1.0, "")])
def test_intervals_that_simulation_found_too_narrow_say_so(n, apart, said):
    random = np.random.default_rng(0)
    truth = np.arange(n) % 2
    ill = 1 / (1 + np.exp(-(apart * (truth - 0.5) + random.normal(size=n))))
    found = measure_classification(
        np.eye(2, dtype=int)[truth], np.stack([1 - ill, ill], 1), [str(k) for k in range(n)], classes=["a", "b"],
        resamples=FEW,
    )  # fmt: skip
    assert said in found.metrics["calibration_slope"].note
    assert bool(found.metrics["calibration_slope"].note) == bool(said)
    assert bool(found.per_class["b"]["auc"].note) == (apart > 4)


def test_intervals_near_one_of_several_images_a_patient_say_how_often_they_hold() -> None:
    random = np.random.default_rng(0)
    truth = np.arange(400) // 2 % 2
    ill = 1 / (1 + np.exp(-(5.0 * (truth - 0.5) + random.normal(size=400))))
    found = measure_classification(
        np.eye(2, dtype=int)[truth], np.stack([1 - ill, ill], 1), [str(k // 2) for k in range(400)], classes=["a", "b"],
        resamples=FEW,
    )  # fmt: skip
    for name, held in {
        "auc": "74 to 86 %",
        "log_loss": "74 to 86 %",
        "kappa": "89 to 90 %",
        "brier": "89 to 90 %",
    }.items():
        assert f"several images of a patient such an interval held the true value in {held}" in found.metrics[name].note
    assert "several images" in found.per_class["b"]["auc"].note
    assert "near 1" not in found.metrics["accuracy"].note
