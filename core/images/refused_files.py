"""Files that were refused: known by an HMAC of where they lie, size and time, so that none is read in vain again.

A refusal holds as long as the rules of reading do: this code, the decoders that are installed, the limits of the
settings and what the project keeps of a header. What the machine decided (no memory, no time, a reader that died) is
never remembered. The note is encrypted and expires with the original paths (`core.images.sealed_paths`): losing it
costs one reading.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from core.images.known_files import KnownFile, file_key, is_passing
from core.images.records import ImportedFile
from core.images.sealed_paths import forget_sealed, seal, unseal
from core.images.sources import SourceFile
from core.projects.deidentification import Deidentification
from core.settings import Settings

HERE = Path(__file__).parent
READERS = (
    "pydicom", "numpy", "nibabel", "pillow", "pylibjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle", "pylibjpeg-libjpeg",
    "pyjpegls", "python-gdcm", "imagecodecs", "tifffile",
)  # fmt: skip


class RefusedFiles:
    """What is known of refused files of one project, and what an import adds to it."""

    def __init__(self, settings: Settings, secret: bytes, project: int, options: Deidentification) -> None:
        self._settings, self._secret, self._name = settings, secret, f"refused-{project}"
        limits = (settings.max_image_pixels, settings.max_unpacked_bytes, settings.max_compression_ratio)
        self._rules = hashlib.sha256(repr((reading_rules(), limits, options)).encode()).hexdigest()
        self._told = self._read()
        self.fresh: set[str] = set()  # paths of files that a reader has just refused

    def find(self, files: Sequence[SourceFile]) -> dict[str, KnownFile]:
        """Those of the files, by path, that were refused before and are unchanged."""
        found: dict[str, KnownFile] = {}
        for file in files if self._told else ():
            told = self._told.get(file_key(self._secret, file))
            if told and told[:2] == [file.size, file.mtime_ns]:
                _, _, status, reason, series = told
                found[file.path] = KnownFile(status, None, series, reason)
        return found

    def remember(
        self, files: Sequence[SourceFile], done: Mapping[str, ImportedFile], series: Mapping[str, str]
    ) -> None:
        """Keep the refusals of an import that has ended, but of no upload, which goes.

        Args:
            series: what stands for the series of a file, by path (`core.images.known_files.series_key`).
        """
        new: dict[str, list[Any]] = {}
        for file in files:
            lasting = file.size is not None and not is_passing(self._settings, file)
            if lasting and file.path in self.fresh:
                row, key = done[file.path], file_key(self._secret, file)
                new[key] = [file.size, file.mtime_ns, row.status, row.reason, series.get(file.path, "")]
        if new:  # another import may have written meanwhile
            seal(self._settings, {"rules": self._rules, "files": self._read() | new}, self._name)

    def _read(self) -> dict[str, list[Any]]:
        told = unseal(self._settings, self._name)
        return dict(told["files"]) if told and told["rules"] == self._rules else {}


def forget_refused(settings: Settings, project: int) -> None:
    """Read every refused file of a project anew, as after something was erased: a reason may name it."""
    forget_sealed(settings, f"refused-{project}")


@lru_cache(maxsize=1)
def reading_rules() -> str:
    """What decides whether a file can be read: this room's code and lists, and the versions of what decodes."""
    digest = hashlib.sha256()
    for path in sorted(path for path in HERE.rglob("*") if path.suffix in (".py", ".csv", ".txt")):
        digest.update(path.read_bytes())
    for name in READERS:
        with suppress(PackageNotFoundError):
            digest.update(f"{name} {version(name)}\n".encode())
    return digest.hexdigest()
