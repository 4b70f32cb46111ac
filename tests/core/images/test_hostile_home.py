"""A hostile file through the whole house: no marker is anywhere under the home afterwards, nor in any answer."""

import io
import json
import sqlite3
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import tifffile
from PIL import Image, PngImagePlugin
from pydicom import dcmwrite
from starlette.applications import Starlette
from starlette.testclient import TestClient
from typer.testing import CliRunner

from core.cli.app import app
from core.errors import CoreError
from core.jobs.asking import ask_import
from core.jobs.child import run_job
from core.jobs.records import claim_job, get_job
from core.people.accounts import ensure_user
from core.people.sessions import issue_token, redeem_token
from core.projects.records import get_project
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import opened
from dashboard.middleware import cookie_name
from dashboard.routes.answers import answer_refusal
from dashboard.server import make_middleware, make_routes
from tests.core.images.hostile import DATE, MARK, TRACES, UID_ROOT, hostile_file

NAMED = f"{MARK}^JANE"  # files and folders are called so


def write_hostile_folder(folder: Path) -> None:
    """DICOM, PNG, JPEG, TIFF and NIfTI with markers in all that is not pixels, under marked names; and broken files."""
    inner = folder / NAMED / f"{MARK} {DATE}"
    inner.mkdir(parents=True)
    rng = np.random.default_rng(3)
    (inner / f"{MARK}.dcm").write_bytes(hostile_file(rng.integers(0, 4000, (16, 16), np.uint16)))
    (inner / f"{MARK}.{DATE}").write_bytes(hostile_file(rng.integers(0, 4000, (16, 16), np.uint16), Modality="US"))
    (inner / f"{MARK}_cut.dcm").write_bytes(hostile_file()[:20_000])
    twin = (inner / f"{MARK}.dcm").read_bytes().replace(f"{MARK}4711".encode(), f"{MARK}4712".encode())
    (inner / f"{MARK}_twin.dcm").write_bytes(twin.replace(f"{UID_ROOT}.8.24".encode(), f"{UID_ROOT}.8.25".encode()))
    write_refused_headers(inner)
    (inner / f"{MARK}_notes.txt").write_text(MARK)
    grey = Image.fromarray(rng.integers(0, 255, (16, 16), np.uint8))
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", MARK)
    text.add_itxt("Author", MARK)
    grey.save(inner / f"{MARK}.png", pnginfo=text)
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = exif[0x9286] = MARK
    Image.fromarray(rng.integers(0, 255, (16, 16), np.uint8)).save(inner / f"{MARK}.jpg", exif=exif, comment=MARK)
    tifffile.imwrite(inner / f"{MARK}.tif", rng.integers(0, 255, (16, 16), np.uint8), description=MARK,
                     software=MARK, extratags=[(315, "s", 0, MARK, True)])  # fmt: skip
    volume = nib.Nifti1Image(rng.integers(0, 100, (16, 16, 4)).astype(np.int16), np.diag([1, 1, 2, 1]))
    volume.header["descrip"] = volume.header["aux_file"] = volume.header["intent_name"] = MARK.encode()
    volume.header["db_name"] = MARK.encode()
    volume.header.extensions.append(nib.nifti1.Nifti1Extension("comment", MARK.encode()))
    nib.save(volume, inner / f"{MARK}.nii.gz")
    fields = ("type: short", "dimension: 3", "sizes: 4 4 4", "endian: little", "encoding: raw")
    said = (f"# {MARK}", f"content: {MARK}", f"{MARK}:={MARK}", *fields)
    voxels = rng.integers(0, 99, 64).astype("<i2").tobytes()
    (inner / f"{MARK}.nrrd").write_bytes("\n".join(("NRRD0004", *said, "", "")).encode() + voxels)
    for field in fields:
        name, _, _ = field.partition(":")
        bad = [f"{name}: {MARK}" if one == field else one for one in fields]
        (inner / f"{MARK}_{name}.nrrd").write_bytes("\n".join(("NRRD0004", *bad, "", "")).encode() + voxels)
    with zipfile.ZipFile(folder / f"{MARK}.zip", "w") as archive:
        archive.writestr(f"{NAMED}/{MARK}2.dcm", hostile_file(rng.integers(0, 4000, (16, 16), np.uint16)))
        archive.comment = MARK.encode()


