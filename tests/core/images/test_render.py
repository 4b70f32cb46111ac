"""Windows, 8-bit pictures and what a network sees."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core.errors import InvalidInput
from core.images.decoded import Window
from core.images.render import (
    InputSpec,
    apply_window,
    display_window,
    from_square,
    model_input,
    model_mask,
    to_uint8,
)

KINDS = st.sampled_from([np.uint8, np.uint16, np.int16, np.float32])


def images() -> st.SearchStrategy[np.ndarray]:
    return KINDS.flatmap(
        lambda kind: hnp.arrays(
            kind,
            st.tuples(st.integers(1, 12), st.integers(1, 12)),
            elements=st.floats(-(2.0**99), 2.0**99, width=32) if kind is np.float32 else None,
        )
    )


def test_a_window_runs_from_half_its_width_below_to_half_above() -> None:
    values = np.array([[-200, -110, 40, 190, 500]], np.int16)
    np.testing.assert_allclose(apply_window(values, 40, 300), [[0, 0, 0.5, 1, 1]])


@given(images(), st.floats(-1000, 1000), st.floats(0.5, 5000))
def test_a_window_keeps_order_and_range(pixels: np.ndarray, centre: float, width: float) -> None:
    seen = apply_window(pixels, centre, width)
    assert seen.dtype == np.float32
    assert seen.min() >= 0
    assert seen.max() <= 1
    order = np.argsort(pixels.ravel(), kind="stable")
    assert (np.diff(seen.ravel()[order]) >= 0).all()


@given(images())
def test_whole_numbers_through_the_table_equal_the_formula(pixels: np.ndarray) -> None:
    window = Window("w", 12.5, 77.0)
    expected = np.rint(apply_window(pixels, 12.5, 77.0) * 255).astype(np.uint8)
    np.testing.assert_array_equal(to_uint8(pixels, "MONOCHROME2", [window]), expected)
    np.testing.assert_array_equal(to_uint8(pixels, "MONOCHROME1", [window]), 255 - expected)


@given(images())
def test_any_image_can_be_shown_without_a_window(pixels: np.ndarray) -> None:
    seen = to_uint8(pixels, "MONOCHROME2")
    assert seen.shape == pixels.shape
    assert seen.dtype == np.uint8


def test_the_files_window_comes_first() -> None:
    lung = Window("lung", -600, 1500)
    assert display_window(np.zeros((2, 2), np.int16), [lung, Window("bone", 480, 2500)]) == lung


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.float32])
def test_without_a_window_outliers_do_not_count(kind: type) -> None:
    pixels = np.random.default_rng(0).integers(1000, 2000, (200, 200)).astype(kind)
    pixels[0, :10] = 30000
    window = display_window(pixels)
    assert window.centre - window.width / 2 == pytest.approx(1000, abs=3)
    assert window.centre + window.width / 2 == pytest.approx(2000, abs=3)


@given(hnp.arrays(np.int16, (9, 9)))
def test_counted_percentiles_are_those_of_numpy(pixels: np.ndarray) -> None:
    window = display_window(pixels)
    low, high = np.percentile(pixels, [0.1, 99.9], method="lower").astype(float)
    assert window.centre == pytest.approx((low + high) / 2)
    assert window.width == pytest.approx(max(high - low, 1e-6))


def test_a_constant_image_is_one_grey() -> None:
    for kind in (np.uint8, np.int16, np.float32):
        assert len(np.unique(to_uint8(np.full((4, 4), 7, kind), "MONOCHROME2"))) == 1


def test_colour_is_shown_as_it_is_stored() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    np.testing.assert_array_equal(to_uint8(colour, "RGB"), colour)
    np.testing.assert_array_equal(to_uint8(colour.astype(np.uint16) * 257, "RGB"), colour)


@pytest.mark.parametrize("shape", [(50, 100), (100, 50), (64, 64), (3, 500), (50, 100, 3)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
def test_a_network_gets_what_it_asked_for(shape: tuple[int, ...], channels: int, resize: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    seen = model_input(pixels, "MONOCHROME2", (), InputSpec(64, channels, resize))  # type: ignore[arg-type]
    assert seen.shape == (64, 64, channels)
    assert seen.dtype == np.uint8


def test_padding_keeps_the_aspect_and_adds_black() -> None:
    seen = model_input(np.full((50, 100, 3), 200, np.uint8), "RGB", (), InputSpec(64, 1, "pad"))[..., 0]
    assert (seen[:16] == 0).all()
    assert (seen[48:] == 0).all()
    assert (seen[16:48] == 200).all()


@pytest.mark.parametrize("turned", [False, True])
def test_cropping_keeps_the_aspect_and_shows_the_middle_square(turned: bool) -> None:
    pixels = np.zeros((50, 100), np.uint8)
    pixels[:, 26:74] = 255
    seen = model_input(pixels.T if turned else pixels, "MONOCHROME2", (), InputSpec(50, 1, "crop"))[..., 0]
    assert (seen[2:48, 2:48] == 255).all()
    across = seen if turned else seen.T
    assert (across[[0, -1]] == 0).all()


@pytest.mark.parametrize("shape", [(40, 100), (100, 40), (64, 64), (30, 400)])
@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
def test_a_mask_comes_back_to_where_the_network_saw_it(shape: tuple[int, int], resize: str) -> None:
    spec = InputSpec(64, 1, resize)  # type: ignore[arg-type]
    rows, columns = shape
    mask = np.zeros(shape, np.uint8)
    mask[rows // 4 : -(rows // 4) or None, columns // 2 - 8 : columns // 2 + 8] = 1
    back = from_square(model_mask(mask, spec).astype(np.float32), rows, columns, spec)
    assert back.shape == shape
    assert 2 * (mask * (back >= 0.5)).sum() / (mask.sum() + (back >= 0.5).sum()) > 0.8
    everywhere = from_square(np.ones((64, 64), np.float32), rows, columns, spec)
    assert everywhere[rows // 2, columns // 2] == pytest.approx(1)
    assert (everywhere.min() == 0) == (resize == "crop" and rows != columns), "nothing is said of what was cut"


@pytest.mark.parametrize("spacing", [(0.5, 0.5), (2.0, 2.0), (1.0, 0.25)])
def test_to_scale_what_is_as_large_looks_as_large_whatever_the_pixels_are(spacing: tuple[float, float]) -> None:
    spec = InputSpec(64, 1, "scale", pixel_mm=1.0)
    rows, columns = round(40 / spacing[0]), round(40 / spacing[1])
    pixels = np.zeros((rows, columns), np.uint8)
    pixels[rows // 4 : -rows // 4, columns // 4 : -columns // 4] = 255  # 20 x 20 mm
    seen = model_input(pixels, "MONOCHROME2", (), spec, spacing)[..., 0] > 127
    assert seen[32].sum() == seen[:, 32].sum() == 20
    assert seen.sum() == 400
    assert np.array_equal(model_mask(pixels > 0, spec, spacing), seen)
    back = from_square(seen.astype(np.float32), rows, columns, spec, spacing)
    assert np.array_equal(back >= 0.5, pixels > 0), "a mask comes back onto the image's own pixels"


def test_to_scale_a_large_image_is_cut_and_nothing_is_said_of_what_is_beyond() -> None:
    spec = InputSpec(32, 1, "scale", pixel_mm=1.0)
    assert (model_input(np.full((40, 60), 200, np.uint8), "MONOCHROME2", (), spec, (1.0, 1.0)) > 0).all()
    back = from_square(np.ones((32, 32), np.float32), 40, 60, spec, (1.0, 1.0))
    assert np.array_equal(back >= 0.5, np.pad(np.ones((32, 32), bool), ((4, 4), (14, 14))))


def test_to_scale_an_image_without_a_spacing_or_with_an_absurd_one_is_refused() -> None:
    pixels, spec = np.zeros((40, 60), np.uint8), InputSpec(32, 1, "scale", pixel_mm=0.5)
    with pytest.raises(InvalidInput, match=r"0.5 mm a pixel, and this file does not tell.*Received: no pixel spacing"):
        model_input(pixels, "MONOCHROME2", (), spec)
    with pytest.raises(InvalidInput, match=r"look at its pixel spacing.*Received: 1000 x 1000 mm"):
        model_input(pixels, "MONOCHROME2", (), spec, (1000.0, 1000.0))
    for wrong in ({"resize": "pad", "pixel_mm": 1.0}, {"resize": "scale", "pixel_mm": 0.0}):
        with pytest.raises(InvalidInput, match="one scale"):
            InputSpec(32, **wrong)


def test_shrinking_counts_every_pixel() -> None:
    # a checkerboard becomes grey; taking every eighth pixel would make it black or white
    board = np.indices((512, 512)).sum(0) % 2 * np.uint8(255)
    seen = model_input(board.astype(np.uint8), "MONOCHROME2", (), InputSpec(64))
    assert 120 < seen.min() <= seen.max() < 136


def test_monochrome1_reaches_the_network_the_way_it_is_seen() -> None:
    pixels = np.tile(np.arange(64, dtype=np.uint16) * 10, (64, 1))
    one, two = (model_input(pixels, kind, (), InputSpec(64)) for kind in ("MONOCHROME1", "MONOCHROME2"))
    np.testing.assert_array_equal(one, 255 - two)


@pytest.mark.parametrize("wrong", [{"size": 4}, {"size": 64, "channels": 2}, {"size": 64, "resize": "squash"}])
def test_an_impossible_input_is_refused(wrong: dict) -> None:
    with pytest.raises(InvalidInput, match="Received"):
        InputSpec(**wrong)
