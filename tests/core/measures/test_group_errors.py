"""Errors of groups of cases: their interval holds what it says, and noise alone is not called a difference."""

import numpy as np
import pytest

from core.measures.group_errors import Errors, estimate_errors, mean_error
from core.measures.groups import compare_groups


def test_the_interval_of_a_mean_error_covers_in_94_of_100_draws_and_more():
    random = np.random.default_rng(0)
    for draw, truth in (
        (lambda n: np.abs(random.normal(size=n)), np.sqrt(2 / np.pi)),  # errors of a number
        (lambda n: random.beta(1, 9, n), 0.1),  # what Dice lacks of one
    ):
        found = [mean_error(draw(60), np.arange(60)) for _ in range(600)]
        assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.92


def test_images_of_one_patient_count_for_what_they_are_worth():
    """Four images with the patient's own error each: the interval is that of the patients alone."""
    own = np.random.default_rng(1).exponential(size=40)
    alone = mean_error(own, np.arange(40))
    found = mean_error(np.repeat(own, 4), np.repeat(np.arange(40), 4))
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high))
    as_if_apart = mean_error(np.repeat(own, 4), np.arange(160))
    assert as_if_apart.high < found.high


def test_errors_are_told_as_a_mean_as_a_share_within_a_tolerance_and_as_dice():
    errors, all_of_them = Errors(np.array([0.0, 0.1, 0.2, 0.5]), np.arange(4), tolerance=0.2), np.ones(4, bool)
    assert estimate_errors(errors, all_of_them, "mae").value == pytest.approx(0.2)
    assert estimate_errors(errors, all_of_them, "within").value == 0.75
    dice = estimate_errors(errors, all_of_them, "dice")
    assert dice.value == pytest.approx(0.8)
    assert 0 <= dice.low < 0.8 < dice.high < 1


def test_a_rest_of_two_patients_under_many_comparisons_is_told_apart_from_nothing():
    random = np.random.default_rng(0)
    patients, values = np.arange(120), random.gamma(1.0, size=120)
    values[-2:] = 0, 3
    groups = {(("site", f"{at}"),): random.random(120) < 0.7 for at in range(69)}
    groups[(("site", "A"),)] = patients < 118
    for metric in ("mae", "dice"):
        found = compare_groups(
            groups,
            lambda chosen, level, metric=metric: estimate_errors(Errors(values / 3, patients), chosen, metric, level),
            patients, np.ones(120, bool),
        )  # fmt: skip
        assert [one.where[0][1] for one in found if not one.small][-1] == "A"
        assert not found[-1].differs


@pytest.mark.parametrize(("values", "why"), [([], "No case."), ([0.0, 0.0], "No case has"), ([1.0], "One patient")])
def test_where_there_is_no_interval_it_is_said_why(values, why):
    found = mean_error(np.array(values), np.arange(len(values)))
    assert (found.low, found.high) == (None, None)
    assert why in found.reason + found.note


def test_of_many_groups_that_are_all_alike_one_is_marked_in_at_most_one_of_twenty_collections():
    marked = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        errors = Errors(random.exponential(size=500), np.arange(500))
        groups = {(("site", str(k)),): random.random(500) < 0.2 for k in range(20)}
        found = compare_groups(
            groups, lambda chosen, level, of=errors: estimate_errors(of, chosen, "mae", level), errors.patients,
            np.ones(500, bool),
        )  # fmt: skip
        marked += any(one.differs for one in found)
    assert marked <= 0.05 * 200 + 2 * np.sqrt(200 * 0.05 * 0.95)
