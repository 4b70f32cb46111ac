"""LZW in a TIFF, looked through before it is decoded.

The decoder of imagecodecs (2026.3.6) takes the first code after a Clear for an entry of the table without asking
whether there is one: twelve damaged bytes end the process that reads them, or let it read where it should not.
"""

from collections.abc import Iterator
from typing import Final

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile

from core.errors import InvalidInput

CLEAR, END = 256, 257  # TIFF 6.0 section 13
FIRST_FREE = 258
TABLE = 4096  # codes have up to 12 bits
FIRST_LOOK = 64  # codes; damaged streams clear the table again and again, which must not cost a whole table each time
BITS_REVERSED = 2  # TIFF 6.0 section 8, FillOrder

Codes = npt.NDArray[np.int64]


def refuse_broken_lzw(page: tifffile.TiffPage, content: bytes) -> None:
    """Refuse a page whose LZW cannot be decoded safely; nothing happens to one that is stored otherwise.

    Raises:
        InvalidInput: after a Clear comes a code of an entry that the table does not have.
    """
    if page.compression != tifffile.COMPRESSION.LZW:
        return
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        strip = content[offset : offset + count]
        if page.fillorder == BITS_REVERSED:
            strip = bytes(imagecodecs.bitorder_decode(strip))
        for code in first_codes(strip):
            if code >= CLEAR:
                raise InvalidInput(
                    f"The TIFF is damaged: its LZW starts with an entry that it does not have; export it again. "
                    f"Received: code {code} at the start of a table"
                )


def first_codes(strip: bytes) -> Iterator[int]:
    """The first code after every run of Clears, up to the End or to where the strip stops.

    Where codes lie follows from their number since the last Clear alone, so that a table's worth is found at once.
    """
    reader = _Reader(strip)
    at, fresh = 0, False
    while True:
        codes, ends = reader.table(at, FIRST_LOOK)
        stops = np.flatnonzero((codes == CLEAR) | (codes == END))
        if not len(stops):
            codes, ends = reader.table(at, len(reader.starts))
            stops = np.flatnonzero((codes == CLEAR) | (codes == END))
        if fresh and len(codes) and codes[0] not in (CLEAR, END):
            yield int(codes[0])
        if not len(stops) or codes[stops[0]] == END:  # a table that is never cleared is refused by the decoder itself
            return
        at, fresh = int(ends[stops[0]]), True


class _Reader:
    """Codes of 9 to 12 bits, with the highest bit first, or as the first writers had them, with the lowest."""

    def __init__(self, strip: bytes) -> None:
        lowest_first = len(strip) > 1 and strip[0] == 0 and bool(strip[1] & 1)
        self._lowest_first = lowest_first
        self._bits = len(strip) * 8
        self._bytes: Final = np.frombuffer(strip + bytes(4), np.uint8)
        entries = FIRST_FREE + np.maximum(0, np.arange(1 + TABLE - FIRST_FREE) - 1)
        early = 0 if lowest_first else 1  # all but the first writers take another bit one entry before it is needed
        self.widths = 9 + np.searchsorted(np.array([512, 1024, 2048]) - early, entries, side="right")
        self.starts = np.concatenate([[0], np.cumsum(self.widths)[:-1]])

    def table(self, at: int, count: int) -> tuple[Codes, Codes]:
        """So many codes from this bit on, as many as there are, and the bit that follows each."""
        starts, widths = at + self.starts[:count], self.widths[:count]
        there = starts + widths <= self._bits
        starts, widths = starts[there], widths[there]
        first, skipped = starts >> 3, starts & 7
        four = [self._bytes[first + place].astype(np.int64) for place in range(4)]
        if self._lowest_first:
            word = four[0] | four[1] << 8 | four[2] << 16 | four[3] << 24
            codes = word >> skipped
        else:
            word = four[0] << 24 | four[1] << 16 | four[2] << 8 | four[3]
            codes = word >> (32 - skipped - widths)
        return codes & ((1 << widths) - 1), starts + widths
