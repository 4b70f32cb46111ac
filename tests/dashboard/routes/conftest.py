"""Projects of painted structures and of numbers, and a reader who answers blind."""

import sqlite3

import numpy as np
import pytest

from core.images.records import Case, NewCase, insert_case
from core.people.accounts import User, ensure_user
from core.projects.records import Project, add_project
from core.projects.schema import make_segmentation
from core.store.audit import Actor
from core.store.files import Files


@pytest.fixture
def painted(connection: sqlite3.Connection, anna: User) -> Project:
    """Liver and lesion."""
    schema = make_segmentation(["liver", "lesion"])
    return add_project(connection, name="Abdomen", task="segmentation", schema=schema, actor=Actor(anna.name, "screen"))


@pytest.fixture
def volume(connection: sqlite3.Connection, files: Files, painted: Project) -> Case:
    """Of 3 frames, 4 rows and 5 columns."""
    pixels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    new = NewCase(
        project=painted.id, source="scan.nii.gz", patient="P1", patient_from="table",
        pixel_hash=files.put_array("pixels", pixels), file_hash="0" * 64, perceptual_hash=None, rows=4, columns=5,
        channels=1, dtype="int16", photometric="MONOCHROME2", imported_by="anna", frames=3, spacing_mm=(1.0, 1.0),
        slice_spacing_mm=2.0,
    )  # fmt: skip
    return insert_case(connection, new)


@pytest.fixture
def ben(connection: sqlite3.Connection) -> User:
    return ensure_user(connection, "ben")
