"""Volumes on another grid and back: what is where stays there, in millimetres."""

from types import SimpleNamespace

import numpy as np
import pytest

from core.errors import InvalidInput
from core.images.render import InputSpec
from core.images.volume_input import (
    PatchSpec,
    VolumeSpec,
    back_onto_grid,
    check_volume_shape,
    grid_at,
    nearest_frames,
    resampled_frames,
    resampled_grid,
    spacing_of,
    spec_of,
    volume_input,
)

AS_IT_IS = PatchSpec((8, 8, 8), (1.0, 1.0, 1.0))


def volume_like(volume: np.ndarray, **fields: object) -> SimpleNamespace:
    known = {"frames": len(volume), "photometric": "MONOCHROME2", "windows": (), "spacing_mm": (1.0, 1.0)}
    return SimpleNamespace(**{**known, "slice_spacing_mm": 1.0, **fields})


@pytest.fixture
def ball() -> np.ndarray:
    """A bright ball in a dark volume of (12, 20, 16)."""
    z, y, x = np.mgrid[:12, :20, :16]
    return (((z - 4) ** 2 + (y - 12) ** 2 + (x - 6) ** 2) <= 9).astype(np.uint8) * 255


def centre_of(volume: np.ndarray) -> np.ndarray:
    """In shares of the volume's sides."""
    places = np.stack(np.nonzero(volume > volume.max() / 2), axis=1)
    return (places.mean(axis=0) + 0.5) / volume.shape


def test_a_volume_at_its_own_grid_is_what_the_window_makes_of_it(ball: np.ndarray) -> None:
    seen = np.stack(list(resampled_frames(ball, volume_like(ball), (12, 20, 16), AS_IT_IS)))
    assert np.array_equal(seen[..., 0], ball)


@pytest.mark.parametrize("grid", [(24, 20, 16), (6, 10, 8), (12, 30, 24), (7, 13, 33)])
def test_image_and_mask_stay_on_each_other_on_any_grid_and_come_back(ball: np.ndarray, grid: tuple) -> None:
    seen = np.stack(list(resampled_frames(ball, volume_like(ball), grid, AS_IT_IS)))[..., 0]
    mask = np.stack(list(nearest_frames((ball > 0).astype(np.uint8), grid)))
    assert seen.shape == mask.shape == grid
    assert set(np.unique(mask)) == {0, 1}
    np.testing.assert_allclose(centre_of(seen), centre_of(ball), atol=0.04)
    np.testing.assert_allclose(centre_of(mask), centre_of(ball), atol=0.05)
    assert mask.mean() == pytest.approx((ball > 0).mean(), rel=0.6)
    maps = (np.stack([frame, 1 - frame], axis=-1).astype(np.float32) for frame in mask)
    back = np.stack(list(back_onto_grid(maps, grid[0], ball.shape)))
    assert back.shape == (12, 2, 20, 16)
    np.testing.assert_allclose(back.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(centre_of(back[:, 0]), centre_of(ball), atol=0.05)


def test_what_comes_back_takes_few_frames_at_a_time() -> None:
    taken = []

    def frames():
        for at in range(100):
            taken.append(at)
            yield np.full((4, 4, 1), at, np.float32)

    back = back_onto_grid(frames(), 100, (50, 4, 4))
    first = next(back)
    assert len(taken) < 5
    assert first[0, 0, 0] == pytest.approx(0.8, abs=0.5)
    assert len(list(back)) == 49


def test_a_grid_follows_the_spacing_and_an_unknown_one_keeps_the_voxels() -> None:
    assert grid_at((10, 100, 100), (5.0, 0.5, 0.5), (1.0, 1.0, 1.0)) == (50, 50, 50)
    assert grid_at((10, 100, 100), None, (1.0, 2.0, 3.0)) == (10, 100, 100)
    assert spacing_of(volume_like(np.zeros((2, 2, 2)), slice_spacing_mm=None)) is None
    assert spacing_of(volume_like(np.zeros((2, 2, 2)), slice_spacing_mm=3.0)) == (3.0, 1.0, 1.0)


def test_all_frames_go_by_one_window(ball: np.ndarray) -> None:
    faint = ball.astype(np.float32) / 255
    faint[0] = 0.01  # blown up by itself it would be as bright as the ball
    seen = np.stack(list(resampled_frames(faint, volume_like(faint), faint.shape, AS_IT_IS)))
    assert seen[0].max() < 10 < 200 < seen[4].max()


def test_a_whole_volume_or_an_image_becomes_one_shape(ball: np.ndarray) -> None:
    spec = VolumeSpec(depth=8, size=16, channels=3)
    seen = volume_input(ball, volume_like(ball), spec)
    assert (seen.shape, seen.dtype) == ((8, 16, 16, 3), np.uint8)
    np.testing.assert_allclose(centre_of(seen[..., 0]), centre_of(ball), atol=0.04)
    one = volume_input(ball[4], volume_like(ball[:1]), spec)
    assert np.array_equal(one[0], one[7])


@pytest.mark.parametrize("spec", [InputSpec(32, 3, "pad"), VolumeSpec(8, 16), PatchSpec((8, 16, 16), (2.5, 1.0, 1.0))])
def test_a_model_keeps_how_it_sees(spec: InputSpec | VolumeSpec | PatchSpec) -> None:
    assert spec_of(spec.to_json()) == spec


def test_sides_that_nobody_could_see_at_once_are_refused() -> None:
    for sides in ((8, 8), (2, 64, 64), (512, 512, 512)):
        with pytest.raises(InvalidInput, match="depth, rows and columns"):
            check_volume_shape("patch_size", sides)


def test_a_volume_of_an_absurd_spacing_is_refused_before_it_fills_the_memory(ball: np.ndarray) -> None:
    """As of a header in micrometres that says millimetres; a large one that is not made larger is none."""
    assert resampled_grid((4, 9000, 9000), (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)) == (4, 9000, 9000)
    assert resampled_grid((300, 512, 512), (1.0, 0.9, 0.9), (0.5, 0.45, 0.45)) == (600, 1024, 1024)
    of = volume_like(ball, spacing_mm=(900.0, 900.0), slice_spacing_mm=900.0)
    for wanted in ((1.0, 1.0, 1.0), (900.0, 1.0, 1.0), (0.0001, 900.0, 900.0)):
        with pytest.raises(InvalidInput, match="look at the spacing that its file tells"):
            volume_input(ball, of, VolumeSpec(16, 16, spacing_mm=wanted))
        with pytest.raises(InvalidInput, match=r"Received: 900 x 900 x 900 mm \(case 7\)"):
            resampled_grid(ball.shape, (900.0, 900.0, 900.0), wanted, " (case 7)")
