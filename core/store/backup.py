"""A copy of a home in a folder, taken while the home is in use, and the way back.

The database comes first, then the files it names: files are only ever added,
so every file that the copied database speaks of is there when it is copied.
"""

import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from core.errors import InvalidInput, NotFound
from core.settings import Settings
from core.store.database import connect, prepare_home

DATABASE_NAME = "readroom.db"
# Prepared training images are left out: they are made anew from the pixels.
KEPT_FOLDERS = ("pixels", "models", "thumbnails", "explanations")
KEPT_FILES = ("secret.key", "settings.toml")


@dataclass(frozen=True)
class Copied:
    """How many files were copied, and how many the target had already."""

    files_copied: int
    files_kept: int


def make_backup(settings: Settings, out: Path) -> Copied:
    """Copy a home into the folder `out`; files that it holds already are not copied again.

    Raises:
        NotFound: there is no home to copy.
        InvalidInput: `out` lies inside the home or is a file.
    """
    if not settings.database_path.exists():
        raise NotFound("home", settings.home)
    if out == settings.home or settings.home in out.parents or out.is_file():
        raise InvalidInput(f"Name a folder outside the home for the backup. Received: {out}")
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = out / f"{DATABASE_NAME}.part"
    part.unlink(missing_ok=True)
    source, target = connect(settings), sqlite3.connect(part)
    try:
        source.backup(target, pages=-1)
        target.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    finally:
        target.close()
        source.close()
    part.replace(out / DATABASE_NAME)
    return _copy_files(settings.home, out)


def restore_backup(source: Path, settings: Settings) -> Copied:
    """Fill an empty home from a backup folder.

    Raises:
        NotFound: the folder holds no backup.
        InvalidInput: the home is not empty, so that nothing is ever overwritten.
    """
    if not (source / DATABASE_NAME).is_file():
        raise NotFound("backup in", source)
    if settings.database_path.exists():
        raise InvalidInput(f"Restore into an empty home; choose one with --home. Received: {settings.home}")
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    copied = _copy_files(source, settings.home)
    # The database comes last: a restore that is cut short leaves a home that is still empty.
    part = settings.home / f"{DATABASE_NAME}.part"
    shutil.copyfile(source / DATABASE_NAME, part)
    part.replace(settings.database_path)
    prepare_home(settings)
    return copied


def _copy_files(source: Path, target: Path) -> Copied:
    copied = kept = 0
    found = [path for folder in KEPT_FOLDERS for path in (source / folder).rglob("*") if path.is_file()]
    found += [source / name for name in KEPT_FILES if (source / name).is_file()]
    for path in found:
        if path.suffix == ".part":
            continue
        goal = target / path.relative_to(source)
        if goal.exists() and path.name not in KEPT_FILES:
            kept += 1
            continue
        goal.parent.mkdir(parents=True, exist_ok=True)
        part = goal.with_name(f"{goal.name}.part")
        shutil.copy2(path, part)
        part.replace(goal)
        copied += 1
    return Copied(copied, kept)
