"""Who goes where: nobody is in two splits, and every split resembles the whole."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.datasets.records import SnapshotCase
from core.datasets.splits import assign_folds, fold_view, link_groups, split_by_patient
from core.errors import InvalidInput

RATIOS = (0.7, 0.15, 0.15)
CASES = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 25), st.sampled_from(["a", "b", "c"])), min_size=3, max_size=60
)


def apart(keys: list[object], splits: list[object]) -> bool:
    """Whether some key is in two splits."""
    seen: dict[object, object] = {}
    return any(seen.setdefault(key, split) != split for key, split in zip(keys, splits, strict=True))


@given(CASES, st.integers(0, 5))
def test_no_patient_and_no_pixels_are_in_two_splits(cases: list[tuple[int, int, str]], seed: int) -> None:
    patients, pixels = [f"p{case[0]}" for case in cases], [f"h{case[1]}" for case in cases]
    classes = [[case[2]] for case in cases]
    if len(set(link_groups(patients, pixels))) < 3:
        with pytest.raises(InvalidInput, match="label more patients"):
            split_by_patient(patients, pixels, classes, ratios=RATIOS, seed=seed)
        return
    splits = split_by_patient(patients, pixels, classes, ratios=RATIOS, seed=seed)
    assert not apart(list(patients), list(splits))
    assert not apart(list(pixels), list(splits))
    assert set(splits) == {"train", "validation", "test"}
    assert splits == split_by_patient(patients, pixels, classes, ratios=RATIOS, seed=seed)


@given(CASES, st.integers(2, 4), st.integers(0, 5))
def test_no_group_is_in_two_folds_and_no_fold_is_empty(
    cases: list[tuple[int, int, str]], folds: int, seed: int
) -> None:
    groups = link_groups([case[0] for case in cases], [case[1] for case in cases])
    if len(set(groups)) < folds:
        with pytest.raises(InvalidInput, match="more folds than patients"):
            assign_folds(groups, [[case[2]] for case in cases], folds=folds, seed=seed)
        return
    dealt = assign_folds(groups, [[case[2]] for case in cases], folds=folds, seed=seed)
    assert not apart(list(groups), list(dealt))
    assert set(dealt) == set(range(folds))


def test_links_reach_over_third_images() -> None:
    assert link_groups(["p", "p", "q", "r"], ["1", "2", "2", "3"]) == [0, 0, 0, 1]
    assert link_groups(["p", "q", "r", "s"], ["1", "2", "3", "4"], pairs=[(3, 1)]) == [0, 1, 2, 1]


def test_every_split_has_the_classes_of_the_whole() -> None:
    patients = [f"p{at // 2}" for at in range(400)]
    classes = [["rare"] if at // 2 % 10 == 0 else ["common"] for at in range(400)]
    splits = split_by_patient(patients, [str(at) for at in range(400)], classes, ratios=RATIOS, seed=3)
    counts = Counter((split, some[0]) for split, some in zip(splits, classes, strict=True))
    assert counts["train", "common"] == pytest.approx(252, abs=4)
    assert counts["test", "common"] == pytest.approx(54, abs=4)
    assert counts["test", "rare"] == pytest.approx(6, abs=2)
    assert counts["validation", "rare"] == pytest.approx(6, abs=2)


def test_patients_with_many_images_are_in_every_split() -> None:
    patients = [f"many{at // 5}" for at in range(100)] + [f"one{at}" for at in range(100)]
    splits = split_by_patient(patients, [str(at) for at in range(200)], [["a"]] * 200, ratios=RATIOS)
    assert {split for patient, split in zip(patients, splits, strict=True) if patient.startswith("many")} == {
        "train", "validation", "test",
    }  # fmt: skip


@pytest.mark.parametrize(("patients", "expected"), [(1, {"train"}), (2, {"train", "test"}), (3, None)])
def test_a_class_of_few_patients_is_learnt_first_then_tested(patients: int, expected: set[str] | None) -> None:
    names = [f"r{at}" for at in range(patients)] + [f"p{at}" for at in range(30)]
    classes = [["rare"]] * patients + [["common"]] * 30
    splits = split_by_patient(names, names, classes, ratios=RATIOS)
    assert set(splits[:patients]) == (expected or {"train", "validation", "test"})


def test_another_seed_gives_another_split() -> None:
    names = [str(at) for at in range(60)]
    first, second = (split_by_patient(names, names, [["a"]] * 60, ratios=RATIOS, seed=seed) for seed in (0, 1))
    assert first != second


@pytest.mark.parametrize("ratios", [(0.7, 0.3), (0.7, 0.2, 0.2), (1.2, -0.1, -0.1), (0, 0.5, 0.5), (0.8, 0, 0.2)])
def test_ratios_that_are_no_shares_are_refused(ratios: tuple[float, ...]) -> None:
    with pytest.raises(InvalidInput, match="add up to 100 %"):
        split_by_patient(["a", "b", "c"], ["1", "2", "3"], [["x"]] * 3, ratios=ratios)


def test_no_test_split_can_be_asked_for() -> None:
    names = [str(at) for at in range(10)]
    assert set(split_by_patient(names, names, [["a"]] * 10, ratios=(0.8, 0.2, 0))) == {"train", "validation"}


def frozen(at: int, group: int, name: str, fold: int | None) -> SnapshotCase:
    return SnapshotCase(at, at, f"p{group}", "train", fold, {"classes": [name]}, (), str(at), group)


@given(CASES)
def test_a_fold_is_the_test_and_no_group_is_in_two_parts(cases: list[tuple[int, int, str]]) -> None:
    groups = link_groups([case[0] for case in cases], [case[1] for case in cases])
    if len(set(groups)) < 6:
        return
    dealt = assign_folds(groups, [[case[2]] for case in cases], folds=3)
    rows = [frozen(at, groups[at], cases[at][2], dealt[at]) for at in range(len(cases))]
    tested = []
    for fold in range(3):
        try:
            view = fold_view(rows, fold)
        except InvalidInput:  # all but one group may be in this fold
            assert len({row.group for row in rows if row.fold != fold}) < 2
            continue
        assert view == fold_view(rows, fold)
        assert not apart([row.group for row in view], [row.split for row in view])
        assert {row.split for row in view} == {"train", "validation", "test"}
        assert all((row.split == "test") == (row.fold == fold) for row in view)
        tested += [row.position for row in view if row.split == "test"]
    assert len(tested) == len(set(tested))


def test_a_fold_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidInput, match="are none"):
        fold_view([frozen(0, 0, "a", None)], 0)
    with pytest.raises(InvalidInput, match="are 0 to 1"):
        fold_view([frozen(0, 0, "a", 0), frozen(1, 1, "a", 1)], 2)
