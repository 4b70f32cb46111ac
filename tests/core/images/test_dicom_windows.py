"""How an object says that it should be shown: by windows, sigmoids and tables, as pydicom applies them."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_voi, apply_windowing
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from core.images.decoded import DecodedImage, Window
from core.images.decoding import decode
from core.images.render import InputSpec, model_input, to_uint8
from core.images.shown import shown_of
from core.settings import Settings
from tests.core.images.test_dicom_syntaxes import GREY, SECRET, SIGNED, dataset_of, written

RISING = np.linspace(0, 65535, 1000)


def table_of(heights: np.ndarray, first: int = 200, bits: int = 16, said: str = "", packed: bool = False) -> Dataset:
    table = Dataset()
    table.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(heights) % 65536, first, bits])
    table.add_new("LUTData", "OW", np.rint(heights).astype(np.uint8 if packed else "<u2").tobytes())
    if said:
        table.LUTExplanation = said
    return table


def with_tables(settings: Settings, *tables: Dataset, pixels: np.ndarray = GREY, **tags: Any) -> DecodedImage:
    return decode(written(dataset_of(pixels, VOILUTSequence=list(tables), **tags)), settings, SECRET)


def with_table(settings: Settings, heights: np.ndarray, *, bits: int = 16, **tags: Any) -> DecodedImage:
    return with_tables(settings, table_of(heights, bits=bits), **tags)


def seen(image: DecodedImage, windows: Sequence[Window] | None = None) -> np.ndarray:
    return to_uint8(image.picture, image.photometric, image.windows if windows is None else windows)


def assert_as_pydicom_shows_it(image: DecodedImage, dataset: Dataset, bits: int) -> None:
    """By every table of the object, to a grey level of 255."""
    tables = image.windows[: len(dataset.VOILUTSequence)]
    for at, window in enumerate(tables):
        expected = apply_voi(image.pixels, dataset, at).astype(float) * 255 / (2**bits - 1)
        if image.photometric == "MONOCHROME1":
            expected = 255 - expected
        assert np.abs(seen(image, [window]) - expected).max() <= 1
        assert np.ptp(expected) > 100, "else nothing was compared"


def bent(entries: int, bits: int) -> np.ndarray:
    """A table as film has it: flat, steep, flat."""
    return (2**bits - 1) / (1 + np.exp(-np.linspace(-6, 5, entries)))


# ---- tables


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("shape", ["bent", "inverted", "cut off", "up and down"])
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_a_table_is_applied_as_pydicom_does(bits: int, shape: str, photometric: str, settings: Settings) -> None:
    top = 2**bits - 1
    heights = {
        "bent": bent(4096, bits),
        "inverted": bent(4096, bits)[::-1],
        "cut off": np.clip(np.linspace(-2 * top, 3 * top, 4096), 0, top),
        "up and down": top * (0.5 + 0.5 * np.sin(np.linspace(0, 20, 4096))),
    }[shape]
    made = dataset_of(GREY, VOILUTSequence=[table_of(heights, 0, bits)], PhotometricInterpretation=photometric)
    image = decode(written(made), settings, SECRET)
    np.testing.assert_array_equal(image.pixels, GREY)  # the values are those before it
    if bits > 8:  # pydicom counts entries of an 8-bit table in 8 bits
        assert_as_pydicom_shows_it(image, made, bits)
    expected = np.rint(np.rint(heights)[GREY] * (255 / top))
    np.testing.assert_array_equal(seen(image), 255 - expected if photometric == "MONOCHROME1" else expected)
    assert image.oddities == ()


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_of_bytes_may_stand_two_in_a_word(packed: bool, settings: Settings) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    made = dataset_of(pixels, VOILUTSequence=[table_of(bent(255, 8), 1, 8, packed=packed)])
    image = decode(written(made), settings, SECRET)
    expected = np.rint(bent(255, 8))[np.clip(pixels.astype(int) - 1, 0, 254)]
    np.testing.assert_array_equal(seen(image), expected)
    if not packed:
        assert_as_pydicom_shows_it(image, made, 8)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_table_is_read_in_every_encoding(syntax: str, settings: Settings) -> None:
    expected = seen(with_tables(settings, table_of(bent(4096, 12), 0, 12)))
    made = dataset_of(GREY, VOILUTSequence=[table_of(bent(4096, 12), 0, 12)])
    made.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        made.PixelData = GREY.astype(">u2").tobytes()
        words = np.rint(bent(4096, 12)).astype(">u2").tobytes()
        made.VOILUTSequence[0].add_new("LUTData", "OW", words)
    np.testing.assert_array_equal(seen(decode(written(made), settings, SECRET)), expected)
    numbers = table_of(bent(4096, 12), 0, 12)
    numbers.add_new("LUTData", "US", np.rint(bent(4096, 12)).astype(int).tolist())
    np.testing.assert_array_equal(seen(with_tables(settings, numbers)), expected)


@pytest.mark.parametrize("implicit", [False, True])
def test_the_first_value_of_a_table_may_be_negative(implicit: bool, settings: Settings) -> None:
    made = dataset_of(SIGNED, VOILUTSequence=[table_of(bent(3000, 16), -1500)])
    if implicit:
        made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    image = decode(written(made), settings, SECRET)
    assert (image.windows[0].centre, image.windows[0].width) == (0, 3000)
    assert_as_pydicom_shows_it(image, made, 16)


def test_the_first_value_is_one_after_the_rescale(settings: Settings) -> None:
    unsigned = table_of(bent(3000, 16), 65536 - 1000)  # -1000 in a field without a sign
    image = with_tables(settings, unsigned, RescaleIntercept=-1024, RescaleSlope=1)
    assert image.windows[0].centre - image.windows[0].width / 2 == -1000
    expected = np.rint(np.rint(bent(3000, 16))[np.clip(GREY.astype(int) - 24, 0, 2999)] / 257)
    np.testing.assert_array_equal(seen(image), expected)


def test_a_table_of_all_values_is_as_long_as_no_number_says(settings: Settings) -> None:
    pixels = (GREY * 16).astype(np.uint16)
    made = dataset_of(pixels, VOILUTSequence=[table_of(bent(65536, 16), 0)], BitsStored=16, HighBit=15)
    image = decode(written(made), settings, SECRET)
    assert image.windows[0].width == 65536
    assert_as_pydicom_shows_it(image, made, 16)


def test_several_tables_are_several_choices_and_come_before_the_windows(settings: Settings) -> None:
    tables = [
        table_of(bent(4096, 12), 0, 12, "NORMAL"),
        table_of(bent(4096, 12) ** 2 / 4095, 0, 12, "Harder Smith"),
        table_of(bent(4096, 12)[::-1], 0, 12, "SMITH^JANE"),
    ]
    told = {"WindowCenter": [2000, 40], "WindowWidth": [4000, 400]}
    told["WindowCenterWidthExplanation"] = ["SOFTER", "JANE"]
    made = dataset_of(GREY, VOILUTSequence=tables, **told)
    image = decode(written(made), settings, SECRET)
    names = ["NORMAL", "Harder", "VOI table 3", "SOFTER", "Window 2"]  # nobody's name is among them
    assert [window.name for window in image.windows] == names
    assert [window.curve is None for window in image.windows] == [False] * 3 + [True] * 2
    assert_as_pydicom_shows_it(image, made, 12)
    assert image.oddities == ()
    kept = image.headers[0].content
    assert b"SMITH" not in kept
    assert b"JANE" not in kept


def test_a_table_that_is_a_straight_line_is_a_plain_window(settings: Settings) -> None:
    image = with_table(settings, RISING)
    assert image.windows == (Window("VOI table", 700, 1000),)
    assert image.oddities == ()
    assert_as_pydicom_shows_it(image, dataset_of(GREY, VOILUTSequence=[table_of(RISING)]), 16)


@pytest.mark.parametrize("heights", [RISING / 2, RISING / 4 + 40000, np.array([0, 65535])])
def test_a_straight_line_from_dark_or_to_grey_is_none(heights: np.ndarray, settings: Settings) -> None:
    made = dataset_of(GREY, VOILUTSequence=[table_of(heights)])
    image = decode(written(made), settings, SECRET)
    assert image.windows[0].curve is not None
    assert np.abs(seen(image) - apply_voi(image.pixels, made) / 257.0).max() <= 1


@pytest.mark.parametrize(
    ("heights", "bits", "said"),
    [
        (np.full(1000, 7), 16, "is the same for all values"),
        (RISING, 3, "cannot be read"),
        (np.random.default_rng(0).integers(0, 65536, 30000), 16, "goes up and down too often to be kept"),
    ],
)
def test_a_table_that_shows_nothing_is_told(heights: np.ndarray, bits: int, said: str, settings: Settings) -> None:
    image = with_table(settings, heights, bits=bits)
    (plain,) = image.windows
    assert (plain.name, plain.width, plain.curve) == ("VOI table", len(heights), None)
    assert image.oddities == (f"Its VOI LUT {said}; it is shown by a window from 200 to {200 + len(heights)}.",)
    beside = with_table(settings, heights, bits=bits, WindowCenter=40, WindowWidth=400)
    assert beside.windows == (Window("Window 1", 40, 400),)
    assert beside.oddities == (f"Its VOI LUT {said}; it is shown by a window from -160 to 240.",)


@pytest.mark.parametrize("descriptor", [[1000, 200], [999, 200, 16], [1001, 200, 16], [0, 200, 16], []])
def test_a_table_of_another_length_than_it_says_does_not_lose_the_image(descriptor: Any, settings: Settings) -> None:
    table = table_of(bent(1000, 16))
    table.LUTDescriptor = descriptor
    image = with_tables(settings, table, table_of(bent(4096, 12), 0, 12, "NORMAL"))
    assert [window.name for window in image.windows] == ["NORMAL"]
    assert image.oddities == ("1 of its 2 VOI LUTs cannot be shown; the others are offered.",)
    (said,) = with_tables(settings, table).oddities
    assert said.startswith("Its VOI LUT cannot be read; it is shown by a window from ")


def test_a_sequence_of_tables_that_is_none_does_not_lose_the_image(settings: Settings) -> None:
    made = dataset_of(GREY, WindowCenter=40, WindowWidth=400)
    made.add_new("VOILUTSequence", "OB", b"no sequence!")
    content = written(made)
    for said in (content, content.replace(b"\x28\x00\x10\x30OB", b"\x28\x00\x10\x30UN")):
        assert decode(said, settings, SECRET).windows == (Window("Window 1", 40, 400),)


@pytest.mark.parametrize(("says", "used"), [(16, 12), (16, 10), (8, 12), (10, 12)])
def test_a_table_of_other_bits_than_it_says_is_neither_black_nor_white(
    says: int, used: int, settings: Settings
) -> None:
    image = with_table(settings, bent(1000, used), bits=says)
    np.testing.assert_array_equal(seen(image), seen(with_table(settings, bent(1000, used), bits=used)))
    assert image.oddities == (f"A VOI LUT of it says {says} bits and uses {used}; it is shown as one of {used}.",)


# ---- sigmoids


@pytest.mark.parametrize("function", ["SIGMOID", "LINEAR", "LINEAR_EXACT", None])
@pytest.mark.parametrize("pixels", [GREY, SIGNED])
def test_a_window_is_applied_as_pydicom_does(function: str | None, pixels: np.ndarray, settings: Settings) -> None:
    told = {"VOILUTFunction": function} if function else {}
    made = dataset_of(pixels, WindowCenter=[1040, -300], WindowWidth=[400, 1500], **told)
    image = decode(written(made), settings, SECRET)
    assert [window.curve for window in image.windows] == ["sigmoid" if function == "SIGMOID" else None] * 2
    ends = (-2048, 2047) if pixels is SIGNED else (0, 4095)
    for at, window in enumerate(image.windows):
        expected = (apply_windowing(image.pixels, made, at) - ends[0]) / (ends[1] - ends[0]) * 255
        assert np.abs(seen(image, [window]) - expected).max() <= (1 if function == "SIGMOID" else 1.5)
    assert image.oddities == ()


def test_a_sigmoid_has_no_ends_and_none_of_its_numbers_overflows() -> None:
    values = np.array([[-1e30, -32768, -500, 0, 100, 500, 1e30]], np.float32)
    window = Window("", 0, 400, "sigmoid")
    assert to_uint8(values, "MONOCHROME2", [window]).tolist() == [[0, 0, 2, 128, 186, 253, 255]]
    assert to_uint8(values, "MONOCHROME1", [window]).tolist() == [[255, 255, 253, 127, 69, 2, 0]]


# ---- where it is seen


def test_thumbnails_and_networks_see_what_the_curve_shows(settings: Settings) -> None:
    made = dataset_of(GREY, VOILUTSequence=[table_of(bent(4096, 12)[::-1], 0, 12)])
    image = decode(written(made), settings, SECRET)
    spec = InputSpec(64, 1, "pad")
    square = np.ascontiguousarray(GREY[:64, :64])
    expected = np.rint(np.rint(bent(4096, 12)[::-1])[square] * (255 / 4095))
    np.testing.assert_array_equal(model_input(square, "MONOCHROME2", image.windows, spec)[..., 0], expected)
    plain = decode(written(dataset_of(GREY)), settings, SECRET)
    assert shown_of(image).perceptual_hash != shown_of(plain).perceptual_hash


def test_a_stretched_table_shows_its_entries_further_apart() -> None:
    table = Window("", 2, 4, ((1, 10), (2, 200), (1, 90)))
    values = np.arange(-2, 6, 0.5, dtype=np.float32)[None]
    once = to_uint8(values, "MONOCHROME2", [table])[0].tolist()
    assert once == [10] * 5 + [200] * 4 + [90] * 7  # what is half-way goes to the next
    twice = to_uint8(values * 2, "MONOCHROME2", [Window("", 4, 8, table.curve)])[0].tolist()
    assert twice == once


def test_the_header_beside_the_pixels_keeps_the_function_and_no_table(settings: Settings) -> None:
    """What is seen of a table is kept with the case; of words nobody can tell what else they mean."""
    told = {"WindowCenter": 40, "WindowWidth": 400, "VOILUTFunction": "SIGMOID"}
    image = with_table(settings, bent(1000, 16), **told)
    kept = pydicom.dcmread(io.BytesIO(image.headers[0].content))
    assert (kept.WindowCenter, kept.VOILUTFunction) == (40, "SIGMOID")
    assert "VOILUTSequence" not in kept
