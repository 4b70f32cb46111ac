"""SEG and RTSTRUCT come in on the series that they were drawn on, frame by frame."""

import sqlite3
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom.dataset import Dataset

from core.images.records import list_cases
from core.labels.mask_import import READER_OF_MASKS, MaskImport
from core.labels.masks import compose_mask, list_painted
from core.projects.records import Project, add_project
from core.projects.schema import make_segmentation
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from tests.core.images.drawn_dicom import COLUMNS, ROWS, SPACING, segmentation, structure_set, write_series
from tests.core.labels.test_mask_import import Importer

EVEN = [0.0, 2.0, 4.0, 6.0, 8.0]
UNEVEN = [0.0, 1.2, 5.0, 5.9, 9.0]
GAP = [0.0, 2.0, 4.0, 8.0, 10.0]


@pytest.fixture
def importer(connection: sqlite3.Connection, files: Files, settings: Settings, actor: Actor) -> Importer:
    project: Project = add_project(
        connection, name="Liver", task="segmentation", schema=make_segmentation(["liver", "lesion"]), actor=actor
    )
    return Importer(connection, files, settings, project)


def drawn(seed: int = 1) -> np.ndarray:
    """Two overlapping segments on the middle slices only, as (frames, rows, columns, segments)."""
    masks = np.zeros((5, ROWS, COLUMNS, 2), np.uint8)
    masks[1:4] = np.random.default_rng(seed).integers(0, 2, (3, ROWS, COLUMNS, 2))
    return masks


def save(dataset: Dataset, folder: Path, name: str = "drawn.dcm") -> Path:
    folder.mkdir(exist_ok=True)
    dataset.save_as(folder / name, enforce_file_format=True)
    return folder


@pytest.mark.parametrize(("depths", "tilt"), [(EVEN, 0.0), (UNEVEN, 0.0), (GAP, 0.0), (EVEN, 0.3)])
def test_a_segmentation_comes_in_by_reference(
    importer: Importer, tmp_path: Path, depths: list[float], tilt: float
) -> None:
    slices = write_series(tmp_path / "images", depths, tilt=tilt)
    write_series(tmp_path / "images" / "other", depths, tilt=tilt, seed=1)  # in the same place
    importer.images(tmp_path / "images")
    masks = drawn()
    seg = segmentation(slices, masks, ["Liver", "Lesion"])
    assert seg.NumberOfFrames == 6  # empty frames are left out
    assert importer.masks(save(seg, tmp_path / "masks")) == MaskImport(added=2, unchanged=0, failed=0, cases=1)
    np.testing.assert_array_equal(mask_of(importer, "liver"), masks[..., 0])
    np.testing.assert_array_equal(mask_of(importer, "lesion"), masks[..., 1])
    assert importer.masks(tmp_path / "masks").unchanged == 2


def test_a_nifti_of_a_series_with_a_gap_is_refused_with_a_way_out(importer: Importer, tmp_path: Path) -> None:
    write_series(tmp_path / "images" / "scan", GAP)
    importer.images(tmp_path / "images")
    affine = np.diag([-SPACING[1], -SPACING[0], 2.0, 1.0])  # as if nothing were missing
    affine[:3, 3] = 5.0, -7.0, 0.0
    (tmp_path / "masks").mkdir()
    for name in ("scan", "other"):
        nibabel.save(nibabel.Nifti1Image(np.ones((COLUMNS, ROWS, 5), np.uint8), affine), tmp_path / f"masks/{name}.nii")
    assert importer.masks(tmp_path / "masks").failed == 2
    assert any("save the mask as DICOM SEG or RTSTRUCT" in reason for reason in importer.reasons().values())


def mask_of(importer: Importer, structure: str) -> np.ndarray:
    """The mask on the first case that came in from files in no folder."""
    for case in list_cases(importer.connection, importer.project.id):
        if list_painted(importer.connection, case.id):
            return compose_mask(importer.connection, case, READER_OF_MASKS, structure)
    raise AssertionError("nothing is painted")


def test_a_fraction_counts_from_one_half(importer: Importer, tmp_path: Path) -> None:
    slices = write_series(tmp_path / "images", EVEN)
    importer.images(tmp_path / "images")
    fractions = np.random.default_rng(2).random((5, ROWS, COLUMNS, 1)).astype(np.float32)
    seg = segmentation(slices, fractions, ["liver"], kind="FRACTIONAL", max_fractional_value=100)
    assert importer.masks(save(seg, tmp_path / "masks")).added == 1
    np.testing.assert_array_equal(mask_of(importer, "liver"), np.around(fractions[..., 0] * 100) >= 50)


