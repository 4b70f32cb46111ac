"""What several tests of imports share."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.images.ingest import ImportReport, import_paths
from core.progress import Silent
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files

Import = Callable[..., ImportReport]


@pytest.fixture
def run(connection: sqlite3.Connection, files: Files, settings: Settings, project: Project, actor: Actor) -> Import:
    """An import with what tests seldom change; `job` counts up."""
    jobs = iter(range(1, 100))

    def call(*paths: Path, **more: Any) -> ImportReport:
        given = {
            "project": project, "table": None, "patient_from": None, "job": next(jobs), "on_case": lambda *_: None,
            "progress": Silent(),
        }  # fmt: skip
        asked = {**given, **more}
        return import_paths(connection, files, settings, asked.pop("project"), paths, actor=actor, **asked)

    return call
