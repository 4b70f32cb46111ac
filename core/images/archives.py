"""Zips, read member by member in memory: nothing is ever unpacked to disk, so nothing can slip out of a folder."""

import io
import re
import stat
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import BinaryIO

from core.errors import InvalidInput
from core.images.decoded import file_limit, without_quotes
from core.settings import Settings

DRIVE = re.compile(r"^[A-Za-z]:")
TABLES = (".csv", ".tsv")
SMALL_MEMBER = 1 << 20  # below this a high ratio is a blank picture, not a bomb
IF_TRUSTED = "if it is yours, as masks may be packed so well, unpack it and import the folder"
# The list at the end of a zip, and what tells how long it is (APPNOTE.TXT 6.3.10, sections 4.3.12 to 4.3.16).
LISTED, END, END_64, LOCATOR_64 = b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
END_BYTES, END_64_BYTES, LOCATOR_64_BYTES, LONGEST_COMMENT = 22, 56, 20, 65535
LOOKED_AT = 1 << 20


@dataclass(frozen=True)
class Member:
    """A file in an archive; `refusal` says why it will not be read."""

    name: str  # with forward slashes
    refusal: str | None = None


def is_archive(path: Path) -> bool:
    """A zip by its name and its first bytes; other packed files are refused when they are decoded."""
    if path.suffix.lower() != ".zip":
        return False
    with path.open("rb") as stream:
        return stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")


def list_members(path: Path, settings: Settings) -> list[Member]:
    """The files of a zip, those that will be refused with the reason.

    Raises:
        InvalidInput: the zip is damaged, empty, or unpacks to more than the settings allow.
    """
    _refuse_too_many(path, settings)
    with _opened(path) as archive:
        infos = [info for info in archive.infolist() if not info.filename.endswith("/")]
    if not infos:
        raise InvalidInput(f"The archive has no files; pack it again. Received: {path.name}")
    unpacked = sum(info.file_size for info in infos)
    if unpacked > settings.max_unpacked_bytes:
        raise InvalidInput(
            f"The archive unpacks to more than {settings.max_unpacked_bytes:,} bytes; split it. "
            f"Received: {unpacked:,} bytes"
        )
    # Members that overlap in the file get past the limit on each of them, but not past this one.
    packed = path.stat().st_size
    if unpacked > SMALL_MEMBER and unpacked > packed * settings.max_compression_ratio:
        raise InvalidInput(
            f"The archive unpacks to more than {settings.max_compression_ratio} times its size, as zip bombs do; "
            f"{IF_TRUSTED}. Received: {packed:,} bytes that become {unpacked:,}"
        )
    seen: set[str] = set()
    members = []
    for info in infos:
        name = info.filename.replace("\\", "/")
        members.append(Member(name, _refusal(info, name, seen, settings)))
        seen.add(name)
    return members


def zip_around(path: Path) -> tuple[Path, str] | None:
    """The zip that a path leads into and the name of the file in it, as in `scans.zip/labels.csv`; None of others."""
    for outer in path.parents:
        if outer.suffix.lower() == ".zip" and outer.is_file():
            return outer, path.relative_to(outer).as_posix()
    return None


def _refuse_too_many(path: Path, settings: Settings) -> None:
    """Before its list is read: for a million files that takes a quarter of a minute and half a gigabyte.

    Raises:
        InvalidInput: it may list more files than the settings allow.
    """
    with path.open("rb") as stream:
        count = _most_listed(stream, path.stat().st_size)
    if count > settings.max_unpacked_files:
        raise InvalidInput(
            f"The archive holds more than {settings.max_unpacked_files:,} files; split it. Received: {count:,} files"
        )


def _most_listed(stream: BinaryIO, size: int) -> int:
    """How many files the list at a zip's end has at most, whatever number stands beside it."""
    tail_at = max(0, size - END_BYTES - LONGEST_COMMENT - LOCATOR_64_BYTES - END_64_BYTES)
    stream.seek(tail_at)
    tail = stream.read()
    end = tail.rfind(END)
    if end < 0 or end + END_BYTES > len(tail):
        return 0  # no zip, as whoever opens it will say
    listed = int.from_bytes(tail[end + 12 : end + 16], "little")
    end_64 = end - LOCATOR_64_BYTES - END_64_BYTES
    if end_64 >= 0 and tail[end_64:].startswith(END_64) and tail[end - LOCATOR_64_BYTES :].startswith(LOCATOR_64):
        listed, end = int.from_bytes(tail[end_64 + 40 : end_64 + 48], "little"), end_64
    at, stop, count = max(0, tail_at + end - listed), tail_at + end, 0
    while at < stop:
        stream.seek(at)
        count += stream.read(min(LOOKED_AT + len(LISTED) - 1, stop - at)).count(LISTED)
        at += LOOKED_AT
    return count


