"""Agreement of readers against scikit-learn, and against the definition written down pair by pair, on real ratings."""

import csv
from collections import Counter
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from core.measures import agreement
from core.measures.agreement import cohen_kappa, krippendorff_alpha
from core.measures.number_agreement import alpha_of_numbers

KINDS = ["-1", "0", "1"]


@pytest.fixture(scope="module")
def ratings(test_data: Path) -> list[list[str]]:
    """What each of three raters says of each of 1,101 brain MRI, "" where one did not look."""
    with (test_data / "multirater" / "abide_mri_quality_3raters.csv").open(encoding="utf-8") as table:
        return [[row[f"rater_{at}"].removesuffix(".0") for at in (1, 2, 3)] for row in csv.DictReader(table)]


def alpha_by_hand(ratings: list[list[str]], values: dict[str, float] | None) -> float:
    """One less the observed over the expected disagreement, from every ordered pair of ratings."""

    def apart(one: str, other: str) -> float:
        return float(one != other) if values is None else (values[one] - values[other]) ** 2

    units = [said for row in ratings if len(said := [one for one in row if one]) > 1]
    counts = Counter(one for said in units for one in said)
    n = sum(counts.values())
    observed = sum(apart(*pair) / (len(said) - 1) for said in units for pair in permutations(said, 2)) / n
    expected = sum(counts[a] * counts[b] * apart(a, b) for a in counts for b in counts) / (n * (n - 1))
    return 1 - observed / expected


def counts_of(ratings: list[list[str]]) -> np.ndarray:
    return np.array([[row.count(kind) for kind in KINDS] for row in ratings])


@pytest.mark.parametrize("values", [None, np.array([-1.0, 0.0, 1.0])], ids=["kinds", "numbers"])
def test_alpha_of_three_raters_with_gaps_is_that_of_its_definition(
    ratings: list[list[str]], values: np.ndarray | None
) -> None:
    found = krippendorff_alpha(counts_of(ratings), np.arange(len(ratings)), values)
    numbers = None if values is None else dict(zip(KINDS, values.tolist(), strict=True))
    assert found.value == pytest.approx(alpha_by_hand(ratings, numbers), abs=1e-9)
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < found.value < found.high < 1


def test_alpha_is_the_one_of_krippendorffs_own_example() -> None:
    """Four observers and twelve units with gaps: 0.743 of kinds, 0.849 of numbers (Krippendorff 2011, part C)."""
    table = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]
    counts = np.array([[[row[unit] for row in table].count(kind) for kind in range(1, 6)] for unit in range(12)])
    assert krippendorff_alpha(counts, np.arange(12)).value == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(counts, np.arange(12), np.arange(1.0, 6)).value == pytest.approx(0.849, abs=5e-4)


def test_kappa_of_each_pair_of_raters_is_that_of_scikit_learn(ratings: list[list[str]]) -> None:
    for one, other in combinations(range(3), 2):
        both = [(row[one], row[other]) for row in ratings if row[one] and row[other]]
        first, second = ([KINDS.index(said[at]) for said in both] for at in (0, 1))
        found = cohen_kappa(np.array(first), np.array(second), 3, np.arange(len(both)))
        assert found.value == pytest.approx(cohen_kappa_score(first, second), abs=1e-9)
        assert found.low is not None
        assert found.low < found.value < found.high  # type: ignore[operator]


def test_readers_who_all_say_the_same_have_neither() -> None:
    same = np.zeros(5, int)
    assert cohen_kappa(same, same, 2, np.arange(5)).value is None
    assert "chance alone" in krippendorff_alpha(np.full((5, 1), 3), np.arange(5)).reason
    assert "more than one reader" in krippendorff_alpha(np.eye(3), np.arange(3)).reason


def test_two_images_of_each_patient_say_hardly_more_than_one() -> None:
    random = np.random.default_rng(0)
    one = random.integers(0, 2, 100)
    other = np.where(random.random(100) < 0.8, one, 1 - one)
    once = cohen_kappa(one, other, 2, np.arange(100))
    twice = cohen_kappa(np.tile(one, 2), np.tile(other, 2), 2, np.tile(np.arange(100), 2))
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high), abs=1e-9)


def test_tables_that_are_held_a_few_at_a_time_say_the_same(
    ratings: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    patients = np.random.default_rng(0).integers(0, 200, len(ratings))
    both = [(row[0], row[1]) for row in ratings if row[0] and row[1]]
    first, second = (np.array([KINDS.index(said[at]) for said in both]) for at in (0, 1))

    def measured() -> list[float | None]:
        alpha = krippendorff_alpha(counts_of(ratings), patients)
        pair = cohen_kappa(first, second, 3, np.unique(patients[: len(both)], return_inverse=True)[1])
        return [alpha.value, alpha.low, alpha.high, pair.value, pair.low, pair.high]

    whole = measured()
    monkeypatch.setattr(agreement, "ROOM", 7 * 9)
    assert measured() == pytest.approx(whole, abs=1e-12)


def test_what_is_undefined_without_one_of_several_patients_does_not_hang_on_one_alone() -> None:
    """Only the last of three patients is ever called the other kind: without them all are alike."""
    one, patients = np.array([0, 0, 1]), np.arange(3)
    found = cohen_kappa(one, one, 2, patients)
    assert (found.value, found.low) == (1, None)
    assert "undefined" in found.note
    assert "undefined" in alpha_of_numbers([[2.0, 2.0], [2.0, 2.0], [5.0, 5.0]], patients).note
    assert "one patient, so" in cohen_kappa(one, one, 2, np.zeros(3, int)).note
