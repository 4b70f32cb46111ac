"""Bringing a database to this version: under a lock, after a copy was kept, all steps or none; and its rehearsal."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.errors import Conflict, CoreError, NotFound, Unavailable
from core.settings import Settings
from core.store.copying import copy_database
from core.store.locks import is_held
from core.store.migration_names import MIGRATION_NAMES
from core.store.troubles import find_remedy

BUSY_SECONDS = 30
COPIES_KEPT = 3
# Whoever holds one of these was started before this process and may be of the version before.
SERVING_LOCKS = ("up.lock", "worker.lock")


@dataclass(frozen=True)
class Migration:
    """What a migration did, or in a rehearsal would do. `rows` is table by table, before and after."""

    steps: tuple[str, ...]
    copy_kept: Path | None
    rows: dict[str, tuple[int | None, int | None]]


def migrate_database(settings: Settings) -> Migration:
    """Apply the steps that are missing, in one transaction. Whoever calls holds the home's migration lock.

    Raises:
        Conflict: steps are missing, and Readroom still serves this home.
        Unavailable: the disk or another program stood in the way; nothing was changed.
        CoreError: the home was written by a newer Readroom, or a step failed; then nothing was changed.
    """
    with _connected(settings.database_path) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
        steps = missing_steps(raw, settings.home)
        if not steps:
            return Migration((), None, {})
        kept = None
        if _tables(raw):
            _refuse_while_served(settings)
            kept = _keep_copy(raw, settings, steps[0])
        before = count_rows(raw)
        try:
            _apply(raw)
        except Exception as error:
            if remedy := find_remedy(error):
                raise Unavailable(
                    f"{remedy} The home was left as it was. Received: {settings.home} ({error})"
                ) from error
            where = f" The copy {kept} is not needed: the database is as it was." if kept else ""
            raise CoreError(
                f"The home could not be brought to this version and was left as it was.{where} Use the Readroom "
                f"from before, and report this. Received: {', '.join(steps)}: {error}"
            ) from error
        return Migration(steps, kept, _compared(before, count_rows(raw)))


def rehearse_migration(settings: Settings) -> Migration:
    """Do on a passing copy what `migrate_database` would do, and check the copy afterwards; the home stays as it is.

    Raises:
        NotFound: there is no home.
        Unavailable: the disk for passing files has no room for the copy, or another program holds the database.
        CoreError: a step failed, or the copy is damaged or has rows that refer to nothing.
    """
    if not settings.database_path.exists():
        raise NotFound("home", settings.home)
    try:
        with tempfile.TemporaryDirectory(prefix="readroom-") as folder:
            return _rehearse_on(Path(folder) / "rehearsal.db", settings)
    except (OSError, sqlite3.OperationalError) as error:
        if find_remedy(error) is None:
            raise
        held = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_BUSY
        told = (
            find_remedy(error)
            if held
            else (
                "The rehearsal works on a copy in the folder for passing files, which could not be written; make room "
                "there, or name another folder in TMPDIR."
            )
        )
        raise Unavailable(f"{told} The home was not touched. Received: {tempfile.gettempdir()} ({error})") from error


def _rehearse_on(copy: Path, settings: Settings) -> Migration:
    with _connected(settings.database_path) as raw:
        steps = missing_steps(raw, settings.home)
        copy_database(raw, copy)
    with _connected(copy) as raw:
        before = count_rows(raw)
        try:
            _apply(raw)
            said = raw.execute("PRAGMA integrity_check").fetchone()[0]
            if said != "ok":
                raise sqlite3.DatabaseError(said)
        except Exception as error:
            if find_remedy(error):  # the disk's fault and not the step's
                raise
            raise CoreError(
                f"The rehearsal failed; the home was not touched. Stay with the Readroom from before, and report "
                f"this. Received: {', '.join(steps) or 'no steps'}: {error}"
            ) from error
        return Migration(steps, None, _compared(before, count_rows(raw)))


def missing_steps(raw: sqlite3.Connection, home: Path) -> tuple[str, ...]:
    """The steps that this version has and the database has not.

    Raises:
        CoreError: the database has steps that this version does not know.
    """
    done = _applied(raw)
    if unknown := done - {*MIGRATION_NAMES}:
        raise CoreError(
            f"This home was written by a newer Readroom. Update Readroom, or choose another home with --home. "
            f"Received: {home} with {', '.join(sorted(unknown))}"
        )
    return tuple(name for name in MIGRATION_NAMES if name not in done)


def _applied(raw: sqlite3.Connection) -> set[str]:
    """What sqlite-utils wrote down of the steps it has applied."""
    if "_sqlite_migrations" not in _tables(raw):
        return set()
    return {row[0] for row in raw.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = 'readroom'")}


def count_rows(raw: sqlite3.Connection) -> dict[str, int]:
    """How many rows each table has."""
    return {name: int(raw.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0]) for name in _tables(raw)}


def copies_kept(settings: Settings) -> list[Path]:
    """The copies that were made before migrations, newest first."""
    return sorted(_copies_folder(settings).glob("before-*.db"), key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _apply(raw: sqlite3.Connection) -> None:
    """All missing steps or none: each is a savepoint inside one transaction, which takes the write lock first."""
    # Only here, where there is something to apply: see `migration_names`.
    from sqlite_utils import Database

    from core.store.migrations import migrations

    raw.execute("BEGIN IMMEDIATE")
    try:
        migrations.apply(Database(raw))
        loose = raw.execute("PRAGMA foreign_key_check").fetchone()
        if loose:
            raise sqlite3.IntegrityError(
                f"row {loose[1]} of {loose[0]} refers to a row of {loose[2]} that is not there"
            )
    except BaseException:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise
    raw.execute("COMMIT")


def _keep_copy(raw: sqlite3.Connection, settings: Settings, step: str) -> Path:
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S-%fZ")
    kept = _copies_folder(settings) / f"before-{step}-{moment}.db"
    copy_database(raw, kept)
    for old in copies_kept(settings)[COPIES_KEPT:]:
        old.unlink(missing_ok=True)
    return kept


def _copies_folder(settings: Settings) -> Path:
    return settings.home / "backups"


def _refuse_while_served(settings: Settings) -> None:
    for name in SERVING_LOCKS:
        if is_held(settings.home / name):
            raise Conflict(
                f"This home is still served by a Readroom of the version before. Stop it (readroom up, or the process "
                f"core.jobs.worker), then try again. Received: {settings.home / name} is held"
            )


def _tables(raw: sqlite3.Connection) -> list[str]:
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
    )
    return [row[0] for row in raw.execute(query)]


def _compared(before: dict[str, int], after: dict[str, int]) -> dict[str, tuple[int | None, int | None]]:
    return {name: (before.get(name), after.get(name)) for name in sorted({*before, *after})}


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    raw = sqlite3.connect(path, timeout=BUSY_SECONDS)
    try:
        yield raw
    finally:
        raw.close()
