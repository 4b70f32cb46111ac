"""Slices of a series that were never imported get the answer of the case that an import would make of them."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from core.evaluation.batch import predict_new_cases
from core.evaluation.painting import paint
from core.evaluation.predict_files import predict_files
from core.evaluation.predictor import Predictor, score_cases
from core.images.ingest import import_paths
from core.images.records import get_case, list_cases
from core.images.render import AS_STORED, PERCENTILES, InputSpec
from core.images.volume_input import VolumeSpec
from core.progress import Silent
from core.projects.schema import make_segmentation
from tests.core.images.test_dicom_frames import FRAMES
from tests.core.images.test_frame_stacks import enhanced_mr, two_b_values


def a_slice(path: Path, z: float, **tags: Any) -> None:
    """One slice: brighter the higher it lies, so that a window of its own would not show how bright it is."""
    random = np.random.default_rng(int(z))
    pixels = (random.integers(0, 200, (12, 16)) + int(z) * 300).astype(np.int16)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", generate_uid()
    dataset.Modality, dataset.PatientID, dataset.PatientName = "CT", "4711", "Doe^Jane"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [-4, -3, z], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [0.5, 0.7]
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.PixelData = pixels.tobytes()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    for tag, value in tags.items():
        setattr(dataset, tag, value)
    dataset.save_as(path, enforce_file_format=True)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A folder of five slices, whose names run against their order."""
    made = tmp_path / "scan"
    made.mkdir()
    for at in range(5):
        a_slice(made / f"{9 - at}.dcm", 2.0 * at)
    return made


@pytest.fixture
def imported(connection, files, settings, project, actor, scan):
    report = import_paths(
        connection, files, settings, project, [scan], table=None, patient_from=None, job=1, actor=actor,
        on_case=lambda *_: None, progress=Silent(),
    )  # fmt: skip
    (case,) = {file.case for file in report.files if file.case}
    return get_case(connection, case)


def seen(images: np.ndarray) -> np.ndarray:
    """Two numbers that depend on every frame and on their order."""
    frames = images.reshape(len(images), images.shape[1], -1).astype(np.float64).mean(axis=2)
    share = (frames * np.arange(1, frames.shape[1] + 1)).sum(axis=1) / (255 * np.arange(1, frames.shape[1] + 1).sum())
    return np.stack([1 - share, share], axis=1).astype(np.float32)


@pytest.mark.parametrize("window", [AS_STORED, PERCENTILES])
def test_a_folder_of_slices_is_one_row_with_the_answer_of_its_case(
    connection, files, settings, model, scan, imported, tmp_path, monkeypatch, window
) -> None:
    spec = VolumeSpec(depth=4, size=8, window=window)
    whole = Predictor(project_schema(model), {}, spec, "Keras", seen)
    monkeypatch.setattr("core.evaluation.predict_files.open_predictor", lambda *_: whole)
    a_slice(scan / "scout.dcm", 0, SeriesInstanceUID="1.2.9")
    result = predict_files(files, settings, model, [scan], Silent(), tmp_path / "out")
    row, alone = result["cases"]
    assert (Path(row["path"]).name, row["slices"]) == ("9.dcm", 5)
    [expected] = score_cases(connection, files, whole, [imported.id], Silent()).tolist()
    assert list(row["probabilities"].values()) == pytest.approx(expected, abs=1e-7)
    assert 0.05 < expected[1] < 0.95
    assert "looks along the frames of a volume; give it all slices of the series together" in alone["reason"]
    assert (result["predicted"], result["failed"]) == (1, 1)
    assert not list(files.root.rglob("*.part")), "what was put together is not kept"


def project_schema(model: Any) -> Any:
    from core.tasks import task_module

    return task_module(model.task).schema_of(model.facts)


def test_neighbours_are_those_of_the_series(files, settings, model, scan, imported, tmp_path, monkeypatch) -> None:
    """2.5-D: a frame is painted from those beside it, and masks lie on the grid of the series."""

    def by_difference(images: np.ndarray) -> np.ndarray:
        said = images[..., 2:3].astype(np.float32) - images[..., 0:1]  # the frame after less the frame before
        return np.asarray(np.clip(said / 64, 0, 1))

    spec = InputSpec(16, neighbours=1)
    painter = Predictor(make_segmentation(["step"]), {"thresholds": [0.5]}, spec, "Keras", by_difference)
    monkeypatch.setattr("core.evaluation.predict_files.open_predictor", lambda *_: painter)
    [row] = predict_files(files, settings, model, [scan], Silent(), tmp_path / "out")["cases"]
    expected = paint(painter, files.read_array("pixels", imported.pixel_hash), imported).masks["step"]
    assert row["structures"]["step"]["pixels"] == int(expected.sum()) > 0
    mask = nibabel.load(tmp_path / "out" / row["files"][0])
    assert mask.shape == (16, 12, 5)
    np.testing.assert_allclose(np.abs(np.diag(mask.affine)[:3]), [0.7, 0.5, 2.0])
    [alone] = predict_files(files, settings, model, [scan / "5.dcm"], Silent(), tmp_path / "out")["cases"]
    assert "Received: a single image" in alone["reason"]


def test_a_slice_that_cannot_be_read_is_said_and_left_out(files, settings, model, scan, tmp_path, monkeypatch) -> None:
    whole = Predictor(project_schema(model), {}, VolumeSpec(depth=4, size=8), "Keras", seen)
    monkeypatch.setattr("core.evaluation.predict_files.open_predictor", lambda *_: whole)
    header = pydicom.dcmread(scan / "7.dcm")
    header.PixelData = header.PixelData[:50]
    header.save_as(scan / "7.dcm")
    [row] = predict_files(files, settings, model, [scan], Silent(), tmp_path / "out")["cases"]
    assert row["left_out"].startswith("1 of its files could not be read. ")
    assert row["probabilities"]


def test_a_case_of_one_image_is_refused_as_its_file_is(connection, files, model, make_case, monkeypatch) -> None:
    case = make_case("one.png")
    monkeypatch.setattr("core.evaluation.batch.model_spec", lambda _: VolumeSpec(depth=4, size=8))
    result = predict_new_cases(connection, files, model, [case.id], Silent())
    assert "looks along the frames of a volume" in result["refused"][0]["reason"]


def test_stacks_of_one_object_are_rows_of_their_own(
    connection, files, settings, project, model, actor, tmp_path, monkeypatch
) -> None:
    """As an import makes a case of each."""
    enhanced_mr(tmp_path / "in" / "two.dcm", FRAMES, **two_b_values())
    whole = Predictor(project_schema(model), {}, VolumeSpec(depth=2, size=8), "Keras", seen)
    monkeypatch.setattr("core.evaluation.predict_files.open_predictor", lambda *_: whole)
    rows = predict_files(files, settings, model, [tmp_path / "in"], Silent(), tmp_path / "out")["cases"]
    assert [Path(row["path"]).name for row in rows] == ["two#1.dcm", "two#2.dcm"]
    import_paths(
        connection, files, settings, project, [tmp_path / "in"], table=None, patient_from=None, job=1, actor=actor,
        on_case=lambda *_: None, progress=Silent(),
    )  # fmt: skip
    cases = [case.id for case in list_cases(connection, project.id) if case.frames > 1]
    expected = score_cases(connection, files, whole, cases, Silent()).tolist()
    said = [list(row["probabilities"].values()) for row in rows]
    assert sorted(said) == [pytest.approx(one, abs=1e-7) for one in sorted(expected)]
