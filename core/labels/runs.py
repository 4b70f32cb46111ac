"""The run-length code of one frame's mask: what the browser sends, what is stored, what comes back, bit for bit.

Row by row, the lengths of runs of 0, of 1, of 0 and so on, beginning with a run of 0 that may be empty. Each length
is an unsigned LEB128 number (seven bits a byte, the lowest first; the high bit says that more follow). The lengths
add up to rows x columns. In the stored form no run but the first is empty and no number is longer than it needs to
be, so equal masks have equal code.
"""

import numpy as np

from core.errors import InvalidInput

AT_ONCE = 1 << 20  # pixels
LONGEST_NUMBER = 5  # bytes: 2 ** 35 pixels, more than any frame has


def encode_runs(mask: np.ndarray) -> bytes:
    """The code of a mask of any shape, read in C order; what is not 0 is painted."""
    flat = np.asarray(mask).reshape(-1)
    if not flat.size:
        return b""
    changes = [np.zeros(1, np.int64)]
    for start in range(0, flat.size, AT_ONCE):  # of a large volume, which may lie on disk
        some = flat[start : start + AT_ONCE + 1] != 0
        changes.append(np.flatnonzero(some[1:] != some[:-1]) + (start + 1))
    lengths = np.diff(np.concatenate([*changes, [flat.size]]))
    return _written(np.concatenate(([0], lengths)) if flat[0] else lengths)


def decode_runs(runs: bytes, rows: int, columns: int) -> np.ndarray:
    """The mask of a code as uint8 `(rows, columns)` of 0 and 1.

    Raises:
        InvalidInput: it is no such code, or its runs do not add up to the frame.
    """
    lengths = _read(runs, rows * columns)
    values = (np.arange(lengths.size) % 2).astype(np.uint8)
    return np.repeat(values, lengths).reshape(rows, columns)


class DecodedFrames:
    """The mask of a code frame by frame: `shape` is (frames, rows, columns), and each frame is made when it is asked
    for, uint8 (rows, columns) of 0 and 1.

    Raises:
        InvalidInput: it is no such code, or its runs do not add up to the frames.
    """

    def __init__(self, runs: bytes, frames: int, rows: int, columns: int) -> None:
        self.shape = (frames, rows, columns)
        self._ends = np.cumsum(_read(runs, frames * rows * columns))  # of each run

    def __getitem__(self, frame: int) -> np.ndarray:
        _, rows, columns = self.shape
        first, last = frame * rows * columns, (frame + 1) * rows * columns
        begin, end = np.searchsorted(self._ends, [first, last - 1], "right")  # the runs of its first and last pixel
        edges = np.concatenate(([first], self._ends[begin:end], [last]))
        values = (np.arange(begin, end + 1) % 2).astype(np.uint8)
        return np.repeat(values, np.diff(edges)).reshape(rows, columns)


def settle_runs(runs: bytes, rows: int, columns: int) -> tuple[bytes, int]:
    """The code in its stored form, and how many pixels it paints.

    Raises:
        InvalidInput: it is no such code, or its runs do not add up to the frame.
    """
    lengths = _read(runs, rows * columns)
    if (lengths[1:] == 0).any():  # an empty run joins its two neighbours, which have the same value
        values = np.arange(lengths.size) % 2
        values, lengths = values[lengths > 0], lengths[lengths > 0]
        starts = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
        lengths = np.add.reduceat(lengths, starts)
        lengths = np.concatenate(([0], lengths)) if values[0] else lengths
    return _written(lengths), int(lengths[1::2].sum())


def _read(runs: bytes, size: int) -> np.ndarray:
    """The lengths, which add up to `size`."""
    if len(runs) > 2 * size + 8:  # a frame of n pixels has at most n + 1 runs: spare the memory
        raise InvalidInput(f"There are more runs than a frame of {size} pixels has. Received: {len(runs)} bytes")
    given = np.frombuffer(runs, np.uint8)
    ends = np.flatnonzero(given < 128)  # the last byte of each number
    if not given.size or not ends.size or ends[-1] != given.size - 1:
        raise InvalidInput(f"The runs of a mask end in the middle of a number. Received: {len(runs)} bytes")
    if ends.size == given.size:  # a byte each
        return _checked_sum(given.astype(np.int64), size)
    starts = np.concatenate(([0], ends[:-1] + 1))
    bytes_each = ends - starts + 1
    if int(bytes_each.max()) > LONGEST_NUMBER:
        raise InvalidInput(f"A run of a mask is longer than any frame. Received: {int(bytes_each.max())} bytes for one")
    place = np.arange(given.size) - np.repeat(starts, bytes_each)
    parts = (given & 127).astype(np.int64) << (7 * place)
    return _checked_sum(np.add.reduceat(parts, starts), size)


def _checked_sum(lengths: np.ndarray, size: int) -> np.ndarray:
    if int(lengths.sum()) != size:  # at most 2 ** 35 each, and as many as the body has bytes: no overflow
        raise InvalidInput(f"The runs of a mask add up to rows x columns, {size}. Received: {int(lengths.sum())}")
    return lengths


def _written(lengths: np.ndarray) -> bytes:
    """Numbers as unsigned LEB128, one after the other."""
    if int(lengths.max()) < 128:  # a byte each, as in masks of noise, which have the most of them
        return bytes(lengths.astype(np.uint8).tobytes())
    left = lengths.astype(np.int64)
    bytes_each = np.ones(left.size, np.int64)
    for more in range(1, LONGEST_NUMBER):
        bytes_each += left >= 1 << (7 * more)
    starts = np.concatenate(([0], np.cumsum(bytes_each)[:-1]))
    place = np.arange(int(bytes_each.sum())) - np.repeat(starts, bytes_each)
    told = (np.repeat(left, bytes_each) >> (7 * place)) & 127
    told[place < np.repeat(bytes_each - 1, bytes_each)] |= 128
    return bytes(told.astype(np.uint8).tobytes())
