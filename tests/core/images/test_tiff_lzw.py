"""Damaged LZW is refused before a decoder follows it out of its table; what is whole is read as it was."""

import io
from collections.abc import Callable, Sequence

import imagecodecs
import numpy as np
import pytest
import tifffile

from core.errors import InvalidInput
from core.images.mask_reading import read_label_map
from core.images.raster import read_raster
from core.images.tiff_lzw import first_codes
from core.settings import Settings

CLEAR, END = 256, 257
NOISE = np.random.default_rng(3).integers(0, 255, (300, 200), np.uint8)  # the table is cleared some times


def encoded(values: np.ndarray) -> bytes:
    return bytes(imagecodecs.lzw_encode(values.tobytes()))


def packed(codes: Sequence[int]) -> bytes:
    """Codes of 9 bits, the highest first."""
    bits = "".join(f"{code:09b}" for code in codes)
    return int(bits + "0" * (-len(bits) % 8), 2).to_bytes(-(-len(bits) // 8), "big")


def packed_lowest_first(codes: Sequence[int]) -> bytes:
    """As the first writers had it: each code follows in the higher bits of a byte."""
    return sum(code << 9 * place for place, code in enumerate(codes)).to_bytes(-(-len(codes) * 9 // 8), "little")


def tiff_of(strip: bytes, shape: tuple[int, int]) -> bytes:
    """A grey picture of one strip that is taken as it is."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(
            iter([strip]),
            shape=shape,
            dtype=np.uint8,
            compression="lzw",
            photometric="minisblack",
            rowsperstrip=shape[0],
        )
    return buffer.getvalue()


@pytest.mark.parametrize("read", [read_raster, read_label_map])
@pytest.mark.parametrize("broken", [300, 258])
def test_a_table_that_starts_with_an_entry_it_does_not_have_is_refused(
    read: Callable[[bytes, Settings], object], broken: int, settings: Settings
) -> None:
    """imagecodecs dies of these twelve bytes."""
    strip = packed([CLEAR, 65, 66, 258, CLEAR, broken, 258, 258, broken, 259])
    with pytest.raises(InvalidInput, match=f"LZW starts with an entry .* Received: code {broken} at the start"):
        read(tiff_of(strip, (16, 32)), settings)


def test_what_is_whole_is_read_to_the_grey_level(settings: Settings) -> None:
    content = tiff_of(encoded(NOISE), (300, 200))
    np.testing.assert_array_equal(read_raster(content, settings).pixels, NOISE)


def test_every_table_starts_with_the_value_that_the_encoder_had_there() -> None:
    codes = list(first_codes(encoded(NOISE)))
    assert len(codes) > 10  # 60,000 values that repeat nowhere fill the table some times
    assert codes[0] == NOISE[0, 0]
    assert set(codes) <= set(range(256))


def one_by_one(strip: bytes) -> list[int]:
    """The same, a bit after the other, as TIFF 6.0 section 13 tells it."""
    bits = "".join(f"{byte:08b}" for byte in strip)
    found: list[int] = []
    at, entries, fresh = 0, 258, False
    while True:
        width = 9 + (entries >= 511) + (entries >= 1023) + (entries >= 2047)
        code, at = int(bits[at : at + width], 2), at + width
        if code == END:
            return found
        if code == CLEAR:
            entries, fresh = 258, True
        elif fresh:
            found.append(code)
            fresh = False
        else:
            entries += 1


@pytest.mark.parametrize("values", [NOISE, NOISE // 64, np.zeros_like(NOISE)], ids=["noise", "few levels", "one level"])
def test_codes_are_where_one_finds_them_one_by_one(values: np.ndarray) -> None:
    strip = encoded(values)
    assert list(first_codes(strip)) == one_by_one(strip)


def test_the_order_of_the_first_writers_is_followed_too() -> None:
    strip = packed_lowest_first([CLEAR, 65, 66, CLEAR, CLEAR, 300, END])
    assert imagecodecs.lzw_decode(packed_lowest_first([CLEAR, 65, 66, END]), out=2) == b"AB"
    assert list(first_codes(strip)) == [65, 300]


@pytest.mark.parametrize("codes", [[CLEAR], [CLEAR, END], [CLEAR, CLEAR, CLEAR, END], [CLEAR, 7]])
def test_streams_that_stop_early_end_the_search(codes: Sequence[int]) -> None:
    assert list(first_codes(packed(codes)))[:1] in ([], [7])


@pytest.mark.parametrize("strip", [b"", b"\x80"])
def test_nothing_is_found_in_nothing(strip: bytes) -> None:
    assert list(first_codes(strip)) == []
