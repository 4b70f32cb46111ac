"""How an object says that it should be shown: by windows, and by what windows cannot tell, which is then said."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from core.images.decoded import DecodedImage
from core.images.decoding import decode
from core.settings import Settings
from tests.core.images.test_dicom_syntaxes import GREY, SECRET, dataset_of, written

RISING = np.linspace(0, 65535, 1000)


def with_table(settings: Settings, heights: np.ndarray, *, bits: int = 16, **tags: object) -> DecodedImage:
    table = Dataset()
    table.LUTDescriptor = [len(heights), 200, bits]
    table.LUTData = heights.astype(np.uint16).tobytes()
    return decode(written(dataset_of(GREY, VOILUTSequence=[table], **tags)), settings, SECRET)


def test_a_table_of_values_to_show_is_a_window_of_what_it_spreads(settings: Settings) -> None:
    image = with_table(settings, RISING)
    (window,) = image.windows
    assert (window.name, window.centre, window.width) == ("VOI table", 700, 1000)
    assert image.oddities == ()


@pytest.mark.parametrize(
    ("heights", "said"),
    [
        (RISING[::-1], "is inverted (black for white)"),
        (RISING**2 / 65535, "is not linear"),
        (np.clip(RISING * 3, 0, 65535), "is not linear"),
        (np.full(1000, 7), "is the same for all values"),
    ],
)
def test_a_table_that_no_window_can_tell_is_told(heights: np.ndarray, said: str, settings: Settings) -> None:
    image = with_table(settings, heights)
    assert image.oddities == (f"Its VOI LUT {said}; it is shown by a window from 200 to 1200.",)
    np.testing.assert_array_equal(image.pixels, GREY)  # the values are those before it


def test_a_table_that_makes_no_sense_does_not_lose_the_image(settings: Settings) -> None:
    image = with_table(settings, RISING, bits=3)
    assert image.oddities == ("Its VOI LUT cannot be read; it is shown by a window from 200 to 1200.",)


def test_a_window_beside_a_table_is_another_way_to_see_it(settings: Settings) -> None:
    image = with_table(settings, RISING[::-1], WindowCenter=40, WindowWidth=400)
    assert [(window.centre, window.width) for window in image.windows] == [(40, 400)]
    assert image.oddities == ()


@pytest.mark.parametrize(("function", "told"), [("SIGMOID", 1), ("LINEAR", 0), ("LINEAR_EXACT", 0), (None, 0)])
def test_a_function_that_is_no_line_is_told(function: str | None, told: int, settings: Settings) -> None:
    tags = {"VOILUTFunction": function} if function else {}
    image = decode(written(dataset_of(GREY, WindowCenter=40, WindowWidth=400, **tags)), settings, SECRET)
    said = "Its VOI LUT function is SIGMOID; it is shown by a linear window from -160 to 240."
    assert image.oddities == (said,) * told
