"""Windows over a volume: every voxel is answered, the middle of a window counts most, memory holds one layer."""

import itertools

import numpy as np
import pytest

from core.errors import Stopped
from core.evaluation.sliding import slide
from core.images.volume_input import window_starts
from core.progress import Silent


def as_seen(patches: np.ndarray) -> np.ndarray:
    """A network that says of each voxel how bright it is, and the reverse."""
    bright = patches.astype(np.float32) / 255
    return np.concatenate([bright, 1 - bright], axis=-1)


@pytest.mark.parametrize("shape", [(9, 17, 23), (4, 5, 6), (8, 8, 8), (30, 9, 8)])
def test_a_volume_of_any_size_is_answered_voxel_by_voxel(shape: tuple) -> None:
    volume = np.random.default_rng(0).integers(0, 256, (*shape, 1), np.uint8)
    said = np.stack(list(slide(as_seen, volume, (8, 8, 8), 0.25)))
    assert said.shape == (*shape, 2)
    np.testing.assert_allclose(said[..., :1], volume / np.float32(255), atol=1e-5)
    np.testing.assert_allclose(said.sum(axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize("side", [8, 9, 14, 40, 301])
def test_windows_cover_an_axis_and_overlap_by_a_quarter_at_least(side: int) -> None:
    starts = window_starts(side, 8, 0.25)
    assert (starts[0], starts[-1]) == (0, side - 8)
    assert all(later - one <= 6 for one, later in itertools.pairwise(starts))
    assert window_starts(5, 8, 0.25) == [-1]


def test_where_windows_overlap_the_one_whose_middle_is_nearer_counts_more() -> None:
    numbers = iter([0.0, 1.0])

    def by_turn(patches: np.ndarray) -> np.ndarray:
        return np.full(patches.shape, next(numbers), np.float32)

    said = np.concatenate(
        [frame.ravel() for frame in slide(by_turn, np.zeros((1, 1, 12, 1), np.uint8), (1, 1, 8), 0.5)]
    )
    assert np.all(said[:4] == 0)
    assert np.all(said[8:] == 1)
    assert np.all(np.diff(said[3:9]) > 0)
    assert said[5] + said[6] == pytest.approx(1)


def test_frames_leave_before_the_next_layer_is_asked() -> None:
    asked = []

    def watched(patches: np.ndarray) -> np.ndarray:
        asked.append(1)
        return as_seen(patches)

    frames = slide(watched, np.zeros((80, 8, 8, 1), np.uint8), (8, 8, 8), 0.25)
    next(frames)
    assert len(asked) == 1
    assert sum(1 for _ in frames) == 79


def test_somebody_may_stop_it_between_two_windows() -> None:
    class Impatient(Silent):
        def should_stop(self) -> bool:
            return True

    with pytest.raises(Stopped):
        next(slide(as_seen, np.zeros((8, 8, 8, 1), np.uint8), (8, 8, 8), 0.25, Impatient()))
