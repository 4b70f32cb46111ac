"""The bodies: an import by itself, and the whole chain from a training to an explanation in real children."""

import errno
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.datasets.freeze import freeze_snapshot
from core.errors import InvalidInput, Stopped
from core.images.pseudonyms import TOKEN_PATH, load_secret, patient_name
from core.images.records import count_cases, list_cases, list_import_files
from core.images.sealed_paths import read_paths
from core.jobs.abandoned import remove_abandoned_uploads
from core.jobs.asking import ask_import, ask_training
from core.jobs.bodies.import_images import run as import_images
from core.jobs.child import run_job
from core.jobs.context import JobContext, job_folder
from core.jobs.handlers import HANDLERS
from core.jobs.kinds import KINDS
from core.jobs.records import Job, add_job, claim_job, get_job
from core.jobs.undecided import table_upload_of
from core.jobs.waiting import read_log, wait_for_job
from core.labels.records import current_labels
from core.progress import Silent
from core.projects.records import Project
from core.settings import PROJECT_ROOT, Settings
from core.store.audit import Actor
from core.store.files import Files
from core.training.recipe import change_recipe, named_recipe
from core.training.records import get_model, get_run

CLASSES = ("normal", "pneumonia")
ALL_IN = {
    "imported": 4, "skipped": 1, "failed": 0, "cases": 4, "same_pixels": 0, "opposite_labels": 0, "warnings": [],
    "joined": 0, "held": 0, "waiting": 0,
}  # fmt: skip


def draw(folder: Path, patients: int) -> None:
    """Dark and bright noise, two images for each patient, with a label table."""
    random = np.random.default_rng(3)
    folder.mkdir(parents=True)
    lines = ["file;diagnosis;patient"]
    for at in range(2 * patients):
        bright = at // 2 % 2
        pixels = random.integers(60 + 100 * bright, 90 + 100 * bright, (40, 40), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{at}.png")
        lines.append(f"{at}.png;{CLASSES[bright]};p{at // 2}")
    (folder / "labels.csv").write_text("\n".join(lines))


@pytest.fixture
def upload(settings: Settings) -> Path:
    """A folder as the browser leaves it."""
    folder = settings.home / "uploads" / "token" / "files"
    draw(folder, patients=2)
    return folder


@pytest.fixture
def import_arguments(project: Project, upload: Path) -> dict[str, Any]:
    return {
        "project": project.id,
        "paths": [str(upload)],
        "labels": str(upload / "labels.csv"),
        "columns": {"path": "file", "label": "diagnosis"},
        "patient_from": None,
        "remove_after": str(upload.parent),
    }


@pytest.fixture
def context_of(
    connection: sqlite3.Connection, files: Files, settings: Settings, actor: Actor
) -> Callable[[str, dict[str, Any]], JobContext]:
    def make(kind: str, arguments: dict[str, Any]) -> JobContext:
        job = add_job(connection, kind, arguments, actor=actor)
        return JobContext(
            connection, files, settings, job, job_folder(settings, job.id), "cpu", Actor("anna", "job"), Silent()
        )

    return make


MakeContext = Callable[[str, dict[str, Any]], JobContext]


def run_next(settings: Settings, connection: sqlite3.Connection) -> Job:
    """The job that waits, as it is after its child ran it."""
    job = claim_job(connection, "work", "cpu")
    assert job is not None
    job_folder(settings, job.id).mkdir(parents=True)
    run_job(settings, job, "core.jobs.handlers:HANDLERS")
    return get_job(connection, job.id)


def test_every_kind_has_a_body() -> None:
    assert set(HANDLERS) == set(KINDS)


def test_the_web_process_can_import_the_bodies_without_tensorflow() -> None:
    script = "import sys, core.jobs.handlers; sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], cwd=PROJECT_ROOT, check=False).returncode == 0


def test_an_import_leaves_no_file_and_no_patient_in_the_job_s_folder_and_facts(
    settings: Settings, connection: sqlite3.Connection, project: Project, upload: Path,
    import_arguments: dict[str, Any], actor: Actor,
) -> None:  # fmt: skip
    """The report of an import, which is shown to those who may see the job, has its own table."""
    named = upload / "Miller Agnes"
    named.mkdir()
    for number in range(2):
        (upload / f"{number}.png").rename(named / f"{number}.png")
    (named / "broken.png").write_bytes(b"no picture")
    table = (
        (upload / "labels.csv")
        .read_text()
        .replace("0.png", "Miller Agnes/0.png")
        .replace("1.png", "Miller Agnes/1.png")
    )
    (upload / "labels.csv").write_text(table.replace("p0", "Agnes"))
    add_job(connection, "import", import_arguments, project=project.id, actor=actor)
    done = run_next(settings, connection)
    assert (done.state, (done.result or {})["imported"], (done.result or {})["failed"]) == ("done", 4, 1)
    kept = {
        path: path.read_text("utf-8", "replace") for path in job_folder(settings, done.id).rglob("*") if path.is_file()
    }
    assert "4 imported" in "".join(kept.values())
    for text in (*kept.values(), str(done.facts), done.note):
        assert not [name for name in ("Miller", "Agnes", ".png") if name in text], text
    assert any("Miller Agnes/0.png" in file.path for file in list_import_files(connection, done.id))


def stumble(error: Exception) -> Callable[..., Any]:
    """What opens files and ends in an error that quotes one of them, as the system and libraries make it."""
    cause = ValueError("Miller, born 1950")

    def listed(*_: Any, **__: Any) -> None:
        raise error from cause

    return listed


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(2, "No such file", "/in/Miller Agnes.dcm"), "not in your data: FileNotFoundError"),
        (ValueError("cannot read Miller"), "not in your data: ValueError"),
        (OSError(errno.EIO, "Input/output error", "/in/Miller Agnes.dcm"), "Received: [Errno 5] Input/output error: a"),
        (OSError(errno.ENOSPC, "No space", "/in/Miller", None, "/in/Agnes"), "Received: [Errno 28] No space: a file"),
    ],
)
def test_an_error_that_nobody_foresaw_leaves_none_of_its_words(
    settings: Settings, connection: sqlite3.Connection, project: Project, import_arguments: dict[str, Any],
    actor: Actor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, said: str,
) -> None:  # fmt: skip
    """It quotes what was being read, and a row, its events and a log are kept."""
    monkeypatch.setattr("core.images.ingest.list_sources", stumble(error))
    add_job(connection, "import", import_arguments, project=project.id, actor=actor)
    failed = run_next(settings, connection)
    assert failed.state == "failed"
    assert said in (failed.error or "")
    assert "in listed" in (failed.traceback or ""), "where it was"
    assert (failed.traceback or "").endswith(f"{type(error).__name__}\n")
    kept = [path.read_text("utf-8", "replace") for path in job_folder(settings, failed.id).rglob("*") if path.is_file()]
    for text in (failed.error or "", failed.traceback or "", caplog.text, *kept):
        assert not [name for name in ("Miller", "Agnes", "born") if name in text], text
    assert "in listed" in caplog.text


