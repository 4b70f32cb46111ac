"""Odd series that wait on the server for somebody's word, and their files, which stay until it is spoken.

A browser sends a file again when it is asked to. A modality does not, and a study that was pulled is looked for in the
project and not on the PACS: of these, what waits never goes by age.
"""

import secrets
import shutil
import sqlite3
from pathlib import Path

from core.jobs.records import Job, State, list_jobs, list_undecided
from core.settings import Settings

RECEIVED = "received-"  # how folders begin in which a study of a modality lies
PULLED = "pulled-"  # and those with what a pull let wait
TABLE = "table-"  # and those of a label table that was uploaded by itself
TABLE_UPLOAD = "table_upload"  # the argument of an import that names such a folder


def uploads_folder(settings: Settings) -> Path:
    """Where uploads lie until they are imported."""
    return settings.home / "uploads"


def new_upload(settings: Settings, prefix: str, project_id: int) -> Path:
    """A folder for what comes by itself, not made yet; of a name that tells nothing but where it came from
    (`RECEIVED`, `PULLED`) and its project."""
    return uploads_folder(settings) / f"{prefix}{project_id}-{secrets.token_hex(8)}"


def table_upload_of(settings: Settings, labels: str | None) -> str | None:
    """The folder of a label table that was uploaded by itself; None of any other table. Unlike the table's own name it
    tells nothing, so that it may stand in a job's row."""
    folder = Path(labels).resolve().parent if labels else None
    inside = folder is not None and folder.parent == uploads_folder(settings).resolve()
    return str(folder) if folder and inside and folder.name.startswith(TABLE) else None


def drop_table(connection: sqlite3.Connection, settings: Settings, job: Job) -> None:
    """Take away the label table that was uploaded for a job, which needs it no longer, unless another import does: one
    that is not over, or that refused something or let it wait and may be tried again."""
    folder = _table_of(job)
    if not folder or table_upload_of(settings, f"{folder}/any") != folder:
        return
    alike = {one.id: one for one in list_jobs(connection, kinds=("import",), limit=-1) if _table_of(one) == folder}
    before = job
    while before.id in alike:  # what this attempt is a further one of needs nothing that this one does not
        del alike[before.id]
        before = alike.get(int((before.arguments.get("again") or {}).get("job") or 0), before)
    if not any(map(_may_need_again, alike.values())):
        shutil.rmtree(folder, ignore_errors=True)


def _table_of(job: Job) -> str | None:
    folder: str | None = job.arguments.get(TABLE_UPLOAD)
    return folder


def _may_need_again(job: Job) -> bool:
    result = job.result or {}
    beside = [result.get(kind) or {} for kind in ("masks", "boxes")]
    return job.state != "done" or any(told.get(what) for told in (result, *beside) for what in ("failed", "waiting"))


def upload_left(settings: Settings, job: Job) -> Path | None:
    """The folder with what is left of a job's upload; None where nothing is, or where it was no upload."""
    given = job.arguments.get("remove_after")
    folder = Path(given).resolve() if given else None
    inside = folder is not None and uploads_folder(settings).resolve() in folder.parents
    return folder if folder and inside and folder.is_dir() else None


def stays_until_decided(folder: Path) -> bool:
    """Whether what waits in a folder came by itself, so that it does not go by age."""
    return folder.name.startswith((RECEIVED, PULLED))


def list_waiting(connection: sqlite3.Connection, settings: Settings, project: int) -> list[Job]:
    """The imports and pulls of a project whose odd series lie on the server and wait for somebody's word."""
    return [job for job in list_undecided(connection, project=project) if upload_left(settings, job) is not None]


def folders_needed(connection: sqlite3.Connection) -> list[Path]:
    """What must not go by age: what an import is going to read, and what came by itself and was not decided upon."""
    not_done: tuple[State, ...] = ("queued", "running", "failed", "stopped")
    unfinished = list_jobs(connection, kinds=("import", "pull"), states=not_done, limit=-1)  # however many
    active = [job for job in unfinished if job.is_active]
    keys = ("remove_after", "labels", TABLE_UPLOAD)
    named = [Path(place) for job in active for key in keys if (place := job.arguments.get(key))]
    waiting = [*list_undecided(connection), *(job for job in unfinished if not job.is_active)]
    folders = [Path(place) for job in waiting if (place := job.arguments.get("remove_after"))]
    return [*named, *(folder for folder in folders if stays_until_decided(folder))]
