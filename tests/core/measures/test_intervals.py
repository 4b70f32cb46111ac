import numpy as np
import pytest

from core.measures.intervals import patient_bootstrap, percentile_interval, wilson_interval
from core.measures.metrics import rank_scores, ratio, roc_auc, weigh_ranking


def weighted_mean(values):
    return lambda weights: {"mean": ratio(weights @ values, weights.sum(axis=1))}


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values, patients = np.random.default_rng(0).normal(size=50), [f"p{k}" for k in range(50)]
    first, again, other = (patient_bootstrap(weighted_mean(values), patients, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_images_of_one_patient_are_drawn_together():
    """Ten copies of each patient's image hold no more than ten patients' worth of certainty."""
    values = np.random.default_rng(0).normal(size=10)
    alone = patient_bootstrap(weighted_mean(values), [str(k) for k in range(10)])["mean"]
    copied = patient_bootstrap(weighted_mean(np.repeat(values, 10)), [str(k // 10) for k in range(100)])["mean"]
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))


def test_a_resample_without_a_value_is_left_out_and_counted():
    ranking = rank_scores(np.array([True, False, False, False]), np.array([0.9, 0.2, 0.4, 0.6]))
    interval = patient_bootstrap(lambda w: {"auc": roc_auc(*weigh_ranking(ranking, w))}, list("abcd"))["auc"]
    # The only positive is absent from (3/4)^4 = 32 % of the draws; all four cases are positive in 0.4 %.
    assert interval.undefined_resamples == pytest.approx(2000 * (0.75**4 + 0.25**4), rel=0.15)
    assert (interval.low, interval.high) == (1, 1)


def test_one_patient_has_no_interval_and_the_reason_says_so():
    interval = patient_bootstrap(weighted_mean(np.arange(3.0)), ["a", "a", "a"])["mean"]
    assert interval.low is None
    assert "at least two patients" in interval.reason


def test_values_that_are_mostly_undefined_make_no_interval():
    interval = percentile_interval(np.array([np.nan, np.nan, 1.0]))
    assert interval.low is None
    assert interval.undefined_resamples == 2
    assert "2 of 3" in interval.reason


def test_weights_of_each_resample_are_whole_draws_of_patients():
    seen = []
    patients = ["a", "a", "b", "c"]

    def keep(weights):
        seen.append(weights)
        return {"n": weights.sum(axis=1)}

    patient_bootstrap(keep, patients, resamples=50)
    weights = np.concatenate(seen)
    assert len(weights) == 50
    assert np.array_equal(weights[:, 0], weights[:, 1])
    assert np.array_equal(weights[:, [0, 2, 3]].sum(axis=1), np.full(50, 3))


def test_the_interval_of_an_auc_covers_the_truth_about_as_often_as_it_says():
    """200 simulated studies of 60 patients with two images each; the true AUC of two normals is Phi(d/sqrt 2)."""
    random = np.random.default_rng(7)
    truth = 0.7602499  # Phi(1 / sqrt 2)
    positive = np.repeat(np.arange(60) % 2 == 0, 2)
    patients = [str(k // 2) for k in range(120)]
    covered = 0
    for study in range(200):
        # The two images of a patient share most of what makes them look positive.
        shared, own = np.repeat(random.normal(size=60), 2), random.normal(size=120)
        scores = positive + np.sqrt(0.7) * shared + np.sqrt(0.3) * own
        ranking = rank_scores(positive, scores)
        interval = patient_bootstrap(
            lambda w, r=ranking: {"auc": roc_auc(*weigh_ranking(r, w))}, patients, resamples=400, seed=study
        )["auc"]
        covered += interval.low <= truth <= interval.high
    # 95 % +- 4 standard errors of 200 studies, less the known 1-2 % shortfall of percentile intervals.
    assert 0.87 <= covered / 200 <= 0.99


def test_wilson_equals_the_published_example():
    # Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E, table I: 81 of 263; 0 of 20
    assert vars(wilson_interval(81, 263)) == pytest.approx(
        {"low": 0.2553, "high": 0.3662, "undefined_resamples": 0, "reason": ""}, abs=5e-5
    )
    found = wilson_interval(0, 20)
    assert (found.low, found.high) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(0, 0).low is None
