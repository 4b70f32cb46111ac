"""Slices put together hold the same values in a file as in memory, whatever type they turn out to need."""

import numpy as np
import pytest

from core.errors import InvalidInput
from core.images.slices import Slices
from core.store.files import Files
from core.store.growing import GrowingArray

KINDS = {
    "alike": [np.int16, np.int16, np.int16],
    "other type, same values": [np.int16, np.uint16, np.int16],
    "wider": [np.int16, np.uint16, np.float32, np.int16],
}


@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("high", [90, 60_000])
def test_no_value_changes(files: Files, kinds: list[type], high: int) -> None:
    frames = [
        np.full((3, 4), high if kind is np.uint16 else -at if kind is np.int16 else at + 0.5, kind)
        for at, kind in enumerate(kinds)
    ]
    with GrowingArray(files, "pixels", len(frames)) as growing:
        in_file, in_memory = Slices(len(frames), growing), Slices(len(frames))
        for frame in frames:
            in_file.add(frame)
            in_memory.add(frame)
        assert in_file.pixels().dtype == in_memory.pixels().dtype
        np.testing.assert_array_equal(in_file.pixels(), in_memory.pixels())
        np.testing.assert_array_equal(in_file.pixels(), np.array(frames, np.float64))
        widened = in_file.pixels().dtype != np.int16
        assert (in_file.file is None) == widened


def test_another_size_is_refused_and_the_rest_stays(files: Files) -> None:
    with GrowingArray(files, "pixels", 3) as growing:
        slices = Slices(3, growing)
        slices.add(np.zeros((3, 4), np.int16))
        with pytest.raises(InvalidInput, match="5 x 3"):
            slices.add(np.zeros((3, 5), np.int16))
        slices.add(np.ones((3, 4), np.int16))
        assert slices.pixels().shape == (2, 3, 4)