def write_refused_headers(folder: Path) -> None:
    """DICOM files in which what is needed to read the pixels is a marker instead: the refusal must not quote it."""
    for word, value in (
        ("PhotometricInterpretation", MARK), ("Rows", None), ("BitsStored", None), ("NumberOfFrames", "777777777"),
        ("RescaleSlope", None), ("SOPClassUID", f"{UID_ROOT}.9"), ("Modality", "SEG"), ("SamplesPerPixel", 3),
    ):  # fmt: skip
        dataset = pydicom.dcmread(io.BytesIO(hostile_file()))
        if value is None:
            dataset.add_new(word, "LO", MARK)
        else:
            setattr(dataset, word, value)
        dataset.save_as(folder / f"{MARK}_{word}.dcm")
    dataset = pydicom.dcmread(io.BytesIO(hostile_file()))
    dataset.file_meta.TransferSyntaxUID = f"{UID_ROOT}.10"
    dcmwrite(folder / f"{MARK}_syntax.dcm", dataset, implicit_vr=False, little_endian=True)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything was imported by the command line, with a label table that names patients."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = tmp_path_factory.mktemp("given")
        write_hostile_folder(folder)
        table = folder.parent / f"{MARK}.csv"
        table.write_text(
            f"path,label,patient_id,mrn,age,PatientMRN,Nachname,radiologist,image_path,note,Betreff\n"
            f"{MARK}.dcm,a,{MARK}77,{MARK}88,093{f',{MARK}' * 6}\nnowhere/{MARK} else.png,b{',' * 9}\n"
            f"{MARK}.png,{MARK} is no class{',' * 9}\n"
            + "".join(f"nowhere/{at}.png,{',' * 8},{MARK} {at}\n" for at in range(20))
        )
        home = tmp_path_factory.mktemp("house") / "home"
        run(home, "project", "create", "Chest", "--classes", "a,b")
        report = run(home, "import", "Chest", str(folder), "--labels", str(table), "--columns", "patient=patient_id")
        table.write_text(f"path,label\n{MARK}.dcm,a\n{MARK}.dcm,b\n")
        assert MARK in refused(home, "import", "Chest", str(folder), "--labels", str(table))  # told, and not kept
        queue_what_fails(home, folder, table)
    (home.parent / "report.json").write_text(json.dumps(report))
    return home


def run(home: Path, *words: str) -> dict[str, object]:
    result = CliRunner().invoke(app, [*words, "--home", str(home), "--json"])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    document: dict[str, object] = json.loads(result.stdout)
    return document


def refused(home: Path, *words: str) -> str:
    """The sentence with which a command line is refused."""
    result = CliRunner().invoke(app, [*words, "--home", str(home), "--json"])
    assert isinstance(result.exception, CoreError), result.output
    return str(result.exception)


def queue_what_fails(home: Path, folder: Path, table: Path) -> None:
    """Jobs of imports that nobody looked at before: a table at odds with itself, a pattern that is none."""
    settings = Settings(home=home)
    with opened(settings) as connection:
        project = get_project(connection, "Chest")
        for asked in ({"labels": str(table)}, {"patient_from": f"({MARK}"}):
            ask_import(connection, settings, project, [str(folder)], actor=Actor("anna", "command line"), **asked)
            job = claim_job(connection, "work", "cpu")
            assert job
            run_job(settings, job, "core.jobs.handlers:HANDLERS")
            assert get_job(connection, job.id).state == "failed"


@pytest.fixture
def connection(home: Path) -> Iterator[sqlite3.Connection]:
    with opened(Settings(home=home)) as connection:
        yield connection


def leaks(content: bytes) -> list[bytes]:
    return [trace for trace in TRACES if trace in content]


