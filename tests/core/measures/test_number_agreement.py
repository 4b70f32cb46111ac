"""Agreement on numbers against the tables of `core.measures.agreement`, and against what is known."""

import numpy as np
import pytest

from core.measures.agreement import krippendorff_alpha
from core.measures.number_agreement import alpha_of_numbers, mean_difference


def test_alpha_is_that_of_the_tables_with_its_interval() -> None:
    draws = np.random.default_rng(4)
    values = np.array([2.0, 3.0, 5.0, 9.0, 14.0])
    said = [list(draws.choice(values, draws.integers(1, 5))) for _ in range(60)]
    patients = np.sort(draws.integers(0, 25, 60))
    counts = np.array([[numbers.count(value) for value in values] for numbers in said])
    by_tables = krippendorff_alpha(counts, patients, values)
    found = alpha_of_numbers(said, patients)
    assert found.value == pytest.approx(by_tables.value, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((by_tables.low, by_tables.high), abs=1e-9)


def test_alpha_of_the_published_example_is_its_interval_alpha() -> None:
    """Krippendorff 2011, "Computing Krippendorff's alpha-reliability", data C: four observers, gaps, alpha 0.849."""
    gap = None
    table = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, gap, gap, gap],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, gap, 3],
        [gap, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, gap],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, gap],
    ]
    said = [[float(one) for one in column if one is not None] for column in zip(*table, strict=True)]
    found = alpha_of_numbers(said, np.arange(12))
    assert found.value == pytest.approx(0.849, abs=5e-4)


def test_the_mean_difference_of_single_cases_is_the_usual_interval() -> None:
    apart = np.random.default_rng(0).normal(1.5, 2, 200)
    found = mean_difference(apart, np.arange(200))
    reach = 1.959964 * apart.std(ddof=1) / np.sqrt(200)
    assert found.value == pytest.approx(apart.mean())
    assert (found.low, found.high) == pytest.approx((apart.mean() - reach, apart.mean() + reach), rel=1e-6)
    assert mean_difference(apart[:1], np.zeros(1, int)).low is None
    assert alpha_of_numbers([[1.0, 1.0], [1.0, 1.0]], np.arange(2)).value is None
