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
from core.projects.records import Project, set_deidentification
from core.reviews.case_search import CaseFilter, search_case_ids
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from tests.core.images.hostile import hostile_file
from tests.core.images.test_dicom_series import a_series
from tests.core.images.test_dicom_syntaxes import dataset_of

Import = Callable[..., ImportReport]


@pytest.fixture
def run(connection: sqlite3.Connection, files: Files, settings: Settings, project: Project, actor: Actor) -> Import:
    jobs = iter(range(1, 100))

    def call(*paths: Path, table: Mapping[str, TableRow] | None = None, **more: Any) -> ImportReport:
        asked = more.pop("project", project)

        def add_labels(connection: sqlite3.Connection, case: Any, row: TableRow | None) -> None:
            add_table_labels(connection, asked, case, row, actor)

        given = {"patient_from": None, "job": next(jobs), "on_case": add_labels, "on_skipped": add_labels, **more}
        return import_paths(
            connection, files, settings, asked, paths, table=table, actor=actor, **{"progress": Silent(), **given}
        )

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


@pytest.mark.parametrize("before", [False, True])
def test_what_a_table_says_wrongly_is_refused_by_its_line_and_never_quoted(
    run: Import, folder: Path, connection: sqlite3.Connection, before: bool
) -> None:
    """Whoever takes the wrong column for the answer must not have the name of every patient stored."""
    if before:
        run(folder)
    report = run(folder, table=table_of("path,label\nscan.png,normal\n\ndoe_jane/scan.png,DOE Jane\nhead,O'Hara\n"))
    refused = {file.path: file.reason for file in report.files if file.status == "failed"}
    assert refused == {
        "doe_jane/scan.png": "The classes are normal, pneumonia. Received: line 4 of the label table",
        "doe_jane/head.nii.gz": "The classes are normal, pneumonia. Received: line 5 of the label table",
    }
    stored = "\n".join(connection.iterdump())
    assert "DOE Jane" not in stored
    assert "Hara" not in stored


def test_slices_of_which_a_table_says_different_things_are_refused_by_its_lines(run: Import, tmp_path: Path) -> None:
    a_series(tmp_path / "in", [0, 2, 4])
    report = run(tmp_path / "in", table=table_of("path,label\n001.dcm,normal\n002.dcm,DOE Jane\n"))
    assert {file.reason for file in report.files} == {
        "The table says different things of the slices of one volume; name its folder once. "
        "Received: lines 2, 3 of the label table"
    }


def test_a_project_without_deidentification_quotes_its_table(
    run: Import, folder: Path, project: Project, connection: sqlite3.Connection, actor: Actor
) -> None:
    plain = set_deidentification(connection, project, Deidentification(enabled=False), actor)
    report = run(folder, project=plain, table=table_of("path,label\nscan.png,unicorn\n"))
    assert [file.reason for file in report.files if file.status == "failed"] == [
        "The classes are normal, pneumonia. Received: ['unicorn']"
    ]


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
     "radiologist_name", "original_path", "source_file", "DICOM path", "folder",
     "patient_mrn", "PatientMRN", "MRN no", "MRN #", "pat_id", "PatID", "ID Patient", "accession #", "forename",
     "Nachname", "Vorname", "Name des Patienten", "mother_name", "Patientennummer", "Fallnr", "Fall-Nr.",
     "Versichertennummer", "image_path", "image_id", "Dateipfad", "uid", "StudyUID", "sop instance uid", "pid", "id",
     "Patient", "Patient 2", "radiologist", "Radiologist 1", "radiologist initials", "reported_by", "zuweisender Arzt",
     "überweiser", "Klinik", "hospital_patient_number", "patient_email"],
)  # fmt: skip
def test_columns_that_name_somebody_are_hidden(kept: Callable[..., dict[str, str]], column: str) -> None:
    (value,) = kept(**{column: "Doe"}).values()
    assert "Doe" not in value
    assert kept(**{column: value}) == {column: value}  # what was exported comes back unchanged


@pytest.mark.parametrize(
    "column",
    ["comments", "comment", "remarks", "clinical_notes", "free_text", "report", "clinical_history", "dob",
     "birth_date", "PatientBirthDate", "date_of_birth", "Geburtsdatum", "geburtstag", "patient_birth_date_2",
     "year of birth", "birthday", "Bemerkungen", "radiologist_comments", "Kommentar", "note_text"],
)  # fmt: skip
def test_free_words_and_days_of_birth_go(kept: Callable[..., dict[str, str]], column: str) -> None:
    assert kept(**{column: "Doe 1970-01-01"}) == {}


@pytest.mark.parametrize(
    "column",
    ["site", "scanner", "reporter_kind", "visit_no", "candidate", "update", "density", "sex", "view", "patient_sex",
     "PatientSex", "patient_position", "patient_weight", "n_patients", "number_of_patients", "protocol_name",
     "model_name", "manufacturer", "file_size", "pleural_fluid", "sop_class_uid", "birth_weight", "Geburtsgewicht",
     "radiologist_confidence", "n_radiologists", "operator_experience", "hospital_type", "mobile", "report_status",
     "smoking_history", "instance_number", "series_description", "body part", "tube current (mA)"],
)  # fmt: skip
def test_other_columns_stay(kept: Callable[..., dict[str, str]], column: str) -> None:
    assert kept(**{column: "B 2"}) == {column: "B 2"}


