import numpy as np
import pytest

from core.measures.intervals import wilson_interval
from core.measures.thresholds import at_threshold, decision_curve, sweep

POSITIVE = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1], bool)
SCORES = np.array([0.1, 0.2, 0.2, 0.3, 0.6, 0.7, 0.4, 0.6, 0.8, 0.9])
ALONE = np.arange(10)


def test_counts_shares_and_patients_follow_by_hand():
    found = at_threshold(POSITIVE, SCORES, ALONE, 0.6, 0.05)
    counts = (found.true_positives, found.false_negatives, found.false_positives, found.true_negatives)
    assert counts == (3, 1, 2, 4)
    assert found.missed.value == pytest.approx(1000 * 0.05 / 4)
    assert found.false_alarms.value == pytest.approx(1000 * 0.95 / 3)
    assert found.ppv.value == pytest.approx(0.05 * 0.75 / (0.05 * 0.75 + 0.95 / 3))
    assert found.npv.value == pytest.approx(0.95 * 2 / 3 / (0.95 * 2 / 3 + 0.05 * 0.25))
    exact = wilson_interval(3, 4)
    assert (found.sensitivity.low, found.sensitivity.high) == pytest.approx((exact.low, exact.high))
    assert found.ppv.low < found.ppv.value < found.ppv.high


def test_images_of_one_patient_make_the_interval_no_narrower():
    once = at_threshold(POSITIVE, SCORES, ALONE, 0.6, 0.5).specificity
    five = at_threshold(np.repeat(POSITIVE, 5), np.repeat(SCORES, 5), np.repeat(ALONE, 5), 0.6, 0.5).specificity
    assert five.value == once.value
    assert five.high - five.low == pytest.approx(once.high - once.low, rel=0.15)
    all_right = at_threshold(np.ones(10, bool), np.full(10, 0.9), ALONE // 5, 0.5, 0.5).sensitivity
    assert all_right.low == pytest.approx(wilson_interval(2, 2).low)


def test_what_has_no_case_is_undefined_with_its_reason():
    found = at_threshold(np.zeros(3, bool), np.array([0.1, 0.2, 0.3]), np.arange(3), 0.5, 0.5)
    assert (found.sensitivity.value, found.sensitivity.reason) == (None, "No case is of this class.")
    assert found.missed.value is None
    assert found.ppv.value is None
    assert at_threshold(POSITIVE, SCORES, ALONE, 0.99, 0.5).ppv.reason == "Nothing is called positive here."


def test_the_sweep_says_at_each_cut_what_the_point_says():
    cuts = np.array([0.0, 0.2, 0.6, 0.95])
    found, cleared = sweep(POSITIVE, SCORES, cuts)
    points = [at_threshold(POSITIVE, SCORES, ALONE, cut, 0.5) for cut in cuts]
    assert found == pytest.approx([point.sensitivity.value for point in points])
    assert cleared == pytest.approx([point.specificity.value for point in points])


def test_net_benefit_is_vickers_formula():
    curve = decision_curve(POSITIVE, SCORES, [str(k) for k in ALONE], resamples=100)
    at = curve.thresholds.index(0.59)
    assert curve.net_benefit[at] == pytest.approx(3 / 10 - 2 / 10 * 0.59 / 0.41)
    assert curve.treat_all[at] == pytest.approx(4 / 10 - 6 / 10 * 0.59 / 0.41)
    assert curve.low[at] <= curve.net_benefit[at] <= curve.high[at]
    assert decision_curve(POSITIVE, SCORES, ["one"] * 10).low[at] is None