def test_all_that_is_an_image_came_in(home: Path, connection: sqlite3.Connection) -> None:
    count = connection.execute("SELECT count(*), sum(held) FROM cases").fetchone()
    report = json.loads((home.parent / "report.json").read_text())
    assert tuple(count) == (11, 1), report["files"]


def test_no_marker_is_anywhere_under_the_home(home: Path) -> None:
    files = [path for path in home.rglob("*") if path.is_file()]
    assert len(files) > 20
    found = {str(path.relative_to(home)): leaks(path.read_bytes()) for path in files}
    assert {name: traces for name, traces in found.items() if traces} == {}
    assert not any(MARK in str(path.relative_to(home)) for path in home.rglob("*"))


def test_no_marker_is_in_any_row(connection: sqlite3.Connection) -> None:
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        for row in connection.execute(f"SELECT * FROM {table}"):
            assert not leaks(repr(tuple(row)).encode()), table


def test_the_person_importing_reads_the_paths(home: Path) -> None:
    report = json.loads((home.parent / "report.json").read_text())
    assert any(file["path"].endswith(f"{MARK} {DATE}/{MARK}.dcm") for file in report["files"])
    assert all(MARK in file["path"] for file in report["files"])
    failed = [file for file in report["files"] if file["status"] == "failed"]
    assert len(failed) > 10
    assert all("Received" in file["reason"] for file in failed)
    (warning,) = [text for text in report["warnings"] if "same pixels" in text]
    assert warning.count(f"{MARK}_") == 3  # each of those named by the path that was given


def test_a_case_is_found_by_its_files_name_all_the_same(home: Path) -> None:
    told = run(home, "label", "Chest", f"{MARK}.nii.gz", "a", "--reader", "rita")
    assert told["case"]
    by_path = run(home, "label", "Chest", f"{NAMED}/{MARK} {DATE}/{MARK}.dcm", "a", "--reader", "rita")
    assert by_path["case"] != told["case"]


def test_no_later_answer_has_a_marker(home: Path, connection: sqlite3.Connection) -> None:
    settings = Settings(home=home)
    cookie = cookie_name(8501)
    web = Starlette(
        routes=make_routes(settings, cookie),
        middleware=make_middleware(settings, "127.0.0.1", cookie, frozenset()),
        exception_handlers={CoreError: answer_refusal},  # type: ignore[dict-item]
    )
    anna = ensure_user(connection, "anna", role="admin")
    asked = 0
    with TestClient(web, base_url="http://127.0.0.1:8501") as client:
        client.cookies.set(cookie, redeem_token(connection, issue_token(connection, anna), hours=1))
        rows = connection.execute("SELECT id, pixel_hash FROM cases").fetchall()
        jobs = connection.execute("SELECT id FROM jobs").fetchall()
        addresses = [f"/api/v1/jobs/{row['id']}" for row in jobs]
        for row in rows:
            addresses += [f"/api/v1/cases/{row['id']}{more}" for more in ("", "/marks")]
            addresses += [f"/api/v1/pixels/{row['pixel_hash']}.npy", f"/api/v1/thumbnails/{row['pixel_hash']}.webp"]
        for address in addresses:
            answer = client.get(address)
            assert answer.status_code == 200, (address, answer.text)
            assert not leaks(answer.content + str(answer.headers).encode()), address
            asked += 1
    assert asked > 20


@pytest.mark.parametrize(
    "words",
    [("jobs", "list"), ("jobs", "show", "1"), ("jobs", "show", "2"), ("jobs", "logs", "1"), ("audit", "list"),
     ("project", "list"), ("doctor",)],
    ids=" ".join,
)  # fmt: skip
def test_no_command_says_a_marker_later(home: Path, words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--home", str(home), "--json"])
    assert len(result.stdout) > 20
    assert not leaks(result.output.encode())


def test_exports_have_no_marker(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    run(home, "export", "Chest", "labels", "--out", str(out))
    assert not leaks(out.read_bytes())
