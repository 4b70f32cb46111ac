"""Files addressed by the SHA-256 of their content: written once, never changed, checked when read.

A file appears under its name only when it is whole and on disk, so a kill leaves
at most a stray `*.part`, which the next worker clears, never half a file.
"""

import hashlib
import io
import itertools
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from core.errors import CoreError, NotFound
from core.store.array_heads import read_array_head
from core.store.copying import Unreadable, hash_file
from core.store.together import Together, start_writing
from core.store.troubles import troubles_named

COUNTER = itertools.count()
CLOCKS_APART = 2.0  # seconds by which the start of a process and the time of a file may differ
Shelf = Literal["pixels", "thumbnails", "models", "explanations", "prepared", "headers", "masks"]
SUFFIX: dict[Shelf, str] = {
    "pixels": ".npy",
    "thumbnails": ".webp",
    "models": "",
    "explanations": ".npy",
    "prepared": ".npy",
    "headers": ".dcm",
    "masks": ".runs",
}


@dataclass(frozen=True)
class Files:
    """The file store of one home. `on_new` is told of each file before it is written, or has its name.

    With `together` a file that is put is there only after the next `keep`.
    """

    root: Path
    on_new: Callable[[Shelf, str], None] | None = field(default=None, compare=False)
    together: Together | None = field(default=None, compare=False)

    def path(self, shelf: Shelf, content_hash: str) -> Path:
        """Where a file of this hash lies or would lie.

        Raises:
            NotFound: the text is not a hash, so that no caller can walk out of the store.
        """
        if len(content_hash) != 64 or not set(content_hash) <= set("0123456789abcdef"):
            raise NotFound("file", content_hash)
        return Path(f"{self.root}/{shelf}/{content_hash[:2]}/{content_hash}{SUFFIX[shelf]}")

    def has(self, shelf: Shelf, content_hash: str) -> bool:
        return self.path(shelf, content_hash).exists()

    def put_bytes(self, shelf: Shelf, content: bytes) -> str:
        """Store bytes; the answer is their hash."""
        content_hash = hashlib.sha256(content).hexdigest()
        self.put_under(shelf, content_hash, content)
        return content_hash

    def put_under(self, shelf: Shelf, name_hash: str, content: bytes) -> None:
        """Store bytes under a hash that names them (a thumbnail goes by the hash of its pixels)."""
        target = self.path(shelf, name_hash)
        if not target.exists():
            self._write(shelf, name_hash, target, content)

    def put_array(self, shelf: Shelf, array: np.ndarray) -> str:
        """Store an array as `.npy` bytes, C order; the answer is their hash. Large ones are not copied for it."""
        head, values = array_head(array.shape, array.dtype), plain_values(array)
        content_hash = _hash_of(head, values)
        target = self.path(shelf, content_hash)
        if not target.exists():
            self._write(shelf, content_hash, target, head, values)
        return content_hash

    @staticmethod
    def hash_array(array: np.ndarray) -> str:
        """The hash by which `put_array` would store an array; nothing is written."""
        return _hash_of(array_head(array.shape, array.dtype), plain_values(array))

    def keep(self) -> None:
        """Nothing that was put is lost from here on.

        Raises:
            Unavailable: the disk is full, read-only or gone.
        """
        if self.together:
            with troubles_named(self.root):
                self.together.keep()

    def name_part(self, shelf: Shelf) -> Path:
        """A name in the store for a file that another process writes, to be adopted."""
        return _part_in(f"{self.root}/{shelf}/00")

    def adopt(self, shelf: Shelf, content_hash: str, part: Path) -> None:
        """A file that was written beside the others (`name_part`) gets its name; where one has it already, or this
        raises, it goes.

        Raises:
            Unavailable: the disk is full, read-only or gone.
        """
        target = self.path(shelf, content_hash)
        try:
            with troubles_named(target.parent):
                if target.exists():
                    part.unlink()
                    return
                if self.on_new:
                    self.on_new(shelf, content_hash)
                together = self.together or Together()
                together.add(part, target)
                if self.together is None:
                    together.keep()
        except BaseException:
            with suppress(OSError):  # of a disk that takes nothing any more
                part.unlink(missing_ok=True)
            raise

    def _write(self, shelf: Shelf, name_hash: str, target: Path, *content: bytes | memoryview) -> None:
        if self.on_new:
            self.on_new(shelf, name_hash)
        if self.together is None:
            write_whole(target, *content)
            return
        with troubles_named(target.parent):
            self.together.add(_write_part(target, content), target)

    def read_bytes(self, shelf: Shelf, content_hash: str) -> bytes:
        """The bytes of a file, checked against the hash.

        Raises:
            NotFound: there is no such file.
            CoreError: the file was altered on disk.
        """
        content = self._read(shelf, content_hash)
        if hashlib.sha256(content).hexdigest() != content_hash:
            raise _altered(shelf, content_hash)
        return content

    def check(self, shelf: Shelf, content_hash: str) -> Path:
        """Where a file lies that is too large for memory, once its content was checked against the hash.

        Raises:
            NotFound: there is no such file.
            CoreError: the file was altered on disk, or cannot be read.
        """
        path = self.path(shelf, content_hash)
        try:
            if hash_file(path) != content_hash:
                raise _altered(shelf, content_hash)
        except Unreadable as error:
            if isinstance(error.error, FileNotFoundError):
                raise NotFound(f"file in {shelf}", content_hash) from error
            raise CoreError(
                f"A stored file cannot be read; look after the disk, or restore it from a backup. Received: {error}"
            ) from error
        return path

    def read_array(self, shelf: Shelf, content_hash: str) -> np.ndarray:
        """The array of a file, checked against the hash."""
        stream = io.BytesIO(self.read_bytes(shelf, content_hash))
        shape, kind = read_array_head(stream)
        return np.frombuffer(stream.read(), kind).reshape(shape).copy()

    def map_array(self, shelf: Shelf, content_hash: str) -> np.ndarray:
        """The array of a file that may be larger than memory, as a read-only memory map, checked against the hash.

        Raises:
            NotFound: there is no such file.
            CoreError: the file was altered on disk, or cannot be read.
        """
        path = self.check(shelf, content_hash)
        try:
            with path.open("rb") as stream:
                shape, kind = read_array_head(stream)
                return np.memmap(stream, kind, "r", stream.tell(), shape)
        except FileNotFoundError as error:  # erased since
            raise NotFound(f"file in {shelf}", content_hash) from error

    def _read(self, shelf: Shelf, content_hash: str) -> bytes:
        try:
            return self.path(shelf, content_hash).read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"file in {shelf}", content_hash) from error


