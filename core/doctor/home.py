"""The home: who can read it, its database, its files, its audit and its last backup."""

import sqlite3
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.doctor.findings import Finding
from core.errors import CoreError, some_of
from core.people.homes import enter_home
from core.progress import Progress, Silent
from core.settings import Settings
from core.store.audit import last_check, verify_audit
from core.store.backups import last_good_backup
from core.store.database import check_whole, opened
from core.store.files import Files
from core.store.migration_names import MIGRATION_NAMES
from core.store.stock import Stored, check_stored, list_stored, name_owners

SAMPLE = 50
MOST_NAMES = 5
PART_SECONDS = 3600  # a younger one may be written just now
BACKUP_HOURS = 48
REMEDY_RESTORE = "Restore it from a backup: readroom restore IN --home NEW"


def look_at_home(settings: Settings) -> Finding:
    try:
        enter_home(settings)
    except CoreError as error:
        return Finding("home", False, str(error), "Mend what the sentence names, then look again.", "data")
    newest = MIGRATION_NAMES[-1]
    return Finding("home", True, f"{settings.home}, version {len(MIGRATION_NAMES)} ({newest})", group="data")


def look_at_permissions(settings: Settings) -> Finding:
    if not settings.home.is_dir():
        return Finding("permissions", False, "There is no home yet.", "Mend the home first.", "data")
    if not _is_open(settings.home):
        return Finding("permissions", True, "only its owner gets into the home", group="data")
    named = [str(path.relative_to(settings.home)) for path in _walk(settings.home) if _is_open(path)]
    told = f"other users of this machine can look into the home; {_counted(named, 'file is', 'files are')} open to them"
    return Finding("permissions", False, told, f"Run: chmod 700 {settings.home}", "data")


def look_at_database(settings: Settings) -> Finding:
    if not settings.database_path.exists():
        return Finding("database", False, "There is none.", "Mend the home first.", "data")
    try:
        with opened(settings) as connection:
            said = check_whole(connection)
    except sqlite3.DatabaseError as error:
        said = str(error)
    if said == "ok":
        return Finding("database", True, f"whole, SQLite {sqlite3.sqlite_version}", group="data")
    return Finding("database", False, said, REMEDY_RESTORE, "data")


def look_at_leftovers(settings: Settings) -> Finding:
    old = time.time() - PART_SECONDS
    named = [
        str(path.relative_to(settings.home))
        for path in _walk(settings.home)
        if path.suffix == ".part" and path.stat().st_mtime < old
    ]
    if not named:
        return Finding("leftovers", True, "no file was left half-written", group="data")
    told = f"{_counted(named, 'file was', 'files were')} left half-written by a process that was killed"
    return Finding("leftovers", False, told, "Nothing needs them: delete them.", "data")


def look_at_files(settings: Settings, *, every: bool = False, progress: Progress | None = None) -> Finding:
    """Whether the pixels and models that the database names are there and unaltered: a sample, or every one."""
    files = Files(settings.home)
    with opened(settings) as connection:
        stored = list_stored(connection, sample=None if every else SAMPLE)
        bad = check_stored(files, stored, progress or Silent())
        told = [f"{_say(connection, item)} {fault}" for item, fault in bad[:MOST_NAMES]]
    if len(bad) > MOST_NAMES:
        told.append(f"{len(bad) - MOST_NAMES} more")
    looked = f"{len(stored)} files" if every else f"a sample of {len(stored)} files"
    if not bad:
        more = "" if every else "; `readroom doctor --files` looks at every one"
        return Finding("stored files", True, f"{looked} compared with their sums, all unaltered{more}", group="data")
    return Finding("stored files", False, f"{len(bad)} of {looked} are bad: {'; '.join(told)}", REMEDY_RESTORE, "data")


def look_at_audit(settings: Settings) -> Finding:
    with opened(settings) as connection:
        check, seen = verify_audit(connection), last_check(connection)
    if not check.is_whole:
        mend = "Compare with a backup (readroom audit verify --head) and ask who can write the home's files."
        return Finding("audit", False, " ".join(check.faults[:MOST_NAMES]), mend, "data")
    when = f"checked by a person last on {seen.at[:10]}" if seen else "never checked by a person yet"
    return Finding("audit", True, f"the chain of {check.rows} rows is whole; {when}", group="data")


def look_at_backup(settings: Settings) -> Finding:
    with opened(settings) as connection:
        last = last_good_backup(connection)
    nightly = "Set backup_folder in settings.toml for one each night, or run: readroom backup FOLDER"
    if last is None or last.finished_at is None:
        return Finding("backup", False, "there is no good backup yet", nightly, "data")
    age = datetime.now(UTC) - datetime.fromisoformat(last.finished_at)
    told = f"the last good one ended {last.finished_at[:16].replace('T', ' ')} UTC in {last.folder}"
    if age > timedelta(hours=BACKUP_HOURS):
        return Finding("backup", False, f"{told}, {age.days} days ago", nightly, "data")
    if not Path(last.folder).is_dir():
        return Finding("backup", False, f"{told}, and that folder is not there now", "Bring the folder back.", "data")
    return Finding("backup", True, told, group="data")


def _say(connection: sqlite3.Connection, item: Stored) -> str:
    return f"{item.shelf}/{item.content_hash[:12]} ({', '.join(name_owners(connection, item, MOST_NAMES))})"


def _is_open(path: Path) -> bool:
    try:
        return bool(path.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)) and not path.is_symlink()
    except FileNotFoundError:
        return False


def _walk(home: Path) -> Iterator[Path]:
    """Every file; one that goes away meanwhile is no fault."""
    for path in home.rglob("*"):
        try:
            if path.is_file():
                yield path
        except OSError:
            continue


def _counted(named: list[str], one: str, many: str) -> str:
    names = f" ({some_of(sorted(named), MOST_NAMES)})" if named else ""
    return f"{len(named)} {one if len(named) == 1 else many}{names}"
