"""Names of files, folders and patients in an import: tokens in the database, names for the person who imports."""

import io
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

from core.errors import InvalidInput
from core.images import ingest
from core.images.crosswalk import show, turn_on
from core.images.import_files import list_named_files
from core.images.ingest import ImportReport, import_paths
from core.images.label_table import TableRow, map_columns, read_label_table
from core.images.path_names import PathNames
from core.images.pseudonyms import TOKEN_PATH, days_of, load_secret, path_token, patient_name, pseudonym
from core.images.records import find_case, get_case, list_cases, list_import_files
from core.images.sources import SourceFile
from core.labels.exchange import add_table_labels, export_labels, import_labels
from core.labels.records import list_labels
from core.progress import Silent
from core.projects.deidentification import Deidentification
from core.projects.records import Project
from core.reviews.case_search import CaseFilter, search_case_ids
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from tests.core.images.hostile import hostile_file
from tests.core.images.test_dicom_syntaxes import dataset_of

Import = Callable[..., ImportReport]


@pytest.fixture
def run(connection: sqlite3.Connection, files: Files, settings: Settings, project: Project, actor: Actor) -> Import:
    jobs = iter(range(1, 100))

    def call(*paths: Path, table: Mapping[str, TableRow] | None = None, **more: Any) -> ImportReport:
        asked = more.pop("project", project)

        def add_labels(connection: sqlite3.Connection, case: Any, row: TableRow | None) -> None:
            add_table_labels(connection, asked, case, row, actor)

        given = {"patient_from": None, "job": next(jobs), "on_case": add_labels, "progress": Silent(), **more}
        return import_paths(connection, files, settings, asked, paths, table=table, actor=actor, **given)

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures of one name, one in a folder, a volume, a DICOM image."""
    root = tmp_path / "in"
    (root / "doe_jane").mkdir(parents=True)
    for seed, name in enumerate(("scan.png", "doe_jane/scan.png", "doe_jane/scan_12.png")):
        content = io.BytesIO()
        Image.fromarray(np.random.default_rng(seed).integers(0, 255, (20, 24), np.uint8)).save(content, "PNG")
        (root / name).write_bytes(content.getvalue())
    volume = np.random.default_rng(5).integers(0, 99, (8, 8, 3)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), root / "doe_jane" / "head.nii.gz")
    (root / "doe_jane" / "1.2.840.4711").write_bytes(hostile_file())
    return root


def table_of(text: str) -> dict[str, TableRow]:
    return map_columns(read_label_table(text.encode()))


def test_two_files_of_the_same_pixels_are_both_told_by_their_names(run: Import, folder: Path) -> None:
    (folder / "a copy.png").write_bytes((folder / "scan.png").read_bytes())
    assert {"a copy.png", "scan.png"} <= {file.path for file in run(folder).files}


def test_cases_and_reports_are_stored_by_tokens_and_told_by_names(
    run: Import, folder: Path, connection: sqlite3.Connection, settings: Settings, project: Project
) -> None:
    report = run(folder)
    assert sorted(file.path for file in report.files) == [
        "doe_jane/1.2.840.4711", "doe_jane/head.nii.gz", "doe_jane/scan.png", "doe_jane/scan_12.png", "scan.png",
    ]  # fmt: skip
    sources = [case.source for case in list_cases(connection, project.id)]
    assert all(TOKEN_PATH.fullmatch(source) for source in sources), sources
    assert {file.path for file in list_import_files(connection, 1)} == set(sources)
    named = list_named_files(connection, settings, 1)
    assert [file.path for file in named] == sorted(file.path for file in report.files)
    expired = list_named_files(connection, replace(settings, paths_keep_days=-1), 1)
    assert {file.path for file in expired} == set(sources)


def test_a_file_that_goes_after_it_was_listed_is_refused_and_the_rest_comes_in(
    run: Import, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, list_sources = folder / "doe_jane" / "scan_12.png", ingest.list_sources

    def listed(*given: Any, **more: Any) -> list[SourceFile]:
        found = list_sources(*given, **more)
        gone.unlink()
        return found

    monkeypatch.setattr(ingest, "list_sources", listed)
    table = folder / "labels.csv"
    table.write_text("path,label\nscan.png,normal\n")
    report = run(folder, table=map_columns(read_label_table(table)), label_table=table)
    (refused,) = [file for file in report.files if file.status == "failed"]
    assert refused.path == "doe_jane/scan_12.png"
    assert refused.reason.startswith("It cannot be read; check the path and its permissions.")
    assert (report.imported, report.skipped) == (4, 1)


def test_a_second_import_knows_every_file(run: Import, folder: Path) -> None:
    run(folder)
    again = run(folder)
    assert (again.imported, again.skipped, again.failed) == (0, 5, 0)


@pytest.mark.parametrize(
    "name", ["doe_jane/scan_12.png", "scan_12.png", "scan_12", "head.nii.gz", "head", "1.2.840.4711"]
)
def test_a_case_is_found_by_what_people_write(
    run: Import, folder: Path, connection: sqlite3.Connection, project: Project, name: str
) -> None:
    report = run(folder)
    wanted = next(file.case for file in report.files if name in file.path)
    found = find_case(connection, project.id, name)
    assert found is not None
    assert found.id == wanted
    assert search_case_ids(connection, project, CaseFilter(text=name)) == [wanted]


def test_a_name_of_several_is_refused_by_numbers(
    run: Import, folder: Path, connection: sqlite3.Connection, project: Project
) -> None:
    run(folder)
    assert find_case(connection, project.id, "scan.png") is not None  # the whole path of one of them
    (folder / "other").mkdir()
    (folder / "scan.png").rename(folder / "other" / "scan_12.png")
    run(folder)
    with pytest.raises(InvalidInput, match="Several"):
        find_case(connection, project.id, "scan_12.png")


def test_labels_of_a_table_find_their_images_and_come_back_unchanged(
    run: Import, folder: Path, connection: sqlite3.Connection, project: Project, actor: Actor
) -> None:
    run(folder)
    done = import_labels(
        connection,
        project,
        "path,label\nscan_12.png,normal\ndoe_jane/head.nii.gz,pneumonia\nnobody.png,normal\n",
        actor,
    )
    assert (done.added, len(done.refused)) == (2, 1)
    exported = export_labels(connection, project)
    assert "doe" not in exported
    assert "scan_12" not in exported
    again = import_labels(connection, project, exported, actor)
    assert (again.added, again.unchanged, again.refused) == (0, 2, ())


def test_a_picture_that_the_table_names_keeps_that_name(
    run: Import, folder: Path, connection: sqlite3.Connection, project: Project
) -> None:
    table = table_of("path,label\nscan_12.png,normal\nhead.nii.gz,pneumonia\nscan.png,normal\n")
    report = run(folder, table=table)
    assert report.warnings == ()
    sources = {file.path: get_case(connection, file.case or 0).source for file in report.files}
    assert sources["doe_jane/scan_12.png"] == "scan_12.png"
    assert sources["scan.png"] == "scan.png"
    assert TOKEN_PATH.fullmatch(sources["doe_jane/head.nii.gz"])  # a volume never
    labelled = [case.id for case in list_cases(connection, project.id) if list_labels(connection, case.id)]
    assert len(labelled) == 3
    again = run(folder)  # without the table
    assert (again.imported, again.skipped) == (0, 5)


def test_patients_of_a_table_get_the_pseudonym_of_the_header(
    run: Import, folder: Path, connection: sqlite3.Connection, settings: Settings, project: Project
) -> None:
    secret = load_secret(settings)
    table = table_of("path,label,patient,MRN,site,age\nscan_12.png,normal,4711,0815,Ward 3,093\n")
    report = run(folder, table=table, patient_from=r"doe_(\w+)/")
    cases = {file.path: get_case(connection, file.case or 0) for file in report.files}
    case = cases["doe_jane/scan_12.png"]
    assert case.patient == pseudonym(secret, "patient /4711") == patient_name(secret, "4711")
    assert patient_name(secret, case.patient) == case.patient
    assert case.attributes["MRN"] == patient_name(secret, "0815")
    assert (case.attributes["site"], case.attributes["age"]) == ("Ward 3", "90")
    assert cases["doe_jane/scan.png"].patient == patient_name(secret, "jane")
    assert search_case_ids(connection, project, CaseFilter(text="4711")) == [case.id]


@pytest.fixture
def kept(settings: Settings, project: Project) -> Callable[..., dict[str, str]]:
    """What is kept of a row's further columns."""

    def call(patient: str = "4711", **columns: str) -> dict[str, str]:
        names = PathNames(load_secret(settings), project.deidentification)
        cells = ["a.png", "normal", patient, *columns.values()]
        text = ",".join(["path", "label", "patient", *columns]) + "\n" + ",".join(cells) + "\n"
        _, table = names.hide([], table_of(text), ())
        assert table is not None
        return table["a.png" if "a.png" in table else next(iter(table))].attributes

    return call


