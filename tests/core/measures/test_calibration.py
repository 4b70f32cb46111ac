"""What is chosen on validation: temperature, threshold, the width of an interval."""

import math

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score, log_loss

from core.measures.calibration import (
    choose_threshold,
    conformal_interval,
    fit_temperature,
    half_width_at,
    tell_reach,
)


def test_a_model_that_is_three_times_too_sure_is_found_out() -> None:
    random = np.random.default_rng(0)
    honest = random.normal(0, 2, (4000, 3))
    classes = np.array([random.choice(3, p=row) for row in softmax(honest, axis=1)])
    found = fit_temperature(3 * honest, np.eye(3)[classes], multi_label=False)
    assert found.temperature == pytest.approx(3, rel=0.1)
    assert found.log_loss_before == pytest.approx(log_loss(classes, softmax(3 * honest, axis=1)))
    assert found.log_loss_after < found.log_loss_before


def test_several_labels_have_a_temperature_too() -> None:
    random = np.random.default_rng(0)
    honest = random.normal(0, 2, (4000, 2))
    truth = (random.random((4000, 2)) < 1 / (1 + np.exp(-honest))).astype(float)
    assert fit_temperature(honest / 2, truth, multi_label=True).temperature == pytest.approx(0.5, rel=0.1)


def test_where_nothing_can_be_gained_the_temperature_is_one() -> None:
    assert fit_temperature(np.zeros((4, 2)), np.eye(2)[[0, 1, 0, 1]], multi_label=False).temperature == 1.0


def test_the_threshold_is_as_good_as_the_best_within_its_error_and_none_as_good_is_nearer_to_a_half() -> None:
    random = np.random.default_rng(1)
    truth = random.integers(0, 2, 200)
    scores = np.clip(0.3 * truth + random.random(200) * 0.6, 0, 1)
    found = choose_threshold(truth, scores)
    assert found is not None
    assert found.value not in scores
    ordered = np.sort(scores)
    cuts = np.array([*(ordered[1:] + ordered[:-1]) / 2, 1.1])
    of_each = [(np.mean(scores[truth == 1] >= cut), np.mean(scores[truth == 0] < cut)) for cut in cuts]
    balanced = np.mean(of_each, axis=1)
    error = 0.5 * np.sqrt(sum(share * (1 - share) / np.sum(truth == answer)
                              for share, answer in zip(of_each[balanced.argmax()], (1, 0), strict=True)))  # fmt: skip
    as_good = cuts[balanced >= balanced.max() - error - 1e-12]
    assert found.value == pytest.approx(as_good[np.abs(as_good - 0.5).argmin()])
    assert balanced_accuracy_score(truth, scores >= found.value) >= max(balanced) - error - 1e-12
    assert (found.sensitivity + found.specificity) / 2 == pytest.approx(
        balanced_accuracy_score(truth, scores >= found.value)
    )


def test_where_a_half_is_clearly_worse_the_threshold_stays_away_from_it() -> None:
    random = np.random.default_rng(2)
    scores = np.concatenate([random.uniform(0, 0.15, 300), random.uniform(0.2, 0.6, 300)])
    found = choose_threshold(np.repeat([0, 1], 300), scores)
    assert found is not None
    assert 0.15 < found.value < 0.25


def test_of_equally_good_thresholds_the_one_next_to_a_half_is_taken() -> None:
    found = choose_threshold(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.7, 0.9]))
    assert found is not None
    assert found.value == pytest.approx(0.45)


@pytest.mark.parametrize("seed", range(40))
def test_a_threshold_gives_what_is_told_of_it_also_where_scores_are_exactly_0_and_1(seed: int) -> None:
    """Worse than chance nothing would best be called positive; at a threshold of 1 a score of 1 still is."""
    draws = np.random.default_rng(seed)
    scores = np.append(draws.random(12).round(1), [0.0, 1.0, 1.0])
    truth = np.append((scores[:-3] < 0.5).astype(int), [1, 0, 0])
    found = choose_threshold(truth, scores)
    called = scores >= found.value
    assert found.sensitivity == pytest.approx(called[truth == 1].mean())
    assert found.specificity == pytest.approx((~called)[truth == 0].mean())


def test_one_class_has_no_threshold() -> None:
    assert choose_threshold(np.ones(3), np.array([0.1, 0.5, 0.9])) is None


