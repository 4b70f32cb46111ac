"""Volumes of four dimensions: each time point a case of its own, as nibabel reads it, all of one patient."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from core.errors import InvalidInput
from core.images.decoding import decode
from core.images.ingest import ImportReport, import_paths
from core.images.nifti import TIME_POINT, count_time_points, read_nifti
from core.images.records import list_cases
from core.images.time_points import MOST_TIME_POINTS
from core.progress import Silent
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files

Run = Callable[..., ImportReport]
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def run(connection: sqlite3.Connection, files: Files, settings: Settings, project: Project) -> Run:
    def import_folder(folder: Path, job: int = 1, volume: int | None = None) -> ImportReport:
        return import_paths(
            connection, files, settings, project, [folder], table=None, patient_from=None, job=job,
            actor=Actor("anna", "job"), on_case=lambda *_: None, progress=Silent(), volume=volume,
        )  # fmt: skip

    return import_folder


def write(path: Path, points: int) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 999, (5, 6, 7, points)).astype(np.int16)
    path.parent.mkdir(exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([-2.0, 1.5, 3.0, 1.0])), path)
    return values


@pytest.mark.parametrize(("name", "packed"), [("x.img", False), ("x.gz", True), ("x", True), ("x.dcm", False)])
def test_time_points_are_told_by_content_whatever_the_file_is_called(
    run: Run, connection: sqlite3.Connection, project: Project, tmp_path: Path, name: str, packed: bool
) -> None:
    write(tmp_path / "x.nii.gz" if packed else tmp_path / "x.nii", 3)
    (tmp_path / "in").mkdir()
    (tmp_path / "x.nii.gz" if packed else tmp_path / "x.nii").rename(tmp_path / "in" / name)
    assert run(tmp_path / "in", volume=2).imported == 1
    (case,) = list_cases(connection, project.id)
    assert case.attributes[TIME_POINT] == "2 of 3"
    assert run(tmp_path / "in", job=2).imported == 2


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_each_time_point_is_a_case_of_the_same_patient(
    run: Run, connection: sqlite3.Connection, files: Files, project: Project, tmp_path: Path, name: str
) -> None:
    values = write(tmp_path / "in" / name, 3)
    assert run(tmp_path / "in").imported == 3
    cases = list(list_cases(connection, project.id))
    assert [case.attributes[TIME_POINT] for case in cases] == ["1 of 3", "2 of 3", "3 of 3"]
    assert len({case.patient for case in cases}) == 1
    assert len({case.source for case in cases}) == 3
    for at, case in enumerate(cases):
        way = np.linalg.inv(TO_LPS @ np.diag([-2.0, 1.5, 3.0, 1.0])) @ np.array(case.affine)
        frame, row, column = np.indices((case.frames, case.rows, case.columns)).reshape(3, -1)
        there = np.rint(way @ np.stack([column, row, frame, np.ones_like(frame)]))[:3].astype(int)
        stored = files.read_array("pixels", case.pixel_hash).reshape(-1)
        np.testing.assert_array_equal(stored, values[(*there, at)])
    assert run(tmp_path / "in", job=2).skipped == 3


def test_one_time_point_can_be_chosen(
    run: Run, connection: sqlite3.Connection, project: Project, tmp_path: Path
) -> None:
    write(tmp_path / "in" / "x.nii.gz", MOST_TIME_POINTS + 1)
    refused = run(tmp_path / "in")
    assert refused.failed == 1
    assert f"Received: {MOST_TIME_POINTS + 1} time points" in refused.files[0].reason
    assert run(tmp_path / "in", job=2, volume=4).imported == 1
    (case,) = list_cases(connection, project.id)
    assert case.attributes[TIME_POINT] == f"4 of {MOST_TIME_POINTS + 1}"
    beyond = run(tmp_path / "in", job=3, volume=99)
    assert "counted from 1; name one. Received: 99" in beyond.files[0].reason


def test_a_file_cut_off_behind_a_time_point_still_gives_that_one(settings: Settings, tmp_path: Path) -> None:
    write(tmp_path / "x.nii", 3)
    content = (tmp_path / "x.nii").read_bytes()[:-10]
    decode(content, settings, b"", name="x.nii#2")
    with pytest.raises(InvalidInput, match="cut off"):
        decode(content, settings, b"", name="x.nii#3")
    with pytest.raises(InvalidInput, match=r"name the time point \(page Import, or --volume\)"):
        decode(content, settings, b"", name="x.nii")


def test_a_real_file_of_two_time_points_is_counted(test_data: Path) -> None:
    assert count_time_points((test_data / "nifti_misc" / "example4d.nii.gz").read_bytes()[:65536]) == 2
    assert count_time_points((test_data / "nifti_misc" / "MR_Gd.nii.gz").read_bytes()[:65536]) == 1
    assert count_time_points(b"") == 1


@pytest.mark.parametrize("name", ["example4d.nii.gz", "example_nifti2.nii.gz"])
def test_a_time_point_of_a_real_file_is_what_nibabel_reads(name: str, test_data: Path, settings: Settings) -> None:
    path = test_data / "nifti_misc" / name
    image = read_nifti(path, settings, time_point=2)
    theirs: Any = nibabel.load(path)
    assert theirs.shape[3] == 2
    assert image.attributes[TIME_POINT] == "2 of 2"
    assert image.affine is not None
    frame, row, column = np.indices(image.pixels.shape).reshape(3, -1)
    way = np.linalg.inv(TO_LPS @ theirs.affine) @ np.array(image.affine)  # to the indices of the file
    there = way @ np.stack([column, row, frame, np.ones_like(frame)])
    at = np.rint(there[:3]).astype(int)
    assert np.abs(there[:3] - at).max() < 1e-3
    expected = np.asanyarray(theirs.dataobj)[..., 1]
    assert image.pixels.size == expected.size
    np.testing.assert_array_equal(image.pixels.ravel(), expected[tuple(at)].astype(image.pixels.dtype))
    assert not np.array_equal(image.pixels, read_nifti(path, settings, time_point=1).pixels)


def test_time_points_that_are_in_are_not_read_again(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "in" / "x.nii", 3)
    assert run(tmp_path / "in", volume=2).imported == 1
    assert run(tmp_path / "in", job=2).imported == 2, "a point that was left out is no known file"
    monkeypatch.setattr("core.images.stored_image.read_source", lambda *_: pytest.fail("a known file was read"))
    assert run(tmp_path / "in", job=3).skipped == 3
