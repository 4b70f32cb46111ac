import io

import numpy as np
import pytest
from PIL import Image

from core.images.decoded import Window
from core.images.thumbnails import make_thumbnail


@pytest.mark.parametrize("shape", [(1000, 500), (100, 3000), (20, 30), (600, 600, 3), (1, 5000)])
def test_a_thumbnail_keeps_the_aspect_within_256_px(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    with Image.open(io.BytesIO(make_thumbnail(pixels, "MONOCHROME2"))) as image:
        assert image.format == "WEBP"
        assert max(image.size) == min(256, max(shape[:2]))
        ratio = max(1.0, 256 * min(shape[:2]) / max(shape[:2])) if max(shape[:2]) > 256 else min(shape[:2])
        assert min(image.size) == pytest.approx(ratio, abs=1)


def test_a_thumbnail_is_seen_through_the_files_window() -> None:
    pixels = np.full((64, 64), 100, np.int16)
    bright = make_thumbnail(pixels, "MONOCHROME2", [Window("low", 0, 10)])
    assert np.asarray(Image.open(io.BytesIO(bright)).convert("L")).mean() > 250
