"""Single-file NIfTI-1 and NIfTI-2, packed by gzip or not: volumes of one value a voxel, of four dimensions one by one.

Of the header only numbers leave this module. Its texts (descrip, aux_file, intent_name, db_name) and its extensions,
which may hold a whole DICOM header, are never looked at. References are to nifti1.h (NIfTI-1.1, 2007).
"""

import gzip
import io
import logging
import math
import zlib
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from core.errors import InvalidInput
from core.images.decoded import DecodedImage, Pixels, Window, content_of, file_limit, reading
from core.images.orientation import RAS_AND_LPS
from core.images.volumes import check_volume_size, image_of_volume, volume_window
from core.settings import Settings

logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # what matters is refused below

GZIP = b"\x1f\x8b"
HEADER_BYTES = {1: 348, 2: 540}
FIRST_VOXEL = {1: 352, 2: 544}  # no earlier: the header and four bytes that tell of extensions
LONGEST_EXTENSIONS = 64 << 20
SPARE = 1 << 20  # what writers leave behind the voxels
TIME_POINT = "time point"  # the attribute of a case that is one of several volumes of a file
LABEL_MAP = 1002  # NIFTI_INTENT_LABEL
TO_MM = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}
WIDEST_MM = 1000.0
BYTE_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")


@dataclass(frozen=True)
class _Header:
    """What counts of a header, checked."""

    shape: tuple[int, int, int]
    kind: np.dtype[Any]
    first_voxel: int
    slope: float
    inter: float
    affine: Pixels | None  # from the file's indices to LPS millimetres
    spacing_mm: tuple[float, ...] | None  # along the file's axes
    window: tuple[float, float] | None  # least and greatest value to show
    later: int = 0  # bytes of the time points behind this one


def nifti_version(content: bytes) -> int | None:
    """1 or 2 for a NIfTI or ANALYZE header at the start, packed or not; None for anything else."""
    head = _head(content)
    for order in BYTE_ORDERS:
        size = int.from_bytes(head[:4], order)
        if size == HEADER_BYTES[2] and head[4:7] in (b"n+2", b"ni2"):
            return 2
        if size == HEADER_BYTES[1] and len(head) >= HEADER_BYTES[1]:
            return 1
    return None


