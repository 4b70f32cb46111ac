"""How surely a model contradicts masks: counts by hand, and planted errors among honest differences at edges."""

import numpy as np
import pytest

from core.measures.mask_errors import Contradicted, Contradictions, contradicted_of, suspect_masks

SIDE = 40


def contradicted(reference: np.ndarray, probable: np.ndarray, threshold: float = 0.5) -> Contradicted:
    """Of masks `(frames, rows, columns)` of one structure."""
    counts = Contradictions(1)
    for one, said in zip(reference, probable, strict=True):
        counts.add(one[None], said[None] >= threshold, said[None])
    return contradicted_of(counts.to_array()[0])


def test_only_pixels_that_are_contradicted_surely_are_counted():
    reference = np.array([[[True, True, True, False, False, False]]])
    probable = np.array([[[0.95, 0.3, 0.04, 0.96, 0.6, 0.01]]])
    found = contradicted(reference, probable)
    assert (found.painted, found.missing, found.surplus) == (5, 1, 1)
    assert found.sure == pytest.approx((0.96 + 0.96) / 2)
    assert found.share == pytest.approx(2 / 5)


def test_frames_of_a_volume_are_counted_together():
    random = np.random.default_rng(0)
    reference, probable = random.random((6, 8, 8)) < 0.4, random.random((6, 8, 8))
    whole = contradicted(reference.reshape(1, -1, 8), probable.reshape(1, -1, 8))
    assert vars(contradicted(reference, probable)) == pytest.approx(vars(whole))


def test_where_nobody_paints_there_is_nothing_to_contradict():
    found = contradicted(np.zeros((1, 4, 4), bool), np.full((1, 4, 4), 0.02))
    assert (found.painted, found.sure) == (0, 0.0)
    assert np.isnan(found.share)
    assert suspect_masks([found, found]).tolist() == []
    assert suspect_masks([]).tolist() == []


def disc(at: tuple[int, int], radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.hypot(rows - at[0], columns - at[1]) - radius


def test_planted_errors_of_masks_are_found_and_differences_at_edges_are_left_alone():
    """The model doubts within two pixels of an edge; readers draw it up to a pixel and a half off."""
    random = np.random.default_rng(0)
    found, planted = [], set()
    for case in range(60):
        middle, radius = random.integers(12, 28, 2), random.uniform(6, 10)
        probable = 1 / (1 + np.exp(1.5 * disc(middle, radius)))
        reference = disc(middle + random.uniform(-1, 1, 2), radius + random.uniform(-0.5, 0.5)) < 0
        if case % 12 == 0:  # another place, nothing, or far too small
            planted.add(case)
            wrong = [disc(middle + 6, radius), np.ones((SIDE, SIDE)), disc(middle, radius / 2)]
            reference = wrong[case // 12 % 3] < 0
        found.append(contradicted(reference[None], probable[None]))
    listed = suspect_masks(found).tolist()
    assert set(listed) == planted
    shares = [found[at].share for at in listed]
    assert shares == sorted(shares, reverse=True)


def test_of_masks_that_all_agree_none_is_suspected_and_half_of_one_always_is():
    fine = [Contradicted(1000, at, 0, 0.95) for at in range(10)]
    assert suspect_masks(fine).tolist() == []
    bad = [Contradicted(1000, 500 + at, 0, 0.95) for at in range(3)]
    assert suspect_masks(bad).tolist() == [2, 1, 0]
