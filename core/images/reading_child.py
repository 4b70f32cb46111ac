"""Files are read in a process of their own that may die: of a decoder's crash, of memory, of time.

The parent sends the bytes of a file down a pipe and gets back either the sentence of a refusal or the image, as
numbers and words and never as objects to be unpickled: what comes from a file that took over its reader stays data.
"""

import base64
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from core.errors import InvalidInput, Unavailable
from core.images.decoded import Change, DecodedImage, InstanceHeader, Window
from core.images.decoding import decode
from core.projects.deidentification import Deidentification
from core.settings import PROJECT_ROOT, Settings
from core.store.files import array_bytes

LENGTH = struct.Struct("<Q")
SECONDS_TO_READ = 120.0  # a large volume in JPEG 2000 takes half a minute
MOST_MEMORY = 12 << 30  # addresses, of which a process has far more than it uses
BYTES_A_PIXEL = 32  # several copies of an image within the limit on pixels


class ReadingChild:
    """Reads files one after the other in a child that is started on first need, and again after it died."""

    def __init__(
        self, settings: Settings, secret: bytes, options: Deidentification, *, seconds: float = SECONDS_TO_READ
    ) -> None:
        self._told = pickle.dumps((settings, secret, options))  # from parent to child only
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "ReadingChild":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def __call__(self, content: bytes, name: str) -> DecodedImage:
        """The image of a file.

        Raises:
            InvalidInput: it holds no image that Readroom takes in, or it ended its reader.
            Unavailable: no child can be started.
        """
        process = self._started()
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._seconds, stop)
        timer.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            _send(process.stdin, json.dumps(name).encode(), content)
            told, values = _receive(process.stdout), _receive(process.stdout)
        except (EOFError, OSError) as error:
            self._end()
            if late.is_set():
                said = f"Reading this file took longer than {self._seconds:g} seconds; export it again."
                raise InvalidInput(f"{said} Received: {len(content):,} bytes") from error
            raise InvalidInput(
                f"Reading this file ended its reader, as damaged files may; export it again. "
                f"Received: {len(content):,} bytes"
            ) from error
        finally:
            timer.cancel()
        return _image_of(json.loads(told), values)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            paths = os.pathsep.join([str(PROJECT_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "core.images.reading_child"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,  # decoders print what they stumble on
                    env={**os.environ, "PYTHONPATH": paths},
                )
            except OSError as error:
                raise Unavailable(f"No process can be started to read files; try again. Received: {error}") from error
            assert self._process.stdin is not None
            with suppress(OSError):  # a child that died at once is met when a file is sent
                _send(self._process.stdin, self._told)
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        process.wait()


# ---- what goes through the pipe


def _send(stream: BinaryIO | Any, *pieces: bytes) -> None:
    for piece in pieces:
        stream.write(LENGTH.pack(len(piece)))
        stream.write(piece)
    stream.flush()


def _receive(stream: BinaryIO | Any) -> bytes:
    (length,) = LENGTH.unpack(_exactly(stream, LENGTH.size))
    return _exactly(stream, length)


def _exactly(stream: BinaryIO | Any, length: int) -> bytes:
    found: bytes = stream.read(length)
    if len(found) != length:
        raise EOFError
    return found


def _told_of(image: DecodedImage) -> dict[str, Any]:
    told = {key: value for key, value in vars(image).items() if key not in ("pixels", "headers", "windows")}
    told["windows"] = [asdict(window) for window in image.windows]
    told["headers"] = [
        [
            header.sop_uid,
            base64.b64encode(header.content).decode(),
            [list(vars(one).values()) for one in header.changes],
        ]
        for header in image.headers
    ]
    return told


def _image_of(told: dict[str, Any], values: bytes) -> DecodedImage:
    if "refused" in told:
        raise InvalidInput(str(told["refused"]))
    headers = [
        InstanceHeader(uid, base64.b64decode(content), tuple(Change(*one) for one in changes))
        for uid, content, changes in told["headers"]
    ]
    return DecodedImage(
        **{
            **told,
            "pixels": np.load(io.BytesIO(values), allow_pickle=False),
            "spacing_mm": tuple(told["spacing_mm"]) if told["spacing_mm"] else None,
            "affine": tuple(tuple(line) for line in told["affine"]) if told["affine"] else None,
            "windows": tuple(Window(**window) for window in told["windows"]),
            "oddities": tuple(told["oddities"]),
            "headers": tuple(headers),
        }
    )


# ---- the child


def main() -> None:
    """Read files from the pipe until it is closed."""
    come, go = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a decoder prints must not come between the answers
    settings, secret, options = pickle.loads(_receive(come))
    _limit_memory(settings)
    while True:
        try:
            name, content = json.loads(_receive(come)), _receive(come)
        except EOFError:
            return
        try:
            image = decode(content, settings, secret, name=name, options=options)
        except InvalidInput as refusal:
            _send(go, json.dumps({"refused": str(refusal)}).encode(), b"")
        else:
            _send(go, json.dumps(_told_of(image)).encode(), array_bytes(image.pixels))


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