def test_the_interval_covers_what_it_promises() -> None:
    random = np.random.default_rng(0)
    found = conformal_interval(random.normal(0, 1, 500), level=0.9)
    assert found is not None
    assert np.mean(np.abs(random.normal(0, 1, 20_000)) <= found.half_width) == pytest.approx(0.9, abs=0.03)
    assert conformal_interval(np.arange(9.0), level=0.9) is not None
    assert conformal_interval(np.arange(8.0), level=0.9) is None  # eight cannot promise nine of ten


def test_many_images_of_a_patient_do_not_make_an_interval_surer() -> None:
    """Images of one patient err alike: of eleven patients with up to thirty images each, the interval holds nine of ten
    new ones. Counted by cases it held 83 %."""
    random = np.random.default_rng(4)
    held = {"patients": [], "cases": []}
    for _ in range(1000):
        patient = np.repeat(np.arange(11), random.choice([1, 30], 11))
        errors = random.normal(0, 1, 11)[patient]
        for by, patients in (("patients", patient), ("cases", None)):
            found = conformal_interval(errors, patients=patients)
            held[by].append(math.erf(found.half_width / math.sqrt(2)))
    assert np.mean(held["patients"]) > 0.9
    assert np.mean(held["cases"]) < 0.86
    assert conformal_interval(np.arange(80.0), patients=np.arange(80) // 10) is None, "eight patients, not 80 cases"


@pytest.mark.parametrize("n", [9, 29, 30, 69, 200])
def test_where_each_patient_has_one_case_the_interval_is_that_of_cases(n: int) -> None:
    random = np.random.default_rng(n)
    said = random.uniform(0, 100, n)
    errors = random.normal(0, 1 + 0.1 * said)
    found = conformal_interval(errors, said, patients=random.permutation(n).astype(str))
    assert found == conformal_interval(errors, said)
    plain = conformal_interval(errors)
    assert plain is not None
    assert plain.half_width == np.sort(np.abs(errors))[int(np.ceil((n + 1) * 0.9)) - 1]


def test_whether_errors_grow_is_told_by_patients_and_not_by_their_images() -> None:
    """Ten patients could lie in this order by chance; twenty images of each look like two hundred that do."""
    said = np.repeat(np.arange(10.0), 20) + 1
    errors = said / 10
    assert conformal_interval(errors, said).grows > 0
    assert conformal_interval(errors, said, patients=said).grows == 0


def test_an_interval_is_wider_for_larger_numbers_where_errors_are() -> None:
    random = np.random.default_rng(2)

    def cases(n: int) -> tuple[np.ndarray, np.ndarray]:
        said = random.uniform(0, 100, n)
        return said, random.normal(0, 1 + 0.1 * said)

    said, errors = cases(2000)
    found = conformal_interval(errors, said)
    assert found is not None
    interval = found.to_json()
    new, beyond = cases(40_000)
    inside = np.abs(beyond) <= half_width_at(interval, new)
    assert inside.mean() == pytest.approx(0.9, abs=0.03)
    for low in (0, 25, 50, 75):  # in each part of the range, where a constant one holds 100 and 70 %
        part = (new >= low) & (new < low + 25)
        assert inside[part].mean() == pytest.approx(0.9, abs=0.04), low
    assert half_width_at(interval, 0.0) > 0
    assert half_width_at(interval, found.middle) == pytest.approx(found.half_width)
    assert half_width_at(interval, -80.0) == half_width_at(interval, 80.0)
    assert tell_reach(interval, "mm") == f"± {found.half_width:.3g} mm at {found.middle:.3g}, wider for larger numbers"


def test_an_interval_is_equally_wide_where_nothing_says_otherwise() -> None:
    random = np.random.default_rng(3)
    said, errors = random.uniform(0, 100, 200), random.normal(0, 3, 200)
    found = conformal_interval(errors, said)
    assert found == conformal_interval(errors)
    assert found is not None
    assert set(found.to_json()) == {"half_width", "level", "n"}
    assert half_width_at(found.to_json(), 99.0) == found.half_width
    assert tell_reach(found.to_json()) == f"± {found.half_width:.3g}"
    few = conformal_interval(np.arange(20.0), np.arange(20.0))
    assert few is not None
    assert few.grows == 0, "too few to say"
    assert conformal_interval(errors[::-1] * 0 + 1, said) == conformal_interval(np.ones(200))


def test_where_most_numbers_are_rightly_zero_the_interval_is_equally_wide() -> None:
    said = np.concatenate([np.zeros(60), np.arange(1.0, 41.0)])
    found = conformal_interval(said / 10, said)
    assert found == conformal_interval(said / 10)
    assert found is not None
    assert np.isfinite(found.half_width)
