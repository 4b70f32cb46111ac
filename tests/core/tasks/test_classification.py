"""What classification means to a model."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.utils.class_weight import compute_class_weight

from core.errors import CoreError, InvalidInput
from core.projects.schema import Classification, make_classification
from core.tasks import task_module
from core.tasks.classification import (
    check_trainable,
    class_weights,
    confidence_of,
    decode_scores,
    encode_targets,
    loss_name,
    output_activation,
    raw_of,
    sampling_shares,
    score_validation,
)

THREE = make_classification(["a", "b", "c"])
SEVERAL = make_classification(["a", "b", "c"], multi_label=True)


def values(*names: str) -> list[dict]:
    return [{"classes": [part for part in name.split("|") if part]} for name in names]


def test_targets_are_one_hot_or_many_hot() -> None:
    assert encode_targets(THREE, values("b", "a")).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert encode_targets(SEVERAL, values("a|c", "")).tolist() == [[1, 0, 1], [0, 0, 0]]


def test_two_answers_to_a_single_label_question_are_refused() -> None:
    with pytest.raises(InvalidInput, match="exactly one class"):
        encode_targets(THREE, values("a|b"))


def test_decoding_undoes_encoding() -> None:
    for schema, given in ((THREE, values("a", "c")), (SEVERAL, values("a|b", "", "c"))):
        assert [decode_scores(schema, row) for row in encode_targets(schema, given)] == given


def test_head_and_loss_go_together() -> None:
    assert (output_activation(THREE), loss_name(THREE, "default")) == ("softmax", "softmax_cross_entropy")
    assert (output_activation(SEVERAL), loss_name(SEVERAL, "default")) == ("sigmoid", "sigmoid_cross_entropy")


def test_a_recipe_may_ask_for_the_focal_loss_and_not_for_one_of_numbers() -> None:
    assert loss_name(THREE, "focal") == "softmax_focal"
    assert loss_name(SEVERAL, "focal") == "sigmoid_focal"
    with pytest.raises(InvalidInput, match=r"cross_entropy, focal\. Received: huber"):
        loss_name(THREE, "huber")


@pytest.mark.parametrize("schema", [THREE, SEVERAL])
def test_raw_outputs_are_found_again_from_probabilities(schema: Classification) -> None:
    logits = np.array([[2.0, -1.0, 0.5], [-4.0, 3.0, 0.0]])
    scores = 1 / (1 + np.exp(-logits)) if schema.multi_label else softmax(logits, axis=1)
    found = raw_of(schema, scores, np.ones((2, 3)))
    shift = 0 if schema.multi_label else (found - logits).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(found - shift, logits, atol=1e-5)


@pytest.mark.parametrize(("scores", "sure"), [([0.9, 0.2], 0.8), ([0.45, 0.99], 0.55)])
def test_a_multi_label_decision_is_as_sure_as_its_least_sure_class(scores: list[float], sure: float) -> None:
    assert confidence_of(make_classification(["a", "b"], multi_label=True), np.array(scores)) == pytest.approx(sure)


def test_sampling_shows_classes_alike() -> None:
    one = sampling_shares(THREE, np.eye(3, dtype=np.float32)[[0, 0, 0, 1]])
    np.testing.assert_allclose(one, [2 / 3, 2 / 3, 2 / 3, 2])
    several = sampling_shares(SEVERAL, np.array([[1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1, 0]], np.float32))
    assert several[0] == several[3] > several[1]


def test_class_weights_are_those_of_scikit_learn() -> None:
    classes = np.array([0, 0, 0, 0, 1, 2, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=classes)
    np.testing.assert_allclose(class_weights(THREE, np.eye(3)[classes])[1], expected, rtol=1e-6)


def test_weights_of_several_labels_balance_each_class() -> None:
    targets = np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 1]], np.float32)
    weights = class_weights(SEVERAL, targets)
    for column in (0, 2):
        positives, negatives = targets[:, column].sum(), (1 - targets[:, column]).sum()
        assert weights[1, column] * positives == pytest.approx(weights[0, column] * negatives)
    assert weights[:, 1].tolist() == [1, 1]  # a class nobody has


def test_a_class_that_is_absent_gets_a_plain_weight() -> None:
    assert np.isfinite(class_weights(THREE, np.eye(3)[[0, 0, 1]])).all()


def test_one_class_cannot_be_trained() -> None:
    with pytest.raises(CoreError, match=r"second class.*Received: a \(2 cases\)"):
        check_trainable(THREE, np.eye(3)[[0, 0]], np.eye(3)[[0]])
    with pytest.raises(CoreError, match="no class of the training split has both"):
        check_trainable(SEVERAL, np.zeros((3, 3)), np.zeros((1, 3)))


def test_empty_splits_cannot_be_trained() -> None:
    with pytest.raises(CoreError, match="an empty training split"):
        check_trainable(THREE, np.zeros((0, 3)), np.eye(3))
    with pytest.raises(CoreError, match="an empty validation split"):
        check_trainable(THREE, np.eye(3), np.zeros((0, 3)))


def test_validation_is_scored_as_scikit_learn_scores_it() -> None:
    random = np.random.default_rng(0)
    classes = random.integers(0, 3, 50)
    scores = random.dirichlet([1, 1, 1], 50)
    scored = score_validation(THREE, np.eye(3)[classes], scores)
    assert scored["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(classes, scores.argmax(1)))
    assert scored["auc"] == pytest.approx(roc_auc_score(classes, scores, multi_class="ovr"))
    many = (random.random((50, 3)) > 0.5).astype(int)
    assert score_validation(SEVERAL, many, scores)["auc"] == pytest.approx(roc_auc_score(many, scores))


def test_a_validation_split_of_one_class_has_no_auc() -> None:
    two = make_classification(["a", "b"])
    scored = score_validation(two, np.eye(2)[[0, 0]], np.array([[0.9, 0.1], [0.2, 0.8]]))
    assert scored == {"accuracy": 0.5, "balanced_accuracy": 0.5, "auc": None}


def test_other_tasks_are_refused_politely() -> None:
    with pytest.raises(CoreError, match="juggling is not a task"):
        task_module("juggling")
