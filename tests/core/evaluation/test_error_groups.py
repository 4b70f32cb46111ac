"""Errors of numbers and of structures by what is known of cases."""

import numpy as np
import pytest

from core.evaluation.error_groups import Erred, find_worst_errors, largest_errors_in, measure_error_groups
from core.evaluation.subgroups import cases_in
from core.measures.group_errors import Errors


def erred(values: np.ndarray, tolerance: float = 0.0) -> Erred:
    n = len(values)
    case_ids = list(range(100, 100 + n))
    return Erred(case_ids, Errors(values, np.arange(n), tolerance), case_ids)


@pytest.mark.parametrize(("metric", "scale"), [("mae", 3.0), ("within", 3.0), ("dice", 0.05)])
def test_the_worst_slice_is_the_pair_where_errors_are_larger(metric, scale):
    n, random = 1200, np.random.default_rng(3)
    sex, site = random.integers(0, 2, n), random.integers(0, 3, n)
    bad = (sex == 1) & (site == 2)
    some = erred(scale * random.exponential(size=n) * np.where(bad, 2.5, 1.0), tolerance=3.0)
    known = {"sex": [f"s{k}" for k in sex], "site": [f"t{k}" for k in site]}
    worst, tried = find_worst_errors(some, known, metric)
    assert worst[0].where == (("sex", "s1"), ("site", "t2"))
    assert worst[0].differs
    assert tried == 2 + 3 + 6
    assert (worst[0].difference.value > 0) == (metric == "mae")
    shown = largest_errors_in(some, cases_in(known, worst[0].where))
    assert set(shown) == set(np.flatnonzero(bad))
    assert list(some.errors.values[shown]) == sorted(some.errors.values[bad], reverse=True)


def test_each_value_of_an_attribute_is_a_group_and_few_patients_make_a_small_one():
    some = erred(np.r_[np.full(40, 2.0), np.full(10, 8.0)])
    found = measure_error_groups(some, {"site": ["a"] * 40 + ["b"] * 10}, ["site"], "mae")
    told = {one.name: one for one in found}
    assert {name: one.small for name, one in told.items()} == {"site a": False, "site b": True}
    assert told["site b"].difference.value == pytest.approx(6.0)
