"""Groups by what is known of cases, and the worst slices among them."""

import numpy as np

from core.evaluation.subgroups import cases_in, find_worst, group_values, measure_subgroups, mistakes_in
from core.measures.groups import Answers


def test_ranges_share_no_number_and_one_of_a_single_number_is_named_by_it():
    heights = group_values([f"{at}" for at in range(20)] + ["512"] * 20)
    assert heights[-1] == "512"
    assert {heights[at] for at in range(20)} == {"0 to 9", "10 to 19"}


def test_numbers_of_many_kinds_become_ranges_and_rare_words_other():
    ages = group_values([str(age) for age in range(100)] + [""])
    assert sorted(set(ages)) == ["0 to 24", "25 to 49", "50 to 74", "75 to 99", "not given"]
    assert [ages[at] for at in (0, 24, 25, 99)] == ["0 to 24", "0 to 24", "25 to 49", "75 to 99"]
    words = group_values([f"w{at % 12}" for at in range(120)])
    assert len(set(words)) == 8
    assert "other" in words
    assert group_values(["M", "F", ""]) == ["M", "F", "not given"]


def test_the_worst_slice_is_a_pair_where_both_come_together():
    n, random = 1200, np.random.default_rng(1)
    sex, site = random.integers(0, 2, n), random.integers(0, 3, n)
    positive = random.random(n) < 0.5
    bad = (sex == 1) & (site == 2)
    called = positive & (random.random(n) > np.where(bad, 0.5, 0.05))
    answers = Answers(positive, called, random.random(n), called == positive, np.arange(n))
    attributes = {"sex": [f"s{k}" for k in sex], "site": [f"t{k}" for k in site]}
    worst, tried = find_worst(answers, attributes, "sensitivity")
    assert worst[0].where == (("sex", "s1"), ("site", "t2"))
    assert worst[0].differs
    assert tried == 2 + 3 + 6
    inside = cases_in(attributes, worst[0].where)
    assert np.array_equal(inside, bad)
    missed = mistakes_in(answers, inside, "sensitivity")
    assert set(missed) == set(np.flatnonzero(bad & positive & ~called))
    assert {group.name for group in measure_subgroups(answers, attributes, ["sex"], "accuracy")} == {"sex s0", "sex s1"}
