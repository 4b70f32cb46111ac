"""Names of files, folders and patients in an import: tokens in the database, names for the person who imports."""

import io
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from core.errors import InvalidInput
from core.images.crosswalk import show, turn_on
from core.images.import_files import list_named_files
from core.images.ingest import ImportReport, import_paths
from core.images.label_table import TableRow, map_columns, read_label_table
from core.images.pseudonyms import TOKEN_PATH, load_secret, path_token, patient_name, pseudonym
from core.images.records import find_case, get_case, list_cases, list_import_files
from core.labels.exchange import add_table_labels, export_labels, import_labels
from core.labels.records import list_labels
from core.progress import Silent
from core.projects.records import Project
from core.reviews.case_search import CaseFilter, search_case_ids
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from tests.core.images.hostile import hostile_file

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
