"""Files are read in a process of their own that may die: of a decoder's crash, of memory, of time.

The child opens a file itself, or gets its bytes down a pipe, and answers with the sentence of a refusal or with the
image, as numbers and words and never as objects to be unpickled: what comes from a file that took over its reader stays
data. The pixels come back through the pipe, or are written by the child where the parent said, and looked at there.
"""

import gc
import hashlib
import io
import json
import math
import mmap
import os
import pickle
import re
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from core.errors import InvalidInput, Unavailable
from core.images.decoded import DecodedImage, Pixels
from core.images.decoding import decode
from core.images.deidentify_alike import Alike
from core.images.dicom_start import Survey
from core.images.reading_pipe import (
    array_of,
    image_of,
    receive,
    send,
    survey_of,
    told_of,
    told_of_survey,
    widen,
)
from core.images.reading_watch import Watch
from core.images.shown import Shown, shown_of
from core.images.sources import cannot_read
from core.projects.deidentification import Deidentification
from core.settings import PROJECT_ROOT, Settings
from core.store.files import array_bytes, array_head, write_array
from core.store.troubles import troubles_named

STORED = ("uint8", "int16", "uint16", "float32")  # `core.images.decoded.DecodedImage`
NO_ANSWER = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, SyntaxError)
HASH = re.compile("[0-9a-f]{64}")
SECONDS_TO_READ = 120.0  # a large volume in JPEG 2000 takes half a minute
MOST_MEMORY = 12 << 30  # addresses, of which a process has far more than it uses
BYTES_A_PIXEL = 32  # several copies of an image within the limit on pixels
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


@dataclass(frozen=True)
class FileRead:
    """What a child made of a file that it opened itself.

    `pixel_hash` is that of the `.npy` bytes that it wrote where it was asked to; empty where it was not.
    """

    image: DecodedImage
    shown: Shown | None
    file_hash: str  # SHA-256 of its bytes
    pixel_hash: str = ""


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
        read = self._read({"name": name, "shown": shown}, content)
        return read.image, read.shown

    def read_file(self, location: Path, name: str, *, shown: bool = False, into: Path | None = None) -> FileRead:
        """The same of a file that the child reads from disk itself.

        Args:
            into: where the child writes the pixels as `.npy` bytes, in the file store under a name of their own
                (`core.store.files.name_part`), so that they need not come through the pipe. Gone where this raises.

        Raises:
            ReaderEnded: also where it cannot be read from disk.
            Unavailable: also where the disk of `into` is full, read-only or gone.
        """
        place = location.absolute()
        try:
            return self._read({"name": name, "shown": shown, "path": str(place), "into": str(into) if into else ""})
        except BaseException:
            with suppress(OSError):  # of a disk that takes nothing any more: the first error is the one to tell
                if into:
                    into.unlink(missing_ok=True)
            raise

    def _read(self, head: dict[str, Any], content: bytes = b"") -> FileRead:
        told, values, thumbnail = self._ask(head, content)
        try:
            answer = json.loads(told)
            if "unreadable" in answer:
                raise ReaderEnded(str(answer["unreadable"]))
            if "unwritable" in answer and head.get("into"):
                with troubles_named(Path(head["into"]).parent):
                    raise OSError(*answer["unwritable"])
            if "refused" in answer:
                raise InvalidInput(str(answer["refused"])) from (MemoryError() if answer["little_memory"] else None)
            look = Shown(bytes(thumbnail), str(answer.pop("perceptual_hash"))) if head["shown"] else None
            file_hash, pixel_hash = str(answer.pop("file_hash", "")), str(answer.pop("pixel_hash", ""))
            asked = [one for key, one in (("path", file_hash), ("into", pixel_hash)) if head.get(key)]
            if not all(HASH.fullmatch(one) for one in asked):
                raise ValueError(asked)
            pixels = _written(Path(head["into"]), *answer.pop("written")) if head.get("into") else array_of(values)
            return FileRead(image_of(answer, pixels), look, file_hash, pixel_hash)
        except NO_ANSWER as error:  # of ours: the file took it over
            self._end()
            raise _ended(_received(head, content)) from error

    def survey(self, locations: Sequence[Path | str]) -> list[Survey]:
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
        head = {"survey": locations}
        told, _, _ = self._ask(head, content)
        try:
            return [survey_of(one) for one in json.loads(told)]
        except NO_ANSWER as error:
            self._end()
            raise _ended(_received(head, content)) from error

    def _ask(self, head: dict[str, Any], content: bytes) -> tuple[bytearray, bytearray, bytearray]:
        process, watch = self._started()
        watch.begin(self._seconds)
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            send(process.stdin, json.dumps(head).encode(), content)
            return receive(process.stdout), receive(process.stdout), receive(process.stdout)
        except (EOFError, OSError) as error:
            late = watch.end()
            self._end()
            if late:
                said = f"Reading this file took longer than {self._seconds:g} seconds; export it again."
                raise ReaderEnded(f"{said} Received: {_received(head, content)}") from error
            raise _ended(_received(head, content)) from error
        except BaseException:  # what it still has to say would be taken for the answer to the next
            self.close()
            raise
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
            widen(self._process.stdin, self._process.stdout)
            self._watch = Watch(self._process)
            with suppress(OSError):  # a child that died at once is met when a file is sent
                send(self._process.stdin, self._told)
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


