"""Watched folders: an administrator's choice, kept without its name, and what lies quiet in them comes in once."""

import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np
import pytest
from PIL import Image

from core.errors import InvalidInput, NotAllowed
from core.images.watched_folders import list_news, list_watched, stop_watching, watch_folder
from core.jobs.bodies.import_images import run as import_images
from core.jobs.context import JobContext, job_folder
from core.jobs.records import Job, claim_job, finish_job, list_jobs
from core.jobs.watching import PAUSE_SECONDS, FolderWatcher
from core.people.accounts import ensure_user
from core.progress import Silent
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor, list_audit
from core.store.files import Files

RunJob = Callable[[Job], Mapping[str, Any]]

pytestmark = pytest.mark.usefixtures("read_here")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Doe Jane").mkdir()
    return tmp_path / "Doe Jane"


@pytest.fixture
def run_job(connection: sqlite3.Connection, files: Files, settings: Settings) -> RunJob:
    def run(job: Job) -> Mapping[str, Any]:
        place = job_folder(settings, job.id)
        place.mkdir(parents=True)
        context = JobContext(connection, files, settings, job, place, "cpu", Actor(job.created_by, "job"), Silent())
        return import_images(context)

    return run


def put(path: Path, age: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(len(path.name)).integers(0, 255, (8, 8), np.uint8)).save(path)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_only_an_administrator_has_a_folder_watched_and_its_name_is_stored_nowhere(
    connection: sqlite3.Connection, settings: Settings, project: Project, admin: Actor, folder: Path
) -> None:
    ensure_user(connection, "paul")
    with pytest.raises(NotAllowed):
        watch_folder(connection, settings, project, folder, actor=Actor("paul", "screen"))
    watched = watch_folder(connection, settings, project, folder, every_seconds=5, actor=admin)
    assert (watched.folder, watched.every_seconds, watched.set_by, watched.looked_at) == (folder, 5, "ada", None)
    assert "Doe" not in "\n".join(connection.iterdump())
    stop_watching(connection, project, admin)
    assert list_watched(connection, settings) == []
    assert [row.what for row in list_audit(connection)[:2]] == ["stop watching a folder", "watch a folder"]


@pytest.mark.parametrize("place", ["not/absolute", "/nowhere/at/all", "home"])
def test_what_is_no_folder_to_watch_is_refused(
    place: str, connection: sqlite3.Connection, settings: Settings, project: Project, admin: Actor
) -> None:
    with pytest.raises(InvalidInput, match="Received: "):
        watch_folder(
            connection, settings, project, settings.home if place == "home" else Path(place), actor=admin
        )  # fmt: skip


def test_a_watched_folder_is_imported_once_it_lies_quiet_and_never_twice(
    connection: sqlite3.Connection, settings: Settings, project: Project, admin: Actor, folder: Path
) -> None:
    watch_folder(connection, settings, project, folder, every_seconds=30, quiet_seconds=10, actor=admin)
    now = [0.0]
    watcher = FolderWatcher(settings, monotonic=lambda: now[0])
    put(folder / "a" / "just.png", 1)
    watcher.tick(connection)
    assert not list_jobs(connection), "it is still being written"
    put(folder / "a" / "just.png", 60)
    now[0] = 29
    watcher.tick(connection)
    assert not list_jobs(connection), "it is not due"
    now[0] = 31
    watcher.tick(connection)
    (job,) = list_jobs(connection)
    assert (job.created_by, job.arguments["hold_back"], job.arguments["quiet_seconds"]) == ("ada", "odd", 10)
    assert "Doe" not in str(job.arguments)
    now[0] = 62
    watcher.tick(connection)
    assert len(list_jobs(connection)) == 1, "its import has not ended"
    (watched,) = list_watched(connection, settings)
    assert watched.looked_at
    assert not watched.state