@pytest.mark.parametrize(
    "column",
    ["mrn", "nhs_number", "NHS", "hospital_number", "Hospital No", "case_id", "study_id", "ExamID", "encounter-id",
     "accession_number", "given_name", "initials", "postcode", "national_id", "hospital", "institution_name",
     "InstitutionName", "physician", "referring_physician", "ReferringPhysicianName", "operator", "performed_by",
     "radiologist_name", "original_path", "source_file", "DICOM path", "folder"],
)  # fmt: skip
def test_columns_that_name_somebody_are_hidden(kept: Callable[..., dict[str, str]], column: str) -> None:
    (value,) = kept(**{column: "Doe"}).values()
    assert "Doe" not in value
    assert kept(**{column: value}) == {column: value}  # what was exported comes back unchanged


@pytest.mark.parametrize(
    "column",
    ["comments", "comment", "remarks", "clinical_notes", "free_text", "report", "clinical_history", "dob",
     "birth_date", "PatientBirthDate", "date_of_birth"],
)  # fmt: skip
def test_free_words_and_days_of_birth_go(kept: Callable[..., dict[str, str]], column: str) -> None:
    assert kept(**{column: "Doe 1970-01-01"}) == {}


@pytest.mark.parametrize("column", ["site", "scanner", "reporter_kind", "visit_no", "candidate", "update", "density"])
def test_other_columns_stay(kept: Callable[..., dict[str, str]], column: str) -> None:
    assert kept(**{column: "B 2"}) == {column: "B 2"}


