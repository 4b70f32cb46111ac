"""Volumes of several planes, and what mirroring their columns and rows means in the patient."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import list_snapshot_cases
from core.images.ingest import import_paths
from core.images.records import list_cases
from core.labels.records import NewLabel, add_label, new_event
from core.people.accounts import ensure_user
from core.progress import Silent
from core.training.directions import look_at_directions
from core.training.recipe import change_recipe, named_recipe
from core.training.request import request_training

RAS = {
    "axial": np.diag([1.0, 1.0, 3.0, 1.0]),
    "sagittal": np.array([[0, 0, 3, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]]),  # thick slices, left to right
    "coronal": np.array([[1, 0, 0, 0], [0, 0, 3, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]]),
}


@pytest.fixture
def import_volumes(connection, files, settings, project, actor, tmp_path: Path):
    """Files of so many volumes of each plane, imported, answered and frozen as a classification."""

    def run(**planes: int):
        ensure_user(connection, actor.name)
        random = np.random.default_rng(0)
        for plane, count in planes.items():
            for at in range(count):
                image = nibabel.Nifti1Image(random.integers(0, 255, (12, 14, 8), np.uint8), RAS[plane])
                nibabel.save(image, tmp_path / f"{plane}-{at}.nii")
        import_paths(connection, files, settings, project, [tmp_path], table=None, patient_from=None, job=1,
                     actor=actor, on_case=lambda *_: None, progress=Silent())  # fmt: skip
        for at, case in enumerate(list_cases(connection, project.id)):
            answer = {"classes": [project.schema.names[at % 2]]}
            add_label(connection, NewLabel(new_event(), case.id, actor.name, answer), actor)
        return freeze_snapshot(
            connection, files, project, "first", ratios=(0.5, 0.25, 0.25), actor=actor, progress=Silent()
        )

    return run


def recipe_with(flip: str):
    return change_recipe(named_recipe("cnn3d"), {"input_size": 16, "input_depth": 8, "flip": flip})


def test_planes_that_are_mixed_are_said_by_name_and_number(connection, project, actor, import_volumes) -> None:
    snapshot = import_volumes(axial=9, sagittal=3, coronal=1)
    run, _ = request_training(connection, project, snapshot, recipe_with("none"), actor=actor)
    note = run.told["preflight"]["notes"][-1]
    assert note.startswith("The planes are mixed: 9 axial volumes, 3 sagittal, 1 coronal. Frames, rows and columns")
    assert "resample all to one plane" in note
    cases = list_snapshot_cases(connection, snapshot.id)
    both = look_at_directions(connection, recipe_with("both"), cases)
    assert both[1:] == (
        "Flip both mirrors the columns of a volume, which are left and right in 9 axial volumes, front and back in "
        "3 sagittal volumes, left and right in 1 coronal volume: leave it out unless both of these sides mean the "
        "same.",
        "Flip both mirrors the rows of a volume, which are front and back in 9 axial volumes, head and feet in "
        "3 sagittal volumes, head and feet in 1 coronal volume: leave it out unless both of these sides mean the "
        "same.",
    )


def test_of_sagittal_volumes_it_is_said_that_left_right_is_front_and_back(connection, import_volumes) -> None:
    cases = list_snapshot_cases(connection, import_volumes(sagittal=8).id)
    (note,) = look_at_directions(connection, recipe_with("left-right"), cases)
    assert note.startswith("Flip left-right mirrors the columns of a volume, which are front and back in 8 sagittal")
    assert look_at_directions(connection, recipe_with("none"), cases) == ()


def test_of_axial_volumes_nothing_is_said(connection, import_volumes) -> None:
    cases = list_snapshot_cases(connection, import_volumes(axial=8).id)
    assert look_at_directions(connection, recipe_with("both"), cases) == ()


def test_of_images_nothing_is_said(connection, planted) -> None:
    cases = list_snapshot_cases(connection, planted.snapshot.id)
    assert look_at_directions(connection, recipe_with("both"), cases) == ()