def test_an_import_brings_cases_with_their_labels_and_takes_the_upload_away(
    connection: sqlite3.Connection, project: Project, upload: Path, import_arguments: dict[str, Any],
    context_of: MakeContext,
) -> None:  # fmt: skip
    context = context_of("import", import_arguments)
    result = import_images(context)
    assert result == ALL_IN
    cases = {case.source: case for case in list_cases(connection, project.id)}
    assert cases["3.png"].patient == patient_name(load_secret(context.settings), "p1")
    assert [label.value for label in current_labels(connection, cases["3.png"].id)] == [{"classes": ["pneumonia"]}]
    assert cases["3.png"].imported_by == "anna"
    assert len(list_import_files(connection, context.job.id)) == 5
    assert not upload.parent.exists()


@pytest.fixture
def lone_table(settings: Settings, upload: Path, import_arguments: dict[str, Any]) -> Path:
    """A label table as the page stores one that is uploaded by itself; the import is asked for with it."""
    table = settings.home / "uploads" / "table-0123" / "Doe Jane.csv"
    table.parent.mkdir()
    (upload / "labels.csv").rename(table)
    import_arguments |= {"labels": str(table), "table_upload": table_upload_of(settings, str(table))}
    return table


def test_a_table_that_was_uploaded_by_itself_goes_with_the_upload(
    connection: sqlite3.Connection, settings: Settings, project: Project, upload: Path, lone_table: Path,
    import_arguments: dict[str, Any], context_of: MakeContext, actor: Actor,
) -> None:  # fmt: skip
    asked = ask_import(connection, settings, project, [str(upload)], labels=str(lone_table), actor=actor)
    assert asked.arguments["table_upload"] == str(lone_table.parent)
    assert "Doe" not in str(asked.arguments)
    connection.execute("DELETE FROM jobs")
    context = context_of("import", import_arguments)
    first = import_images(context)
    assert first["imported"] == 4
    assert not lone_table.parent.exists()
    assert import_images(context) == first, "also where the attempt before was killed just then"


