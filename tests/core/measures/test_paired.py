import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from core.measures.paired import (
    SeedNoise,
    auc_with_error,
    compare_aucs,
    ends_of_verdict,
    mcnemar,
    verdict,
    with_seed_noise,
)

# Albumin, total protein, K-G score (the lower the better) and outcome of 43 patients: the example of DeLong et al.
# 1988, as the SAS/STAT User's Guide lists it ("Comparing Receiver Operating Characteristic Curves").
OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1
3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1
4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""
ALBUMIN, PROTEIN, SCORE, OUTCOME = np.array(OVARIAN.split(), float).reshape(-1, 4).T
ALONE = [str(k) for k in range(len(OUTCOME))]


@pytest.mark.parametrize(
    ("test", "area", "difference", "error", "p"),
    [(ALBUMIN, 0.7366, 0.0108, 0.0953, 0.9102), (PROTEIN, 0.6478, -0.0780, 0.1046, 0.4561)],
)
def test_delong_equals_the_published_example(test, area, difference, error, p):
    found = compare_aucs(OUTCOME == 1, 10 - SCORE, test, ALONE)
    assert (found.first, found.second) == pytest.approx((0.7258, area), abs=5e-5)
    assert (found.difference, found.error) == pytest.approx((difference, error), abs=6e-5)
    assert found.p == pytest.approx(p, abs=2e-4)
    assert found.low < found.difference < found.high


def test_areas_are_those_of_scikit_learn_with_ties():
    random = np.random.default_rng(0)
    truth, scores = random.integers(0, 2, 80), random.random((2, 80)).round(1)
    found = compare_aucs(truth == 1, *scores, [str(k) for k in range(80)])
    assert (found.first, found.second) == pytest.approx([roc_auc_score(truth, one) for one in scores], abs=1e-12)


def test_images_of_one_patient_are_no_new_patients():
    """Ten copies of each patient say no more than one; without their patients the error would shrink by root ten."""
    once = compare_aucs(OUTCOME == 1, 10 - SCORE, ALBUMIN, ALONE)
    ten = [np.repeat(one, 10) for one in (OUTCOME == 1, 10 - SCORE, ALBUMIN)]
    assert compare_aucs(*ten, np.repeat(ALONE, 10).tolist()).error == pytest.approx(once.error)
    assert compare_aucs(*ten, [str(k) for k in range(430)]).error == pytest.approx(once.error / 10**0.5, rel=0.05)


def test_the_same_model_twice_is_no_difference_and_one_class_has_none():
    same = compare_aucs(OUTCOME == 1, SCORE, SCORE, ALONE)
    assert (same.difference, same.p) == (0, 1)
    assert compare_aucs(np.zeros(4, bool), np.arange(4.0), np.arange(4.0), list("abcd")) is None


def test_of_one_patient_no_error_is_known():
    """The deviations of one patient sum up to nothing; taken for no error, any difference would be sure."""
    draws = np.random.default_rng(0)
    truth, scores = draws.random(40) < 0.5, draws.random((2, 40))
    assert compare_aucs(truth, *scores, ["one"] * 40) is None
    assert compare_aucs(truth, *scores, [str(at % 3) for at in range(40)]).error > 0
    for lone in (truth, ~truth):  # one class of one patient: how patients of it differ is not known
        assert compare_aucs(truth, *scores, np.where(lone, "one", np.arange(40)).tolist()) is None
    assert auc_with_error(truth, scores[0], np.zeros(40, int)) is None
    assert auc_with_error(truth, scores[0], np.where(truth, 0, np.arange(40) + 1)) is None


def test_mcnemar_is_exact():
    assert mcnemar(10, 2) == pytest.approx(2 * (1 + 12 + 66) / 2**12)
    assert mcnemar(0, 0) == 1


def test_a_wide_interval_around_nothing_is_no_proof_that_there_is_no_difference():
    assert verdict(-0.2, 0.2, notable=0.05) == "too few cases to tell"
    assert verdict(-0.04, 0.04, notable=0.05) == "no difference beyond noise"
    assert verdict(0.01, 0.3, notable=0.05) == "better"


def test_seeds_widen_the_interval_and_take_the_word_better_back():
    assert verdict(*with_seed_noise(0.02, 0.005, SeedNoise((0.0001,), (3,)))) == "better"
    assert verdict(*with_seed_noise(0.02, 0.005, SeedNoise((0.02,), (3,)))) == "no difference beyond noise"
    assert verdict(*with_seed_noise(-0.02, 0.0, SeedNoise((0.001, 0.002), (3, 5)))) == "worse"


def test_two_that_differ_in_their_seed_alone_are_never_said_to_be_better_while_its_noise_is_unknown():
    for ends in ((0.01, 0.2), (-0.2, -0.01)):
        assert verdict(*ends, seeds_unknown=True) == "no difference beyond noise"
        assert verdict(*ends) in ("better", "worse")
    assert verdict(-0.2, 0.2, notable=0.05, seeds_unknown=True) == "too few cases to tell"


def test_without_an_interval_the_verdict_is_undefined_and_not_that_there_is_no_difference():
    for ends in ((None, None), (0.1, None), (None, 0.1)):
        assert verdict(*ends) == "undefined"


def test_where_every_case_gives_the_same_difference_patients_decide_by_the_sign_test():
    """The interval has no width, of two patients as of two hundred."""
    truth = np.array([True, True, False, False])
    perfect = compare_aucs(truth, np.zeros(4), truth.astype(float), list("abcd"))
    assert (perfect.difference, perfect.low, perfect.high, perfect.p) == (0.5, 0.5, 0.5, None)
    assert [verdict(perfect.low, perfect.high, patients=n) for n in (2, 5, 6)] == ["undefined", "undefined", "better"]
    assert verdict(0.5, 0.5, patients=6, level=0.99) == "undefined"
    assert verdict(0.0, 0.0, patients=2) == "no difference beyond noise"


def test_seed_noise_gives_no_width_to_the_same_difference_of_too_few_patients():
    """Two patients who agree say nothing of others; with a width from seeds alone one model was called better."""
    noise, level = SeedNoise((0.02,), (3,)), 0.95
    low, high, how = ends_of_verdict(0.5, (0.5, 0.5), "DeLong", noise, error=0.0, patients=2, level=level)
    assert (low, high, verdict(low, high, patients=2, level=level)) == (0.5, 0.5, "undefined")
    low, high, how = ends_of_verdict(0.5, (0.5, 0.5), "DeLong", noise, error=0.0, patients=6, level=level)
    assert (low, high) == with_seed_noise(0.5, 0.0, noise, level=level)
    assert verdict(low, high, patients=6, level=level) == "better"
    assert how.startswith("exact sign test over patients")
    low, high, how = ends_of_verdict(0.5, (0.4, 0.6), "DeLong", None, patients=2, level=level)
    assert (low, high, how) == (0.4, 0.6, "DeLong")


def test_ends_that_differ_by_rounding_are_an_interval_without_width():
    """A mean of one number over drawn patients ends a digit beside it."""
    ends = (np.array([1, 2, 4]) @ np.full(3, 0.1) / 7, np.array([3, 3, 0]) @ np.full(3, 0.1) / 6)
    assert 0 < ends[1] - ends[0] < 1e-15
    assert verdict(*ends, patients=2) == "undefined"
