"""Multi-frame objects of several stacks in an import: named and held at the first look, and each a case of its own."""

import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.images.dicom_instances import survey
from core.images.dicom_masks import frames_of_case
from core.images.headers import list_overlaps
from core.images.import_files import read_report
from core.images.import_report import ImportReport
from core.images.label_table import TableRow
from core.images.pseudonyms import load_secret
from core.images.reading_children import ReadingChildren
from core.images.records import Case, list_cases, list_import_files, wanted_again
from core.images.sealed_paths import read_paths
from core.images.series import Instance
from core.images.watched_folders import WatchedFolder, list_news
from core.projects.records import Project
from core.settings import Settings
from core.store.files import Files
from tests.core.images.conftest import Import
from tests.core.images.test_dicom_frames import FRAMES, groups_of, item, made, two_echoes

ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"


def put(path: Path, pixels: np.ndarray, **tags: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    uids = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": f"1.2.{path.stem.__hash__() % 999}"}
    path.write_bytes(made(pixels, **{**uids, **tags}))
    return path


def enhanced_mr(path: Path, pixels: np.ndarray = FRAMES[:4], **groups: Any) -> Path:
    return put(path, pixels, SOPClassUID=ENHANCED_MR, Modality="MR", **groups)


def two_b_values() -> dict[str, Any]:
    """Three slices of b = 0 and two of b = 1000, one between the other and not in the order of their places."""
    groups = groups_of([4, 2, 0, 2, 0])
    for frame, value in zip(groups["PerFrameFunctionalGroupsSequence"], [0, 1000, 0, 0, 1000], strict=True):
        frame.MRDiffusionSequence = [item(DiffusionBValue=float(value))]
    return groups


def two_times() -> dict[str, Any]:
    """Three slices at the first time and two at the second, whose place in time stands where PS3.3 table C.7.6.16-3
    has it: with the content of each frame."""
    groups = groups_of([0, 0, 1, 1, 2])
    for frame, time in zip(groups["PerFrameFunctionalGroupsSequence"], [1, 2, 2, 1, 1], strict=True):
        frame.FrameContentSequence = [item(TemporalPositionIndex=time)]
    return groups


def cases_of(connection: sqlite3.Connection, project: Project) -> list[Case]:
    return list(list_cases(connection, project.id))


def statuses(report: ImportReport) -> dict[str, int]:
    return dict(Counter(file.status for file in report.files))


def test_a_missing_frame_is_named_and_held_back_before_it_is_accepted(
    run: Import, tmp_path: Path, connection: sqlite3.Connection, project: Project
) -> None:
    put(tmp_path / "in" / "odd.dcm", FRAMES, **groups_of([0, 1, 2, 4, 5]))
    put(tmp_path / "in" / "even.dcm", FRAMES + 1, **groups_of([0, 1, 2, 3, 4]))
    said = {Path(file.path).name: file.reason for file in run(tmp_path / "in", hold_back="all").files}
    assert said == {
        "odd.dcm": "Becomes one volume of 5 frames, 6 x 4. Slice 4 is missing between z = 2 and 4 mm. "
        "The volume is shown slice by slice, and nothing is measured across slices.",
        "even.dcm": "Becomes one volume of 5 frames, 6 x 4.",
    }
    report = run(tmp_path / "in", hold_back="odd")
    assert statuses(report) == {"waiting": 1, "imported": 1}
    waiting = wanted_again(list_import_files(connection, 2), ("waiting",))
    assert statuses(run(tmp_path / "in", only=waiting)) == {"imported": 1}
    assert len(cases_of(connection, project)) == 2


def test_the_doctor_draws_the_places_of_frames(
    run: Import, tmp_path: Path, connection: sqlite3.Connection, settings: Settings
) -> None:
    put(tmp_path / "in" / "odd.dcm", FRAMES, **groups_of([0, 1, 2, 4, 5]))
    run(tmp_path / "in", hold_back="odd")
    (series,) = read_report(connection, settings, 1).series
    (part,) = series.series.parts
    assert (part.frames, part.depths_mm, part.slice_spacing_mm) == (5, (0, 1, 2, 4, 5), None)
    assert series.series.is_odd


def test_a_cine_in_one_place_is_not_odd(run: Import, tmp_path: Path) -> None:
    put(tmp_path / "in" / "cine.dcm", FRAMES, **groups_of([3] * 5))
    assert statuses(run(tmp_path / "in", hold_back="odd")) == {"imported": 1}


@pytest.mark.parametrize("in_children", [False, True])
def test_two_b_values_become_two_volumes_with_their_names(
    run: Import, tmp_path: Path, connection: sqlite3.Connection, files: Files, settings: Settings, project: Project,
    in_children: bool,
) -> None:  # fmt: skip
    enhanced_mr(tmp_path / "in" / "dwi.dcm", FRAMES, **two_b_values())
    if in_children:
        with ReadingChildren(settings, load_secret(settings), project.deidentification) as reader:
            report = run(tmp_path / "in", reader=reader)
    else:
        report = run(tmp_path / "in")
    assert [Path(file.path).name for file in report.files] == ["dwi#1.dcm", "dwi#2.dcm"]
    assert statuses(report) == {"imported": 2}
    first, second = cases_of(connection, project)
    for case, frames, order, value in ((first, 3, [2, 3, 0], 0), (second, 2, [4, 1], 1000)):
        assert (case.frames, case.slice_spacing_mm, case.attributes["part"]) == (frames, 2.0, f"b-value {value}")
        np.testing.assert_array_equal(files.read_array("pixels", case.pixel_hash), FRAMES[order])
        np.testing.assert_allclose(
            np.array(case.affine), [[0.7, 0, 0, -4], [0, 0.5, 0, -3], [0, 0, 2, 0], [0, 0, 0, 1]]
        )
        places = frames_of_case(connection, files, case, load_secret(settings)).planes
        assert [plane[2, 3] for plane in places if plane is not None] == [2.0 * at for at in range(frames)]
        assert list_overlaps(connection, case) == []
    assert first.patient == second.patient
    assert report.files[0].reason == "The object holds 5 frames in several parts; this is b-value 0."
    (series,) = read_report(connection, settings, 1).series
    assert series.series.files == 1
    assert series.series.oddities[0] == "It falls into 2 parts: b-value 0 (3 frames); b-value 1000 (2 frames)."


def test_two_points_in_time_become_two_volumes_with_their_names(
    run: Import, tmp_path: Path, connection: sqlite3.Connection, files: Files, settings: Settings, project: Project
) -> None:
    enhanced_mr(tmp_path / "in" / "dynamic.dcm", FRAMES, **two_times())
    assert statuses(run(tmp_path / "in")) == {"imported": 2}
    for case, order, time in zip(cases_of(connection, project), ([0, 3, 4], [1, 2]), (1, 2), strict=True):
        assert (case.frames, case.attributes["part"]) == (len(order), f"time point {time}")
        np.testing.assert_array_equal(files.read_array("pixels", case.pixel_hash), FRAMES[order])
        places = frames_of_case(connection, files, case, load_secret(settings)).planes
        assert [plane[2, 3] for plane in places if plane is not None] == list(range(case.frames))


@pytest.mark.parametrize(
    ("frames", "said"), [(2, "Received: 48 of 96 bytes of pixels"), (900_000_000, "Received: 900000000 x 4 x 6 voxels")]
)
def test_a_header_with_other_frames_than_it_announces_is_surveyed_without_stacks(
    run: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: int, said: str
) -> None:
    path = enhanced_mr(tmp_path / "in" / "lie.dcm", FRAMES[:1], **groups_of([0]), NumberOfFrames=frames)
    with monkeypatch.context() as patch:
        patch.setattr("core.images.dicom_stacks.stored_places", lambda *_: pytest.fail("places that nothing tells"))
        with path.open("rb") as stream:
            found = survey(stream, "lie.dcm")
    assert isinstance(found, Instance)
    assert (found.frames, found.stacks) == (frames, ())
    (row,) = run(tmp_path / "in").files
    assert row.status == "failed"
    assert said in row.reason


def test_enhanced_objects_of_a_single_frame_each_become_one_volume(
    run: Import, tmp_path: Path, connection: sqlite3.Connection, files: Files, settings: Settings, project: Project
) -> None:
    places = [4.0, 0.0, 2.0]
    for at, place in enumerate(places):
        groups = groups_of([place], SeriesInstanceUID="1.2.3")
        groups["PerFrameFunctionalGroupsSequence"][0].MREchoSequence = [item(EffectiveEchoTime=80.0)]
        enhanced_mr(tmp_path / "in" / f"{at}.dcm", FRAMES[at : at + 1], **groups)
    assert statuses(run(tmp_path / "in", hold_back="odd")) == {"joined": 3}
    (case,) = cases_of(connection, project)
    assert (case.frames, case.slice_spacing_mm, case.spacing_mm) == (3, 2.0, (0.5, 0.7))
    np.testing.assert_array_equal(files.read_array("pixels", case.pixel_hash), FRAMES[np.argsort(places)])
    planes = frames_of_case(connection, files, case, load_secret(settings)).planes
    assert [plane[2, 3] for plane in planes if plane is not None] == [0, 2, 4]


def test_two_echoes_are_known_again_and_not_read_twice(
    run: Import, tmp_path: Path, connection: sqlite3.Connection, settings: Settings, project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    enhanced_mr(tmp_path / "in" / "echoes.dcm", **two_echoes())
    assert run(tmp_path / "in").imported == 2
    watched = WatchedFolder(project.id, tmp_path / "in", 1.0, 0.0, "anna", "", None, "")
    assert list_news(connection, settings, watched, 1e12) == []
    monkeypatch.setattr("core.images.import_units._made", lambda *_: pytest.fail("a known stack was read"))
    again = run(tmp_path / "in")
    assert statuses(again) == {"skipped": 2}
    assert statuses(run(tmp_path / "in", only_new=True)) == {}


def test_one_of_two_stacks_can_be_asked_for_and_its_name_is_kept(
    run: Import, tmp_path: Path, connection: sqlite3.Connection, settings: Settings, project: Project
) -> None:
    enhanced_mr(tmp_path / "in" / "echoes.dcm", **two_echoes())
    enhanced_mr(tmp_path / "in" / "plain.dcm", FRAMES[1:4], **groups_of([0, 1, 2]))
    assert statuses(run(tmp_path / "in", hold_back="odd")) == {"waiting": 2, "imported": 1}
    named = read_paths(settings, 1)
    names = {row.path: Path(named[row.path]).name for row in list_import_files(connection, 1)}
    assert set(names.values()) == {"echoes#1.dcm", "echoes#2.dcm", "plain.dcm"}
    second = {path for path, name in names.items() if name == "echoes#2.dcm"}
    report = run(tmp_path / "in", only=second)
    assert [Path(file.path).name for file in report.files] == ["echoes#2.dcm"]
    assert tmp_path / "in" / "echoes.dcm" in report.left, "the other stack still waits in it"
    assert [case.attributes["part"] for case in cases_of(connection, project)[1:]] == ["echo 80 ms"]


def test_a_row_of_the_label_table_holds_for_all_stacks_of_its_object(run: Import, tmp_path: Path) -> None:
    enhanced_mr(tmp_path / "in" / "echoes.dcm", **two_echoes())
    said: list[TableRow | None] = []
    table = {"echoes.dcm": TableRow("echoes.dcm", split="test")}
    report = run(tmp_path / "in", table=table, on_case=lambda connection, case, row: said.append(row))
    assert [row.split for row in said if row] == ["test", "test"]
    assert report.warnings == ()