def test_what_an_import_has_met_is_no_news(
    connection: sqlite3.Connection, settings: Settings, project: Project, admin: Actor, folder: Path, run_job: RunJob
) -> None:
    watch_folder(connection, settings, project, folder, every_seconds=30, quiet_seconds=10, actor=admin)
    put(folder / "film.png", 60)
    (folder / "notes.txt").write_text("no image")
    os.utime(folder / "notes.txt", (0, 0))
    now = [0.0]
    watcher = FolderWatcher(settings, monotonic=lambda: now[0])
    watcher.tick(connection)
    claimed = claim_job(connection, "work", "cpu")
    assert claimed
    result = run_job(claimed)
    assert (result["imported"], result["failed"]) == (1, 1)
    finish_job(connection, claimed, "done", result=result)
    (watched,) = list_watched(connection, settings)
    assert list_news(connection, settings, watched, time.time()) == []
    put(folder / "more" / "second.png", 60)
    now[0] = 31
    watcher.tick(connection)
    further = claim_job(connection, "work", "cpu")
    assert further
    assert run_job(further)["imported"] == 1


@pytest.mark.parametrize("state", ["failed", "stopped"])
def test_after_an_import_that_failed_or_was_stopped_no_storm_of_them_follows(
    state: Literal["failed", "stopped"], connection: sqlite3.Connection, settings: Settings, project: Project,
    admin: Actor, folder: Path,
) -> None:  # fmt: skip
    watch_folder(connection, settings, project, folder, every_seconds=30, quiet_seconds=10, actor=admin)
    put(folder / "film.png", 60)
    now = [0.0]
    watcher = FolderWatcher(settings, monotonic=lambda: now[0], clock=lambda: time.time() + now[0])

    def jobs_at(seconds: float) -> int:
        now[0] = seconds
        watcher.tick(connection)
        return len(list_jobs(connection))

    assert jobs_at(0) == 1
    claimed = claim_job(connection, "work", "cpu")
    assert claimed
    finish_job(connection, claimed, state)
    assert [jobs_at(seconds) for seconds in (31, 62, 3000)] == [1, 1, 1]
    told = list_watched(connection, settings)[0].state
    assert f"Received: job {claimed.id}, which " in told
    assert told.endswith(state)
    watch_folder(connection, settings, project, folder, every_seconds=30, quiet_seconds=10, actor=admin)
    assert jobs_at(3031) == 2, "it was set anew"
    again = claim_job(connection, "work", "cpu")
    assert again
    finish_job(connection, again, state)
    assert [jobs_at(seconds) for seconds in (3062, PAUSE_SECONDS + 60)] == [2, 3]


def test_a_file_of_several_volumes_is_no_news_once_it_is_in(
    connection: sqlite3.Connection, settings: Settings, project: Project, admin: Actor, folder: Path, run_job: RunJob
) -> None:
    watch_folder(connection, settings, project, folder, every_seconds=30, quiet_seconds=10, actor=admin)
    values = np.random.default_rng(0).integers(0, 999, (4, 5, 6, 2)).astype(np.int16)
    for at, name in enumerate(("first.nii", "second.nii.gz")):
        nibabel.save(nibabel.Nifti1Image(values + at, np.eye(4)), folder / name)
        os.utime(folder / name, (0, 0))
        (watched,) = list_watched(connection, settings)
        assert [file.path for file in list_news(connection, settings, watched, time.time())] == [name]
        FolderWatcher(settings).tick(connection)
        claimed = claim_job(connection, "work", "cpu")
        assert claimed
        assert run_job(claimed)["imported"] == 2
        finish_job(connection, claimed, "done", result={})
        assert list_news(connection, settings, watched, time.time()) == []


def test_a_folder_that_went_away_and_an_administrator_who_did_are_told(
    connection: sqlite3.Connection, settings: Settings, project: Project, admin: Actor, folder: Path
) -> None:
    watch_folder(connection, settings, project, folder, every_seconds=30, actor=admin)
    now = [0.0]
    watcher = FolderWatcher(settings, monotonic=lambda: now[0])
    put(folder / "film.png", 60)
    connection.execute("UPDATE users SET role = 'reader' WHERE name = 'ada'")
    watcher.tick(connection)
    assert "ada" in list_watched(connection, settings)[0].state
    connection.execute("UPDATE users SET role = 'admin' WHERE name = 'ada'")
    (folder / "film.png").unlink()
    folder.rmdir()
    now[0] = 31
    watcher.tick(connection)
    assert "cannot be read" in list_watched(connection, settings)[0].state
    assert not list_jobs(connection)
