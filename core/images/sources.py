"""What an import was pointed at, as a list of files: folders walked, zips looked into."""

import os
import stat
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from core.errors import InvalidInput
from core.images.archives import OpenArchives, is_archive, list_members
from core.images.decoded import file_limit
from core.images.dicom_start import START_BYTES
from core.settings import Settings

SYSTEM_FILES = {".DS_Store", "Thumbs.db", "desktop.ini", "ehthumbs.db"}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to import. It lies at `folder` and `name`, or is a `member` of the zip there.

    An import holds all of its files, 100,000 among them: those of one folder share its name.
    """

    path: str  # how the report names it
    source: str  # within the imported folder: what a label table's path is compared with
    folder: str  # with the separator at its end
    name: str
    member: str | None = None  # its name in the zip
    refusal: str | None = None  # why it is not even opened
    is_system: bool = False  # the operating system's, nobody's image
    time_point: int | None = None  # of a file of several volumes which one, counted from 1
    size: int | None = None  # bytes of the file, or of the zip that holds it, before it was opened
    mtime_ns: int = 0  # when that was written

    @property
    def place(self) -> str:
        """Where it lies as text, which takes less to make than a `Path`."""
        return self.folder + self.name

    @property
    def location(self) -> Path:
        """Where it lies: the file, or the zip that holds it."""
        return Path(self.folder + self.name)


def list_sources(paths: Sequence[Path], settings: Settings, *, root: Path | None = None) -> list[SourceFile]:
    """All files under the given files, folders and zips, each once, in a stable order.

    A source is relative to the folder or zip that was given, or to `root` where that is given.
    A folder's or file's fault (unreadable, not there, a zip bomb) is one entry with a refusal.
    """
    found: dict[str, SourceFile] = {}
    for given in paths:
        folder = given.parent if _is_index(given) else given  # an index stands for the files that it names
        for file in _under(given, settings, root):
            # With several folders two files can have one source; the report then names the folder too.
            shown = file.source if root or len(paths) == 1 else (folder / file.source).as_posix()
            if folder is given and given.is_file() and file.member is None:
                shown = file.source if root or len(paths) == 1 else given.as_posix()
            found.setdefault(shown, file if file.path == shown else replace(file, path=shown))
    return list(found.values())


def quiet_only(files: Sequence[SourceFile], seconds: float, now: float) -> list[SourceFile]:
    """Without the files in whose folder something was written within the last seconds: there more may be on its way.

    Args:
        now: seconds since the epoch.
    """
    newest: dict[str, int] = defaultdict(int)
    for file in files:
        newest[file.folder] = max(newest[file.folder], file.mtime_ns)
    return [file for file in files if newest[file.folder] <= (now - seconds) * 1e9]


def folder_of(path: Path) -> str:
    """The folder of a file as a `SourceFile` has it."""
    folder = str(path.parent)
    return folder if folder.endswith(os.sep) else folder + os.sep


def read_source(file: SourceFile, archives: OpenArchives, settings: Settings) -> bytes:
    """The bytes of a file to import.

    Raises:
        InvalidInput: it cannot be read, or is refused.
    """
    if file.refusal:
        raise InvalidInput(file.refusal)
    if file.member is not None:
        return archives.read(file.location, file.member)
    try:
        _check_size(file.location.stat().st_size, settings)
        return file.location.read_bytes()
    except OSError as error:
        raise InvalidInput(cannot_read(error)) from error


def read_start(file: SourceFile, settings: Settings) -> bytes:
    """The first bytes of a file that lies in no archive, by which its kind is told. Raises as `read_source`."""
    if file.refusal:
        raise InvalidInput(file.refusal)
    try:
        with file.location.open("rb") as stream:
            _check_size(os.fstat(stream.fileno()).st_size, settings)
            return stream.read(START_BYTES)
    except OSError as error:
        raise InvalidInput(cannot_read(error)) from error


def _check_size(size: int, settings: Settings) -> None:
    if size > file_limit(settings):
        raise InvalidInput(f"The file is larger than any image within the limits. Received: {size:,} bytes")


def size_of(file: SourceFile, archives: OpenArchives) -> int:
    """Bytes of a file to import; 0 where nothing of it is read."""
    if file.refusal:
        return 0
    return archives.size(file.location, file.member) if file.member is not None else file.size or 0


def _under(given: Path, settings: Settings, root: Path | None) -> Iterator[SourceFile]:
    if _is_index(given):
        from core.images.dicomdir import referenced_files

        for path in (given, *referenced_files(given)):
            source = _relative(path, root, path.relative_to(given.parent).as_posix())
            yield from _file(folder_of(path), path.name, source, settings)
        return
    if not given.is_dir():
        source = _relative(given, root, given.name)
        yield from _file(folder_of(given), given.name, source, settings, given_itself=root is None)
        return
    troubles: list[OSError] = []
    for folder, subfolders, names in os.walk(given, onerror=troubles.append):
        subfolders.sort()
        here = Path(folder)
        inner = _relative(here, root, here.relative_to(given).as_posix())
        shared = folder_of(here / "any")
        for name in sorted(names):
            source = name if inner == "." else f"{inner}/{name}"
            yield from _file(shared, name, source, settings)
    for trouble in troubles:
        path = Path(str(trouble.filename))
        source = _relative(path, root or given, path.name)
        yield SourceFile(source, source, folder_of(path), path.name, None, cannot_read(trouble))


def _relative(path: Path, root: Path | None, otherwise: str) -> str:
    return path.relative_to(root).as_posix() if root and path.is_relative_to(root) else otherwise


def _file(
    folder: str, name: str, source: str, settings: Settings, *, given_itself: bool = False
) -> Iterator[SourceFile]:
    """The file itself, or the files in it when it is a zip; a zip that was given itself counts as the folder."""
    path = Path(folder + name)
    try:
        there = path.stat()
        if not stat.S_ISREG(there.st_mode):
            yield SourceFile(source, source, folder, name, None, "It is not a regular file; leave it out.")
            return
        size, written = there.st_size, there.st_mtime_ns
        if not is_archive(path):
            yield SourceFile(source, source, folder, name, None, None, _is_system(source), None, size, written)
            return
        members = list_members(path, settings)
    except (OSError, InvalidInput) as error:
        reason = cannot_read(error) if isinstance(error, OSError) else str(error)
        yield SourceFile(source, source, folder, name, None, reason)
        return
    for member in members:
        inner = member.name if given_itself else f"{source}/{member.name}"
        told = member.name, member.refusal, _is_system(member.name)
        yield SourceFile(inner, inner, folder, name, *told, None, size, written)


def is_index_name(name: str) -> bool:
    """Whether a file is called as an index of others is, of which a folder has one of that very name."""
    return name.upper().startswith("DICOMDIR")


def _is_index(given: Path) -> bool:
    return is_index_name(given.name) and given.is_file()


def _is_system(name: str) -> bool:
    parts = PurePosixPath(name).parts or ("",)
    return "__MACOSX" in parts or parts[-1] in SYSTEM_FILES or parts[-1].startswith("._")


def cannot_read(error: OSError) -> str:
    """Why a file or folder is not read, in a sentence."""
    return f"It cannot be read; check the path and its permissions. Received: {error.strerror}"
