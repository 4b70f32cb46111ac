import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from core.measures.curves import MOST_POINTS, precision_recall_curve, roc_curve
from core.measures.metrics import rank_scores


@st.composite
def scored_cases(draw):
    """(positive, scores) with at least one case of each kind and many ties."""
    n = draw(st.integers(2, 40))
    positive = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    score = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1, allow_subnormal=False))
    positive[:2] = True, False
    return positive, np.array(draw(st.lists(score, min_size=n, max_size=n)))


@given(scored_cases())
def test_the_roc_curve_equals_scikit_learn_and_holds_the_auc(cases):
    positive, scores = cases
    curve = roc_curve(rank_scores(positive, scores))
    expected_x, expected_y, _ = sk.roc_curve(positive, scores, drop_intermediate=False)
    # Along the curve x + y only rises: walked by that sum, every point of scikit-learn lies on our line.
    walked = np.add(curve.false_positive_rate, curve.true_positive_rate)
    assert np.allclose(np.interp(expected_x + expected_y, walked, curve.false_positive_rate), expected_x, atol=1e-9)
    assert np.allclose(np.interp(expected_x + expected_y, walked, curve.true_positive_rate), expected_y, atol=1e-9)
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert area == pytest.approx(sk.roc_auc_score(positive, scores), abs=1e-9)


@given(scored_cases())
def test_the_precision_recall_curve_equals_scikit_learn(cases):
    positive, scores = cases
    curve = precision_recall_curve(rank_scores(positive, scores))
    precision, recall, thresholds = sk.precision_recall_curve(positive, scores)
    # scikit-learn runs by falling recall and goes on past full recall; ours rises and ends there.
    wanted = {t: (r, p) for t, r, p in zip(thresholds, recall, precision, strict=False)}
    for threshold, r, p in zip(curve.thresholds[1:], curve.recall[1:], curve.precision[1:], strict=True):
        assert wanted[threshold] == pytest.approx((r, p), abs=1e-9)
    assert (curve.recall[0], curve.precision[0], curve.recall[-1]) == (0, 1, 1)


def test_a_curve_of_many_cases_is_thinned_and_keeps_its_area():
    random = np.random.default_rng(0)
    positive = random.random(20_000) < 0.4
    scores = random.normal(positive, 1.0)
    curve = roc_curve(rank_scores(positive, scores))
    assert len(curve.thresholds) <= MOST_POINTS
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert area == pytest.approx(sk.roc_auc_score(positive, scores), abs=1e-3)


def test_a_class_without_cases_has_no_curve():
    ranking = rank_scores(np.zeros(3, bool), np.array([0.1, 0.2, 0.3]))
    assert roc_curve(ranking) is None
    assert precision_recall_curve(ranking) is None


def test_a_curve_of_one_kind_of_case_is_no_roc_curve():
    assert roc_curve(rank_scores(np.ones(3, bool), np.array([0.1, 0.2, 0.3]))) is None