def test_segments_of_other_names_are_told_by_number(importer: Importer, tmp_path: Path) -> None:
    slices = write_series(tmp_path / "images", EVEN)
    importer.images(tmp_path / "images")
    folder = save(segmentation(slices, drawn(), ["Spleen", "Body"]), tmp_path / "masks")
    assert importer.masks(folder).failed == 1
    reason = importer.reasons()["drawn.dcm"]
    assert reason.startswith("No segment is called as a structure of the project (liver, lesion)")
    assert "1=Spleen, 2=Body" in reason
    assert importer.masks(folder, values={"1": "lesion"}).added == 1
    np.testing.assert_array_equal(mask_of(importer, "lesion"), drawn()[..., 0])
    assert "Left out, as no structure is called so: 2=Body." in importer.reasons()["drawn.dcm"]


def test_a_segmentation_of_a_stranger_is_refused(importer: Importer, tmp_path: Path) -> None:
    write_series(tmp_path / "images", EVEN)
    importer.images(tmp_path / "images")
    slices = write_series(tmp_path / "elsewhere", EVEN)
    assert importer.masks(save(segmentation(slices, drawn(), ["liver", "lesion"]), tmp_path / "masks")).failed == 1
    assert "are not in the project; import them first" in importer.reasons()["drawn.dcm"]


def test_a_frame_beside_the_image_is_refused(importer: Importer, tmp_path: Path) -> None:
    slices = write_series(tmp_path / "images", EVEN)
    (tmp_path / "images" / "3.dcm").unlink()
    importer.images(tmp_path / "images")
    assert importer.masks(save(segmentation(slices, drawn(), ["liver", "lesion"]), tmp_path / "masks")).failed == 1
    assert "lies where its image has none. Received: a frame at (-5.0, 7.0, 4.0) mm" in importer.reasons()["drawn.dcm"]


def test_another_kind_of_object_is_no_mask(importer: Importer, tmp_path: Path) -> None:
    write_series(tmp_path / "images", EVEN)
    importer.images(tmp_path / "images")
    write_series(tmp_path / "masks", [0.0])
    assert importer.masks(tmp_path / "masks").failed == 1
    assert "masks are SEG and RTSTRUCT objects. Received: CT Image Storage" in importer.reasons()["1.dcm"]


def square(source: Dataset, left: int, top: int, right: int, bottom: int) -> list[list[float]]:
    """Points in the patient half a pixel around these pixels, which are all inside."""
    x, y, z = (float(number) for number in source.ImagePositionPatient)
    corners = [(left, top), (right + 1, top), (right + 1, bottom + 1), (left, bottom + 1)]
    return [[x + (column - 0.5) * SPACING[1], y + (row - 0.5) * SPACING[0], z] for column, row in corners]


@pytest.mark.parametrize("depths", [EVEN, UNEVEN], ids=["even", "uneven"])
def test_contours_are_filled_and_holes_stay_open(importer: Importer, tmp_path: Path, depths: list[float]) -> None:
    slices = write_series(tmp_path / "images", depths)
    importer.images(tmp_path / "images")
    expected = np.zeros((5, ROWS, COLUMNS), np.uint8)
    expected[1, 2:9, 3:13], expected[1, 4:6, 5:8], expected[3, 0:16, 0:20] = 1, 0, 1
    drawn_on = [
        (slices[1], square(slices[1], 3, 2, 12, 8)),
        (slices[1], square(slices[1], 5, 4, 7, 5)),
        (slices[3], square(slices[3], 0, 0, 19, 15)),
    ]
    made = structure_set({"LIVER": drawn_on, "Couch": [(slices[0], square(slices[0], 0, 0, 3, 3))]})
    assert importer.masks(save(made, tmp_path / "masks")).added == 1
    np.testing.assert_array_equal(mask_of(importer, "liver"), expected)
    assert "Left out, as no structure is called so: 2=Couch." in importer.reasons()["drawn.dcm"]


def test_a_contour_between_frames_is_refused(importer: Importer, tmp_path: Path) -> None:
    slices = write_series(tmp_path / "images", EVEN)
    importer.images(tmp_path / "images")
    between = [[x, y, z + 1] for x, y, z in square(slices[1], 3, 2, 12, 8)]
    assert importer.masks(save(structure_set({"liver": [(slices[1], between)]}), tmp_path / "masks")).failed == 1
    assert "A contour lies between or beside the frames of its image" in importer.reasons()["drawn.dcm"]
