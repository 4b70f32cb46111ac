"""A copy of a home in a folder of backups, taken while the home is in use.

The database comes first, then the files it names: files are only ever added, so every file that
the copied database speaks of is there when it is copied. The manifest comes last and makes it count.
"""

import fcntl
import os
import platform
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from core.clock import utc_text
from core.errors import Conflict, CoreError, InvalidInput, NotFound
from core.progress import Progress, Silent, stop_if_asked
from core.settings import Settings
from core.store.copying import (
    Altered,
    Unreadable,
    copy_database,
    copy_file,
    file_size,
    hash_file,
    make_folder,
    sync_folders,
    write_private,
)
from core.store.database import check_whole, connect
from core.store.files import Files, Shelf
from core.store.generations import (
    HOME_FILES,
    MANIFEST,
    Generation,
    Manifest,
    StoredFile,
    choose_kept,
    file_path,
    generation_name,
    generations_folder,
    list_generations,
    manifest_text,
)
from core.store.migrating import count_rows

DATABASE_NAME = "readroom.db"
CONTENT_ADDRESSED: tuple[Shelf, ...] = ("pixels", "models", "headers", "masks")
# What the database needs, and what is made anew where it is missing.
NEEDED = """
    SELECT DISTINCT 'pixels', pixel_hash, 1 FROM cases
    UNION SELECT 'models', keras_hash, 1 FROM models
    UNION SELECT 'models', onnx_hash, 1 FROM models WHERE onnx_hash IS NOT NULL
    UNION SELECT 'models', json_extract(source.value, '$.hash'), 1 FROM runs, json_each(told, '$.sources') AS source
    UNION SELECT 'headers', header_hash, 1 FROM instance_headers
    UNION SELECT 'masks', mask_hash, 1 FROM snapshot_masks
    UNION SELECT 'masks', mask_hash, 1 FROM predicted_masks
    UNION SELECT 'thumbnails', pixel_hash, 0 FROM cases
    UNION SELECT 'explanations', json_extract(result, '$.explanation'), 0 FROM jobs
        WHERE kind = 'explain' AND json_extract(result, '$.explanation') IS NOT NULL
    ORDER BY 1, 2"""
FAULTS_TOLD = 3


@dataclass(frozen=True)
class BackupMade:
    """A generation that was finished. `faults` are what the home lacked; without any the backup is good."""

    generation: str
    files: int
    copied: int
    bytes_copied: int
    faults: tuple[str, ...]
    warnings: tuple[str, ...]  # about older generations
    removed: tuple[str, ...]  # generations that are kept no longer
    audit_head: str

    @property
    def error(self) -> str | None:
        """Why it is not good, in a sentence."""
        if not self.faults:
            return None
        told = " ".join(self.faults[:FAULTS_TOLD])
        more = f" And {len(self.faults) - FAULTS_TOLD} more." if len(self.faults) > FAULTS_TOLD else ""
        return f"The backup {self.generation} is incomplete; mend what it names. Received: {told}{more}"


def make_backup(
    settings: Settings,
    out: Path,
    *,
    verify: bool = False,
    progress: Progress | None = None,
    now: datetime | None = None,
) -> BackupMade:
    """Add a generation to the folder `out`; files that it holds already, by name and size, are not copied again.

    Args:
        verify: read every file of the backup and check its hash; one that rotted is copied again.

    Raises:
        NotFound: there is no home to copy.
        InvalidInput: `out` lies inside the home or is a file.
        Conflict: another backup is being written there.
        CoreError: `out` cannot be written.
        Stopped: it was asked to stop; nothing is left of it but files, which the next one need not copy.
    """
    if not settings.database_path.exists():
        raise NotFound("home", settings.home)
    if out == settings.home or settings.home in out.parents or out.is_file():
        raise InvalidInput(f"Name a folder outside the home for the backup. Received: {out}")
    try:
        for folder in (out, generations_folder(out), out / "files"):
            make_folder(folder)
        with _one_at_a_time(out):
            return _Making(settings, out, now or datetime.now(UTC), progress or Silent()).make(verify=verify)
    except (OSError, sqlite3.OperationalError) as error:
        raise CoreError(
            f"The backup could not be written. Make room or mend the folder, then try again. Received: {out} ({error})"
        ) from error
    except sqlite3.DatabaseError as error:
        raise _damaged(settings, str(error)) from error


def _damaged(settings: Settings, said: str) -> CoreError:
    return CoreError(
        f"The database is damaged, so no backup was made of it; restore the last good one into another home. "
        f"Received: {settings.database_path} ({said})"
    )


