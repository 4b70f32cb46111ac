"""One grid or two: every turn and mirror is found, and what differs is said."""

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.images.decoded import Affine, Pixels
from core.images.grids import Grid, frames_of, grid_of, is_uneven

SHAPE = (5, 6, 7)  # columns, rows, frames
AFFINE = np.array([[0.8, 0.1, 0.0, -10], [-0.1, 0.8, 0.0, 20], [0.0, 0.0, 2.5, 30], [0, 0, 0, 1]])
IMAGE = Grid(SHAPE, AFFINE)
VALUES = np.arange(5 * 6 * 7, dtype=np.uint16).reshape(SHAPE)


def turned(axes: tuple[int, ...], mirrored: tuple[bool, ...]) -> tuple[Pixels, Grid]:
    """The image's own values and grid with the axes in another order and way."""
    values = VALUES.transpose(axes)[tuple(slice(None, None, -1 if one else 1) for one in mirrored)]
    to_image = np.zeros((4, 4))
    to_image[3, 3] = 1
    for at, (axis, is_mirrored) in enumerate(zip(axes, mirrored, strict=True)):
        to_image[axis, at] = -1 if is_mirrored else 1
        to_image[axis, 3] = SHAPE[axis] - 1 if is_mirrored else 0
    first, second, third = values.shape
    return values, Grid((first, second, third), AFFINE @ to_image)


def refusal(mask: Grid, image: Grid = IMAGE) -> str:
    with pytest.raises(InvalidInput) as caught:
        frames_of(np.zeros(mask.shape, np.uint8), mask, image)
    return str(caught.value)


@pytest.mark.parametrize(("axes", "mirrored"), list(product(permutations(range(3)), product((False, True), repeat=3))))
def test_a_mask_of_any_turn_comes_to_lie_as_its_image(axes: tuple[int, ...], mirrored: tuple[bool, ...]) -> None:
    values, grid = turned(axes, mirrored)
    np.testing.assert_array_equal(frames_of(values, grid, IMAGE), VALUES.transpose(2, 1, 0))


@given(off=st.tuples(*[st.floats(-0.02, 0.02)] * 3))
def test_what_headers_round_off_is_no_difference(off: tuple[float, float, float]) -> None:
    near = AFFINE.copy()
    near[:3, 3] += off
    np.testing.assert_array_equal(frames_of(VALUES, Grid(SHAPE, near), IMAGE), VALUES.transpose(2, 1, 0))


def test_another_number_of_voxels_is_told() -> None:
    assert refusal(Grid((5, 6, 4), AFFINE)) == (
        "The mask lies on another grid than its image; resample it onto that. "
        "Received: the mask has 5 x 6 x 4 voxels of 0.8062 x 0.8062 x "
        "2.5 mm, the image 5 x 6 x 7 voxels of 0.8062 x 0.8062 x 2.5 mm; its middle lies 3.8 mm further to the feet"
    )


def test_another_place_is_told_in_directions_of_the_body() -> None:
    there = AFFINE.copy()
    there[:3, 3] += (2, 0, -2.5)
    assert "its middle lies 2.0 mm further to the left and 2.5 mm further to the feet" in refusal(Grid(SHAPE, there))


def test_another_direction_is_told_in_degrees() -> None:
    angle = np.radians(10)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert "turned against it by 10.0 degrees" in refusal(Grid(SHAPE, turn @ AFFINE))


def test_another_spacing_of_the_same_shape_is_told() -> None:
    assert "5 x 6 x 7 voxels of 1.0 mm" in refusal(Grid(SHAPE, np.eye(4)))


@pytest.mark.parametrize(
    ("mask", "image", "silent"), [(None, AFFINE, "mask"), (AFFINE, None, "image")], ids=["mask", "image"]
)
def test_where_only_one_tells_its_place_nothing_is_guessed(
    mask: Pixels | None, image: Pixels | None, silent: str
) -> None:
    assert refusal(Grid(SHAPE, mask), Grid(SHAPE, image)).startswith(f"The {silent} does not say how it lies")


def test_a_volume_with_a_gap_lies_on_no_grid_and_takes_no_mask_that_does() -> None:
    @dataclass
    class Volume:
        frames: int = 7
        slice_spacing_mm: float | None = None
        affine: Affine | None = tuple(map(tuple, AFFINE.tolist()))

    assert is_uneven(Volume())
    assert not any(map(is_uneven, (Volume(frames=1), Volume(slice_spacing_mm=2.0), Volume(affine=None))))
    uneven = grid_of(7, 6, 5, Volume().affine, uneven=True)
    for mask in (IMAGE, Grid(SHAPE, None)):
        assert "save the mask as DICOM SEG or RTSTRUCT" in refusal(mask, uneven)


def test_where_nobody_tells_a_place_equal_shapes_are_one_grid() -> None:
    free = grid_of(7, 6, 5, None)
    np.testing.assert_array_equal(frames_of(VALUES, Grid(SHAPE, None), free), VALUES.transpose(2, 1, 0))
    assert "the mask has 6 x 5 x 7 voxels, the image 5 x 6 x 7 voxels" in refusal(Grid((6, 5, 7), None), free)


def test_of_a_single_slice_the_thickness_does_not_matter() -> None:
    thick = AFFINE.copy()
    thick[:3, 2] *= 3
    flat = Grid((5, 6, 1), AFFINE)
    np.testing.assert_array_equal(
        frames_of(VALUES[..., :1], Grid((5, 6, 1), thick), flat), VALUES[..., :1].transpose(2, 1, 0)
    )