def test_a_table_stays_as_long_as_something_is_refused(
    connection: sqlite3.Connection, upload: Path, lone_table: Path, import_arguments: dict[str, Any],
    context_of: MakeContext,
) -> None:  # fmt: skip
    whole = (upload / "0.png").read_bytes()
    (upload / "0.png").write_bytes(whole[:90])
    first = context_of("import", import_arguments)
    assert import_images(first)["failed"] == 1
    assert lone_table.exists()
    (upload / "0.png").write_bytes(whole)
    again = {"job": first.job.id, "status": "failed", "left_out": []}
    assert import_images(context_of("import", {**import_arguments, "again": again}))["imported"] == 1
    (patient,) = {case.patient for case in list_cases(connection, first.job.project or 1) if case.source == "0.png"}
    assert patient == patient_name(load_secret(first.settings), "p0"), "the table was read"
    assert not lone_table.parent.exists()


def test_a_table_stays_as_long_as_another_import_will_read_it(
    settings: Settings, tmp_path: Path, lone_table: Path, import_arguments: dict[str, Any], context_of: MakeContext
) -> None:
    other = tmp_path / "other"
    draw(other, patients=1)
    (other / "labels.csv").unlink()
    queued = context_of("import", {**import_arguments, "paths": [str(other)], "remove_after": None})
    import_images(context_of("import", import_arguments))
    assert lone_table.exists()
    remove_abandoned_uploads(settings, time.time() + 3 * 86_400)
    assert lone_table.exists(), "whatever its age"
    connection = queued.connection
    connection.execute("UPDATE jobs SET state = 'done' WHERE id <> ?", (queued.job.id,))
    import_images(queued)
    assert not lone_table.parent.exists()


def test_killed_after_the_upload_was_taken_away_an_import_still_tells_what_it_did(
    import_arguments: dict[str, Any], context_of: MakeContext
) -> None:
    context = context_of("import", import_arguments)
    first = import_images(context)
    again = import_images(context)
    assert again == first


