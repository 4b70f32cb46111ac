"""Where files from a PACS come to lie until they are imported, under names that tell nothing.

A study has a folder, a series one in it. A file is there whole or not at all, also after a kill, so that what is
there need not come again.
"""

import os
import shutil
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from core.images.pseudonyms import path_token
from core.settings import Settings
from core.store.folders import keep_only
from core.store.troubles import troubles_named

PREFIX, GOING, IN = "pull-", ".going", ".in"
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Landing:
    """A folder of the home; whoever has the secret finds a study or an instance in it by its UID."""

    folder: Path
    secret: bytes

    def study(self, study: str) -> Path:
        return self.folder / path_token(self.secret, study)

    def file(self, study: str, series: str, instance: str) -> Path:
        return self.study(study) / path_token(self.secret, series) / path_token(self.secret, f"{instance}.dcm")

    @contextmanager
    def receiving(self, study: str, series: str, instance: str) -> Iterator[BinaryIO]:
        """What the bytes of an instance go into; the file is there once the block ends without an error.

        Raises:
            Unavailable: the disk is full, read-only or gone.
        """
        target = self.file(study, series, instance)
        part = target.with_suffix(".part")
        with troubles_named("what comes from a PACS"):
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b") as stream:
                    yield stream
                    stream.flush()
                    os.fsync(stream.fileno())
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)

    def remove(self, study: str) -> None:
        """Take a study away that is in. A kill on the way leaves nothing that looks like a study of fewer images."""
        folder = self.study(study)
        going = folder.with_name(folder.name + GOING)
        folder.with_name(folder.name + IN).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.with_name(folder.name + IN).touch()
        if folder.exists():
            shutil.rmtree(going, ignore_errors=True)
            folder.replace(going)
        shutil.rmtree(going, ignore_errors=True)

    def keep(self, study: str, kept: Path, wanted: AbstractSet[Path]) -> None:
        """Move what waits of a study into the folder `kept`, in a folder of the study's name; the rest goes.

        Args:
            wanted: the files that wait, where they lie in the landing.
        """
        folder, target = self.study(study), kept / self.study(study).name
        inside = {path.resolve().relative_to(folder.resolve()) for path in wanted}
        with troubles_named("what waits of a study"):
            kept.mkdir(parents=True, exist_ok=True, mode=0o700)
            if target.exists():  # of an attempt that was killed between the two; the study came anew since
                shutil.rmtree(target)
            folder.replace(target)
            keep_only(target, lambda path: path.relative_to(target) in inside)

    def is_in(self, study: str) -> bool:
        """Whether a study was taken away because it is in."""
        folder = self.study(study)
        return folder.with_name(folder.name + IN).exists()

    def end(self) -> None:
        """Take everything away."""
        shutil.rmtree(self.folder, ignore_errors=True)


def drop_parts(study: Path) -> None:
    """Take away what a kill left half-written in the folder of a study."""
    for part in study.glob("*/*.part"):
        part.unlink()


def landing_of_job(settings: Settings, secret: bytes, job: int) -> Landing:
    """Where what a job fetches comes to lie."""
    return Landing(settings.home / "imports" / f"{PREFIX}{job}", secret)


def forget_left(settings: Settings, now: float | None = None) -> int:
    """Remove what failed or stopped jobs left and nobody resumed, once it has expired; how many folders went."""
    gone = 0
    oldest = (time.time() if now is None else now) - settings.paths_keep_days * SECONDS_PER_DAY
    for folder in (settings.home / "imports").glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):  # another process does the same
            if max(path.stat().st_mtime for path in (folder, *folder.rglob("*"))) < oldest:
                shutil.rmtree(folder)
                gone += 1
    return gone
