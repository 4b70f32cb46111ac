"""What an import that ended for good had stored without a case goes, and nothing else does."""

import sqlite3
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest

from core.images.records import Case
from core.images.stored_files import StoredFiles
from core.jobs.abandoned import Forgetting, finish_broken_imports
from core.jobs.records import add_job, claim_job, finish_job
from core.jobs.worker import utc_clock
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files

NAMED, UNNAMED = np.full((4, 4), 1, np.uint8), np.full((4, 4), 2, np.uint8)


def store_and_die(files: Files, job: int, *images: np.ndarray) -> list[str]:
    """Store pixels as an import does that is killed before a case names them; the answer is their hashes."""
    stored = StoredFiles(files, job)
    hashes = [stored.files.put_array("pixels", image) for image in images]
    stored.files.keep()
    stored._stream.close()  # as the system does for a process that is killed
    return hashes


@pytest.mark.parametrize("ending", ["failed", "stopped"])
def test_what_a_killed_import_stored_goes_once_its_job_is_over(
    ending: Literal["failed", "stopped"],
    connection: sqlite3.Connection,
    settings: Settings,
    files: Files,
    actor: Actor,
    make_case: Callable[..., Case],
) -> None:
    add_job(connection, "import", {}, actor=actor)
    job = claim_job(connection, "work", "cpu")
    assert job is not None
    named, unnamed = store_and_die(files, job.id, NAMED, UNNAMED)
    make_case("a.png", pixels=NAMED)
    note = files.root / "imports" / f"{job.id}.stored"

    assert finish_broken_imports(settings) == 0
    assert (files.has("pixels", unnamed), note.exists()) == (True, True), "it runs, or will be tried again"

    finish_job(connection, job, ending)
    assert finish_broken_imports(settings) == 1
    assert (files.has("pixels", named), files.has("pixels", unnamed), note.exists()) == (True, False, False)


def test_what_the_import_of_an_erased_project_stored_goes(settings: Settings, files: Files) -> None:
    (unnamed,) = store_and_die(files, 7, UNNAMED)
    Forgetting(settings).tick(utc_clock())
    assert not files.has("pixels", unnamed)


def test_what_is_imported_without_a_job_is_left_to_who_imports_it(settings: Settings, files: Files) -> None:
    (unnamed,) = store_and_die(files, -1, UNNAMED)  # as the demo does
    assert finish_broken_imports(settings) == 0
    assert files.has("pixels", unnamed)
