"""`readroom generate`, up to the queue; what is drawn is tested where it is drawn."""

import sqlite3
from pathlib import Path

from core.jobs.records import list_jobs
from core.projects.records import Project
from core.store.audit import Actor
from core.store.files import Files
from tests.core.cli.conftest import Run
from tests.core.reviews.other_tasks import measured_drawn, measured_masks


def test_a_project_that_cannot_keep_the_images_is_refused_before_they_are_drawn(
    run: Run, connection: sqlite3.Connection, files: Files, project: Project, actor: Actor, tmp_path: Path
) -> None:
    measured_drawn(connection, files, actor)
    asked = ("generate", "Faces", "quick", "--class", "mass", "--out", str(tmp_path), "--into")
    for into in (project.name, "Faces"):
        refused = run(*asked, into, code=1)
        assert str(refused.exception) == f"Keep images in a project that has their class. Received: mass for {into}"
    assert list_jobs(connection, kinds=("generate",)) == []


def test_a_place_that_is_taken_is_refused_before_the_work(
    run: Run, connection: sqlite3.Connection, files: Files, actor: Actor, tmp_path: Path
) -> None:
    measured_drawn(connection, files, actor)
    painter = measured_masks(connection, files, actor)
    (file := tmp_path / "file").write_text("")
    for words in (
        ("generate", "Faces", "quick", "--class", "normal", "--out", str(file)),
        ("predict", painter.project.name, painter.model.name, str(file), "--out", str(file)),
        ("predict", painter.project.name, painter.model.name, "--cases", "new", "--csv", str(tmp_path)),
        ("explain", painter.project.name, painter.model.name, "1", "--out", str(tmp_path)),
        ("augmented", painter.project.name, "--snapshot", painter.snapshot.name, "--out", str(tmp_path)),
    ):
        assert "has this name); name another place" in str(run(*words, code=1).exception)
    assert list_jobs(connection) == []
