"""The stored form of volumes, and the window they are first seen with."""

import numpy as np
import pytest

from core.errors import InvalidInput
from core.images.orientation import choose_layout
from core.images.render import display_window
from core.images.volumes import check_volume_size, stored_volume, volume_window
from core.settings import Settings

VALUES = np.random.default_rng(0).normal(100, 30, (20, 30, 40))


def test_a_volume_is_stored_contiguous_and_in_this_machines_byte_order() -> None:
    stored = stored_volume(VALUES.astype(">i2"), choose_layout(VALUES.shape, None))
    assert stored.dtype == np.int16
    assert stored.dtype.isnative
    assert stored.flags.c_contiguous
    np.testing.assert_array_equal(stored, VALUES.astype(np.int16).transpose(2, 1, 0))


def test_the_window_of_whole_numbers_is_that_of_one_long_image() -> None:
    volume = VALUES.astype(np.int16)
    assert volume_window(volume) == display_window(volume.reshape(20, -1))


def test_the_window_of_floats_is_near_that_of_all_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.images.volumes.SAMPLED", 5000)
    volume = np.random.default_rng(1).normal(0, 1, (30, 40, 50)).astype(np.float32)
    volume[..., 0] = 50  # a column that every 50th voxel would hit or miss
    told, right = volume_window(volume), display_window(volume.reshape(30, -1))
    assert told.width == pytest.approx(right.width, rel=0.1)


def test_a_constant_volume_has_a_window_all_the_same() -> None:
    assert volume_window(np.full((3, 4, 5), 7, np.uint8)).width > 0


def test_too_many_voxels_are_refused(settings: Settings) -> None:
    check_volume_size((512, 512, 600), settings)
    with pytest.raises(InvalidInput, match="raise max_image_pixels"):
        check_volume_size((1024, 1024, 600), settings)
