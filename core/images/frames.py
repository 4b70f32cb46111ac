"""Stored pixels a frame at a time, each read from its place in the file: a volume is never read whole."""

import math
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.errors import CoreError, InvalidInput, NotFound
from core.images.decoded import DecodedImage, Pixels
from core.images.records import Case, find_unscaled, find_volume
from core.images.render import InputSpec, demand_spacing
from core.images.volume_input import Spec
from core.store.array_heads import read_array_head
from core.store.files import Files, array_bytes


def read_frame(path: Path, frames: int, frame: int) -> Pixels:
    """A frame as an array: (rows, columns), or (rows, columns, 3). Of an image the only frame is the image.

    Args:
        path: a stored file, whose content the caller has checked.
        frames: how many the case has; an image in colour has three axes as a volume has.

    Raises:
        NotFound: there is no such frame.
        CoreError: the file is not what its case says.
    """
    if not 0 <= frame < frames:
        raise NotFound("frame", frame)
    try:
        with path.open("rb") as stream:
            shape, kind = read_array_head(stream)
            if frames > 1 and shape[0] != frames:
                raise ValueError(f"{shape[0]} frames instead of {frames}")
            of_frame = shape[1:] if frames > 1 else shape
            size = math.prod(of_frame) * kind.itemsize
            stream.seek(frame * size, 1)
            pixels: Pixels = np.frombuffer(stream.read(size), kind).reshape(of_frame)
    except FileNotFoundError as error:
        raise NotFound("file in pixels", path.stem) from error
    except ValueError as error:
        raise CoreError(
            f"A stored file is not what it should be; restore it from a backup. Received: {error}"
        ) from error
    return pixels


def case_pixels(files: Files, case: Case) -> Pixels:
    """The pixels of a case, checked against their hash: an image in memory; a volume as a memory map, whose frames are
    read from disk as they are looked at.

    Raises:
        NotFound, CoreError: the file is gone, or was altered on disk.
    """
    if case.frames == 1:
        return files.read_array("pixels", case.pixel_hash)
    return files.map_array("pixels", case.pixel_hash)


def frame_bytes(path: Path, frames: int, frame: int) -> bytes:
    """The same as `.npy` bytes."""
    return array_bytes(read_frame(path, frames, frame))


def read_picture(files: Files, case: Case) -> Pixels:
    """What stands for a case in a thumbnail: the image, checked against its hash, or a volume's middle frame."""
    if case.frames == 1:
        return files.read_array("pixels", case.pixel_hash)
    return read_frame(files.check("pixels", case.pixel_hash), case.frames, case.frames // 2)


def refuse_volumes(connection: sqlite3.Connection, case_ids: Sequence[int], deed: str) -> None:
    """`refuse_volume` for many cases, without reading them all."""
    found = find_volume(connection, case_ids)
    if found is not None:
        refuse_volume(found, deed)


def refuse_flat(connection: sqlite3.Connection, case_ids: Sequence[int], network: str) -> None:
    """For a network that looks along the frames of a case.

    Raises:
        InvalidInput: none of these cases has several.
    """
    if find_volume(connection, case_ids) is None:
        raise InvalidInput(
            f"{network} looks along the frames of volumes, and here each case is a single image; take a network for "
            f"images. Received: {network}"
        )


def refuse_volume(what: Case | DecodedImage, deed: str) -> None:
    """For a network that takes in single images.

    Raises:
        InvalidInput: this is a volume.
    """
    if what.frames > 1:
        name = f" (case {what.id}, {what.source})" if isinstance(what, Case) else ""
        raise InvalidInput(
            f"Readroom cannot {deed} volumes with a network that sees single images; cnn3d sees volumes whole. "
            f"Received: {what.frames} frames{name}"
        )


def refuse_single(what: Case | DecodedImage, spec: Spec, *, learnt: bool) -> None:
    """For a network that looks along the frames of a volume.

    Args:
        learnt: it has learnt single images among the volumes, and takes them.

    Raises:
        InvalidInput: this is a single image, such as one slice of a series.
    """
    along = not isinstance(spec, InputSpec) or spec.neighbours > 0
    if along and what.frames == 1 and not learnt:
        name = f" (case {what.id}, {what.source})" if isinstance(what, Case) else ""
        raise InvalidInput(
            f"This model looks along the frames of a volume; give it all slices of the series together, for example "
            f"their folder. Received: a single image{name}"
        )


def refuse_unscaled(what: Case | DecodedImage, spec: object) -> None:
    """For a network that sees images at one scale.

    Raises:
        InvalidInput: nothing tells the pixel spacing of this one.
    """
    demand_spacing(spec, what.spacing_mm, f" (case {what.id}, {what.source})" if isinstance(what, Case) else "")


def refuse_any_unscaled(connection: sqlite3.Connection, case_ids: Sequence[int], spec: object) -> None:
    """`refuse_unscaled` for many cases, without reading them all."""
    found = find_unscaled(connection, case_ids)
    if found is not None:
        refuse_unscaled(found, spec)