def _written(part: Path, shape: Sequence[int], kind: str) -> Pixels:
    """The pixels of the `.npy` file that a child says to have written, from there.

    Raises:
        ValueError: it is no such file of this shape and type.
    """
    if kind not in STORED or not all(isinstance(size, int) and size > 0 for size in shape):
        raise ValueError(f"{shape} of {kind}")
    sizes, dtype = tuple(shape), np.dtype(kind)
    head = array_head(sizes, dtype)
    try:  # never waiting for what is no file
        handle = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb"):
            there = os.fstat(handle)
            if not stat.S_ISREG(there.st_mode) or there.st_size != len(head) + math.prod(sizes) * dtype.itemsize:
                raise ValueError(f"{sizes} of {dtype}")
            mapped = mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise ValueError(str(error)) from error
    if mapped[: len(head)] != head:
        raise ValueError(f"{sizes} of {dtype}")
    return np.frombuffer(mapped, dtype, offset=len(head)).reshape(sizes)


def _received(head: Mapping[str, Any], content: bytes) -> str:
    if "survey" in head:
        return "its header"
    try:
        return f"{Path(head['path']).stat().st_size if 'path' in head else len(content):,} bytes"
    except OSError as error:
        return str(error.strerror)


def _ended(received: str) -> ReaderEnded:
    return ReaderEnded(
        f"Reading this file ended its reader, as damaged files may; export it again. Received: {received}"
    )


# ---- the child


def main() -> None:
    """Read files from the pipe until it is closed."""
    come, go = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a decoder prints must not come between the answers
    settings, secret, options = pickle.loads(receive(come))
    sys.modules["requests"] = None  # type: ignore[assignment]  # pydicom would import it, to fetch files for its tests
    _limit_memory(settings)
    gc.freeze()  # what was imported stays for good; looking through it again and again took a tenth of the time
    gc.set_threshold(GARBAGE_AT_ONCE)
    alike = Alike()
    while True:
        try:
            head, content = json.loads(receive(come)), bytes(receive(come))
        except EOFError:
            return
        if "survey" in head:
            found = [told_of_survey(one) for one in _surveys(head["survey"], content)]
            send(go, json.dumps(found).encode(), b"", b"")
            continue
        try:
            if "path" in head:
                content = Path(head["path"]).read_bytes()
        except OSError as error:
            told, values, look = {"unreadable": cannot_read(error)}, b"", None
        else:
            told, values, look = _read(head, content, settings, secret, options, alike)
        try:
            send(go, json.dumps(told).encode(), values, look.thumbnail if look else b"")
        except OSError:  # nobody is there any more to take the file that was written
            if head.get("into"):
                Path(head["into"]).unlink(missing_ok=True)
            return


def _read(
    head: Mapping[str, Any], content: bytes, settings: Settings, secret: bytes, options: Deidentification, alike: Alike
) -> tuple[dict[str, Any], bytes, Shown | None]:
    """What is told of a file, its pixels unless they were written where that was asked, and what it looks like."""
    try:
        image = decode(content, settings, secret, name=head["name"], options=options, alike=alike)
        look = shown_of(image) if head["shown"] else None
    except InvalidInput as refusal:
        return {"refused": str(refusal), "little_memory": isinstance(refusal.__cause__, MemoryError)}, b"", None
    told = told_of(image)
    if "path" in head:
        told["file_hash"] = hashlib.sha256(content).hexdigest()
    if look:
        told["perceptual_hash"] = look.perceptual_hash
    if not head.get("into"):
        return told, array_bytes(image.pixels), look
    try:
        told["pixel_hash"] = write_array(Path(head["into"]), image.pixels)
    except OSError as error:
        return {"unwritable": [error.errno, error.strerror]}, b"", None
    told["written"] = [image.pixels.shape, image.pixels.dtype.name]
    return told, b"", look


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