@pytest.mark.parametrize(
    "column", ["study_date", "exam_date", "admission_date", "visit_date", "StudyDate", "date", "scan date 2"]
)
def test_dates_move_as_those_of_the_patients_headers(
    kept: Callable[..., dict[str, str]], settings: Settings, column: str
) -> None:
    days = timedelta(days=days_of(load_secret(settings), "patient /4711"))
    (value,) = kept(**{column: "2020-03-01 10:15"}).values()
    assert value == f"{date(2020, 3, 1) + days} 10:15"
    assert kept(patient="", **{column: "2020-03-01"}) == {}  # nobody's days
    assert kept(**{column: "after Easter"}) == {}
    assert kept(patient="P0123456789abcdef", **{column: "2020-03-01"}) == {column: "2020-03-01"}  # was moved before


def test_dates_of_a_project_that_moves_none_go(settings: Settings) -> None:
    names = PathNames(load_secret(settings), Deidentification(shift_dates=False))
    _, table = names.hide([], table_of("path,label,patient,study_date\na,normal,1,2020-03-01\n"), ())
    assert table is not None
    assert [row.attributes for row in table.values()] == [{}]


def test_a_table_adds_its_patients_to_the_crosswalk(
    run: Import, folder: Path, connection: sqlite3.Connection, settings: Settings, project: Project, actor: Actor
) -> None:
    project = turn_on(connection, settings, project, "a long enough passphrase", Actor("anna", "command line"))
    run(folder, table=table_of("path,label,patient\nscan_12.png,normal,4711\n"), project=project)
    secret = load_secret(settings)
    for said in ("4711", "SECRETMARK4711"):
        line = [case.patient for case in list_cases(connection, project.id)]
        assert line
        name = patient_name(secret, said)
        if name in line:
            asked = Actor("anna", "command line")
            assert said in show(connection, settings, project, name, "a long enough passphrase", asked)


