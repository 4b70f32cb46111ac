"""Files are read in a process of their own that may die: of a decoder's crash, of memory, of time.

The parent sends the bytes of a file down a pipe and gets back either the sentence of a refusal or the image, as
numbers and words and never as objects to be unpickled: what comes from a file that took over its reader stays data.
"""

import base64
import fcntl
import gc
import hashlib
import io
import json
import os
import pickle
import re
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from core.errors import InvalidInput, Unavailable
from core.images.decoded import Change, DecodedImage, InstanceHeader, Pixels, Window
from core.images.decoding import decode
from core.images.deidentify_alike import Alike
from core.images.dicom_start import Survey
from core.images.reading_watch import Watch
from core.images.series import Instance
from core.images.shown import Shown, shown_of
from core.images.sources import cannot_read
from core.projects.deidentification import Deidentification
from core.settings import PROJECT_ROOT, Settings
from core.store.array_heads import read_array_head
from core.store.files import array_bytes

LENGTH = struct.Struct("<Q")
HASH = re.compile("[0-9a-f]{64}")
SECONDS_TO_READ = 120.0  # a large volume in JPEG 2000 takes half a minute
MOST_MEMORY = 12 << 30  # addresses, of which a process has far more than it uses
BYTES_A_PIXEL = 32  # several copies of an image within the limit on pixels
PIPE_BYTES = 1 << 20
LONGEST_ARRAY_HEAD = 1 << 10
GARBAGE_AT_ONCE = 50_000
# Of glibc (mallopt): arrays of an image's size are taken from memory that is there, not asked of the system each time.
# Of OpenBLAS: there is a reader for each core, and what little is multiplied needs no threads that wait for more.
AS_A_READER = {
    "MALLOC_MMAP_THRESHOLD_": str(64 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "OPENBLAS_NUM_THREADS": "1",
}


class ReaderEnded(InvalidInput):
    """A file took its reader too long or ended it, which may be the machine's fault and not the file's."""


class ReadingChild:
    """Reads files one after the other in a child that is started on first need, and again after it died."""

    def __init__(
        self, settings: Settings, secret: bytes, options: Deidentification, *, seconds: float = SECONDS_TO_READ
    ) -> None:
        self._told = pickle.dumps((settings, secret, options))  # from parent to child only
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: Watch | None = None
        self.ended = 0  # how often a file ended it

    def __enter__(self) -> "ReadingChild":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self, content: bytes, name: str) -> DecodedImage:
        """The image of a file.

        Raises:
            InvalidInput: it holds no image that Readroom takes in, or it ended its reader.
            Unavailable: no child can be started.
        """
        return self.read(content, name)[0]

    def read(self, content: bytes, name: str, *, shown: bool = False) -> tuple[DecodedImage, Shown | None]:
        """The image of a file, and where it is asked for what that looks like. Raises as calling it does."""
        image, look, _ = self._read({"name": name, "shown": shown}, content, f"{len(content):,} bytes")
        return image, look

    def read_file(self, location: Path, name: str, *, shown: bool = False) -> tuple[DecodedImage, Shown | None, str]:
        """The same of a file that the child reads from disk itself, and the SHA-256 of its bytes.

        Raises:
            ReaderEnded: also where it cannot be read from disk.
        """
        try:
            received = f"{location.stat().st_size:,} bytes"
        except OSError as error:
            raise ReaderEnded(cannot_read(error)) from error
        return self._read({"name": name, "shown": shown, "path": str(location.absolute())}, b"", received)

    def _read(self, head: dict[str, Any], content: bytes, received: str) -> tuple[DecodedImage, Shown | None, str]:
        told, values, thumbnail = self._ask(head, content, received)
        try:
            answer = json.loads(told)
            if "unreadable" in answer:
                raise ReaderEnded(str(answer["unreadable"]))
            if "refused" in answer:
                raise InvalidInput(str(answer["refused"])) from (MemoryError() if answer["little_memory"] else None)
            look = Shown(bytes(thumbnail), str(answer.pop("perceptual_hash"))) if head["shown"] else None
            file_hash = str(answer.pop("file_hash"))
            if "path" in head and not HASH.fullmatch(file_hash):
                raise ValueError(file_hash)
            return _image_of(answer, values), look, file_hash
        except (ValueError, KeyError, TypeError, AttributeError) as error:  # no answer of ours: the file took it over
            self._end()
            raise _ended(received) from error

    def survey(self, locations: Sequence[Path]) -> list[Survey]:
        """What the headers of these files say for their grouping (`dicom_instances.survey`).

        Raises:
            InvalidInput: one of them ended its reader.
            Unavailable: no child can be started.
        """
        return self._survey([str(location) for location in locations], b"")

    def survey_start(self, content: bytes) -> Survey:
        """The same of a file of which the start is at hand."""
        return self._survey(None, content)[0]

    def _survey(self, locations: list[str] | None, content: bytes) -> list[Survey]:
        told, _, _ = self._ask({"survey": locations}, content, "its header")
        try:
            return [_survey_of(one) for one in json.loads(told)]
        except (ValueError, KeyError, TypeError) as error:
            self._end()
            raise _ended("its header") from error

    def _ask(self, head: dict[str, Any], content: bytes, received: str) -> tuple[bytearray, bytearray, bytearray]:
        process, watch = self._started()
        watch.begin(self._seconds)
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            _send(process.stdin, json.dumps(head).encode(), content)
            return _receive(process.stdout), _receive(process.stdout), _receive(process.stdout)
        except (EOFError, OSError) as error:
            late = watch.end()
            self._end()
            if late:
                said = f"Reading this file took longer than {self._seconds:g} seconds; export it again."
                raise ReaderEnded(f"{said} Received: {received}") from error
            raise _ended(received) from error
        finally:
            if watch.end():  # its answer came with the last breath
                self.close()

    def _started(self) -> tuple[subprocess.Popen[bytes], Watch]:
        if self._process is None or self._watch is None or self._process.poll() is not None:
            self.close()
            paths = os.pathsep.join([str(PROJECT_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "core.images.reading_child"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,  # decoders print what they stumble on
                    env={**os.environ, **AS_A_READER, "PYTHONPATH": paths},
                )
            except OSError as error:
                raise Unavailable(f"No process can be started to read files; try again. Received: {error}") from error
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            _widen(self._process.stdin, self._process.stdout)
            self._watch = Watch(self._process)
            with suppress(OSError):  # a child that died at once is met when a file is sent
                _send(self._process.stdin, self._told)
        return self._process, self._watch

    def _end(self) -> None:
        self.ended += self._process is not None
        self.close()

    def close(self) -> None:
        """End the child."""
        process, self._process = self._process, None
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        process.wait()


# ---- what goes through the pipe


def _send(stream: Any, *pieces: bytes) -> None:
    for piece in pieces:
        stream.write(LENGTH.pack(len(piece)))
        stream.write(piece)
    stream.flush()


def _receive(stream: Any) -> bytearray:
    (length,) = LENGTH.unpack(_exactly(stream, LENGTH.size))
    return _exactly(stream, length)


def _exactly(stream: Any, length: int) -> bytearray:
    found = bytearray(length)
    if stream.readinto(found) != length:
        raise EOFError
    return found


def _widen(*streams: Any) -> None:
    """A pipe that holds an image at once: fewer turns between parent and child."""
    with suppress(AttributeError, OSError):  # Linux has it, and within what the system allows
        for stream in streams:
            fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _ended(received: str) -> ReaderEnded:
    return ReaderEnded(
        f"Reading this file ended its reader, as damaged files may; export it again. Received: {received}"
    )


def _told_of(image: DecodedImage) -> dict[str, Any]:
    told = {key: value for key, value in vars(image).items() if key not in ("pixels", "headers", "windows")}
    told["windows"] = [asdict(window) for window in image.windows]
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
    return json.dumps([list(vars(one).values()) for one in changes])


def _image_of(told: dict[str, Any], values: bytearray) -> DecodedImage:
    headers = [
        InstanceHeader(uid, base64.b64decode(content), _changes_of(changes))
        for uid, content, changes in told["headers"]
    ]
    return DecodedImage(
        **{
            **told,
            "pixels": _array_of(values),
            "spacing_mm": tuple(told["spacing_mm"]) if told["spacing_mm"] else None,
            "affine": tuple(tuple(line) for line in told["affine"]) if told["affine"] else None,
            "windows": tuple(Window(**window) for window in told["windows"]),
            "oddities": tuple(told["oddities"]),
            "headers": tuple(headers),
        }
    )


@lru_cache(maxsize=256)
def _changes_of(told: str) -> tuple[Change, ...]:
    """The same for most files of an import, so that it is taken apart once."""
    return tuple(Change(*one) for one in json.loads(told))


def _array_of(values: bytearray) -> Pixels:
    """The array of `array_bytes`, where it lies."""
    head = io.BytesIO(values[:LONGEST_ARRAY_HEAD])
    shape, dtype = read_array_head(head)
    return np.frombuffer(values, dtype, offset=head.tell()).reshape(shape)


def _survey_of(told: Any) -> Survey:
    if told in ("index", "other"):
        return "index" if told == "index" else "other"
    lists = ("position", "orientation", "spacing_mm")
    return Instance(
        **{
            **told,
            **{name: tuple(told[name]) if told[name] else None for name in lists},
            "keys": tuple((what, value) for what, value in told["keys"]),
        }
    )


# ---- the child


def main() -> None:
    """Read files from the pipe until it is closed."""
    come, go = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a decoder prints must not come between the answers
    settings, secret, options = pickle.loads(_receive(come))
    sys.modules["requests"] = None  # type: ignore[assignment]  # pydicom would import it, to fetch files for its tests
    _limit_memory(settings)
    gc.freeze()  # what was imported stays for good; looking through it again and again took a tenth of the time
    gc.set_threshold(GARBAGE_AT_ONCE)
    alike = Alike()
    while True:
        try:
            head, content = json.loads(_receive(come)), bytes(_receive(come))
        except EOFError:
            return
        if "survey" in head:
            found = [_told_of_survey(one) for one in _surveys(head["survey"], content)]
            _send(go, json.dumps(found).encode(), b"", b"")
            continue
        try:
            if "path" in head:
                content = Path(head["path"]).read_bytes()
        except OSError as error:
            _send(go, json.dumps({"unreadable": cannot_read(error)}).encode(), b"", b"")
            continue
        try:
            image = decode(content, settings, secret, name=head["name"], options=options, alike=alike)
            look = shown_of(image) if head["shown"] else None
        except InvalidInput as refusal:
            little = isinstance(refusal.__cause__, MemoryError)
            _send(go, json.dumps({"refused": str(refusal), "little_memory": little}).encode(), b"", b"")
        else:
            told = _told_of(image) | {"file_hash": hashlib.sha256(content).hexdigest() if "path" in head else ""}
            told |= {"perceptual_hash": look.perceptual_hash} if look else {}
            _send(go, json.dumps(told).encode(), array_bytes(image.pixels), look.thumbnail if look else b"")


def _surveys(locations: list[str] | None, content: bytes) -> Iterator[Survey]:
    from core.images.dicom_instances import survey  # only where there is DICOM to be looked at

    if locations is None:
        yield survey(io.BytesIO(content), "")
        return
    for location in locations:
        try:
            with Path(location).open("rb") as stream:
                yield survey(stream, "")
        except OSError:  # said when it is read for its pixels
            yield "other"


def _told_of_survey(found: Survey) -> Any:
    return asdict(found) if isinstance(found, Instance) else found


def _limit_memory(settings: Settings) -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    most = max(MOST_MEMORY, settings.max_image_pixels * BYTES_A_PIXEL)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    main()
