"""Coverage against risk, by hand."""

import numpy as np
import pytest

from core.measures.abstaining import choose_limit, risk_coverage, sureness


def test_the_limit_answers_most_of_those_that_keep_the_aim() -> None:
    sure = np.array([0.9] * 10 + [0.8] * 5 + [0.6] * 5)
    right = np.array([True] * 10 + [True] * 4 + [False] + [False] * 5)
    curve = risk_coverage(sure, right)
    assert curve.limits.tolist() == [0.9, 0.8, 0.6]  # cases that are equally sure are answered together
    assert curve.coverage.tolist() == [0.5, 0.75, 1.0]
    assert curve.accuracy.tolist() == pytest.approx([1.0, 14 / 15, 0.7])
    assert choose_limit(curve, 0.9, 20) == 1
    assert choose_limit(curve, 0.95, 20) == 0
    assert choose_limit(curve, 0.7, 20) == 2


def test_a_few_answered_cases_choose_no_limit() -> None:
    curve = risk_coverage(np.linspace(0.5, 0.9, 20), np.array([False] * 15 + [True] * 5))
    assert curve.accuracy[0] == 1.0
    assert choose_limit(curve, 0.95, 20) is None


def test_of_several_classes_the_least_sure_counts() -> None:
    scores = np.array([[0.9, 0.4], [0.05, 0.98]])
    assert sureness(scores, multi_label=True).tolist() == pytest.approx([0.6, 0.95])
    assert sureness(scores, multi_label=False).tolist() == pytest.approx([0.9, 0.98])