@pytest.mark.parametrize(
    "column",
    ["study_date", "exam_date", "admission_date", "visit_date", "StudyDate", "date", "scan date 2", "Datum",
     "Untersuchungsdatum", "accession_date"],
)  # fmt: skip
def test_dates_move_as_those_of_the_patients_headers(
    kept: Callable[..., dict[str, str]], settings: Settings, column: str
) -> None:
    days = timedelta(days=days_of(load_secret(settings), "patient /4711"))
    (value,) = kept(**{column: "2020-03-01 10:15"}).values()
    assert value == f"{date(2020, 3, 1) + days} 10:15"
    assert kept(patient="", **{column: "2020-03-01"}) == {}  # nobody's days
    assert kept(**{column: "after Easter"}) == {}
    assert kept(patient="P0123456789abcdef", **{column: "2020-03-01"}) == {column: "2020-03-01"}  # was moved before


@pytest.mark.parametrize(
    ("column", "years", "told"),
    [("age", "093", "90"), ("PatientAge", "093Y", "90"), ("Alter in Jahren", "91", "90"), ("age_at_exam", "41", "41"),
     ("bone_age", "180", "180"), ("dosage", "93", "93")],
)  # fmt: skip
def test_an_age_above_89_is_90(kept: Callable[..., dict[str, str]], column: str, years: str, told: str) -> None:
    assert kept(**{column: years}) == {column: told}


def table_with(column: str, values: list[str], patients: int = 0) -> str:
    rows = [f"{at}.png,normal,{f'p{at % patients}' if patients else ''},{said}" for at, said in enumerate(values)]
    return "\n".join([f"path,label,patient,{column}", *rows]) + "\n"


@pytest.mark.parametrize("patients", [0, 6])
def test_words_of_their_own_for_each_row_or_patient_are_left_out_unless_chosen(
    settings: Settings, project: Project, patients: int
) -> None:
    """Nobody can tell what stands in a column of any name; a name of somebody is said of him alone."""
    people = [f"Doe{chr(65 + at % 6)} Jane" for at in range(24)] if patients else [f"Doe{at} Jane" for at in range(24)]
    text = table_with("Betreff", people, patients)

    def hidden(**columns: str) -> tuple[dict[str, TableRow], list[str]]:
        names = PathNames(load_secret(settings), project.deidentification)
        _, table = names.hide([], map_columns(read_label_table(text.encode()), columns), ())
        return table or {}, names.warnings()

    table, (warning,) = hidden()
    assert "Doe" not in str(table)
    assert "column “Betreff” of the label table was left out" in warning
    assert "--columns 'keep=Betreff'" in warning
    table, warnings = hidden(keep="Betreff")
    assert [row.attributes["Betreff"] for row in table.values()] == people
    assert not warnings
    assert {row.attributes["site"] for row in hidden(site="Betreff")[0].values()} == set(people), "chosen by its role"
    with pytest.raises(InvalidInput, match="keep=Subject"):
        hidden(keep="Subject")


@pytest.mark.parametrize(
    "values",
    [
        ["North", "South", "East", "West"] * 6,
        [f"{at}.5" for at in range(24)],
        [f"{at} mm" for at in range(24)],
        [f"10:{at + 10}" for at in range(24)],
        [f"P{at:016x}" for at in range(24)],  # it was hidden before
        ["", *[""] * 20, "one", "two", "three"],
    ],
)
def test_numbers_and_words_that_many_share_stay(settings: Settings, project: Project, values: list[str]) -> None:
    names = PathNames(load_secret(settings), project.deidentification)
    _, table = names.hide([], table_of(table_with("kind", values)), ())
    assert [row.attributes.get("kind", "") for row in (table or {}).values()] == values
    assert not names.warnings()


def test_words_that_several_patients_share_stay_though_each_is_rare(settings: Settings, project: Project) -> None:
    names = PathNames(load_secret(settings), project.deidentification)
    _, table = names.hide([], table_of(table_with("sequence", [f"seq {at % 12}" for at in range(60)], 5)), ())
    assert {row.attributes["sequence"] for row in (table or {}).values()} == {f"seq {at}" for at in range(12)}


def test_a_note_of_somebody_s_own_table_is_left_out_and_one_written_here_comes_back(
    run: Import, folder: Path, connection: sqlite3.Connection, project: Project, actor: Actor
) -> None:
    text = "path,label,note\nscan_12.png,normal,DOE Jane\nhead,pneumonia,\n"
    report = run(folder, table=table_of(text))
    assert "column “note” of the label table was left out" in report.warnings[0]
    assert "DOE Jane" not in "\n".join(connection.iterdump())
    done = import_labels(connection, project, text.replace("normal", "pneumonia"), actor)
    assert (done.added, done.without_note) == (1, 1)
    assert "DOE Jane" not in "\n".join(connection.iterdump())
    chosen = import_labels(connection, project, text.replace("DOE Jane", "hazy base"), actor, columns={"note": "note"})
    assert (chosen.added, chosen.without_note) == (1, 0)
    table = export_labels(connection, project)
    assert "hazy base" in table
    again = run(folder, table=map_columns(read_label_table(table.encode())))
    assert not [warning for warning in again.warnings if "note" in warning]


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