def _header_kind(version: int) -> Any:  # nibabel's methods tell no types
    """nibabel's header; loaded where one is read, since that takes longer than reading many a file."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    return Nifti1Header if version == 1 else Nifti2Header


def count_time_points(head: bytes) -> int:
    """How many volumes a file of four dimensions has, told from its first bytes; 1 for any other."""
    with suppress(Exception):  # nibabel raises anything at all on headers that make no sense
        version = nifti_version(head)
        if version is not None:  # asked of each file of an import: only then is nibabel worth its loading
            kind = _header_kind(version)
            sizes = kind(_head(head)[: HEADER_BYTES[version]]).get_data_shape()
            if len(sizes) > 3 and all(size <= 1 for size in sizes[4:]):
                return max(1, int(sizes[3]))
    return 1


def read_nifti(source: Path | bytes, settings: Settings, *, time_point: int | None = None) -> DecodedImage:
    """The volume of a NIfTI file, turned to be read in frames (`choose_layout`); a single slice is an image.

    Args:
        time_point: of a file of four dimensions which volume, counted from 1.

    Raises:
        InvalidInput: more than three dimensions and no time point, colour, complex numbers, a label map, NaN, a
            header without its image, too many voxels, damaged.
    """
    with reading("NIfTI file"):
        content = content_of(source)
        version = nifti_version(content)
        if version is None:
            raise InvalidInput(f"This is not a NIfTI file; export it again. Received: {len(content):,} bytes")
        points = count_time_points(content)
        header = _checked(_head(content), version, settings, time_point=time_point if points > 1 else None)
        values = _values(content, header, settings)
        image = image_of_volume(values, header.affine, header.spacing_mm, slope=header.slope, inter=header.inter)
        return replace(
            image,
            windows=_windows(image.pixels.reshape(image.frames, *image.pixels.shape[-2:]), header),
            attributes={TIME_POINT: f"{time_point} of {points}"} if time_point and points > 1 else {},
        )


def read_nifti_labels(source: Path | bytes, settings: Settings) -> tuple[Pixels, Pixels | None]:
    """The numbers of a label map on the axes of its file, as they are, and the affine of these axes to LPS.

    Raises:
        InvalidInput: what `read_nifti` refuses, but for a label map; numbers that are not whole.
    """
    with reading("NIfTI file"):
        content = content_of(source)
        version = nifti_version(content)
        if version is None:
            raise InvalidInput(f"This is not a NIfTI file; export it again. Received: {len(content):,} bytes")
        header = _checked(_head(content), version, settings, labels=True)
        values: Pixels = _values(content, header, settings)
        if (header.slope, header.inter) != (1.0, 0.0):
            values = values.astype(np.float64) * header.slope + header.inter
        return values, header.affine


def _head(content: bytes) -> bytes:
    """The first bytes of the file, unpacked where it is packed; nothing where that cannot be done."""
    longest = FIRST_VOXEL[2]
    if not content.startswith(GZIP):
        return content[:longest]
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content[: 1 << 16], longest)
    except zlib.error:
        return b""


# ---- the header


def _checked(
    head: bytes, version: int, settings: Settings, *, labels: bool = False, time_point: int | None = None
) -> _Header:
    kind = _header_kind(version)
    _refuse_without_image(head, version)
    # nibabel finds the byte order, mends what is commonly wrong, and raises on what makes no sense.
    header = kind(head[: HEADER_BYTES[version]])
    shape = _three_axes(header, labels=labels, in_time=time_point is not None)
    check_volume_size(shape, settings)
    volume = _scalar(header).itemsize * math.prod(shape)
    before, later = _beside(header, volume, time_point)
    first_voxel = int(header["vox_offset"]) or FIRST_VOXEL[version]
    if not FIRST_VOXEL[version] <= first_voxel <= FIRST_VOXEL[version] + LONGEST_EXTENSIONS:
        raise InvalidInput(f"The header names no place for the voxels; export it again. Received: {first_voxel}")
    slope, inter = header.get_slope_inter()
    scaled = slope is not None
    scale = TO_MM.get(header.get_xyzt_units()[0], 1.0)
    spacing_mm = _spacing(kind(head[: HEADER_BYTES[version]], check=False), header, shape, scale)
    low, high = float(header["cal_min"]), float(header["cal_max"])
    return _Header(
        shape=shape,
        kind=_scalar(header),
        first_voxel=first_voxel + before,
        later=later,
        slope=float(slope) if scaled else 1.0,
        inter=float(inter or 0.0) if scaled else 0.0,
        affine=_affine(header, scale, has_spacing=spacing_mm is not None),
        spacing_mm=spacing_mm,
        window=(low, high) if np.isfinite([low, high]).all() and low < high else None,
    )


def _beside(header: Any, volume: int, time_point: int | None) -> tuple[int, int]:
    """The bytes of the time points before and behind the one that is meant."""
    if time_point is None:
        return 0, 0
    points = int(header.get_data_shape()[3])
    if not 1 <= time_point <= points:
        raise InvalidInput(f"The file has {points} time points, counted from 1; name one. Received: {time_point}")
    return (time_point - 1) * volume, (points - time_point) * volume


def _refuse_without_image(head: bytes, version: int) -> None:
    magic = head[344:347] if version == 1 else head[4:7]
    if magic == b"n+%d" % version:
        return
    what = "a NIfTI header of a pair (.hdr and .img)" if magic == b"ni%d" % version else "an ANALYZE 7.5 header"
    raise InvalidInput(f"Header and image must be one file; convert it to a single .nii or .nii.gz. Received: {what}")


def _three_axes(header: Any, *, labels: bool, in_time: bool) -> tuple[int, int, int]:
    dimensions = [int(size) for size in header.get_data_shape()]
    said = " x ".join(map(str, dimensions)) or "no"
    if int(header["intent_code"]) == LABEL_MAP and not labels:
        raise InvalidInput(
            f"The header says that this is a label map, not an image; masks come in with `--masks`. "
            f"Received: {said} voxels, intent label"
        )
    if len(dimensions) < 2:
        raise InvalidInput(f"The file holds no image; leave it out. Received: {said} voxels")
    if any(size > 1 for size in dimensions[4 if in_time else 3 :]):
        raise InvalidInput(
            f"Readroom takes in volumes of three dimensions; name the time point (page Import, or --volume), or save "
            f"the component that is meant as a file of its own. Received: {said} voxels"
        )
    columns, rows, frames = (*dimensions, 1)[:3]
    return columns, rows, frames


def _scalar(header: Any) -> np.dtype[Any]:
    kind: np.dtype[Any] = header.get_data_dtype()
    if kind.fields:
        raise InvalidInput(
            f"Readroom takes in volumes of grey values; save the channel that is meant as a file of its own. "
            f"Received: {'RGBA' if len(kind.fields) == 4 else 'RGB'} colour"
        )
    if kind.kind not in "iuf" or kind.itemsize > 8:
        raise InvalidInput(
            f"Each voxel must be one number of at most 64 bits; save the magnitude or the part that is meant. "
            f"Received: {header.get_value_label('datatype')}"
        )
    return kind


def _affine(header: Any, scale: float, *, has_spacing: bool) -> Pixels | None:
    """Method 3, else method 2 of nifti1.h; what neither tells, or what folds space flat, is not known."""
    for code, read in (("sform_code", header.get_sform), ("qform_code", header.get_qform)):
        if int(header[code]) <= 0 or (code == "qform_code" and not has_spacing):  # method 2 steps by `pixdim`
            continue
        try:
            affine = np.asarray(read(), np.float64)
        except (ValueError, ArithmeticError):  # quaternions that are none
            continue
        steps = affine[:3, :3] * scale
        if not np.isfinite(affine).all():
            continue
        lengths = np.linalg.norm(steps, axis=0)
        if (lengths > 0).all() and (lengths < WIDEST_MM).all() and abs(np.linalg.det(steps / lengths)) > 1e-3:
            scaled: Pixels = RAS_AND_LPS @ np.diag([scale, scale, scale, 1.0]) @ affine
            return scaled
    return None


def _spacing(raw: Any, mended: Any, shape: tuple[int, int, int], scale: float) -> tuple[float, ...] | None:
    """Method 1: `pixdim`, all that is left where no affine is given.

    nibabel mends 0 to 1, which nobody said; only across a single slice it does no harm.
    """
    said = [(raw if size > 1 else mended)["pixdim"][axis + 1] for axis, size in enumerate(shape)]
    told = [abs(float(number)) * scale for number in said]
    return tuple(told) if all(0 < size < WIDEST_MM for size in told) else None


# ---- the voxels


def _values(content: bytes, header: _Header, settings: Settings) -> Pixels:
    size = header.kind.itemsize * int(np.prod(header.shape, dtype=np.int64))
    if size > file_limit(settings):
        raise InvalidInput(f"The volume unpacks to more than any within the limits. Received: {size:,} bytes")
    packed = content.startswith(GZIP)
    voxels = _unpacked(content, header, size) if packed else memoryview(content)
    if not packed:
        voxels = voxels[header.first_voxel : header.first_voxel + size]
    if len(voxels) < size:
        raise InvalidInput(
            f"The NIfTI file is cut off; copy or export it again. "
            f"Received: {len(voxels):,} bytes of voxels, the header announces {size:,}"
        )
    return np.frombuffer(voxels, header.kind).reshape(header.shape, order="F")


def _unpacked(content: bytes, header: _Header, size: int) -> memoryview:
    """As many bytes as the header announces and not more, with the packed file's own checksum checked.

    How small they were packed says nothing: an organ painted in an empty volume comes to 800 times its file.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            stream.seek(header.first_voxel)
            voxels = stream.read(size)
            if header.later == 0 and len(stream.read(SPARE + 1)) > SPARE:
                raise InvalidInput(
                    f"The file unpacks to more than its header announces, as bombs do; export it again. "
                    f"Received: {size:,} bytes of voxels announced"
                )
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidInput(
            f"The packed file is damaged or cut off; copy or export it again. Received: {error}"
        ) from error
    return memoryview(voxels)


def _windows(volume: Pixels, header: _Header) -> tuple[Window, ...]:
    """The file's window (`cal_min` to `cal_max`) where it fits the values; for volumes always one for all frames."""
    if header.window:
        low, high = header.window
        if float(volume.min()) <= low and high <= float(volume.max()):
            return (Window("of the file", (low + high) / 2, high - low),)
    return (volume_window(volume),) if len(volume) > 1 else ()
