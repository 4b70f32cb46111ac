"""Two samples of many quantities: what alarms is both significant and large."""

import numpy as np
import pytest

from core.measures.drift import compare_samples, holm


def test_a_moved_number_and_other_words_alarm_and_what_is_alike_does_not() -> None:
    draws = np.random.default_rng(1)
    numbers = {
        "moved": (draws.normal(0, 1, 200), draws.normal(1, 1, 60)),
        "still": (draws.normal(0, 1, 200), draws.normal(0, 1, 60)),
        "constant": (np.ones(200), np.ones(60)),
    }
    words = {"scanner": (["A"] * 150 + ["B"] * 50, ["B"] * 60), "sex": (["F", "M"] * 100, ["F", "M"] * 30)}
    found = {one.name: one for one in compare_samples(numbers, words)}
    assert set(found) == {"moved", "still", "scanner", "sex"}
    assert {name for name, one in found.items() if one.alarms} == {"moved", "scanner"}
    assert found["scanner"].distance == pytest.approx(0.75)
    assert (found["scanner"].before, found["scanner"].now) == ("A", "B")
    assert (found["scanner"].n_before, found["scanner"].n_now) == (200, 60)
    for one in found.values():
        assert one.low is not None
        assert one.high is not None
        assert 0 <= one.low <= one.high <= 1
    assert found["moved"].low < found["moved"].distance < found["moved"].high


def test_a_small_shift_of_many_cases_is_significant_and_no_alarm() -> None:
    draws = np.random.default_rng(2)
    (found,) = compare_samples({"score": (draws.normal(0, 1, 20000), draws.normal(0.1, 1, 20000))}, {})
    assert found.p < 1e-6
    assert not found.alarms


def test_a_large_shift_of_few_cases_is_no_alarm() -> None:
    (found,) = compare_samples({"score": (np.arange(4.0), np.arange(4.0) + 1.5)}, {})
    assert found.distance >= 0.2
    assert not found.alarms


@pytest.mark.parametrize("now", ["site 0", "a new site"])
def test_new_cases_that_are_all_of_one_word_alarm_also_where_each_word_is_rare(now: str) -> None:
    before = [f"site {at}" for at in range(10) for _ in range(50)]
    (found,) = compare_samples({}, {"site": (before, [now] * 30)})
    assert found.p <= 0.001
    assert found.alarms
    assert found.distance <= 1


def test_of_rare_words_that_are_distributed_alike_p_is_as_often_small_as_it_should() -> None:
    draws = np.random.default_rng(3)
    words = [f"site {at}" for at in range(12)]
    p_values = [
        compare_samples({}, {"site": (draws.choice(words, 200).tolist(), draws.choice(words, 30).tolist())})[0].p
        for _ in range(80)
    ]
    assert np.mean(np.array(p_values) < 0.05) <= 0.125
    assert 0.3 <= np.mean(p_values) <= 0.7


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
