"""Each metric against scikit-learn, weighted and unweighted, on cases that Hypothesis makes up."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from core.measures.metrics import (
    accuracy,
    average_precision,
    confusion_counts,
    f1,
    multi_label_counts,
    one_against_rest,
    precision,
    rank_scores,
    recall,
    roc_auc,
    specificity,
    weigh_ranking,
)


@st.composite
def classified_cases(draw):
    """(classes, truth, predicted, weights) where a class may be missing and a weight may be zero."""
    classes, n = draw(st.integers(2, 5)), draw(st.integers(1, 40))
    indices = st.lists(st.integers(0, classes - 1), min_size=n, max_size=n)
    weights = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n).filter(any))
    return classes, np.array(draw(indices)), np.array(draw(indices)), np.array(weights, float)


@st.composite
def scored_cases(draw):
    """(positive, scores, weights) with at least one weighted case of each kind; scores come with many ties."""
    n = draw(st.integers(2, 40))
    positive = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    score = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1, allow_subnormal=False))
    scores = np.array(draw(st.lists(score, min_size=n, max_size=n)))
    weights = np.array(draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)), float)
    positive[:2], weights[:2] = (True, False), np.maximum(weights[:2], 1)
    return positive, scores, weights


@given(classified_cases())
def test_confusion_and_accuracy_equal_scikit_learn(cases):
    classes, truth, predicted, weights = cases
    matrix = confusion_counts(truth, predicted, classes, weights[None])
    expected = sk.confusion_matrix(truth, predicted, labels=range(classes), sample_weight=weights)
    assert np.allclose(matrix[0], expected, atol=1e-9)
    assert accuracy(matrix)[0] == pytest.approx(sk.accuracy_score(truth, predicted, sample_weight=weights), abs=1e-9)


@given(classified_cases())
def test_precision_recall_and_f1_equal_scikit_learn_where_they_are_defined(cases):
    classes, truth, predicted, weights = cases
    tables = one_against_rest(confusion_counts(truth, predicted, classes, weights[None]))
    expected = sk.precision_recall_fscore_support(
        truth, predicted, labels=range(classes), sample_weight=weights, zero_division=np.nan
    )
    in_truth = np.array([weights[truth == k].sum() for k in range(classes)])
    assert np.allclose(precision(tables)[0], expected[0], atol=1e-9, equal_nan=True)
    assert np.allclose(recall(tables)[0], expected[1], atol=1e-9, equal_nan=True)
    # scikit-learn gives an F1 of 0 to a class without a case; here it is undefined.
    assert np.allclose(f1(tables)[0], np.where(in_truth > 0, expected[2], np.nan), atol=1e-9, equal_nan=True)


@given(classified_cases())
def test_specificity_is_the_recall_of_the_rest(cases):
    classes, truth, predicted, weights = cases
    tables = one_against_rest(confusion_counts(truth, predicted, classes, weights[None]))
    for k in range(classes):
        if weights[truth != k].sum() == 0:
            assert np.isnan(specificity(tables)[0, k])
            continue
        expected = sk.recall_score(truth != k, predicted != k, sample_weight=weights)
        assert specificity(tables)[0, k] == pytest.approx(expected, abs=1e-9)


@given(st.integers(1, 30), st.integers(1, 4), st.randoms(use_true_random=False))
def test_multi_label_tables_equal_scikit_learn(n, classes, random):
    truth = np.array([[random.randint(0, 1) for _ in range(classes)] for _ in range(n)])
    predicted = np.array([[random.randint(0, 1) for _ in range(classes)] for _ in range(n)])
    expected = sk.multilabel_confusion_matrix(truth, predicted, labels=range(classes)) if classes > 1 else None
    found = multi_label_counts(truth, predicted, np.ones((1, n)))[0]
    if expected is None:
        expected = sk.confusion_matrix(truth[:, 0], predicted[:, 0], labels=[0, 1])[None]
    assert np.array_equal(found, expected)


@given(scored_cases())
@settings(max_examples=300)
def test_auc_and_average_precision_equal_scikit_learn_with_ties_and_weights(cases):
    positive, scores, weights = cases
    pair = weigh_ranking(rank_scores(positive, scores), weights[None])
    assert roc_auc(*pair)[0] == pytest.approx(sk.roc_auc_score(positive, scores, sample_weight=weights), abs=1e-9)
    expected = sk.average_precision_score(positive, scores, sample_weight=weights)
    assert average_precision(*pair)[0] == pytest.approx(expected, abs=1e-9)


@given(scored_cases())
def test_many_weightings_at_once_equal_one_after_the_other(cases):
    positive, scores, weights = cases
    ranking = rank_scores(positive, scores)
    many = np.stack([weights, np.ones_like(weights), weights[::-1]])
    together = roc_auc(*weigh_ranking(ranking, many))
    one_by_one = [roc_auc(*weigh_ranking(ranking, row[None]))[0] for row in many]
    assert np.allclose(together, one_by_one, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("positive", [[True, True], [False, False]])
def test_one_class_has_no_auc(positive):
    pair = weigh_ranking(rank_scores(np.array(positive), np.array([0.2, 0.8])), np.ones((1, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(roc_auc(*pair)[0])


def test_a_resample_that_lost_its_positives_has_no_auc_and_the_others_keep_theirs():
    ranking = rank_scores(np.array([True, False, False]), np.array([0.9, 0.5, 0.1]))
    values = roc_auc(*weigh_ranking(ranking, np.array([[1.0, 1, 1], [0, 2, 1]])))
    assert values[0] == 1
    assert np.isnan(values[1])
