"""Numbers of a regression against scikit-learn and against a plain bootstrap."""

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from core.errors import InvalidInput
from core.measures.regression import measure_regression, measure_several, within_tolerance

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.normal(1000, 5, 60)
SAID = TRUTH + RANDOM.normal(1, 2, 60)
PATIENTS = [f"p{at // 2}" for at in range(60)]


def test_values_are_those_of_scikit_learn_and_of_bland_and_altman() -> None:
    metrics = measure_regression(TRUTH, SAID, PATIENTS, resamples=20).metrics
    difference = SAID - TRUTH
    for name, expected in (
        ("mae", mean_absolute_error(TRUTH, SAID)),
        ("rmse", root_mean_squared_error(TRUTH, SAID)),
        ("r2", r2_score(TRUTH, SAID)),
        ("bias", difference.mean()),
        ("limit_low", difference.mean() - 1.96 * difference.std(ddof=1)),
        ("limit_high", difference.mean() + 1.96 * difference.std(ddof=1)),
    ):
        assert metrics[name].value == pytest.approx(expected, abs=1e-9), name


def test_intervals_are_those_of_a_plain_bootstrap_over_patients() -> None:
    found = measure_regression(TRUTH, SAID, PATIENTS, resamples=500, seed=3).metrics
    draws = np.random.default_rng(3)
    names = sorted(set(PATIENTS))
    of = {name: [at for at, patient in enumerate(PATIENTS) if patient == name] for name in names}
    maes, r2s = [], []
    for chosen in draws.integers(0, len(names), size=(500, len(names))):
        rows = [at for number in chosen for at in of[names[number]]]
        maes.append(mean_absolute_error(TRUTH[rows], SAID[rows]))
        r2s.append(r2_score(TRUTH[rows], SAID[rows]))
    for name, values in (("mae", maes), ("r2", r2s)):
        np.testing.assert_allclose(
            [found[name].low, found[name].high], np.quantile(values, [0.025, 0.975]), rtol=1e-6, err_msg=name
        )


def test_references_without_spread_have_no_r2_and_say_why() -> None:
    metrics = measure_regression(np.full(6, 70.0), SAID[:6], list("abcdef"), resamples=20).metrics
    assert metrics["r2"].value is None
    assert "same number" in metrics["r2"].reason
    assert metrics["mae"].value is not None


def test_a_small_spread_of_large_references_is_a_spread() -> None:
    """A part in ten million: what is the same number is told by the spread about the mean, not by the size."""
    truth = 1e6 + np.array([0.0, 0.1, 0.2, 0.3])
    found = measure_regression(truth, truth + 0.01, ["a", "b", "c", "d"], resamples=200)
    assert found.metrics["r2"].value == pytest.approx(1 - 4 * 0.01**2 / 0.05, abs=1e-6)


def test_several_quantities_are_measured_each_and_together_in_standard_deviations() -> None:
    random = np.random.default_rng(0)
    targets = random.normal((60.0, 7000.0), (10.0, 2000.0), (40, 2))
    said = targets + random.normal(0.0, (5.0, 500.0), (40, 2))
    patients = [f"p{at // 2}" for at in range(40)]
    found = measure_several(targets, said, patients, half_widths=(8.0, None))
    widths = {0: 8.0, 1: None}
    alone = [measure_regression(targets[:, at], said[:, at], patients, half_width=widths[at]) for at in (0, 1)]
    assert list(found.each) == alone
    in_deviations = [one.metrics["mae"].value / targets[:, at].std() for at, one in enumerate(alone)]
    assert found.metrics["mae"].value == pytest.approx(np.mean(in_deviations))
    assert found.metrics["r2"].value == pytest.approx(np.mean([one.metrics["r2"].value for one in alone]))
    still = measure_several(np.stack([targets[:, 0], np.ones(40)], axis=1), said, patients, half_widths=(8.0, None))
    assert still.metrics["mae"].value is None
    assert "no spread" in still.metrics["mae"].reason


def test_one_case_has_an_error_and_no_limits() -> None:
    metrics = measure_regression(np.array([3.0]), np.array([4.0]), ["a"]).metrics
    assert (metrics["mae"].value, metrics["mae"].low) == (1.0, None)
    assert metrics["limit_low"].value is None


@pytest.mark.parametrize(
    ("truth", "said", "why"),
    [([], [], "at least one case"), ([1.0], [1.0, 2.0], "must both be"), ([1.0], [float("nan")], "must be finite")],
)
def test_what_cannot_be_measured_is_said(truth: list, said: list, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        measure_regression(np.array(truth), np.array(said), ["a"] * len(truth))


def test_the_share_within_a_tolerance_has_the_interval_of_wilson() -> None:
    from scipy.stats import binomtest

    errors = SAID - TRUTH
    alone = within_tolerance(errors, 2.0, [str(at) for at in range(60)])
    known = binomtest(int((np.abs(errors) <= 2.0).sum()), 60).proportion_ci(method="wilson")
    assert (alone.value, alone.low, alone.high) == pytest.approx(
        ((np.abs(errors) <= 2.0).mean(), known.low, known.high), abs=1e-9
    )
    assert within_tolerance(np.array([1.0, -1.0]), 1.0, ["a", "b"]).value == 1.0  # at the tolerance is within it
