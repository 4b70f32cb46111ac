"""Series come in as volumes: joined, ordered, named, resumed, and equal to what SimpleITK reads."""

import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from core.errors import InvalidInput
from core.images.decoded import DecodedImage
from core.images.decoding import decode
from core.images.headers import list_headers
from core.images.ingest import ImportReport, import_paths
from core.images.label_table import map_columns, read_label_table
from core.images.records import CAME_IN, Case, count_cases, get_case, list_cases, list_import_files
from core.progress import Silent
from core.projects.deidentification import Deidentification
from core.projects.records import Project, set_deidentification
from core.settings import PROJECT_ROOT, Settings
from core.store.audit import Actor
from core.store.database import opened
from core.store.files import Files
from tests.core.images.conftest import Import

CT = "1.2.840.10008.5.1.4.1.1.2"
SERIES = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4"}


@pytest.fixture
def hidden(project: Project) -> Project:
    """A project in which files go by tokens, as they do unless an administrator says otherwise."""
    return project


@pytest.fixture
def plain(connection: sqlite3.Connection, project: Project, actor: Actor) -> Project:
    """Files keep their names here, so that tests can speak of them."""
    return set_deidentification(connection, project, Deidentification(enabled=False), actor)


@pytest.fixture
def run(run: Import, plain: Project) -> Import:
    return partial(run, project=plain)


