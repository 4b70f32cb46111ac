"""How a volume is turned to be read, checked against nibabel and against points followed one by one."""

import itertools
import re

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.orientations import aff2axcodes, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from core.images import orientation
from core.images.orientation import RAS_AND_LPS, Layout, choose_layout, spacings_of
from core.settings import PROJECT_ROOT

TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SHAPE = (5, 6, 7)


def affine_of(codes: str, spacing: tuple[float, float, float] = (1.0, 1.1, 1.2)) -> np.ndarray:
    """LPS millimetres of a file whose axes run towards these letters."""
    to_lps = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, code in enumerate(codes):
        direction, sign = to_lps[code]
        affine[direction, axis] = sign * spacing[axis]
    affine[:3, 3] = (10, -20, 30)
    return affine


EVERY_ORIENTATION = [
    "".join(pick[at] for pick, at in zip((("L", "R"), ("P", "A"), ("S", "I")), bits, strict=True))
    for bits in itertools.product((0, 1), repeat=3)
]
EVERY_ORDER = ["".join(order) for codes in EVERY_ORIENTATION for order in itertools.permutations(codes)]


def stored_codes(layout: Layout, affine: np.ndarray) -> tuple[str, ...]:
    """Letters towards which columns, rows and frames grow."""
    turned = np.array(layout.turn_affine(affine, SHAPE))
    return tuple(aff2axcodes(TO_LPS @ turned))


def test_there_are_48_ways_a_file_can_lie() -> None:
    assert len(set(EVERY_ORDER)) == 48


@pytest.mark.parametrize("codes", EVERY_ORDER)
def test_axial_frames_run_to_the_head_rows_to_the_back_columns_to_the_left(codes: str) -> None:
    affine = affine_of(codes)
    assert stored_codes(choose_layout(SHAPE, affine), affine) == ("L", "P", "S")


@pytest.mark.parametrize("codes", EVERY_ORDER)
def test_every_voxel_keeps_its_place_in_the_patient(codes: str) -> None:
    affine, values = affine_of(codes), np.arange(np.prod(SHAPE)).reshape(SHAPE)
    layout = choose_layout(SHAPE, affine)
    turned, to_mm = layout.turn(values), np.array(layout.turn_affine(affine, SHAPE))
    for frame, row, column in np.ndindex(turned.shape):
        at = np.argwhere(values == turned[frame, row, column])[0]
        np.testing.assert_allclose(to_mm @ [column, row, frame, 1], affine @ [*at, 1], atol=1e-9)


# Tilted by less than 30 degrees in all, every axis has one direction that is plainly the nearest.
@given(
    quarters=st.tuples(*[st.integers(-2, 2)] * 3),
    tilts=st.tuples(*[st.floats(-10, 10)] * 3),
)
def test_an_oblique_volume_is_turned_as_nibabel_turns_it(
    quarters: tuple[int, int, int], tilts: tuple[float, float, float]
) -> None:
    angles = np.radians(90 * np.array(quarters) + np.array(tilts))
    affine = nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(*angles), (1, 2, 3))
    order = io_orientation(TO_LPS @ affine)
    layout = choose_layout(SHAPE, affine)
    turn = ornt_transform(order, axcodes2ornt("LPS"))
    values = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    expected = nibabel.orientations.apply_orientation(values, turn)  # (columns, rows, frames)
    np.testing.assert_array_equal(layout.turn(values), expected.transpose(2, 1, 0))
    np.testing.assert_allclose(layout.turn_affine(affine, SHAPE), affine @ inv_ornt_aff(turn, SHAPE), atol=1e-9)


@pytest.mark.parametrize(
    ("codes", "spacing", "expected"),
    [
        ("LPS", (0.5, 0.5, 5), ("L", "P", "S")),
        ("LPS", (5, 0.5, 0.5), ("P", "I", "L")),  # sagittal slices: face to the left, head up
        ("SAR", (0.5, 0.5, 4), ("P", "I", "L")),
        ("RAS", (0.5, 5, 0.5), ("L", "I", "P")),  # coronal slices
        ("RAS", (0.8, 1.5, 0.8), ("L", "P", "S")),  # not thick enough to be slices
    ],
)
def test_thick_slices_keep_the_plane_they_were_taken_in(
    codes: str, spacing: tuple[float, float, float], expected: tuple[str, ...]
) -> None:
    affine = affine_of(codes, spacing)
    assert stored_codes(choose_layout(SHAPE, affine), affine) == expected


def test_the_only_slice_is_the_frame() -> None:
    affine = affine_of("LPS")
    assert choose_layout((5, 1, 7), affine).turn(np.zeros((5, 1, 7))).shape == (1, 7, 5)
    assert choose_layout((1, 6, 7), None).turn(np.zeros((1, 6, 7))).shape == (1, 7, 6)


def test_without_an_affine_nothing_is_turned() -> None:
    assert choose_layout(SHAPE, None) == Layout((2, 1, 0), (False, False, False))


def test_spacings_are_the_lengths_of_the_steps() -> None:
    affine = affine_of("LPS", (0.5, 0.7, 3.0))
    rotated = nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(0.1, 0.2, 0.3)) @ affine
    (row, column), frame = spacings_of(tuple(map(tuple, rotated)))
    assert (row, column, frame) == pytest.approx((0.7, 0.5, 3.0))


@pytest.mark.parametrize("space", ["RAS", "LAS", "LPS"])
def test_spaces_are_turned_to_lps_as_nibabel_turns_them(space: str) -> None:
    turn = ornt_transform(axcodes2ornt(tuple(space)), axcodes2ornt(tuple("LPS")))
    np.testing.assert_array_equal(orientation.TO_LPS[space.lower()], np.linalg.inv(inv_ornt_aff(turn, (1, 1, 1))))
    np.testing.assert_array_equal(orientation.TO_LPS[space.lower()] @ orientation.TO_LPS[space.lower()], np.eye(4))


def test_ras_and_lps_are_told_in_one_place() -> None:
    np.testing.assert_array_equal(RAS_AND_LPS, TO_LPS)
    written = re.compile(r"diag\(\[-1\.?0?, -1\.?0?|-1\.0, -1\.0, 1\.0")
    files = [path for path in (PROJECT_ROOT / "core").rglob("*.py") if written.search(path.read_text("utf-8"))]
    assert [path.name for path in files] == ["orientation.py"]
