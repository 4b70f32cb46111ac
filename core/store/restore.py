"""The way back: an empty home filled from a folder of backups, every hash checked on the way.

The database comes last: a restore that is cut short leaves a home that is still empty, and can be repeated.
"""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from core.clock import utc_now
from core.errors import CoreError, InvalidInput, NotFound
from core.settings import Settings
from core.store.backup import CONTENT_ADDRESSED, DATABASE_NAME
from core.store.copying import Altered, Unreadable, copy_file, file_size, hash_file, make_folder, sync_folders
from core.store.database import check_whole, prepare_home
from core.store.files import SUFFIX, Files
from core.store.generations import (
    HOME_FILES,
    SHELVES,
    Generation,
    StoredFile,
    file_path,
    generations_folder,
    list_generations,
    read_manifest,
)
from core.store.migrating import missing_steps
from core.store.migration_names import MIGRATION_NAMES

FAULTS_TOLD = 3
LOGS = ("-wal", "-journal")  # beside a database, what SQLite takes for its newest pages
NOTE = "Stopped when the home was restored from a backup. Resume it if it is still wanted."


@dataclass(frozen=True)
class Restored:
    """A home that was filled. `said` are sentences for whoever asked; `audit_head` is what the backup noted."""

    generation: str
    files: int
    lacking: tuple[str, ...]
    said: tuple[str, ...]
    audit_head: str | None


def restore_backup(
    source: Path, settings: Settings, *, generation: str | None = None, even_damaged: bool = False
) -> Restored:
    """Fill an empty home from a folder of backups: from the newest complete generation, or the one named.

    Args:
        even_damaged: where files are missing or damaged, leave them out and name them instead of refusing.

    Raises:
        NotFound: the folder holds no backup, or none of this name.
        InvalidInput: the home is not empty, so that nothing is ever overwritten.
        CoreError: the backup is damaged, incomplete or of a newer Readroom, or the home cannot be written.
    """
    if settings.database_path.exists():
        raise InvalidInput(f"Restore into an empty home; choose one with --home. Received: {settings.home}")
    for end in LOGS:
        log = settings.database_path.with_name(f"{DATABASE_NAME}{end}")
        if log.exists():
            raise InvalidInput(
                f"Restore into an empty home; choose one with --home, or move this log away, which a database that is "
                f"gone has left and SQLite would write into the restored one. Received: {log}"
            )
    try:
        return _restore(source, settings, generation, even_damaged=even_damaged)
    except OSError as error:
        raise CoreError(
            f"The home could not be written. Make room or mend the folder, then restore again. "
            f"Received: {settings.home} ({error})"
        ) from error


def _restore(source: Path, settings: Settings, generation: str | None, *, even_damaged: bool) -> Restored:
    generations, unusable = list_generations(source)
    if not generations and not unusable and generation is None and (source / DATABASE_NAME).is_file():
        return _restore_plain_folder(source, settings, even_damaged=even_damaged)
    chosen, said = _choose(source, generations, unusable, generation)
    manifest = chosen.manifest
    newer = set(manifest.steps) - {*MIGRATION_NAMES}
    if newer:
        raise CoreError(
            f"This backup was made by a newer Readroom; update Readroom first. Received: {chosen.name} with "
            f"{', '.join(sorted(newer))}"
        )
    places = [(file, file_path(source, file.key)) for file in manifest.files]
    make_folder(settings.home)
    lacking = [*manifest.faults, *_copy_files(places, settings, even_damaged=even_damaged)]
    for name in HOME_FILES:
        if name in manifest.home_files and name != DATABASE_NAME:
            _copy_checked(chosen.folder / name, settings.home / name, str(manifest.home_files[name]["sha256"]))
    said += _switch_off_nightly(settings.home / "settings.toml")
    _bring_database(chosen.folder / DATABASE_NAME, settings, expected=str(manifest.home_files[DATABASE_NAME]["sha256"]))
    return Restored(chosen.name, len(manifest.files), tuple(lacking), tuple(said), manifest.audit_head)


def _choose(
    source: Path, generations: list[Generation], unusable: list[str], wanted: str | None
) -> tuple[Generation, list[str]]:
    """The generation to restore, and what to say of newer ones that are passed over."""
    if wanted is not None:
        found = [one for one in generations if one.name == wanted]
        if found:
            return found[0], []
        folder = generations_folder(source) / Path(wanted).name
        if folder.is_dir():
            with suppress(FileNotFoundError):
                read_manifest(folder)  # says what is wrong with it
            raise CoreError(f"This backup was never finished; choose another with --generation. Received: {wanted}")
        known = ", ".join(one.name for one in generations) or "none"
        raise CoreError(f"There is no backup of this name; there are: {known}. Received: {wanted}")
    complete = [one for one in generations if one.manifest.is_complete]
    if not complete:
        if not generations and not unusable:
            raise NotFound("backup in", source)
        names = ", ".join(one.name for one in generations)
        remedy = f"Restore an incomplete one with --generation: {names}." if names else " ".join(unusable)
        raise CoreError(f"No backup here is complete. {remedy} Received: {source}")
    passed = [one for one in generations if one.manifest.number > complete[0].manifest.number]
    said = [
        f"A newer backup, {one.name}, is incomplete ({len(one.manifest.faults)} files) and was passed over; "
        f"restore it with --generation {one.name} where its labels matter more."
        for one in passed
    ]
    return complete[0], said + unusable


