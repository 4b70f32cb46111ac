"""The head of a `.npy` file: type and shape of the values behind it.

NumPy reads a head by parsing it as Python. Where two threads do so at once, CPython before 3.11.8 and 3.12.2 can end in
`SystemError: AST constructor recursion depth mismatch` (python/cpython#106905), and a training reads images in a thread
of its own. So heads as NumPy writes them are taken apart here, and only unusual ones are left to NumPy.

Source: the NPY format, numpy.lib.format.
"""

import re
from typing import BinaryIO

import numpy as np

MAGIC = b"\x93NUMPY"
LENGTHS = {b"\x01\x00": 2, b"\x02\x00": 4}  # bytes that tell the length of the head, little endian, by version
READERS = {b"\x01\x00": np.lib.format.read_array_header_1_0, b"\x02\x00": np.lib.format.read_array_header_2_0}
USUAL = re.compile(rb"\{'descr': '([<|>=]?[biufc]\d+)', 'fortran_order': False, 'shape': \(((?:\d+, ?)*\d*)\), \} *\n")


def read_array_head(stream: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an array in C order; the stream then stands before its values.

    Raises:
        ValueError: this is no `.npy` file of version 1 or 2, or its values are objects or in Fortran order.
    """
    start, version = stream.read(len(MAGIC)), stream.read(2)
    if start != MAGIC or version not in LENGTHS:
        raise ValueError(f"no array of a known version: {start + version!r}")
    place = stream.tell()
    length = int.from_bytes(stream.read(LENGTHS[version]), "little")
    usual = USUAL.fullmatch(stream.read(length))
    if usual:
        return tuple(int(side) for side in usual[2].split(b",") if side.strip()), np.dtype(usual[1].decode())
    stream.seek(place)
    shape, turned, kind = READERS[version](stream)
    if turned or kind.hasobject:
        raise ValueError("values in Fortran order" if turned else "objects instead of numbers")
    return shape, kind
