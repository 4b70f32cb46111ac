"""A project of painted structures, with an image and a volume."""

import sqlite3
from collections.abc import Callable

import numpy as np
import pytest

from core.images.records import Case
from core.projects.records import Project, add_project
from core.projects.schema import make_segmentation
from core.store.audit import Actor

# Columns to the patient's left, rows to the back, frames to the head: axial, 0.8 x 0.7 mm, 2.5 mm apart.
AFFINE = ((0.7, 0.0, 0.0, -100.0), (0.0, 0.8, 0.0, -90.0), (0.0, 0.0, 2.5, 30.0), (0.0, 0.0, 0.0, 1.0))


@pytest.fixture
def painted(connection: sqlite3.Connection, actor: Actor) -> Project:
    """Liver and lesion."""
    schema = make_segmentation(["liver", "lesion"])
    return add_project(connection, name="Abdomen", task="segmentation", schema=schema, actor=actor)


@pytest.fixture
def image(make_case: Callable[..., Case], painted: Project) -> Case:
    """Of 16 rows and 16 columns."""
    return make_case("a.png", into=painted)


@pytest.fixture
def volume(make_case: Callable[..., Case], painted: Project) -> Case:
    """Of 5 frames, 6 rows and 7 columns, with its place in the patient."""
    pixels = np.zeros((5, 6, 7), np.uint8)
    known = {"frames": 5, "spacing_mm": (0.8, 0.7), "slice_spacing_mm": 2.5, "affine": AFFINE}
    return make_case("scans/b.nii.gz", into=painted, pixels=pixels, **known)
