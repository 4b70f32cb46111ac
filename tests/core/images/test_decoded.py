"""The four stored types, and what fits in none of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core.errors import InvalidInput, NotFound
from core.images.decoded import check_size, reading, real_values, whole_numbers
from core.settings import Settings
from core.store.files import Files

STORED = (np.uint8, np.uint16, np.int16, np.float32)


@given(
    st.sampled_from([np.bool_, np.int8, np.uint8, np.int16, ">u2", "<u2", ">i2"]).flatmap(
        lambda k: hnp.arrays(k, (3, 4))
    )
)
def test_small_whole_numbers_keep_their_values(array: np.ndarray) -> None:
    real = real_values(array)
    assert real.dtype in STORED
    np.testing.assert_array_equal(real, array.astype(int) * (255 if array.dtype == bool else 1))


@given(hnp.arrays(np.int64, (2, 3), elements=st.integers(-(1 << 24), 1 << 24)))
def test_large_whole_numbers_stay_exact(array: np.ndarray) -> None:
    np.testing.assert_array_equal(real_values(array).astype(np.int64), array)


@given(hnp.arrays(np.float64, (2, 3), elements=st.integers(-70000, 70000).map(float)))
def test_whole_floats_become_whole_numbers(array: np.ndarray) -> None:
    whole = whole_numbers(array)
    np.testing.assert_array_equal(whole.astype(float), array)
    if np.abs(array).max() <= 32767:
        assert whole.dtype == np.int16


def test_halves_stay_floats() -> None:
    assert real_values(whole_numbers(np.array([[0.5, 1.0]]))).dtype == np.float32


@pytest.mark.parametrize(
    "bad", [np.array([[np.nan]]), np.array([[np.inf]]), np.array([[1e39]]), np.array([[1 << 30]], np.int64)]
)
def test_what_cannot_be_kept_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="Received"):
        real_values(bad)


@pytest.mark.parametrize("value", ["SECRET", "O'SECRET", "O'B\"SECRET", "\"SECRET'", 'B"SECRET', "line\nSECRET"])
def test_a_value_that_a_decoder_quotes_is_left_out_whatever_it_holds(value: str) -> None:
    with pytest.raises(InvalidInput) as refused, reading("DICOM file"):
        float(value)
    assert str(refused.value).endswith("Received: ValueError: could not convert string to float: ...")


def test_a_decoders_error_becomes_a_sentence_and_ours_stays() -> None:
    with pytest.raises(InvalidInput, match="Received: ZeroDivisionError"), reading("PNG"):
        _ = 1 // 0
    with pytest.raises(NotFound), reading("PNG"):
        raise NotFound("case", 9)
    with pytest.raises(InvalidInput, match="more memory"), reading("PNG"):
        raise MemoryError
    with pytest.raises(KeyboardInterrupt), reading("PNG"):
        raise KeyboardInterrupt


def test_a_decoder_that_panics_is_a_refusal_too() -> None:
    class Panic(BaseException):
        """What a decoder written in Rust raises."""

    with pytest.raises(InvalidInput, match="Received: Panic: index out of bounds"), reading("DICOM file"):
        raise Panic("index out of bounds")


def test_size_limits(settings: Settings) -> None:
    check_size(1, 1, settings)
    for rows, columns in ((0, 5), (5, 0), (20_000, 20_000)):
        with pytest.raises(InvalidInput, match=f"Received: {columns} x {rows} pixels"):
            check_size(rows, columns, settings)


@given(array=st.sampled_from(STORED).flatmap(lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=2, max_dims=2))))
def test_what_is_stored_is_read_back_equal(array: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> None:
    files = Files(tmp_path_factory.mktemp("store"))
    content_hash = files.put_array("pixels", array)
    back = files.read_array("pixels", content_hash)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)
    assert files.put_array("pixels", back) == content_hash