class _Making:
    """One generation on its way."""

    def __init__(self, settings: Settings, out: Path, now: datetime, progress: Progress) -> None:
        self._settings, self._out, self._now, self._progress = settings, out, now, progress
        self._files = Files(settings.home)
        self._older, self._warnings = list_generations(out)
        self._known = {(file.shelf, file.name): file for one in self._older[:1] for file in one.manifest.files}
        self._faults: list[str] = []
        self._copied = self._bytes = 0

    def make(self, *, verify: bool) -> BackupMade:
        folder = self._new_folder()
        try:
            manifest = self._copy_all(folder, verify=verify)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        sync_folders([folder / DATABASE_NAME, *(file_path(self._out, file.key) for file in manifest.files)])
        write_private(folder / MANIFEST, manifest_text(manifest).encode())
        made = Generation(folder, manifest)
        if verify:
            self._check_older({file.key for file in manifest.files})
        removed: tuple[str, ...] = ()
        try:
            removed = self._remove_old([made, *self._older])
        except OSError as error:  # this one is finished and good all the same
            self._warnings.append(f"Older backups could not be cleared away: {error}")
        return BackupMade(
            generation=made.name,
            files=len(manifest.files),
            copied=self._copied,
            bytes_copied=self._bytes,
            faults=manifest.faults,
            warnings=tuple(self._warnings),
            removed=removed,
            audit_head=manifest.audit_head,
        )

    def _new_folder(self) -> Path:
        """A folder of a name that no other generation has; what a killed backup left is cleared away first."""
        for left in generations_folder(self._out).iterdir():
            if not (left / MANIFEST).exists():
                shutil.rmtree(left, ignore_errors=True)
        folder = generations_folder(self._out) / generation_name(self._now)
        while folder.exists():  # a clock that was set back
            folder = folder.with_name(f"{folder.name}-again")
        make_folder(folder)
        return folder

    def _copy_all(self, folder: Path, *, verify: bool) -> Manifest:
        self._progress.report(0.0, "Copying the database")
        with closing(connect(self._settings)) as source:
            copy_database(source, folder / DATABASE_NAME)
        with closing(sqlite3.connect(folder / DATABASE_NAME)) as copy:
            said = check_whole(copy)
            if said != "ok":
                raise _damaged(self._settings, said)
            needed = [(row[0], row[1], bool(row[2])) for row in copy.execute(NEEDED)]
            rows = count_rows(copy)
            head = copy.execute("SELECT hash FROM audit_head").fetchone()[0]
            steps = tuple(row[0] for row in copy.execute("SELECT name FROM _sqlite_migrations ORDER BY rowid"))
        files = []
        for at, (shelf, name, required) in enumerate(needed):
            stop_if_asked(self._progress)
            self._progress.report(at / len(needed), f"Copying files, {at:,} of {len(needed):,}")
            stored = self._store(shelf, name, required=required, verify=verify)
            if stored:
                files.append(stored)
        return Manifest(
            number=1 + max((one.manifest.number for one in self._older), default=0),
            made_at=utc_text(self._now),
            files=tuple(files),
            home_files=self._copy_home_files(folder),
            audit_head=head,
            rows=rows,
            steps=steps,
            versions={
                "readroom": metadata.version("readroom"),
                "python": platform.python_version(),
                "sqlite": sqlite3.sqlite_version,
            },
            faults=tuple(self._faults),
        )

    def _store(self, shelf: Shelf, name: str, *, required: bool, verify: bool) -> StoredFile | None:
        """Bring one file into the backup, unless it is there; a fault is kept and the others go on."""
        try:
            return self._stored(shelf, name, verify=verify)
        except Unreadable:
            what = "is missing or cannot be read"
        except Altered:
            what = "was altered on disk"
        if required:
            self._faults.append(f"{shelf} {name} {what}.")
        return None

    def _stored(self, shelf: Shelf, name: str, *, verify: bool) -> StoredFile:
        source, known = self._files.path(shelf, name), self._known.get((shelf, name))
        if known and shelf not in CONTENT_ADDRESSED and file_size(source) != known.size:
            known = None  # it was made anew
        if known and self._has(known, verify=verify):
            return known  # even where the home has lost it
        sha256 = name if shelf in CONTENT_ADDRESSED else hash_file(source)
        stored = StoredFile(shelf, name, sha256, file_size(source))
        if self._has(stored, verify=verify):
            return stored
        _, size = copy_file(source, file_path(self._out, stored.key), expected=sha256)
        self._copied, self._bytes = self._copied + 1, self._bytes + size
        return StoredFile(shelf, name, sha256, size)

    def _has(self, stored: StoredFile, *, verify: bool) -> bool:
        path = file_path(self._out, stored.key)
        try:
            return file_size(path) == stored.size and not (verify and hash_file(path) != stored.sha256)
        except Unreadable:
            return False

    def _copy_home_files(self, folder: Path) -> dict[str, dict[str, object]]:
        database = folder / DATABASE_NAME
        told: dict[str, dict[str, object]] = {
            DATABASE_NAME: {"size": file_size(database), "sha256": hash_file(database)}
        }
        for name in HOME_FILES:
            if name == DATABASE_NAME or not (self._settings.home / name).exists():
                continue
            try:
                sha256, size = copy_file(self._settings.home / name, folder / name)
            except Unreadable:
                self._faults.append(f"{name} cannot be read.")
            else:
                told[name] = {"size": size, "sha256": sha256}
        return told

    def _check_older(self, checked: set[tuple[str, str]]) -> None:
        """Check what only older generations need."""
        for one in self._older:
            for file in one.manifest.files:
                if file.key in checked:
                    continue
                checked.add(file.key)
                stop_if_asked(self._progress)
                if not self._has(file, verify=True):
                    self._warnings.append(f"{one.name} lacks {file.shelf} {file.name}, or it is damaged.")

    def _remove_old(self, generations: list[Generation]) -> tuple[str, ...]:
        """Remove generations that are kept no longer, then the files that none of the others needs.

        A file of an erased patient goes here at the latest, with the last generation that needs it.
        """
        if self._warnings:  # an unreadable manifest may need any file
            return ()
        kept = choose_kept(generations, self._now, self._settings)
        removed = [one for one in generations if one.name not in kept]
        for one in removed:
            (one.folder / MANIFEST).unlink()  # from here on it does not count
            shutil.rmtree(one.folder)
        needed = {
            file_path(self._out, file.key) for one in generations if one.name in kept for file in one.manifest.files
        }
        for path in (self._out / "files").glob("*/*/*"):
            if path not in needed:
                path.unlink()
        return tuple(one.name for one in removed)


@contextmanager
def _one_at_a_time(out: Path) -> Iterator[None]:
    handle = os.open(out / "backup.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with suppress(OSError):  # a network file system without locks must do without
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(
                    f"Another backup is being written there; wait until it has ended. Received: {out}"
                ) from None
        yield
    finally:
        os.close(handle)