def test_tokens_are_of_each_part_and_of_the_home() -> None:
    one = path_token(b"s" * 32, "doe/jane.nii.gz")
    assert TOKEN_PATH.fullmatch(one)
    assert one.endswith(".nii.gz")
    assert path_token(b"s" * 32, "x/jane.nii.gz").split("/")[1] == one.split("/")[1]
    assert path_token(b"s" * 32, one) == one
    assert path_token(b"t" * 32, "doe/jane.nii.gz") != one
    assert "." not in path_token(b"s" * 32, "1.2.3.19870611")


# ---- one patient, told by a header with an issuer and by a table (decision 021)


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Two DICOM images of number 4711 of the ward, each in a folder of its own, and a picture beside the second."""
    for seed, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        dataset = dataset_of(np.random.default_rng(seed).integers(0, 99, (9, 9)).astype(np.uint16))
        dataset.IssuerOfPatientID, dataset.SeriesInstanceUID = "Ward", f"1.2.3.{seed}"
        dataset.save_as(tmp_path / name / f"{name}.dcm", enforce_file_format=True)
    Image.fromarray(np.eye(9, dtype=np.uint8)).save(tmp_path / "b" / "photo.png")
    return tmp_path


def names_of(settings: Settings) -> tuple[str, str]:
    secret = load_secret(settings)
    return pseudonym(secret, "patient Ward/4711"), patient_name(secret, "4711")


TABLE = "path,label,patient\nb.dcm,normal,4711\nphoto.png,normal,4711\n"


def test_a_table_of_the_first_import_names_the_patient_of_all(
    run: Import, two: Path, settings: Settings, connection: sqlite3.Connection, project: Project
) -> None:
    _, by_number = names_of(settings)
    run(two / "b", table=table_of(TABLE))
    report = run(two / "a")  # without a table, the header alone would say another
    assert {case.patient for case in list_cases(connection, project.id)} == {by_number}
    assert "the one that a table named by this number alone" in report.files[0].reason


def test_patients_of_an_existing_home_keep_the_name_of_their_header(
    run: Import, two: Path, settings: Settings, connection: sqlite3.Connection, project: Project
) -> None:
    by_header, _ = names_of(settings)
    run(two / "a")
    (two / "b" / "photo.png").unlink()
    report = run(two / "b", table=table_of(TABLE.replace("photo.png,normal,4711\n", "")))
    assert {case.patient for case in list_cases(connection, project.id)} == {by_header}
    assert "keeps the name by number and issuer" in report.files[0].reason


def test_a_table_that_means_another_number_still_goes_before_the_header(
    run: Import, two: Path, settings: Settings, connection: sqlite3.Connection, project: Project
) -> None:
    run(two / "a", table=table_of("path,label,patient\na.dcm,normal,4712\n"))
    (case,) = list_cases(connection, project.id)
    assert (case.patient, case.patient_from) == (patient_name(load_secret(settings), "4712"), "table")


def test_without_a_table_issuers_stay_apart(
    run: Import, two: Path, settings: Settings, connection: sqlite3.Connection, project: Project
) -> None:
    other = pydicom.dcmread(two / "b" / "b.dcm")
    other.IssuerOfPatientID = "Other house"
    other.save_as(two / "b" / "b.dcm")
    (two / "b" / "photo.png").unlink()
    run(two)
    assert len({case.patient for case in list_cases(connection, project.id)}) == 2
