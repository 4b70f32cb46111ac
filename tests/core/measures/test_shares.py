"""Plain shares of cases of which several are of one patient."""

import numpy as np
import pytest

from core.measures.classification import measure_classification
from core.measures.intervals import number_patients, wilson_interval
from core.measures.regression import measure_regression
from core.measures.shares import FEW_CLUSTERS, OF_FEW_CLUSTERS, WILSON, WILSON_OF_CLUSTERS, share_of


def all_of(part: np.ndarray, patients: np.ndarray):
    return share_of(part, np.ones(len(part), bool), patients, "none")


def test_one_case_a_patient_is_wilsons_interval_by_itself() -> None:
    found = all_of(np.arange(20) < 3, np.arange(20))
    exact = wilson_interval(3, 20)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-12)
    assert (found.method, found.note) == (WILSON, "")


def test_images_that_always_agree_count_as_their_patients_do() -> None:
    """200 patients with three images each, all right or all wrong together: worth 200 cases, but for n / (n - 1)."""
    right = np.arange(200) < 150
    found = all_of(np.repeat(right, 3), np.repeat(np.arange(200), 3))
    exact = wilson_interval(150, 200)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-3)
    assert found.method == WILSON_OF_CLUSTERS


def test_one_patient_says_it_once_however_many_images_there_are() -> None:
    exact = wilson_interval(0.9, 1)
    found = all_of(np.arange(100) < 90, np.zeros(100, int))
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    assert found.note == OF_FEW_CLUSTERS


def test_of_few_patients_with_several_images_it_is_said_that_the_interval_may_not_hold() -> None:
    for patients, said in ((FEW_CLUSTERS - 1, OF_FEW_CLUSTERS), (FEW_CLUSTERS, "")):
        assert all_of(np.arange(2 * patients) % 5 > 0, np.arange(2 * patients) // 2).note == said


def coverage(truth: float, patients: int, images: int) -> float:
    """How often the interval of a sensitivity of `measure_classification` holds the true one, the images of a patient
    being alike in being found."""
    random, held, samples = np.random.default_rng(0), 0, 150
    keys = [str(k // images) for k in range(patients * images)]
    for _ in range(samples):
        shared = random.beta(2 * truth, 2 * (1 - truth), patients)  # correlation of one third
        found = random.random(patients * images) < np.repeat(shared, images)
        ill = np.where(found, 0.9, 0.1)
        targets = np.tile([0, 1], (len(ill), 1))
        told = measure_classification(
            targets, np.stack([1 - ill, ill], 1), keys, classes=["well", "ill"], resamples=1
        ).per_class["ill"]["recall"]
        held += told.low <= truth <= told.high
    return held / samples


@pytest.mark.parametrize(("truth", "patients", "images"), [(0.97, 40, 2), (0.9, 60, 3)])
def test_a_sensitivity_of_several_images_a_patient_is_held_as_often_as_promised(truth, patients, images) -> None:
    # 95 % with four standard errors of 150 samples below it; by percentiles of the bootstrap it was two thirds.
    assert coverage(truth, patients, images) >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / 150)


def test_each_plain_share_of_a_classifier_says_how_its_interval_came_about() -> None:
    random = np.random.default_rng(1)
    truth, patients = np.arange(120) // 2 % 2, [str(k // 2) for k in range(120)]
    ill = np.clip(truth * 0.5 + random.random(120) * 0.5, 0, 1)
    found = measure_classification(
        np.eye(2, dtype=int)[truth], np.stack([1 - ill, ill], 1), patients, classes=["well", "ill"], resamples=50
    )
    shares = [found.per_class["ill"][name] for name in ("recall", "specificity", "precision", "npv")]
    shares += [found.metrics[name] for name in ("accuracy", "precision_micro", "recall_weighted")]
    assert {one.method for one in shares} == {WILSON_OF_CLUSTERS}
    assert {found.metrics[name].method for name in ("auc", "f1_macro", "balanced_accuracy")} == {""}
    said = ill >= 0.5
    expected = share_of(said & (truth == 1), truth == 1, number_patients(patients), "")
    assert found.per_class["ill"]["recall"] == expected


def test_the_share_within_a_models_own_interval_is_wilsons() -> None:
    targets, errors = np.arange(60.0), np.where(np.arange(60) % 10 == 0, 5.0, 1.0)
    found = measure_regression(targets, targets + errors, [str(k // 2) for k in range(60)], half_width=2.0)
    assert found.metrics["coverage"].value == pytest.approx(0.9)
    assert found.metrics["coverage"].method == WILSON_OF_CLUSTERS
    assert found.metrics["mae"].method == ""


@pytest.mark.parametrize(("n", "noted"), [(60, True), (200, False)])
def test_an_accuracy_of_few_patients_says_that_its_interval_is_rather_wide(n: int, noted: bool) -> None:
    truth = np.arange(n) % 2
    ill = np.where(np.arange(n) % 5 > 0, truth, 1 - truth) * 0.8 + 0.1
    found = measure_classification(
        np.eye(2, dtype=int)[truth], np.stack([1 - ill, ill], 1), [str(k) for k in range(n)], classes=["a", "b"],
        resamples=20,
    )  # fmt: skip
    assert ("97.3 %" in found.metrics["accuracy"].note) == noted
