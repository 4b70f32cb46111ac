"""An array file that grows frame by frame: a volume is hashed and written while it is read, not held in memory."""

import hashlib
import os
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO

import numpy as np

from core.store.files import Files, Shelf, array_head, begin_part, plain_values
from core.store.together import start_writing
from core.store.troubles import troubles_named

BYTES_AT_ONCE = 8 << 20  # that the system is told to begin writing to disk


class GrowingArray:
    """A `.npy` file of (most, *frame), under a name of its own until it is put; what is not put is removed.

    It is begun with its first frame, which says what all are like.
    """

    def __init__(self, files: Files, shelf: Shelf, most: int) -> None:
        self._files, self._shelf, self._most = files, shelf, most
        self._stream: BinaryIO | None = None
        self._digest = hashlib.sha256()
        self._begin_at = self._told = 0  # bytes: where the frames begin, and up to where the system was told to write
        self.dtype: np.dtype[np.generic] | None = None
        self.frame: tuple[int, ...] = ()
        self.count = 0

    def __enter__(self) -> "GrowingArray":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drop()

    def add(self, pixels: np.ndarray) -> None:
        """The next frame, of the first one's shape and type.

        Raises:
            Unavailable: the disk is full, read-only or gone.
        """
        folder = self._files.root / self._shelf
        with troubles_named(folder):
            if self._stream is None:
                handle, self._part = begin_part(folder / "00" / "any")
                self._stream = os.fdopen(handle, "wb")
                self.dtype, self.frame = pixels.dtype, pixels.shape
                head = array_head((self._most, *pixels.shape), pixels.dtype)
                self._begin_at = self._told = len(head)
                self._write(head)
            self._write(plain_values(pixels))
            self.count += 1
            here = self._begin_at + self.count * pixels.nbytes
            if here - self._told >= BYTES_AT_ONCE:
                self._stream.flush()
                start_writing(self._stream.fileno(), self._told, here - self._told)
                self._told = here

    def frames(self) -> np.ndarray:
        """What there is so far, read-only, from the file; it may be held for longer than the file has a name."""
        assert self._stream is not None
        assert self.dtype is not None
        with troubles_named(self._part.parent):
            self._stream.flush()
        return np.memmap(self._part, self.dtype, "r", offset=self._begin_at, shape=(self.count, *self.frame))

    def put(self) -> str:
        """Into the store, as `Files.put_array` does; the answer is the hash."""
        assert self._stream is not None
        assert self.dtype is not None
        with troubles_named(self._part.parent):
            if self.count != self._most:  # its head says another number of frames
                head = array_head((self.count, *self.frame), self.dtype)
                if len(head) != self._begin_at:
                    return self._files.put_array(self._shelf, self.frames())
                self._digest = hashlib.sha256(head)
                self._digest.update(plain_values(self.frames()))
                self._stream.seek(0)
                self._stream.write(head)
            self._stream.flush()
            start_writing(self._stream.fileno(), self._told, self._stream.seek(0, os.SEEK_END) - self._told)
        self._files.adopt(self._shelf, self._digest.hexdigest(), self._part)
        self._stream.close()
        return self._digest.hexdigest()

    def drop(self) -> None:
        """Remove the file, unless it was put."""
        if self._stream is not None and not self._stream.closed:
            try:
                with suppress(OSError):  # of a full disk, on which what is left to write does not matter any more
                    self._stream.close()
            finally:
                self._part.unlink(missing_ok=True)

    def _write(self, content: bytes | memoryview) -> None:
        assert self._stream is not None
        self._digest.update(content)
        self._stream.write(content)