def _altered(shelf: Shelf, content_hash: str) -> CoreError:
    return CoreError(f"A stored file was altered on disk; restore it from a backup. Received: {shelf} {content_hash}")


def array_bytes(array: np.ndarray) -> bytes:
    """An array as `.npy` bytes; equal arrays give equal bytes."""
    return array_head(array.shape, array.dtype) + plain_values(array)


def array_head(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """The head of a `.npy` file of an array in C order."""
    if dtype.hasobject:
        raise TypeError(f"An array of numbers is stored, not of objects. Received: {dtype}")
    head = io.BytesIO()
    told = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, told)
    return head.getvalue()


def plain_values(array: np.ndarray) -> memoryview:
    """The values of an array in C order, as they lie in memory."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _hash_of(*content: bytes | memoryview) -> str:
    digest = hashlib.sha256()
    for piece in content:
        digest.update(piece)
    return digest.hexdigest()


def write_whole(target: Path, *content: bytes | memoryview) -> None:
    """Write a file so that it is whole or absent, also after a power cut.

    Raises:
        Unavailable: the disk is full, read-only or gone.
    """
    with troubles_named(target.parent):
        _write_whole(target, content)


def name_part(target: Path) -> Path:
    """A name beside the target that no other thread or process takes; of a dead process's number it may be taken."""
    return _part_in(target.parent)


def _part_in(folder: Path | str) -> Path:
    return Path(f"{folder}/{os.getpid()}-{next(COUNTER)}.part")


def write_array(part: Path, array: np.ndarray) -> str:
    """Write the `.npy` bytes of an array under a name of its own (`name_part`), for a process that adopts them; the
    answer is their hash.

    Raises:
        OSError: the disk is full or gone.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        handle = os.open(part, flags, 0o600)
    except FileNotFoundError:
        part.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(part, flags, 0o600)
    head, values = array_head(array.shape, array.dtype), plain_values(array)
    with os.fdopen(handle, "wb") as stream:
        stream.write(head)
        stream.write(values)
        stream.flush()
        start_writing(stream.fileno(), 0, len(values))
    return _hash_of(head, values)


def begin_part(target: Path) -> tuple[int, Path]:
    """An empty file beside the target, under a name that no other thread or process takes: (handle, path).

    It begins with the number of the process, so that what a dead one left half-written can be told and removed.
    """
    while True:
        part = name_part(target)
        try:
            return os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), part
        except FileExistsError:  # left by a process of the same number that was killed
            continue
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)


def clear_parts(root: Path) -> int:
    """Delete what processes that are no more left half-written in a home's store; how many files that were."""
    cleared = 0
    for folder in (root / "imports", *(folder for shelf in SUFFIX for folder in (root / shelf).glob("*"))):
        for path in folder.glob("*.part"):
            if is_left_over(path):
                path.unlink(missing_ok=True)
                cleared += 1
    return cleared


def is_left_over(part: Path) -> bool:
    """Whether the process that wrote a part, or had it written, is no more: who has its number by now began later."""
    import psutil  # which readers of files, who need the rest of this, would wait for

    pid = part.name.partition("-")[0]
    if not pid.isdecimal():
        return False
    try:
        return bool(psutil.Process(int(pid)).create_time() > part.stat().st_mtime + CLOCKS_APART)
    except psutil.NoSuchProcess:
        return True
    except FileNotFoundError:  # it has its name by now
        return False


def _write_whole(target: Path, content: Sequence[bytes | memoryview]) -> None:
    part = _write_part(target, content, forced=True)
    try:
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _write_part(target: Path, content: Sequence[bytes | memoryview], *, forced: bool = False) -> Path:
    """All of it beside the target; `forced` to disk, or on its way there."""
    handle, part = begin_part(target)
    try:
        with os.fdopen(handle, "wb") as stream:
            for piece in content:
                stream.write(piece)
            stream.flush()
            if forced:
                os.fsync(stream.fileno())
            else:
                start_writing(stream.fileno(), 0, sum(map(len, content)))
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return part
