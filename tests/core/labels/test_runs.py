"""The run-length code of masks: bit for bit, and refused where it cannot be one."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from core.errors import InvalidInput
from core.labels import runs as runs_module
from core.labels.runs import DecodedFrames, decode_runs, encode_runs, settle_runs
from core.settings import PROJECT_ROOT

SHARED = PROJECT_ROOT / "frontend" / "tests" / "runs.json"
SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))
MASKS = SIZES.flatmap(lambda size: arrays.arrays(np.uint8, size, elements=st.integers(0, 1)))
BLOCKS = SIZES.flatmap(  # long runs, as painted masks have
    lambda size: st.tuples(*(st.integers(0, side) for side in (size[0], size[0], size[1], size[1]))).map(
        lambda box: _block(size, box)
    )
)


def _block(size: tuple[int, int], box: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    mask[min(box[:2]) : max(box[:2]), min(box[2:]) : max(box[2:])] = 1
    return mask


@given(MASKS | BLOCKS)
def test_what_is_encoded_is_decoded_bit_for_bit(mask: np.ndarray) -> None:
    runs = encode_runs(mask)
    assert decode_runs(runs, *mask.shape).tobytes() == mask.tobytes()
    assert settle_runs(runs, *mask.shape) == (runs, int(mask.sum()))


@given(arrays.arrays(np.uint8, st.tuples(*[st.integers(1, 6)] * 3), elements=st.integers(0, 1)), st.integers(1, 9))
def test_a_volume_in_pieces_has_the_code_of_the_whole_and_comes_back_frame_by_frame(
    volume: np.ndarray, at_once: int
) -> None:
    whole = encode_runs(volume)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs_module, "AT_ONCE", at_once)
        assert encode_runs(volume) == whole
    frames = DecodedFrames(whole, *volume.shape)
    assert frames.shape == volume.shape
    for at in reversed(range(len(volume))):
        assert frames[at].dtype == np.uint8
        assert np.array_equal(frames[at], volume[at])
    with pytest.raises(InvalidInput, match="add up to"):
        DecodedFrames(whole, len(volume) + 1, *volume.shape[1:])


@pytest.mark.parametrize(
    ("mask", "code"),
    [
        ([[0, 0, 0]], b"\x03"),
        ([[1, 1, 1]], b"\x00\x03"),
        ([[0, 1, 1], [0, 0, 1]], b"\x01\x02\x02\x01"),
        (np.zeros((10, 20)), b"\xc8\x01"),
        (np.ones((128, 128)), b"\x00\x80\x80\x01"),
    ],
)
def test_the_code_is_the_one_that_is_written_down(mask: object, code: bytes) -> None:
    assert encode_runs(np.array(mask)) == code


@given(MASKS, st.data())
def test_empty_runs_and_long_numbers_settle_to_the_same_code(mask: np.ndarray, data: st.DataObject) -> None:
    lengths = _lengths(mask)
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(lengths)))
        lengths[at:at] = [0, 0]  # nothing of the one value and nothing of the other
    loose = b"".join(_long_number(length, data.draw(st.integers(0, 1))) for length in lengths)
    if len(loose) <= 2 * mask.size + 8:
        assert settle_runs(loose, *mask.shape) == (encode_runs(mask), int(mask.sum()))


def _lengths(mask: np.ndarray) -> list[int]:
    flat, lengths, value = mask.ravel(), [0], 0
    for pixel in flat:
        if pixel != value:
            lengths.append(0)
            value = pixel
        lengths[-1] += 1
    return lengths


def _long_number(number: int, extra: int) -> bytes:
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes([*parts[:-1], parts[-1] | 128, 0] if extra else parts)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (b"", "middle of a number"),
        (b"\x80", "middle of a number"),
        (b"\x06\x80", "middle of a number"),
        (b"\x05", "add up to rows x columns, 6. Received: 5"),
        (b"\x03\x04", "add up to rows x columns, 6. Received: 7"),
        (b"\xff\xff\xff\xff\x7f", "add up"),
        (b"\xff\xff\xff\xff\xff\x01", "longer than any frame"),
        (b"\x00" * 21, "more runs than a frame of 6 pixels"),
    ],
)
def test_what_cannot_be_the_code_of_a_frame_is_refused(code: bytes, sentence: str) -> None:
    for read in (decode_runs, settle_runs):
        with pytest.raises(InvalidInput, match=sentence):
            read(code, 2, 3)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_mask_or_are_refused(code: bytes) -> None:
    try:
        mask = decode_runs(code, 3, 5)
    except InvalidInput:
        return
    settled, pixels = settle_runs(code, 3, 5)
    assert (settled, pixels) == (encode_runs(mask), int(mask.sum()))


def test_the_browser_s_tests_stand_on_the_same_codes() -> None:
    """`frontend/tests/runs.json` is read by both sides: masks as rows of 0 and 1, and their code in hexadecimal."""
    for example in json.loads(SHARED.read_text("utf-8")):
        mask = np.array([[int(pixel) for pixel in row] for row in example["mask"]], np.uint8)
        assert encode_runs(mask).hex() == example["runs"]