def test_killed_while_the_upload_was_taken_away_an_import_still_tells_what_it_did(
    upload: Path, import_arguments: dict[str, Any], context_of: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(folder: Path) -> None:
        (upload / "labels.csv").unlink()
        (upload / "0.png").unlink()
        raise KeyboardInterrupt

    context = context_of("import", import_arguments)
    with monkeypatch.context() as killed:
        killed.setattr("core.jobs.bodies.import_images.shutil.rmtree", cut_short)
        with pytest.raises(KeyboardInterrupt):
            import_images(context)
    assert import_images(context) == ALL_IN
    assert not upload.parent.exists()


def test_an_upload_that_went_before_all_of_it_was_in_is_no_success(
    connection: sqlite3.Connection,
    project: Project,
    upload: Path,
    import_arguments: dict[str, Any],
    context_of: MakeContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.images.import_units.MOST_AT_ONCE", 1)

    class AskedToStop(Silent):
        def should_stop(self) -> bool:
            return count_cases(connection, project.id) == 2

    context = context_of("import", import_arguments)
    with pytest.raises(Stopped):
        import_images(replace(context, progress=AskedToStop()))
    assert upload.exists(), "a stopped import can be resumed"
    shutil.rmtree(upload.parent)
    with pytest.raises(InvalidInput, match="send the files again, what came in before stays"):
        import_images(context)
    assert count_cases(connection, project.id) == 2


def test_a_failed_import_leaves_the_upload(
    upload: Path, import_arguments: dict[str, Any], context_of: MakeContext
) -> None:
    with pytest.raises(InvalidInput):
        import_images(context_of("import", {**import_arguments, "columns": {"path": "nothing"}}))
    assert (upload / "0.png").exists()


def test_an_unknown_class_refuses_its_file_and_no_other(
    upload: Path, import_arguments: dict[str, Any], context_of: MakeContext
) -> None:
    (upload / "labels.csv").write_text("file;diagnosis\n0.png;unicorn\n1.png;normal\n")
    context = context_of("import", import_arguments)
    assert {**import_images(context)}["imported"] == 3
    (refused,) = [file for file in list_import_files(context.connection, context.job.id) if file.status == "failed"]
    assert refused.path == "0.png"
    assert "The classes are normal, pneumonia" in refused.reason


def test_labels_that_differ_only_in_spelling_are_not_opposite(
    upload: Path, import_arguments: dict[str, Any], context_of: MakeContext
) -> None:
    shutil.copyfile(upload / "0.png", upload / "z.png")
    (upload / "labels.csv").write_text("file;diagnosis;patient\n0.png;normal;p0\nz.png;NORMAL;p0\n")
    context = context_of("import", import_arguments)
    import_images(context)
    (copy,) = [file for file in list_import_files(context.connection, context.job.id) if file.path == "z.png"]
    assert copy.reason == "Same pixels as case 1 (0.png)."


def test_only_an_upload_is_ever_removed(
    connection: sqlite3.Connection, project: Project, tmp_path: Path, context_of: MakeContext
) -> None:
    mine = tmp_path / "mine"
    draw(mine, patients=1)
    for folder in (mine, tmp_path / "home" / "uploads", tmp_path / "home" / "uploads" / ".." / "x"):
        with pytest.raises(InvalidInput, match="is removed after an import"):
            import_images(
                context_of("import", {"project": project.id, "paths": [str(mine)], "remove_after": str(folder)})
            )
    assert (mine / "0.png").exists()
    assert count_cases(connection, project.id) == 0


def test_from_files_to_an_explanation(
    connection: sqlite3.Connection, files: Files, settings: Settings, project: Project, actor: Actor, tmp_path: Path
) -> None:
    """Import, train, evaluate, predict and explain, each as the job it is."""

    def done(kind: str, arguments: dict[str, Any]) -> Job:
        return waited(add_job(connection, kind, arguments, project=project.id, actor=actor))

    def waited(asked: Job) -> Job:
        job = wait_for_job(settings, asked.id)
        log = read_log(settings, job.id)
        assert job.state == "done", f"{job.error}\n{job.traceback}\n{log[-3000:]}"
        return job

    draw(tmp_path / "images", patients=20)
    table = str(tmp_path / "images" / "labels.csv")
    columns = {"path": "file", "label": "diagnosis"}
    done("import", {"project": project.id, "paths": [str(tmp_path / "images")], "labels": table, "columns": columns})
    snapshot = freeze_snapshot(
        connection, files, project, "s", ratios=(0.5, 0.25, 0.25), allow_leaks="noise looks alike", actor=actor,
        progress=Silent(),
    )  # fmt: skip
    recipe = change_recipe(named_recipe("resnet"), {"input_size": 32, "filters": "8", "epochs": 2, "batch": 8})
    run, asked_for = ask_training(connection, project, snapshot, recipe, name="m", actor=actor)
    trained = waited(asked_for)
    log = read_log(settings, trained.id)
    assert [log.count(f"Epoch {epoch} of 2: loss ") for epoch in (1, 2)] == [1, 1]
    assert log.index("Training m on snapshot s") < log.index("Epoch 1 of 2") < log.index("Model m is stored")
    assert f"Job {trained.id} ended: done" in log
    assert get_run(connection, run.id).device == "cpu"
    model = get_model(connection, project.id, "m")
    assert model.facts["explanations"], "its explanations were checked by the training job"
    measured = done("evaluate", {"model": model.id, "snapshot": snapshot.id, "split": "test"})
    assert (measured.result or {})["metrics"]["auc"]["value"] is not None
    predicted = done("predict", {"model": model.id, "paths": [str(tmp_path / "images" / "0.png")]})
    (row,) = (predicted.result or {})["cases"]
    assert TOKEN_PATH.fullmatch(row["path"])  # the database names nobody's files
    assert read_paths(settings, predicted.id) == {row["path"]: str(tmp_path / "images" / "0.png")}
    case = next(iter(list_cases(connection, project.id)))
    asked = {"model": model.id, "case": case.id, "class": None, "method": "grad_cam", "overlay": True}
    explained = done("explain", asked)
    assert Path((explained.result or {})["overlay"]).exists()
    assert files.has("explanations", (explained.result or {})["explanation"])


def test_a_kind_without_a_body_fails_as_a_defect(
    connection: sqlite3.Connection, settings: Settings, actor: Actor
) -> None:
    job = add_job(connection, "dance", {}, lane="work", actor=actor)
    claimed = claim_job(connection, "work", "cpu")
    assert claimed
    run_job(settings, claimed, "core.jobs.handlers:HANDLERS")
    assert "KeyError: 'dance'" in (get_job(connection, job.id).error or "")
