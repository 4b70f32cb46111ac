import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from core.measures.classification import measure_classification
from core.measures.metrics import at_prevalence
from core.measures.probabilities import calibration_error, calibration_in_the_large, calibration_line

HOW = settings(max_examples=15, deadline=None)


def drawn(seed: int, n: int, *, slope: float = 1.0, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes of which the logit is `slope * said + shift`, and the probabilities that were said."""
    random = np.random.default_rng(seed)
    said = random.normal(0, 1.2, n)
    return (random.random(n) < expit(slope * said + shift)).astype(int), expit(said)


@given(st.integers(0, 10**6), st.integers(60, 200))
@HOW
def test_the_line_of_calibration_is_that_of_scikit_learn(seed, n):
    truth, scores = drawn(seed, n)
    crossing, slope = calibration_line(truth, scores, np.ones((1, n)))
    known = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12).fit(logit(scores)[:, None], truth)
    assert (crossing[0], slope[0]) == pytest.approx((known.intercept_[0], known.coef_[0, 0]), abs=1e-9)


@given(st.integers(0, 10**6))
@HOW
def test_weights_count_as_copies_do(seed):
    truth, scores = drawn(seed, 80)
    often = np.random.default_rng(seed).integers(0, 3, 80)
    start = calibration_line(truth, scores, np.ones((1, 80)))
    weighted = calibration_line(truth, scores, often[None].astype(float), start)
    copied = calibration_line(np.repeat(truth, often), np.repeat(scores, often), np.ones((1, often.sum())))
    assert np.ravel(weighted) == pytest.approx(np.ravel(copied), abs=1e-5)
    large = calibration_in_the_large(truth, scores, often[None].astype(float))[0]
    assert (often * (truth - expit(logit(scores) + large))).sum() == pytest.approx(0, abs=1e-9)


@given(st.integers(0, 10**6))
@HOW
def test_the_calibration_error_is_that_of_ten_bins_looked_at_one_by_one(seed):
    truth, scores = drawn(seed, 80)
    gap = 0.0
    for low in range(10):
        inside = [k for k in range(80) if low <= 10 * scores[k] < low + 1 or (low == 9 and scores[k] == 1)]
        if inside:
            gap += len(inside) / 80 * abs(sum(scores[k] for k in inside) - sum(truth[k] for k in inside)) / len(inside)
    assert calibration_error(truth, scores, np.ones((1, 80)))[0] == pytest.approx(gap, abs=1e-9)


def test_what_is_wrong_with_probabilities_is_found():
    truth, scores = drawn(1, 200_000, slope=0.5, shift=1.0)
    once = np.ones((1, len(truth)))
    crossing, slope = calibration_line(truth, scores, once)
    assert (crossing[0], slope[0]) == pytest.approx((1.0, 0.5), abs=0.02)
    gap = np.mean(expit(0.5 * logit(scores) + 1.0)) - scores.mean()
    assert calibration_error(truth, scores, once)[0] >= gap > 0.1


@pytest.mark.parametrize("scores", [np.full(6, 0.4), np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])])
def test_scores_that_are_all_alike_or_do_not_overlap_have_no_line(scores):
    truth = np.array([0, 0, 0, 1, 1, 1])
    assert np.isnan(calibration_line(truth, scores, np.ones((1, 6)))).all()
    assert np.isfinite(calibration_in_the_large(truth, scores, np.ones((1, 6)))).all()


def test_predictive_values_follow_bayes_at_any_prevalence():
    truth, scores = drawn(4, 300)
    found = measure_classification(
        np.eye(2, dtype=int)[truth], np.stack([1 - scores, scores], 1), [str(k) for k in range(300)],
        classes=["well", "ill"], resamples=200,
    ).per_class["ill"]  # fmt: skip
    sensitivity, specificity = found["recall"].value, found["specificity"].value
    for prevalence in (0.01, 0.3):
        hits, alarms = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
        assert at_prevalence(found["ppv_even"].value, prevalence) == pytest.approx(hits / (hits + alarms))
        cleared, missed = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
        assert at_prevalence(found["npv_even"].value, 1 - prevalence) == pytest.approx(cleared / (cleared + missed))
    assert at_prevalence(found["ppv_even"].value, truth.mean()) == pytest.approx(found["precision"].value)
