import numpy as np
import pytest

from core.measures.estimates import Estimate
from core.measures.groups import Answers, difference_of, measure_groups
from core.measures.shares import share_of


def answers(n=400, seed=0):
    """Of every second case the class; in the first quarter a third is missed, elsewhere one in twenty."""
    random = np.random.default_rng(seed)
    positive = np.arange(n) % 2 == 1
    scores = np.where(positive, 0.9, 0.1) - 0.001 * random.random(n)
    missed = positive & (random.random(n) < np.where(np.arange(n) < n // 4, 0.33, 0.05))
    called = positive & ~missed
    return Answers(
        positive, called, np.where(missed, 0.1 - 0.002 * random.random(n), scores), called == positive, np.arange(n)
    )


def test_the_difference_of_two_proportions_is_newcombes():
    # Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I, table II, (a), method 10:
    # 56 of 70 less 48 of 80 is 0.2, 0.0524 to 0.3339.
    def share(part, n):
        return share_of(np.arange(n) < part, np.ones(n, bool), np.arange(n), "none")

    found = difference_of(share(56, 70), share(48, 80))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_a_group_that_is_worse_is_found_and_the_rest_is_not_marked():
    some, at = answers(), np.arange(400)
    groups = {(("site", "a"),): at < 100, (("sex", "F"),): at % 4 < 2, (("sex", "M"),): at % 4 >= 2}
    found = {group.name: group for group in measure_groups(some, groups, "sensitivity")}
    assert found["site a"].differs
    assert found["site a"].difference.high < 0
    assert not found["sex F"].differs
    assert found["sex F"].difference.value == pytest.approx(-found["sex M"].difference.value)
    assert (found["site a"].n_cases, found["site a"].n_positive) == (100, 50)


def test_small_groups_are_marked_small_and_never_compared():
    some, at = answers(), np.arange(400)
    (found,) = measure_groups(some, {(("site", "tiny"),): at < 20}, "sensitivity")
    assert found.small
    assert not found.differs
    assert isinstance(found.estimate, Estimate)


def test_auc_of_a_group_has_an_interval_or_says_why_not():
    some, at = answers(), np.arange(400)
    (found,) = measure_groups(some, {(("site", "a"),): at < 100}, "auc")
    assert found.estimate.low < found.estimate.value < found.estimate.high < 1
    one_class = some.positive & (at < 100)
    (none,) = measure_groups(some, {(("site", "ill"),): one_class}, "auc")
    assert (none.estimate.value, none.difference.value) == (None, None)
    assert "two patients with the class and two without" in none.estimate.reason
