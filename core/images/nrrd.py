"""NRRD files with their voxels inside: scalar volumes, placed by `space` and `space directions`.

Of the header only numbers are taken; comments and key/value pairs, which may hold anything, are never looked at.
References are to the format's definition (teem.sourceforge.net/nrrd/format.html).
"""

import bz2
import io
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.errors import InvalidInput
from core.images.decoded import DecodedImage, Pixels, file_limit, reading
from core.images.orientation import TO_LPS
from core.images.volumes import check_volume_size, image_of_volume, volume_window
from core.settings import Settings

MAGIC = b"NRRD000"
LONGEST_HEADER = 1 << 20
WIDEST_MM = 1000.0
TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
IN_SPACE = ("domain", "space", "???", "none")
TO_MM = {"mm": 1.0, "um": 0.001, "cm": 10.0, "m": 1000.0}
ENCODINGS = ("txt", "text", "ascii", "hex")  # of the format, and not read


@dataclass(frozen=True)
class _Header:
    """What counts of a header, checked; the axes are those of the file that are no single entry of a vector."""

    shape: tuple[int, int, int]
    kind: np.dtype[Any]
    affine: Pixels | None
    spacing_mm: tuple[float, ...] | None
    encoding: str
    skip: int
    starts: int


def read_nrrd(content: bytes, settings: Settings) -> DecodedImage:
    """The volume of an NRRD file, turned to be read in frames; a single slice is an image.

    Raises:
        InvalidInput: colours or several volumes, voxels in a file of their own, too many of them, damaged.
    """
    with reading("NRRD file"):
        header = _header(content, settings)
        image = image_of_volume(_values(content, header, settings), header.affine, header.spacing_mm)
        return replace(image, windows=(volume_window(image.pixels),)) if image.frames > 1 else image


def read_nrrd_labels(content: bytes, settings: Settings) -> tuple[Pixels, Pixels | None]:
    """The numbers of a label map on the axes of its file, and the affine of these axes to LPS."""
    with reading("NRRD file"):
        header = _header(content, settings)
        return _values(content, header, settings), header.affine


def _header(content: bytes, settings: Settings) -> _Header:
    fields, starts = _fields(content)
    if "data file" in fields or "datafile" in fields:
        raise InvalidInput(
            "Header and voxels must be one file; save it as a single .nrrd. Received: a header that names another file"
        )
    sizes = [int(size) for size in fields.get("sizes", "").split()]
    names = {name: code for code, all_names in TYPES.items() for name in all_names}
    said = fields.get("type", "").lower()
    if said not in names:  # what stands there instead is free text, and may be a name
        told = said if said in ("", "block") else "of no number"
        raise InvalidInput(f"Each voxel of an NRRD file must be one number. Received: type {told or 'none'}")
    order = {"little": "<", "big": ">"}.get(fields.get("endian", "").lower(), "|" if names[said][1] == "1" else "<")
    axes = [axis for axis, size in enumerate(sizes) if size > 1 or len(sizes) <= 3]
    if len(sizes) > 3 and len(axes) < 3:
        axes = sorted([*axes, *[axis for axis in range(len(sizes)) if axis not in axes]][:3])
    if not 2 <= len(axes) <= 3:
        told = " x ".join(map(str, sizes)) or "no"
        raise InvalidInput(
            f"Readroom takes in NRRD volumes of three dimensions and one value a voxel; save the volume or the channel "
            f"that is meant as a file of its own. Received: {told} entries"
        )
    directions = _directions(fields, len(sizes))
    kinds = fields.get("kinds", "").lower().split()
    is_vector = len(kinds) == len(sizes) and any(kinds[axis] not in IN_SPACE for axis in axes)
    if is_vector or (directions and any(directions[axis] is None for axis in axes)):
        raise InvalidInput(
            "Readroom takes in NRRD volumes of one value a voxel; save the channel that is meant as a file of its own. "
            "Received: an axis without a direction in space"
        )
    shape = [sizes[axis] for axis in axes] + [1] * (3 - len(axes))
    first, second, third = shape
    check_volume_size((first, second, third), settings)
    steps = [directions[axis] for axis in axes] if directions else []
    return _Header(
        (first, second, third),
        np.dtype(order + names[said]),
        _affine(fields, [step for step in steps if step is not None]),
        _spacing(fields, axes, steps),
        fields.get("encoding", "").lower(),
        int(fields.get("byte skip", fields.get("byteskip", "0"))),
        starts,
    )


