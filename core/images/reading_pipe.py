"""What goes through the pipe between an import and the children that read its files: numbers and words, never objects.

What comes from a file that took over its reader stays data: nothing is unpickled on the way back.
"""

import base64
import fcntl
import io
import json
import struct
from array import array
from contextlib import suppress
from dataclasses import asdict, fields
from functools import lru_cache
from typing import Any

import numpy as np

from core.images.decoded import Change, DecodedImage, InstanceHeader, Pixels, Window
from core.images.dicom_start import Survey
from core.images.series import FrameStack, Geometry, Instance
from core.store.array_heads import read_array_head

LENGTH = struct.Struct("<Q")
PIPE_BYTES = 1 << 20
LONGEST_ARRAY_HEAD = 1 << 10
TOLD = tuple(field.name for field in fields(Instance))
ALIKE = ("rows", "columns", "frames", "photometric", "is_localiser", "keys", "modality", "patient", "rescale")


def send(stream: Any, *pieces: bytes) -> None:
    """Each piece after its length."""
    for piece in pieces:
        stream.write(LENGTH.pack(len(piece)))
        stream.write(piece)
    stream.flush()


def receive(stream: Any) -> bytearray:
    """The next piece.

    Raises:
        EOFError: the other end is closed.
    """
    (length,) = LENGTH.unpack(_exactly(stream, LENGTH.size))
    return _exactly(stream, length)


def _exactly(stream: Any, length: int) -> bytearray:
    found = bytearray(length)
    if stream.readinto(found) != length:
        raise EOFError
    return found


def widen(*streams: Any) -> None:
    """A pipe that holds an image at once: fewer turns between parent and child."""
    with suppress(AttributeError, OSError):  # Linux has it, and within what the system allows
        for stream in streams:
            fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def told_of(image: DecodedImage) -> dict[str, Any]:
    """An image but for its pixels, as JSON can tell it."""
    told = {key: value for key, value in vars(image).items() if key not in ("pixels", "headers", "windows")}
    told["windows"] = [window.to_json() for window in image.windows]
    told["headers"] = [
        [
            header.sop_uid,
            base64.b64encode(header.content).decode(),
            _changes_told(header.changes),
        ]
        for header in image.headers
    ]
    return told


@lru_cache(maxsize=256)
def _changes_told(changes: tuple[Change, ...]) -> str:
    return json.dumps(changes)


def image_of(told: dict[str, Any], pixels: Pixels) -> DecodedImage:
    """The image that was told, with its pixels."""
    headers = [
        InstanceHeader(uid, base64.b64decode(content), _changes_of(changes))
        for uid, content, changes in told["headers"]
    ]
    return DecodedImage(
        **{
            **told,
            "pixels": pixels,
            "spacing_mm": tuple(told["spacing_mm"]) if told["spacing_mm"] else None,
            "affine": tuple(tuple(line) for line in told["affine"]) if told["affine"] else None,
            "windows": tuple(Window.told(**window) for window in told["windows"]),
            "oddities": tuple(told["oddities"]),
            "headers": tuple(headers),
        }
    )


@lru_cache(maxsize=256)
def _changes_of(told: str) -> tuple[Change, ...]:
    """The same for most files of an import, so that it is taken apart once."""
    return tuple(Change(*one) for one in json.loads(told))


def array_of(values: bytearray) -> Pixels:
    """The array of `array_bytes`, where it lies."""
    head = io.BytesIO(values[:LONGEST_ARRAY_HEAD])
    shape, dtype = read_array_head(head)
    return np.frombuffer(values, dtype, offset=head.tell()).reshape(shape)


def told_of_survey(found: Survey) -> Any:
    """What a header says for the grouping of its file, as JSON can tell it."""
    if not isinstance(found, Instance):
        return found
    return {name: getattr(found, name) for name in TOLD} | {"stacks": [asdict(stack) for stack in found.stacks]}


def survey_of(told: Any) -> Survey:
    """What was told of a header."""
    if told in ("index", "other"):
        return "index" if told == "index" else "other"
    lists = ("position", "orientation", "spacing_mm")
    said = {
        **told,
        **{name: _numbers(array("d", told[name]).tobytes()) if told[name] else None for name in lists},
        "keys": tuple((what, value) for what, value in told["keys"]),
        "stacks": tuple(_stack_of(stack) for stack in told["stacks"]),
    }
    return Instance(**{**said, **{name: _the_same(said[name]) for name in ALIKE}})


@lru_cache(maxsize=1024, typed=True)
def _the_same(said: Any) -> Any:
    """What most headers of an import say alike is held once."""
    return said


@lru_cache(maxsize=1024)
def _numbers(packed: bytes) -> tuple[float, ...]:
    """Likewise, told apart by their bytes: -0.0 is not 0.0 here."""
    return tuple(array("d", packed))


def _stack_of(told: dict[str, Any]) -> FrameStack:
    geometry = told["geometry"]
    if geometry:
        affine = tuple(tuple(float(number) for number in line) for line in geometry["affine"])
        across, along = map(float, geometry["spacing_mm"])
        step = None if geometry["slice_spacing_mm"] is None else float(geometry["slice_spacing_mm"])
        geometry = Geometry(affine, (across, along), step, tuple(map(str, geometry["oddities"])))
    return FrameStack(
        tuple(int(frame) for frame in told["frames"]),
        str(told["name"]),
        geometry or None,
        tuple(map(str, told["oddities"])),
        tuple(float(depth) for depth in told["depths_mm"]),
    )
