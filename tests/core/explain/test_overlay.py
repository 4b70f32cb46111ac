"""The overlay lies on the image where the map says, also when the network saw it with borders."""

import io

import numpy as np
import pytest
from PIL import Image

from core.explain.overlay import crop_borders, draw_overlay
from core.images.render import InputSpec, model_input


def test_where_the_map_is_zero_the_image_is_untouched() -> None:
    seen = np.random.default_rng(0).integers(0, 256, (30, 40), np.uint8)
    values = np.zeros((3, 4), np.float32)
    values[0, 0] = 1
    drawn = np.asarray(Image.open(io.BytesIO(draw_overlay(seen, values))))
    assert drawn.shape == (30, 40, 3)
    np.testing.assert_array_equal(drawn[20:, 20:], np.repeat(seen[20:, 20:, None], 3, axis=2))
    assert (drawn[:4, :4].max(axis=2) != drawn[:4, :4].min(axis=2)).all()


def test_a_colour_image_keeps_its_colours() -> None:
    seen = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    drawn = np.asarray(Image.open(io.BytesIO(draw_overlay(seen, np.zeros((2, 2), np.float32)))))
    np.testing.assert_array_equal(drawn, seen)


def test_a_stretched_map_covers_the_image() -> None:
    values = np.eye(4, dtype=np.float32)
    assert crop_borders(values, 10, 300, InputSpec(32, 1, "stretch")) is values


@pytest.mark.parametrize(("rows", "columns"), [(40, 100), (100, 40), (64, 64), (1, 100)])
def test_borders_are_cut_where_the_network_s_input_has_them(rows: int, columns: int) -> None:
    spec = InputSpec(64, 1, "pad")
    seen = model_input(np.full((rows, columns), 200, np.uint8), "MONOCHROME2", (), spec)[..., 0]
    kept = crop_borders(seen.astype(np.float32), rows, columns, spec)
    assert (kept > 0).all()
    assert kept.size == (seen > 0).sum()


def test_a_map_of_a_cropped_image_lies_on_its_middle_and_is_nothing_beside_it() -> None:
    kept = crop_borders(np.ones((16, 16), np.float32), 40, 100, InputSpec(64, 1, "crop"))
    assert kept.shape == (64, 160)
    assert np.flatnonzero(kept[0]).tolist() == list(range(48, 112))
