"""Planes laid on each other pixel on pixel, and outlines filled by pixel centres."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.images.decoded import Pixels
from core.images.planes import fill, lay, plane_of, planes_of

FRAME = plane_of([10, 20, 30], [1, 0, 0, 0, 1, 0], [0.8, 0.5])
VALUES = np.random.default_rng(0).integers(0, 2, (4, 6)).astype(np.uint8)


def laid(values: Pixels, plane: Pixels, shape: tuple[int, int] = (4, 6)) -> Pixels:
    into = np.zeros(shape, np.uint8)
    lay(values, plane, FRAME, into)
    return into


def test_the_same_plane_changes_nothing() -> None:
    np.testing.assert_array_equal(laid(VALUES, FRAME), VALUES)


@pytest.mark.parametrize("mirrored", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_turned_plane_is_turned_back(transposed: bool, mirrored: tuple[bool, bool]) -> None:
    values, plane = VALUES, FRAME.copy()
    if mirrored[0]:
        values, plane[:3, 3], plane[:3, 1] = values[::-1], plane[:3, 3] + 3 * plane[:3, 1], -plane[:3, 1]
    if mirrored[1]:
        values, plane[:3, 3], plane[:3, 0] = values[:, ::-1], plane[:3, 3] + 5 * plane[:3, 0], -plane[:3, 0]
    if transposed:
        values, plane[:3, [0, 1]] = values.T, plane[:3, [1, 0]]
    np.testing.assert_array_equal(laid(values, plane), VALUES)


def test_a_cut_out_lies_where_it_was_cut_out() -> None:
    plane = FRAME.copy()
    plane[:3, 3] += 2 * plane[:3, 0] + plane[:3, 1]
    expected = np.zeros((4, 6), np.uint8)
    expected[1:3, 2:5] = VALUES[1:3, 2:5]
    np.testing.assert_array_equal(laid(VALUES[1:3, 2:5], plane), expected)


def test_what_lies_between_pixels_or_outside_is_refused() -> None:
    between, outside, wide = FRAME.copy(), FRAME.copy(), FRAME.copy()
    between[0, 3] += 0.2
    outside[:3, 3] += 3 * FRAME[:3, 0]
    wide[:3, 0] *= 2
    for plane in (between, outside, wide):
        with pytest.raises(InvalidInput, match="Received: "):
            laid(np.ones((4, 6), np.uint8), plane)


def test_evenly_spaced_frames_have_planes_one_step_apart() -> None:
    affine = ((0.5, 0.0, 0.0, 10.0), (0.0, 0.8, 0.0, 20.0), (0.0, 0.0, 2.0, 30.0), (0.0, 0.0, 0.0, 1.0))
    first, second = planes_of(affine, 2)
    assert first is not None
    assert second is not None
    np.testing.assert_allclose(first, FRAME)
    np.testing.assert_allclose(second[:3, 3], [10, 20, 32])
    assert planes_of(None, 2) == (None, None)


@given(
    points=st.lists(
        st.tuples(st.floats(-3, 12).map(lambda x: x + 0.0137), st.floats(-3, 9).map(lambda y: y + 0.0173)),
        min_size=3,
        max_size=9,
    )
)
def test_a_pixel_is_inside_where_its_centre_is(points: list[tuple[float, float]]) -> None:
    """Against the crossing-number test of each single centre."""
    expected = np.zeros((7, 10), np.uint8)
    for row in range(7):
        for column in range(10):
            inside = False
            for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
                if min(y0, y1) <= row < max(y0, y1):
                    inside ^= x0 + (row - y0) * (x1 - x0) / (y1 - y0) <= column
            expected[row, column] = inside
    np.testing.assert_array_equal(fill([np.array(points)], 7, 10), expected)