def _copy_files(places: Iterable[tuple[StoredFile, Path]], settings: Settings, *, even_damaged: bool) -> list[str]:
    """Copy what the home lacks; the answer names what could not be copied."""
    files, lacking = Files(settings.home), list[str]()
    for file, place in places:
        goal = files.path(file.shelf, file.name)
        try:
            # A restore that was cut short left this one; it is trusted no further than any other.
            if not goal.exists() or hash_file(goal) != file.sha256:
                copy_file(place, goal, expected=file.sha256)
        except Unreadable:
            lacking.append(f"{file.shelf} {file.name} is missing from the backup or cannot be read.")
        except Altered:
            lacking.append(f"{file.shelf} {file.name} was altered in the backup.")
    sync_folders(goal for file, _ in places if (goal := files.path(file.shelf, file.name)).exists())
    if lacking and not even_damaged:
        more = f" And {len(lacking) - FAULTS_TOLD} more." if len(lacking) > FAULTS_TOLD else ""
        raise CoreError(
            f"The backup is damaged. Choose another with --generation, or restore what is whole with --even-damaged. "
            f"Received: {' '.join(lacking[:FAULTS_TOLD])}{more}"
        )
    return lacking


def _copy_checked(place: Path, goal: Path, expected: str | None) -> None:
    try:
        copy_file(place, goal, expected=expected)
    except (Altered, Unreadable) as error:
        raise CoreError(
            f"This backup is damaged: {place.name} is missing or was altered; choose another with --generation. "
            f"Received: {place}"
        ) from error


def _bring_database(place: Path, settings: Settings, *, expected: str | None) -> None:
    """Check the database beside its place, settle its jobs, close its doors, and only then give it its name."""
    part = settings.home / f"{DATABASE_NAME}.restored"
    _copy_checked(place, part, expected)
    try:
        with closing(sqlite3.connect(part)) as copy:
            copy.row_factory = sqlite3.Row
            missing_steps(copy, settings.home)  # refuses what a newer Readroom wrote
            said = check_whole(copy)
            if said != "ok":
                raise sqlite3.DatabaseError(said)
            # Nobody wants a restored home to train or to back itself up unasked.
            copy.execute(
                """UPDATE jobs SET state = 'stopped', stop_requested = 1, note = ?, finished_at = ?
                   WHERE state IN ('queued', 'running')""",
                (NOTE, utc_now()),
            )
            # Who signed out or used a link since the backup was made must not come in by it again.
            copy.execute("DELETE FROM sessions")
            copy.execute("UPDATE sign_in_tokens SET used_at = ? WHERE used_at IS NULL", (utc_now(),))
            copy.commit()
    except sqlite3.DatabaseError as error:
        part.unlink(missing_ok=True)
        raise CoreError(
            f"The database of this backup is damaged; choose another with --generation. Received: {place} ({error})"
        ) from error
    part.replace(settings.database_path)
    sync_folders([settings.database_path])
    prepare_home(settings)


def _switch_off_nightly(path: Path) -> list[str]:
    """A restored home must not write into the backups of the home it came from until somebody says so."""
    if not path.exists():
        return []
    text = path.read_text("utf-8")
    changed = re.sub(r"(?m)^(\s*[\"']?backup_folder[\"']?\s*=)", r"# \1", text)
    if changed == text:
        return []
    path.write_text(changed, "utf-8")
    return [f"Nightly backups are switched off in the restored home. Take the # from backup_folder in {path} again."]


def _restore_plain_folder(source: Path, settings: Settings, *, even_damaged: bool) -> Restored:
    """A backup as version 0.1 made it: the home's own folders, with the database at the top."""
    places = []
    for shelf in SHELVES:
        for path in sorted((source / shelf).glob(f"*/*{SUFFIX[shelf]}")):
            name = path.name.removesuffix(SUFFIX[shelf])
            with suppress(ValueError, Unreadable):  # a leftover that is no file of the store
                sha256 = name if shelf in CONTENT_ADDRESSED else hash_file(path)
                places.append((StoredFile(shelf, name, sha256, file_size(path)), path))
    make_folder(settings.home)
    lacking = _copy_files(places, settings, even_damaged=even_damaged)
    for name in HOME_FILES:
        if name != DATABASE_NAME and (source / name).is_file():
            _copy_checked(source / name, settings.home / name, None)
    said = _switch_off_nightly(settings.home / "settings.toml")
    _bring_database(source / DATABASE_NAME, settings, expected=None)
    return Restored("", len(places), tuple(lacking), tuple(said), None)
