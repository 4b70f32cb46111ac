import ast
import io
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as npst

from core.store.array_heads import read_array_head

KINDS = npst.integer_dtypes() | npst.unsigned_integer_dtypes() | npst.floating_dtypes() | npst.boolean_dtypes()


def as_npy(array: np.ndarray, version: tuple[int, int] | None = None) -> io.BytesIO:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version)
    stream.seek(0)
    return stream


@given(array=npst.arrays(KINDS, npst.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=3)))
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_a_head_says_what_numpy_says(array: np.ndarray, version: tuple[int, int]) -> None:
    stream = as_npy(np.ascontiguousarray(array).reshape(array.shape), version)
    shape, kind = read_array_head(stream)
    assert (shape, kind) == (array.shape, array.dtype)
    assert np.frombuffer(stream.read(), kind).tobytes() == array.tobytes()


def test_heads_as_we_write_them_are_not_parsed_as_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """What two threads cannot do at once before CPython 3.11.8."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("parsed as Python")

    monkeypatch.setattr(ast, "parse", refuse)
    for shape in ((), (3,), (2, 3), (4, 5, 6, 1)):
        assert read_array_head(as_npy(np.zeros(shape, np.int16)))[0] == shape


def test_what_is_no_plain_array_is_refused() -> None:
    for array, words in (
        (np.asfortranarray(np.zeros((2, 3))), "Fortran order"),
        (np.array([{}, None]), "objects instead of numbers"),
    ):
        with pytest.raises(ValueError, match=words):
            read_array_head(as_npy(array))
    for content in (b"", b"\x93NUMPY", b"\x93NUMPY\x03\x00", b"<html>"):
        with pytest.raises(ValueError, match="no array of a known version"):
            read_array_head(io.BytesIO(content))
    with pytest.raises(ValueError, match=r"EOF|header"):
        read_array_head(io.BytesIO(as_npy(np.zeros(3)).getvalue()[:40]))