def a_slice(path: Path, z: float, **tags: Any) -> np.ndarray:
    """A slice whose pixels say where it lies."""
    rows, columns = tags.pop("Rows", 12), tags.pop("Columns", 16)
    pixels = (np.arange(rows * columns).reshape(rows, columns) + int(z * 10)).astype(np.int16)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT, generate_uid()
    dataset.Modality, dataset.PatientID, dataset.PatientName = "CT", "4711", "Doe^Jane"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [-4, -3, z], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [0.5, 0.7]
    dataset.Rows, dataset.Columns = rows, columns
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.PixelData = pixels.tobytes()
    for tag, value in {**SERIES, **tags}.items():
        setattr(dataset, tag, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return pixels


def a_series(folder: Path, places: list[float], **tags: Any) -> np.ndarray:
    """Names run against the order of places."""
    return np.stack([a_slice(folder / f"{len(places) - i:03}.dcm", z, **tags) for i, z in enumerate(places)])


def cases_of(report: ImportReport, connection: sqlite3.Connection) -> list[Case]:
    return [get_case(connection, case) for case in sorted({file.case for file in report.files if file.case})]


def test_a_series_is_one_case(run: Import, tmp_path: Path, connection: sqlite3.Connection, files: Files) -> None:
    pixels = a_series(tmp_path / "in" / "s", [0, 2, 4, 6])
    report = run(tmp_path / "in")
    assert (report.imported, report.failed, report.cases) == (4, 0, 1)
    (case,) = cases_of(report, connection)
    assert (case.frames, case.rows, case.columns, case.dtype, case.source) == (4, 12, 16, "int16", "s/004.dcm")
    assert (case.spacing_mm, case.slice_spacing_mm, case.modality) == ((0.5, 0.7), 2.0, "CT")
    assert case.affine is not None
    np.testing.assert_allclose(case.affine, [[0.7, 0, 0, -4], [0, 0.5, 0, -3], [0, 0, 2, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(files.read_array("pixels", case.pixel_hash), pixels)
    assert [file.reason for file in report.files] == [
        f"Joined into case {case.id}, frame {frame} of 4." for frame in (4, 3, 2, 1)
    ]
    assert len({header.sop_uid for header in list_headers(connection, case.id)}) == 4
    assert files.has("thumbnails", case.pixel_hash)


def test_a_second_import_skips_the_series_under_any_name(run: Import, tmp_path: Path) -> None:
    a_series(tmp_path / "in", [0, 2, 4, 6])
    run(tmp_path / "in")
    again = run(tmp_path / "in")
    assert (again.imported, again.skipped, again.cases) == (0, 4, 0)
    assert "same source and same pixels" in again.files[-1].reason
    (tmp_path / "in").rename(tmp_path / "other")
    for path in (tmp_path / "other").iterdir():
        path.rename(path.with_name("x" + path.name))
    moved = run(tmp_path / "other")
    assert (moved.imported, moved.skipped) == (0, 4)
    assert "same series and same pixels" in moved.files[-1].reason


def test_a_series_comes_in_under_hidden_names(
    run: Import, hidden: Project, tmp_path: Path, connection: sqlite3.Connection, settings: Settings
) -> None:
    a_series(tmp_path / "Doe Jane" / "Jane head", [0, 2, 6, 8], SeriesDescription="Jane's head")
    a_series(tmp_path / "Doe Jane" / "Jane neck", [0, 2], SeriesInstanceUID="1.9")
    table = map_columns(read_label_table(b"path,label\nJane head,normal\n"))
    told = []
    report = run(
        tmp_path / "Doe Jane", project=hidden, table=table, on_case=lambda _, case, row: told.append((case.frames, row))
    )
    assert (report.imported, report.cases, report.failed) == (6, 2, 0)
    assert [(frames, row.labels if row else None) for frames, row in told] == [(4, "normal"), (2, None)]
    assert {case.patient_from for case in cases_of(report, connection)} == {"dicom"}
    run(tmp_path / "Doe Jane", project=hidden)
    kept = [path.read_bytes() for path in settings.home.rglob("*") if path.is_file()]
    # four digits within a hash or a time are nobody's number
    assert not any(re.search(rb"Jane|(?<![0-9a-f])4711(?![0-9a-f])", content) for content in kept)


def test_one_bad_slice_costs_only_itself(run: Import, tmp_path: Path, connection: sqlite3.Connection) -> None:
    a_series(tmp_path / "in", [0, 2, 4, 6, 8, 10])
    whole = (tmp_path / "in" / "003.dcm").read_bytes()
    (tmp_path / "in" / "003.dcm").write_bytes(whole[:-40])
    report = run(tmp_path / "in")
    assert (report.imported, report.failed, report.cases) == (5, 1, 1)
    assert "ends before its pixels do" in next(file.reason for file in report.files if file.path == "003.dcm")
    first = report.files[-1].reason  # names run against places: the first frame is the last file
    assert "1 of its files could not be read. Slice 4 is missing between z = 4 and 8 mm." in first
    assert cases_of(report, connection)[0].slice_spacing_mm is None


def test_when_all_slices_but_one_are_bad_an_image_is_left(
    run: Import, tmp_path: Path, connection: sqlite3.Connection
) -> None:
    a_series(tmp_path / "in", [0, 2, 4])
    for name in ("001.dcm", "002.dcm"):
        path = tmp_path / "in" / name
        path.write_bytes(path.read_bytes()[:-40])
    report = run(tmp_path / "in")
    assert (report.imported, report.failed) == (1, 2)
    assert cases_of(report, connection)[0].frames == 1
    path = tmp_path / "in" / "003.dcm"
    path.write_bytes(path.read_bytes()[:-40])
    assert run(tmp_path / "in").failed == 3


def test_values_survive_a_rescale_of_each_slice(
    run: Import, tmp_path: Path, connection: sqlite3.Connection, files: Files
) -> None:
    expected = []
    for i, slope in enumerate((1, 0.25, 2, 3)):
        pixels = a_slice(tmp_path / "in" / f"{i}.dcm", i * 2, RescaleSlope=str(slope), RescaleIntercept="-1000")
        expected.append(pixels * slope - 1000)
    (case,) = cases_of(run(tmp_path / "in"), connection)
    np.testing.assert_array_equal(files.read_array("pixels", case.pixel_hash), np.stack(expected))
    assert case.dtype == "float32"


def test_what_is_odd_is_told_in_the_first_row(run: Import, tmp_path: Path) -> None:
    tilted = {"ImageOrientationPatient": [1, 0, 0, 0, 0.9510565, 0.3090170]}
    a_series(tmp_path / "tilt", [0, 5, 10, 20, 25], **tilted)
    report = run(tmp_path / "tilt")
    first = next(file.reason for file in report.files if "frame 1 of 5" in file.reason)
    assert "Slice 4 is missing between z = 10 and 20 mm." in first
    assert "tilted by 18.0 degrees" in first
    assert sum(file.reason.endswith("of 5.") for file in report.files) == 4


def test_a_mixed_series_is_taken_apart(run: Import, tmp_path: Path, connection: sqlite3.Connection) -> None:
    for echo in (10, 80):
        a_series(tmp_path / "in" / f"e{echo}", [0, 2, 4], EchoTime=str(echo), Modality="MR")
    a_series(tmp_path / "in" / "large", [0, 2], Rows=20)
    a_slice(tmp_path / "in" / "scout.dcm", 0, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    a_slice(tmp_path / "in" / "double.dcm", 4, EchoTime="80", Modality="MR", InstanceNumber="99")
    report = run(tmp_path / "in")
    assert report.failed == 0
    cases = cases_of(report, connection)
    assert Counter((case.frames, case.attributes.get("part")) for case in cases) == {
        (3, "size 16 x 12, echo 10 ms"): 1,
        (3, "size 16 x 12, echo 80 ms"): 1,
        (1, "size 16 x 12, echo 80 ms, duplicate"): 1,
        (2, "size 16 x 20"): 1,
        (1, None): 1,
    }
    told = {file.path: file.reason for file in report.files}
    assert told["scout.dcm"] == "A localiser, kept apart from the volumes."
    assert "lies where another slice of its series does" in told["double.dcm"]
    assert "The series holds 9 slices in several parts" in told["e10/003.dcm"]


def test_no_volume_mixes_patients_or_stored_values_with_hu(
    run: Import, tmp_path: Path, connection: sqlite3.Connection
) -> None:
    told = {"RescaleSlope": 1, "RescaleIntercept": -1000}
    a_series(tmp_path / "in" / "one", [0, 4, 8, 12], PatientID="A", **told)
    a_series(tmp_path / "in" / "two", [2, 6, 10], PatientID="B", **told)
    pixels = a_slice(tmp_path / "in" / "two" / "bare.dcm", 14, PatientID="B")
    report = run(tmp_path / "in")
    reasons = {file.path: file.reason for file in report.files}
    assert {(case.frames, case.patient) for case in cases_of(report, connection)} == {(4, "A"), (3, "B"), (1, "B")}
    assert all("Files of 2 patients go by one series UID" in reasons[path] for path in ("one/004.dcm", "two/003.dcm"))
    assert "values as stored, without a rescale" in reasons["two/bare.dcm"]
    assert pixels.min() >= 0


def test_slices_without_a_place_say_so(run: Import, tmp_path: Path) -> None:
    for at in range(3):
        a_slice(tmp_path / "in" / f"{at}.dcm", at, ImagePositionPatient=None)
    report = run(tmp_path / "in")
    assert report.imported == 3
    assert all("tells no Image Position: nobody knows where it lies" in file.reason for file in report.files)


def test_a_copied_file_is_skipped(run: Import, tmp_path: Path) -> None:
    a_series(tmp_path / "in", [0, 2, 4])
    (tmp_path / "in" / "copy.dcm").write_bytes((tmp_path / "in" / "001.dcm").read_bytes())
    report = run(tmp_path / "in")
    assert (report.imported, report.skipped) == (3, 1)
    skipped = next(file for file in report.files if file.status == "skipped")
    assert skipped.reason == f"The same instance as frame 3 of case {skipped.case}."


def test_a_table_may_name_the_folder_of_a_volume(run: Import, tmp_path: Path, connection: sqlite3.Connection) -> None:
    a_series(tmp_path / "in" / "one", [0, 2, 4])
    a_series(tmp_path / "in" / "two", [10, 12, 14], SeriesInstanceUID="9", StudyInstanceUID="9")
    table = map_columns(read_label_table(b"path,label,patient\none,normal,p1\ntwo/002.dcm,bleeding,p2\n"))
    told: dict[str, Any] = {}
    report = run(tmp_path / "in", table=table, on_case=lambda _, case, row: told.update({case.source: row.labels}))
    assert told == {"one/003.dcm": "normal", "two/003.dcm": "bleeding"}
    assert {case.patient for case in cases_of(report, connection)} == {"p1", "p2"}
    assert not report.warnings


def test_a_table_that_contradicts_itself_on_a_volume_is_refused(run: Import, tmp_path: Path) -> None:
    a_series(tmp_path / "in", [0, 2, 4])
    table = map_columns(read_label_table(b"path,label\n001.dcm,normal\n002.dcm,bleeding\n"))
    report = run(tmp_path / "in", table=table)
    assert (report.imported, report.failed) == (0, 3)
    assert "different things of the slices of one volume" in report.files[0].reason


def test_a_series_that_names_may_be_burned_into_is_held(
    run: Import, tmp_path: Path, connection: sqlite3.Connection
) -> None:
    a_series(tmp_path / "in", [0, 2])
    a_slice(tmp_path / "in" / "x.dcm", 4, BurnedInAnnotation="YES")
    report = run(tmp_path / "in")
    assert cases_of(report, connection)[0].held
    assert "Held for a check of its pixels" in next(file.reason for file in report.files if "frame 1 " in file.reason)


def test_a_volume_beyond_the_limit_is_refused_as_a_whole(
    run: Import, tmp_path: Path, settings: Settings, connection: sqlite3.Connection, files: Files, project: Project,
    actor: Actor,
) -> None:  # fmt: skip
    a_series(tmp_path / "in", [0, 2, 4])
    little = Settings(home=settings.home, max_image_pixels=400)
    report = import_paths(
        connection, files, little, project, [tmp_path / "in"], table=None, patient_from=None, job=1, actor=actor,
        on_case=lambda *_: None, progress=Silent(),
    )  # fmt: skip
    assert report.failed == 3
    assert "16" in report.files[0].reason


def test_a_directory_file_is_skipped_and_its_files_come_in(run: Import, tmp_path: Path, test_data: Path) -> None:
    a_series(tmp_path / "in", [0, 2, 4])
    index = (test_data / "dicom_broken" / "real" / "philips_nonimage_DICOMDIR").read_bytes()
    (tmp_path / "in" / "DICOMDIR").write_bytes(index)
    report = run(tmp_path / "in")
    assert (report.imported, report.skipped) == (3, 1)
    assert "An index of other files" in next(file.reason for file in report.files if file.status == "skipped")


def test_an_index_given_by_itself_stands_for_its_files(
    run: Import, tmp_path: Path, connection: sqlite3.Connection
) -> None:
    tests = Path(str(get_testdata_file("dicomdirtests/DICOMDIR")))
    report = run(tests)
    named = {file.path: file for file in report.files}
    assert named.pop("DICOMDIR").status == "skipped"
    assert len(named) == 31
    assert all((tests.parent / path).is_file() and file.status in CAME_IN for path, file in named.items())
    assert len(cases_of(report, connection)) == report.cases > 1
    outside = pydicom.dcmread(tests)
    for record in outside.DirectoryRecordSequence:
        if "ReferencedFileID" in record:
            record.ReferencedFileID = ["..", "..", "etc"]
    outside.save_as(tmp_path / "DICOMDIR")
    assert [file.status for file in run(tmp_path / "DICOMDIR").files] == ["skipped"]


def test_an_index_says_which_of_its_files_are_missing_alone_and_in_a_folder(run: Import, tmp_path: Path) -> None:
    tests = Path(str(get_testdata_file("dicomdirtests/DICOMDIR"))).parent
    shutil.copytree(tests, tmp_path / "in" / "disc")
    gone = "77654033/CR1/6154"
    (tmp_path / "in" / "disc" / gone).unlink()
    (tmp_path / "in" / "disc" / "77654033" / "CR2" / "6247").rename(tmp_path / "in/disc/77654033/CR2/6247.dcm")
    told = {file.path: file.reason for file in run(tmp_path / "in").files}
    missing = [path for path, reason in told.items() if "names this file and it is not there; copy it again" in reason]
    assert missing == [f"disc/{gone}"]
    alone = {file.path: file for file in run(tmp_path / "in" / "disc" / "DICOMDIR", job=2).files}
    assert (alone[gone].status, "No such file" in alone[gone].reason) == ("failed", True)


# ---- stopped, killed, resumed


class StopAfter(Silent):
    def __init__(self, times: int) -> None:
        self.left = times

    def should_stop(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_a_series_comes_in_whole_or_not_at_all(run: Import, tmp_path: Path, connection: sqlite3.Connection) -> None:
    a_series(tmp_path / "in", [0, 2, 4, 6])
    with pytest.raises(Exception, match=r"(?i)stop"):
        run(tmp_path / "in", job=7, progress=StopAfter(3))
    assert list_import_files(connection, 7) == []
    report = run(tmp_path / "in", job=7)
    assert (report.imported, report.cases) == (4, 1)


def test_a_slice_that_keeps_killing_the_import_is_left_out(run: Import, tmp_path: Path, settings: Settings) -> None:
    a_series(tmp_path / "in", [0, 2, 4, 6, 8])
    (settings.home / "imports").mkdir(parents=True, exist_ok=True)
    (settings.home / "imports" / "5.reading").write_text('{"003.dcm": 2}')
    report = run(tmp_path / "in", job=5)
    told = {file.path: (file.status, file.reason) for file in report.files}
    assert told["003.dcm"][0] == "failed"
    assert "ended the import twice" in told["003.dcm"][1]
    assert "Slice 3 is missing between z = 2 and 6 mm" in told["005.dcm"][1]
    assert not (settings.home / "imports" / "5.reading").exists()


KILLED = """
import sys
from pathlib import Path
from core.images.ingest import import_paths
from core.progress import Silent
from core.projects.records import get_project
from core.settings import PROJECT_ROOT, Settings
from core.store.audit import Actor
from core.store.database import opened
from core.store.files import Files

home, folder = Path(sys.argv[1]), Path(sys.argv[2])
settings = Settings(home=home)
with opened(settings) as connection:
    print("begun", flush=True)
    report = import_paths(connection, Files(home), settings, get_project(connection, "Chest"), [folder], table=None,
                          patient_from=None, job=1, actor=Actor("anna", "job"), on_case=lambda *_: None,
                          progress=Silent())
    print("done", report.imported, report.cases, flush=True)
"""


def test_killed_at_any_moment_no_series_is_half_there(
    settings: Settings, project: Project, tmp_path: Path, files: Files
) -> None:
    for number in range(8):
        a_series(tmp_path / "in" / str(number), [0, 2, 4, 6, 8], SeriesInstanceUID=f"1.{number + 1}", Rows=64)
    command = [sys.executable, "-c", KILLED, str(settings.home), str(tmp_path / "in")]
    for wait in (0.05, 0.2, 0.4):
        process = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        assert process.stdout.readline() == "begun\n"
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with opened(settings) as connection:
            joined = Counter(file.case for file in list_import_files(connection, 1))
            assert set(joined.values()) <= {5}
            assert len(joined) == count_cases(connection, project.id)
            for case in list_cases(connection, project.id):
                assert files.read_array("pixels", case.pixel_hash).shape == (5, 64, 16)
                assert len(list_headers(connection, case.id)) == 5
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True, timeout=280)
    assert done.stdout == "begun\ndone 40 8\n"


def test_a_file_that_ends_its_reader_costs_itself(run: Import, tmp_path: Path) -> None:
    a_series(tmp_path / "in", [0, 2, 4, 6])
    died = []

    def reader(content: bytes, name: str) -> DecodedImage:
        if name == "002.dcm":
            died.append(name)
            raise InvalidInput("Reading this file ended its reader.")
        return decode(content, Settings(home=tmp_path), b"s" * 32, name=name)

    report = run(tmp_path / "in", reader=reader)
    assert (report.imported, report.failed, died) == (3, 1, ["002.dcm"])


# ---- against SimpleITK


@pytest.mark.parametrize("name", ["ct_head_phantom_philips_5mm_28sl.zip", "mr_t1_implicitvr_48sl.zip"])
def test_real_series_are_what_simpleitk_reads(
    name: str, run: Import, tmp_path: Path, test_data: Path, connection: sqlite3.Connection, files: Files
) -> None:
    packed = test_data / "dicom_series" / name
    report = run(packed)
    case = max(cases_of(report, connection), key=lambda case: case.frames)
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(tmp_path)
    reader = SimpleITK.ImageSeriesReader()
    folder = next(path.parent for path in sorted(tmp_path.rglob("*")) if path.is_file() and path.stat().st_size > 5000)
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    expected = reader.Execute()
    np.testing.assert_array_equal(files.read_array("pixels", case.pixel_hash), SimpleITK.GetArrayFromImage(expected))
    affine = np.eye(4)
    affine[:3, :3] = np.array(expected.GetDirection()).reshape(3, 3) @ np.diag(expected.GetSpacing())
    affine[:3, 3] = expected.GetOrigin()
    assert case.affine is not None
    np.testing.assert_allclose(case.affine, affine, atol=2e-3)
    assert case.frames == expected.GetSize()[2]
    assert not any(file.status == "failed" and file.case for file in report.files)
