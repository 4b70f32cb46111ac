"""An import that let something wait, or refused it, goes on with just that, from the upload where it was one."""

import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from core.errors import InvalidInput, NotAllowed
from core.images.records import count_cases, list_cases
from core.jobs.asking import ask_import, ask_import_again, find_imports_again, throw_upload_away, upload_left
from core.jobs.bodies.import_images import run as import_images
from core.jobs.context import JobContext, job_folder
from core.jobs.records import Job, claim_job, finish_job, get_job
from core.labels.records import current_labels
from core.people.accounts import ensure_user
from core.progress import Silent
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from tests.core.images.test_dicom_series import a_series
from tests.core.images.test_import_doctor import EVEN, GAP, picture

Done = Callable[[Job], Job]

pytestmark = pytest.mark.usefixtures("read_here")


@pytest.fixture
def done(connection: sqlite3.Connection, files: Files, settings: Settings) -> Done:
    """A queued job, carried out in this process."""

    def carry_out(job: Job) -> Job:
        claimed = claim_job(connection, "work", "cpu")
        assert claimed
        assert claimed.id == job.id
        place = job_folder(settings, job.id)
        place.mkdir(parents=True)
        context = JobContext(connection, files, settings, claimed, place, "cpu", Actor(job.created_by, "job"), Silent())
        finish_job(connection, claimed, "done", result=dict(import_images(context)))
        return get_job(connection, job.id)

    return carry_out


@pytest.fixture
def upload(settings: Settings) -> Path:
    """An uploaded folder: an odd series, an even one, a picture, and a broken one."""
    folder = settings.home / "uploads" / "token0123456789ab" / "files"
    a_series(folder / "odd", GAP, SeriesInstanceUID="1.1")
    a_series(folder / "even", EVEN, SeriesInstanceUID="1.2")
    picture(folder / "film.png", 1)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n-")
    return folder


def given(upload: Path) -> dict[str, Any]:
    return {"remove_after": str(upload.parent), "hold_back": "odd"}


def told(job: Job) -> Mapping[str, Any]:
    return job.result or {}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_of_an_upload_what_waits_or_was_refused_stays_until_it_came_in(
    connection: sqlite3.Connection, settings: Settings, project: Project, admin: Actor, upload: Path, done: Done
) -> None:
    first = done(ask_import(connection, settings, project, [str(upload)], **given(upload), actor=admin))
    assert (told(first)["imported"], told(first)["waiting"], told(first)["failed"]) == (6, 7, 1)
    assert names(upload) == {"broken.png", *(f"00{number}.dcm" for number in range(1, 8))}
    assert not (upload / "even").exists()
    accepted = done(ask_import_again(connection, settings, first, "waiting", actor=admin))
    assert (told(accepted)["imported"], told(accepted)["joined"], told(accepted)["failed"]) == (7, 7, 0)
    assert names(upload) == {"broken.png"}, "what was refused may be tried again"
    shutil.copy(picture(settings.home.parent / "whole.png", 9), upload / "broken.png")
    again = done(ask_import_again(connection, settings, first, "failed", actor=admin))
    assert (told(again)["imported"], told(again)["failed"]) == (1, 0)
    assert not upload.parent.exists()
    assert count_cases(connection, project.id) == 4
    assert [job.id for job in find_imports_again(connection, first)] == [again.id, accepted.id]


def test_a_zip_stays_for_another_attempt_as_long_as_its_label_table_is_needed(
    connection: sqlite3.Connection, settings: Settings, project: Project, admin: Actor, done: Done
) -> None:
    upload = settings.home / "uploads" / "token0123456789ab" / "files"
    whole = picture(settings.home.parent / "whole.png", 9)
    upload.mkdir(parents=True)
    with zipfile.ZipFile(upload / "films.zip", "w") as packed:
        packed.writestr("labels.csv", "path,label\nb.png,normal\n")
    (upload / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n-")
    table = str(upload / "films.zip" / "labels.csv")
    first = done(ask_import(connection, settings, project, [str(upload)], labels=table, **given(upload), actor=admin))
    assert (told(first)["imported"], told(first)["skipped"], told(first)["failed"]) == (0, 1, 1)
    assert names(upload) == {"b.png", "films.zip"}
    shutil.copy(whole, upload / "b.png")
    again = done(ask_import_again(connection, settings, first, "failed", actor=admin))
    assert (told(again)["imported"], told(again)["failed"]) == (1, 0)
    (case,) = list_cases(connection, project.id)
    assert [label.value for label in current_labels(connection, case.id)] == [{"classes": ["normal"]}]


def test_a_look_leaves_the_upload_whole(
    connection: sqlite3.Connection, settings: Settings, project: Project, admin: Actor, upload: Path, done: Done
) -> None:
    before = names(upload)
    more = {**given(upload), "hold_back": "all"}
    looked = done(ask_import(connection, settings, project, [str(upload)], **more, actor=admin))
    assert (told(looked)["imported"], told(looked)["waiting"]) == (0, 14)
    assert names(upload) == before
    chosen = ask_import_again(connection, settings, looked, "waiting", left_out=[1], actor=admin)
    assert told(done(chosen))["cases"] == 2


def test_what_is_left_of_an_upload_can_be_thrown_away(
    connection: sqlite3.Connection, settings: Settings, project: Project, admin: Actor, upload: Path, done: Done
) -> None:
    first = done(ask_import(connection, settings, project, [str(upload)], **given(upload), actor=admin))
    assert upload_left(settings, first) == upload.parent.resolve()
    ensure_user(connection, "paul")
    with pytest.raises(NotAllowed):
        throw_upload_away(connection, settings, first, Actor("paul", "screen"))
    throw_upload_away(connection, settings, first, admin)
    assert upload_left(settings, first) is None
    assert not upload.parent.exists()


def test_nothing_to_do_again_is_said_and_only_importers_ask(
    connection: sqlite3.Connection, settings: Settings, project: Project, admin: Actor, tmp_path: Path, done: Done
) -> None:
    asked = ask_import(connection, settings, project, [str(picture(tmp_path / "in" / "a.png", 1))], actor=admin)
    with pytest.raises(InvalidInput, match="Name an import that is over"):
        ask_import_again(connection, settings, asked, "failed", actor=admin)
    fine = done(asked)
    with pytest.raises(InvalidInput, match="nothing to do"):
        ask_import_again(connection, settings, fine, "failed", actor=admin)
    (tmp_path / "in" / "b.png").write_bytes(b"")
    broken = done(ask_import(connection, settings, project, [str(tmp_path / "in")], actor=admin))
    ensure_user(connection, "paul")
    with pytest.raises(NotAllowed):
        ask_import_again(connection, settings, broken, "failed", actor=Actor("paul", "screen"))