def list_tables(path: Path, settings: Settings) -> list[str]:
    """The files of a zip that may be label tables; none where it cannot be opened, as its import will say."""
    try:
        _refuse_too_many(path, settings)
        with _opened(path) as archive:
            names = [info.filename.replace("\\", "/") for info in archive.infolist()]
    except (InvalidInput, OSError):
        return []
    return sorted(name for name in names if name.lower().endswith(TABLES) and not _is_apples(name))


def _is_apples(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or parts[-1].startswith("._")


def read_member(path: Path, name: str, most_bytes: int) -> bytes:
    """A small file of a zip, never more of it than asked for.

    Raises:
        InvalidInput: there is no such file in it, it is larger, or it cannot be unpacked.
    """
    with _opened(path) as archive:
        info = next((one for one in archive.infolist() if one.filename.replace("\\", "/") == name), None)
        if info is None:
            raise InvalidInput(f"There is no such file in the archive; check its path. Received: {path.name}/{name}")
        with _damage_told(), archive.open(info) as stream:
            content = stream.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise InvalidInput(f"This file has at most {most_bytes >> 20} MB. Received: {path.name}/{name}")
    return content


class OpenArchives:
    """Zips kept open while their members are read, since opening one parses the whole list of its members.

    Several threads may read; one waits for the other.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._one_at_a_time = threading.RLock()
        self._path: Path | None = None
        self._archive: zipfile.ZipFile | None = None

    def __enter__(self) -> "OpenArchives":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def read(self, path: Path, name: str) -> bytes:
        """The bytes of a member, which never become more than the archive's list says.

        Raises:
            InvalidInput: the member is damaged, encrypted, or packed in an unknown way.
        """
        limit = file_limit(self._settings)
        with self.opened(path, name) as stream, _damage_told():
            content = stream.read(limit + 1)
        if len(content) > limit:
            raise InvalidInput(f"The file is larger than any image within the limits. Received: over {limit:,} bytes")
        return content

    @contextmanager
    def opened(self, path: Path, name: str) -> Iterator[BinaryIO]:
        """A member to read the start of.

        Raises:
            InvalidInput: the member is damaged, encrypted, or packed in an unknown way.
        """
        with self._one_at_a_time:
            info = self._info(path, name)
            with _damage_told():
                stream = io.BufferedReader(self._archive.open(info))  # type: ignore[union-attr,type-var]
            with stream:
                yield stream

    def start(self, path: Path, name: str, size: int) -> bytes:
        """The first bytes of a member; raises as `opened`, and where the damage is met only now."""
        with self.opened(path, name) as stream, _damage_told():
            return stream.read(size)

    def size(self, path: Path, name: str) -> int:
        """Bytes of a member as the archive's list says; none where it says nothing."""
        try:
            with self._one_at_a_time:
                return self._info(path, name).file_size
        except (InvalidInput, OSError):
            return 0

    def _info(self, path: Path, name: str) -> zipfile.ZipInfo:
        if self._path != path or self._archive is None:
            self._close()
            self._archive, self._path = _opened(path), path
        info = next(iter(self._infos(name)), None)
        if info is None:
            raise InvalidInput("The archive changed while it was read; import it again. Received: a member is gone")
        return info

    def _infos(self, name: str) -> list[zipfile.ZipInfo]:
        assert self._archive is not None
        try:
            return [self._archive.getinfo(name)]
        except KeyError:  # a member that was written with backslashes
            return [info for info in self._archive.infolist() if info.filename.replace("\\", "/") == name]

    def _close(self) -> None:
        if self._archive is not None:
            self._archive.close()
        self._archive = self._path = None


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InvalidInput(f"The archive is damaged or incomplete; pack it again. Received: {_said(error)}") from error


@contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # zipfile, zlib, lzma and bz2 each have errors of their own
        raise InvalidInput(f"The archive is damaged here; pack it again. Received: {_said(error)}") from error


def _said(error: Exception) -> str:
    """What a decoder says, without the member's name that it may quote: that is somebody's file."""
    return without_quotes(str(error))


def _refusal(info: zipfile.ZipInfo, name: str, seen: set[str], settings: Settings) -> str | None:
    if not PurePosixPath(name).parts:
        return "It has no name; pack the archive again."
    if name.startswith("/") or DRIVE.match(name) or ".." in PurePosixPath(name).parts:
        return "The name leads out of the archive; pack it again without such names."
    if stat.S_ISLNK(info.external_attr >> 16):
        return "It is a link, not a file; pack the file itself."
    if name in seen:
        return "The archive holds this name twice; pack it again."
    if info.flag_bits & 0x1:
        return "It is encrypted; unpack the archive and import the folder."
    if info.file_size > file_limit(settings):
        return f"It is larger than any image within the limits. Received: {info.file_size:,} bytes"
    if info.file_size > SMALL_MEMBER and info.file_size > info.compress_size * settings.max_compression_ratio:
        return (
            f"It unpacks to more than {settings.max_compression_ratio} times its size, as zip bombs do; "
            f"{IF_TRUSTED}. Received: {info.compress_size:,} bytes that become {info.file_size:,}"
        )
    return None
