import numpy as np
import pytest

from core.measures.label_errors import suspect_labels, suspect_numbers


def test_swapped_labels_are_found_and_hard_cases_left_alone():
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 600)
    scores = random.dirichlet(np.ones(3), 600) * 0.5
    scores[np.arange(600), truth] += 0.5
    given = truth.copy()
    swapped = random.choice(600, 30, replace=False)
    given[swapped] = (truth[swapped] + 1) % 3
    found = suspect_labels(np.eye(3, dtype=int)[given], scores, multi_label=False)
    assert np.isin(found, swapped).mean() > 0.9
    assert np.isin(swapped, found).mean() > 0.4  # half of a class lies below its own mean
    assert set(found[:10]) <= set(swapped)


def test_the_threshold_is_how_sure_the_model_usually_is_of_a_class():
    """By hand: among those labelled ill the mean is 0.6, so 0.55 contradicts "well" but not confidently, 0.7 does."""
    given = np.array([1, 1, 1, 0, 0, 0])
    ill = np.array([0.5, 0.6, 0.7, 0.55, 0.7, 0.1])
    found = suspect_labels(np.eye(2, dtype=int)[given], np.stack([1 - ill, ill], 1), multi_label=False)
    assert found.tolist() == [4]


def test_of_several_labels_each_is_a_question_of_its_own():
    targets = np.array([[1, 0], [1, 0], [0, 1], [0, 0], [1, 1]])
    scores = np.array([[0.9, 0.1], [0.8, 0.95], [0.1, 0.9], [0.1, 0.2], [0.05, 0.9]])
    assert suspect_labels(targets, scores, multi_label=True).tolist() == pytest.approx([1, 4], abs=0)


def test_a_class_without_cases_is_nothing_that_a_case_could_be():
    targets = np.eye(3, dtype=int)[[0, 0, 1]]
    scores = np.array([[0.1, 0.0, 0.9], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
    assert suspect_labels(targets, scores, multi_label=False).tolist() == []


def test_a_number_twice_as_far_as_the_interval_reaches_is_suspected_the_furthest_first():
    said = np.array([50.0, 50.0, 50.0, 50.0])
    assert suspect_numbers(np.array([50.0, 62.1, 38.0, 20.0]), said, 6.0).tolist() == [3, 1]  # 12 is not beyond 12


def test_an_interval_without_width_is_no_number_to_divide_by():
    """Validation was answered exactly: what is then apart at all is suspected, the furthest first."""
    assert suspect_numbers(np.array([1.0, 2.5, 3.0, 7.0]), np.array([1.0, 2.0, 3.0, 4.0]), 0.0).tolist() == [3, 1]


def test_planted_misreadings_are_found_and_few_of_the_others_are_suspected():
    random = np.random.default_rng(0)
    truth = random.uniform(20, 80, 1000)
    said = truth + random.normal(0, 3, 1000)
    half_width = 1.645 * 3  # what 90 % of normal errors are within
    read = truth.copy()
    read[:20] += random.choice([-1, 1], 20) * random.uniform(20, 40, 20)
    found = suspect_numbers(read, said, half_width)
    assert set(range(20)) <= set(found.tolist())
    assert len(found) - 20 <= 5  # 1 in 1,000 is expected
    assert set(found[:10].tolist()) <= set(range(20))