def _fields(content: bytes) -> tuple[dict[str, str], int]:
    """The fields of the header by their names in lower case, and where the voxels begin."""
    head = content[:LONGEST_HEADER]
    ends = [at + len(mark) for mark in (b"\n\n", b"\r\n\r\n") if (at := head.find(mark)) >= 0]
    if not head.startswith(MAGIC) or not ends:
        raise InvalidInput(f"The NRRD header does not end; export the file again. Received: {len(content):,} bytes")
    fields = {}
    for line in head[: min(ends)].decode("latin-1").splitlines()[1:]:
        name, colon, value = line.partition(": ")
        if colon and not line.startswith("#") and ":=" not in name:
            fields[name.strip().lower()] = value.strip()
    if int(fields.get("line skip", fields.get("lineskip", "0"))):
        raise InvalidInput("An NRRD file with lines to skip is not read; export it again. Received: line skip")
    return fields, min(ends)


def _directions(fields: dict[str, str], count: int) -> list[Pixels | None]:
    """The step of each axis in space; None for an axis that lies in none. Nothing where no axis tells."""
    words = fields.get("space directions", "").replace(" ", "").replace(")", ") ").replace("none", "none ").split()
    if not words:
        return []
    found = [None if word == "none" else _vector(word) for word in words]
    if len(found) != count:
        raise InvalidInput(f"Each axis of an NRRD file has one space direction. Received: {len(found)} for {count}")
    return found


def _vector(word: str) -> Pixels:
    return np.array([float(number) for number in word.strip("()").split(",")], np.float64)


def _affine(fields: dict[str, str], steps: Sequence[Pixels]) -> Pixels | None:
    """From the file's indices to LPS millimetres; None where the space is not the patient's."""
    way = TO_LPS.get(fields.get("space", "").lower())
    origin = fields.get("space origin", "").replace(" ", "")
    if way is None or len(steps) != 3 or not origin or any(len(step) != 3 for step in steps):
        return None
    affine = np.eye(4)
    affine[:3, :3] = np.stack(list(steps), axis=1)
    affine[:3, 3] = _vector(origin)
    affine[:3] *= _scale(fields)
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or not ((lengths > 0) & (lengths < WIDEST_MM)).all():
        return None
    if abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-3:
        return None
    placed: Pixels = way @ affine
    return placed


def _spacing(fields: dict[str, str], axes: Sequence[int], steps: Sequence[Pixels | None]) -> tuple[float, ...] | None:
    """Millimetres along the axes where there are no more than these."""
    said = fields.get("spacings", "").split()
    told = [float(np.linalg.norm(step)) for step in steps if step is not None]
    if not told and len(said) > max(axes):
        told = [float(said[axis]) for axis in axes]
    told = [size * _scale(fields) for size in told] + [1.0] * (3 - len(axes))
    return tuple(told) if len(told) == 3 and all(0 < size < WIDEST_MM for size in told) else None


def _scale(fields: dict[str, str]) -> float:
    units = {unit.strip('"').lower() for unit in fields.get("space units", '"mm"').split()}
    return TO_MM.get(units.pop(), 1.0) if len(units) == 1 else 1.0


def _values(content: bytes, header: _Header, settings: Settings) -> Pixels:
    size = header.kind.itemsize * math.prod(header.shape)
    if size > file_limit(settings):
        raise InvalidInput(f"The volume unpacks to more than any within the limits. Received: {size:,} bytes")
    packed = memoryview(content)[header.starts :]
    if header.encoding == "raw":
        skip = len(packed) - size if header.skip == -1 else header.skip
        voxels: Any = packed[max(skip, 0) : max(skip, 0) + size]
    elif header.encoding in ("gzip", "gz", "bzip2", "bz2"):
        voxels = _unpacked(packed, header, size)
    else:
        told = header.encoding if header.encoding in ENCODINGS else "another one"
        raise InvalidInput(f"NRRD files are read raw or packed by gzip or bzip2. Received: {told}")
    if len(voxels) < size:
        raise InvalidInput(
            f"The NRRD file is cut off; copy or export it again. "
            f"Received: {len(voxels):,} bytes of voxels, the header announces {size:,}"
        )
    return np.frombuffer(voxels, header.kind).reshape(header.shape, order="F")


def _unpacked(packed: memoryview, header: _Header, size: int) -> bytes:
    most = max(header.skip, 0) + size
    try:
        if header.encoding in ("gzip", "gz"):
            unpacked = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(packed, most)
        else:
            with bz2.BZ2File(io.BytesIO(packed)) as stream:
                unpacked = stream.read(most)
    except (zlib.error, OSError, EOFError) as error:
        raise InvalidInput(f"The packed file is damaged; copy or export it again. Received: {error}") from error
    return unpacked[max(header.skip, 0) :]
