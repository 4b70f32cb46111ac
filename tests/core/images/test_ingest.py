"""The way in: every file accounted for, nothing half-imported, whatever happens."""

import io
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from core.errors import InvalidInput, Stopped, Unavailable
from core.images.attempts import Attempts
from core.images.ingest import ImportReport
from core.images.label_table import TableRow, map_columns, read_label_table
from core.images.perceptual import perceptual_hash
from core.images.reading_children import ReadingChildren
from core.images.records import Case, count_cases, find_case, get_case, list_cases, list_import_files
from core.images.render import to_uint8
from core.images.thumbnails import thumbnail_of
from core.progress import Silent
from core.projects.deidentification import Deidentification
from core.projects.records import Project, add_project, set_deidentification
from core.settings import PROJECT_ROOT, Settings
from core.store.audit import Actor
from core.store.database import opened
from core.store.files import Files
from core.training.samples import png_of
from tests.core.images.conftest import Import


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (20, 24), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def table_of(text: str) -> dict[str, TableRow]:
    return map_columns(read_label_table(text.encode()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, one of them in a subfolder."""
    for seed, name in enumerate(("a.png", "b.png", "sub/c.png")):
        written(tmp_path / "in" / name, picture(seed))
    return tmp_path / "in"


@pytest.fixture
def project(connection: sqlite3.Connection, project: Project, actor: Actor) -> Project:
    """Files keep their names here, so that tests can speak of them; `test_names_in_an_import.py` has the other kind."""
    return set_deidentification(connection, project, Deidentification(enabled=False), actor)


def deidentified(project: Project) -> Project:
    return replace(project, deidentification=Deidentification())


def by_path(report: ImportReport) -> dict[str, tuple[str, str]]:
    return {file.path: (file.status, file.reason) for file in report.files}


def test_it_works(run: Import, folder: Path, connection: sqlite3.Connection, project: Project, files: Files) -> None:
    report = run(folder)
    assert (report.imported, report.skipped, report.failed, report.cases) == (3, 0, 0, 3)
    assert list(by_path(report)) == ["a.png", "b.png", "sub/c.png"]
    case = get_case(connection, report.files[2].case or 0)
    assert (case.source, case.rows, case.columns, case.dtype, case.photometric) == (
        "sub/c.png", 20, 24, "uint8", "MONOCHROME2",
    )  # fmt: skip
    expected = np.asarray(Image.open(folder / "sub/c.png"))
    np.testing.assert_array_equal(files.read_array("pixels", case.pixel_hash), expected)
    assert files.has("thumbnails", case.pixel_hash)
    assert case.imported_by == "anna"


def test_a_second_import_skips_every_file(run: Import, folder: Path) -> None:
    first = run(folder)
    again = run(folder)
    assert (again.imported, again.skipped, again.cases) == (0, 3, 0)
    assert [file.case for file in again.files] == [file.case for file in first.files]
    assert "same source and same pixels" in again.files[0].reason


def test_one_bad_file_never_stops_the_rest(run: Import, folder: Path) -> None:
    bad = {"empty.png": b"", "cut.png": picture(9)[:60], "words.txt": b"hello", "late.zip": b"PK\x03\x04broken"}
    for name, content in bad.items():
        written(folder / name, content)
    (folder / "loose.png").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.png")
    report = run(folder, folder / "not there")
    assert report.imported == 3
    failed = {Path(file.path).name: file.reason for file in report.files if file.status == "failed"}
    assert set(failed) == {*bad, "loose.png", "pipe.png", "not there"}
    assert all(failed.values())
    assert "empty" in failed["empty.png"]


def test_files_of_the_operating_system_are_skipped(run: Import, folder: Path) -> None:
    written(folder / ".DS_Store", b"\x00\x00\x00\x01Bud1")
    written(folder / "__MACOSX" / "._a.png", b"\x00\x05\x16\x07")
    report = run(folder)
    assert (report.imported, report.skipped, report.failed) == (3, 2, 0)


def test_a_changed_file_is_a_case_of_its_own(run: Import, folder: Path) -> None:
    run(folder)
    (folder / "a.png").write_bytes(picture(77))
    status, reason = by_path(run(folder))["a.png"]
    assert status == "imported"
    assert "Another image came under this name before: case 1 (a.png)" in reason


def test_same_pixels_come_in_as_their_own_case_and_are_reported(run: Import, folder: Path) -> None:
    written(folder / "z.png", picture(0))
    table = table_of("path,label,patient\na.png,normal,p1\nz.png,pneumonia,p2\nb.png,normal,p3\n")
    status, reason = by_path(run(folder, table=table))["z.png"]
    assert status == "imported"
    assert reason == (
        "Same pixels as case 1 (a.png). The patient differs: p2 here, p1 there. "
        "The labels are opposite: pneumonia here, normal there."
    )


def test_a_patient_whom_nothing_names_is_said_to_be_not_known(run: Import, folder: Path) -> None:
    written(folder / "z.png", picture(0))
    reason = by_path(run(folder, table=table_of("path,patient\nz.png,p2\n")))["z.png"][1]
    assert reason == "Same pixels as case 1 (a.png). The patient differs: p2 here, not known there."


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, "5 imported, 1 skipped, 2 refused"),
        ({"waiting": 3}, "5 imported, 1 skipped, 2 refused, 3 wait"),
        ({"joined": 4, "cases": 1}, "5 imported, 1 skipped, 2 refused; 1 case"),
        ({"joined": 4, "held": 1, "cases": 2},
         "5 imported, 1 skipped, 2 refused; 2 cases, 1 file held for a check of the pixels"),
    ],
)  # fmt: skip
def test_the_counts_in_a_line(counts: dict[str, int], said: str) -> None:
    usual = {"cases": 5, "same_pixels": 0, "opposite_labels": 0}
    assert ImportReport(5, 1, 2, files=(), warnings=(), **usual | counts).told == said  # type: ignore[arg-type]


def test_same_pixels_and_opposite_labels_are_counted_and_said_above_the_files(run: Import, folder: Path) -> None:
    assert run(folder).warnings == ()
    copies = folder.parent / "copies"
    for name in ("x.png", "y.png"):
        written(copies / name, picture(0))
    written(copies / "new.png", picture(8))
    table = table_of("path,label\na.png,normal\nx.png,normal\ny.png,pneumonia\n")
    report = run(copies, table=table)
    assert (report.imported, report.same_pixels, report.opposite_labels) == (3, 2, 1)
    assert report.warnings[-1] == (
        "2 files show the same pixels as another case, 1 with opposite labels: y.png. The reasons name the other cases."
    )
    alike = run(written(folder.parent / "more" / "z.png", picture(8)))
    assert alike.warnings == (
        "1 file shows the same pixels as another case, none with opposite labels: z.png. "
        "The reasons name the other cases.",
    )
    assert run(copies).same_pixels == 0, "what was there before is skipped and no news"


def test_opposite_labels_of_an_older_case_are_named_by_the_caller(run: Import, folder: Path) -> None:
    run(folder)
    later = written(folder.parent / "later" / "z.png", picture(0))
    answers = {"a.png": ["normal"], "z.png": ["pneumonia"]}
    report = run(later, labels_of=lambda _, cases: {case.id: answers[case.source] for case in cases})
    assert "pneumonia here, normal there" in report.files[0].reason


def test_all_cases_of_the_same_pixels_are_compared_and_a_few_named(run: Import, folder: Path) -> None:
    names = [f"twin{at}.png" for at in range(7)]
    for name in names:
        written(folder.parent / "twins" / name, picture(0))
    # the first three agree with the one to come: what contradicts it lies behind them
    said = ["normal"] * 3 + ["pneumonia"] * 4
    patients = ["p0"] * 5 + ["p5", "p6"]
    lines = [f"{name},{label},{who}" for name, label, who in zip(names, said, patients, strict=True)]
    answers = dict(zip(names, said, strict=True)) | {"z.png": "normal"}
    run(folder.parent / "twins", table=table_of("\n".join(["path,label,patient", *lines])))
    last = run(
        written(folder.parent / "later" / "z.png", picture(0)),
        table=table_of("path,label,patient\nz.png,normal,p0\n"),
        labels_of=lambda _, cases: {case.id: [answers[case.source]] for case in cases},
    )
    assert last.files[0].reason == (
        "Same pixels as case 1 (twin0.png), 2 (twin1.png), 3 (twin2.png) and 4 more. "
        "The patient differs: p0 here, p5 or p6 in 2 of those 7: case 6 (twin5.png), 7 (twin6.png). "
        "The labels are opposite: normal here, pneumonia in 4 of those 7: "
        "case 4 (twin3.png), 5 (twin4.png), 6 (twin5.png) and 1 more."
    )


def test_equal_labels_and_patients_are_no_contradiction(run: Import, folder: Path) -> None:
    written(folder / "z.png", picture(0))
    table = table_of("path,label,patient\na.png,normal,p1\nz.png,normal,p1\n")
    assert by_path(run(folder, table=table))["z.png"][1] == "Same pixels as case 1 (a.png)."


def test_each_case_meets_its_row(run: Import, folder: Path) -> None:
    met: list[tuple[str, str | None]] = []

    def on_case(connection: sqlite3.Connection, case: Case, row: TableRow | None) -> None:
        assert connection.in_transaction
        met.append((case.source, row.labels if row else None))

    # by whole path, by file name alone, by name without extension
    table = table_of("path,label\na.png,one\nc.png,two\nelsewhere/b,three\n")
    report = run(folder, table=table, on_case=on_case)
    assert met == [("a.png", "one"), ("b.png", "three"), ("sub/c.png", "two")]
    assert report.warnings == ()


def test_unknown_and_ambiguous_rows_are_reported_and_not_fatal(run: Import, folder: Path) -> None:
    written(folder / "other" / "c.png", picture(5))
    report = run(folder, table=table_of("path,label\nghost.png,x\nc.png,y\na.png,x\n"))
    assert report.imported == 4
    assert len(report.warnings) == 2
    assert "1 row of the label table names no imported file" in report.warnings[0]
    assert report.warnings[0].endswith("Received: ghost.png")
    assert report.warnings[1].endswith("Received: c.png")


def test_a_row_that_the_caller_refuses_leaves_no_case(
    run: Import, folder: Path, connection: sqlite3.Connection, project: Project
) -> None:
    def on_case(connection: sqlite3.Connection, case: Case, row: TableRow | None) -> None:
        if row and row.labels == "unicorn":
            raise InvalidInput("There is no such class. Received: unicorn")

    report = run(folder, table=table_of("path,label\nb.png,unicorn\n"), on_case=on_case)
    assert by_path(report)["b.png"] == ("failed", "There is no such class. Received: unicorn")
    assert [case.source for case in list_cases(connection, project.id)] == ["a.png", "sub/c.png"]


def test_a_skipped_file_meets_its_row_where_asked(run: Import, folder: Path) -> None:
    run(folder)
    met = []
    run(folder, table=table_of("path,label\na.png,x\n"), on_skipped=lambda _, case, row: met.append((case.id, row)))
    assert [(case, row.labels if row else None) for case, row in met] == [(1, "x"), (2, None), (3, None)]


def test_a_later_table_that_names_another_patient_is_told_that_the_case_stays(run: Import, folder: Path) -> None:
    run(folder, table=table_of("path,patient\na.png,p1\nb.png,p2\n"))
    again = by_path(run(folder, table=table_of("path,patient,split\na.png,p1,\nb.png,p9,test\n")))
    assert again["a.png"][1].endswith("same pixels.")
    assert again["b.png"][1].endswith(
        "Its patient stays p2; the table says p9. Its split stays unknown; the table says test."
    )


def test_the_table_goes_before_the_pattern_and_the_pattern_before_nothing(
    run: Import, folder: Path, connection: sqlite3.Connection
) -> None:
    table = table_of("path,patient,site,split\na.png,p1,Ulm,val\n")
    report = run(folder, table=table, patient_from=r"^(b)\.|c")
    cases = [get_case(connection, file.case or 0) for file in report.files]
    assert [(case.patient, case.patient_from) for case in cases[:2]] == [("p1", "table"), ("b", "pattern")]
    # the pattern matched, but its group took no part: nothing tells
    assert cases[2].patient == f"case:{cases[2].pixel_hash[:16]}"
    assert cases[2].patient_from == "none"
    assert (cases[0].attributes, cases[0].given_split) == ({"site": "Ulm"}, "validation")


def test_a_pattern_without_a_group_is_the_whole_match(
    run: Import, folder: Path, connection: sqlite3.Connection
) -> None:
    report = run(folder / "a.png", patient_from=r"[a-z]")
    assert get_case(connection, report.files[0].case or 0).patient == "a"


def test_a_pattern_that_is_none_is_refused(run: Import, folder: Path) -> None:
    with pytest.raises(InvalidInput, match=re.escape("Received: (")):
        run(folder, patient_from="(")


def test_the_label_table_itself_is_no_failure(run: Import, folder: Path) -> None:
    labels = written(folder / "labels.csv", b"path,label\na.png,x\n")
    report = run(folder, table=table_of("path,label\na.png,x\n"), label_table=labels)
    assert by_path(report)["labels.csv"] == ("skipped", "This is the label table.")


def test_sources_are_relative_to_the_folder_or_the_root(run: Import, folder: Path) -> None:
    assert list(by_path(run(folder / "sub"))) == ["c.png"]
    assert list(by_path(run(folder / "sub", folder / "a.png", root=folder))) == ["sub/c.png", "a.png"]
    several = run(folder, folder / "sub")
    assert [file.path for file in several.files] == [str(folder / name) for name in ("a.png", "b.png", "sub/c.png")]


def test_a_zip_is_a_folder(run: Import, folder: Path, connection: sqlite3.Connection, project: Project) -> None:
    archive = folder.parent / "all.zip"
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as nested:
        nested.writestr("n.png", picture(50))
    with zipfile.ZipFile(archive, "w") as packed:
        for seed, name in enumerate(("a.png", "sub/c.png", "../out.png")):
            packed.writestr(name, picture(seed + 10))
        packed.writestr("nested.zip", inner.getvalue())
    report = run(archive, table=table_of("path,patient\nsub/c.png,p7\n"))
    statuses = by_path(report)
    assert [statuses[name][0] for name in ("a.png", "sub/c.png", "../out.png", "nested.zip")] == [
        "imported", "imported", "failed", "failed",
    ]  # fmt: skip
    assert "Unpack it first" in statuses["nested.zip"][1]
    assert [(case.source, case.patient_from) for case in list_cases(connection, project.id)] == [
        ("a.png", "none"),
        ("sub/c.png", "table"),
    ]
    archive.rename(folder / "all.zip")
    assert "all.zip/a.png" in by_path(run(folder))


def test_a_label_table_may_lie_in_the_zip_with_its_images(
    run: Import, folder: Path, connection: sqlite3.Connection, project: Project
) -> None:
    archive = folder.parent / "all.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("chest/a.png", picture(10))
        packed.writestr("chest/labels.csv", "path,patient\na.png,p7\n")
        packed.writestr("chest/other.csv", "x,y\n1,2\n")
    inside = archive / "chest" / "labels.csv"
    report = run(archive, table=map_columns(read_label_table(inside)), label_table=inside)
    assert by_path(report)["chest/labels.csv"] == ("skipped", "This is the label table.")
    assert by_path(report)["chest/other.csv"][1].startswith("A table is no image; name it as the label table")
    assert [(case.source, case.patient_from) for case in list_cases(connection, project.id)] == [
        ("chest/a.png", "table")
    ]


def test_a_damaged_member_of_a_zip_costs_only_itself(run: Import, folder: Path) -> None:
    archive = folder.parent / "all.zip"
    with zipfile.ZipFile(archive, "w") as packed:  # stored as they are, so that the damage is met while one is read
        packed.writestr("volume.nii", b"\x5c\x01\0\0" + bytes(2000))
        packed.write(folder / "a.png", "a.png")
    content = bytearray(archive.read_bytes())
    content[300] ^= 0xFF
    archive.write_bytes(content)
    foreseen = by_path(run(archive, hold_back="all"))
    assert (foreseen["a.png"][0], foreseen["volume.nii"][0]) == ("waiting", "failed")
    told = by_path(run(archive))
    assert told["a.png"][0] == "imported"
    assert "damaged here; pack it again" in told["volume.nii"][1]


def test_a_zip_bomb_is_one_failure(run: Import, folder: Path) -> None:
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(30):
            packed.writestr(f"{number}.png", bytes(1 << 20))
    report = run(folder)
    assert (report.imported, report.failed) == (3, 1)
    assert "zip bombs" in by_path(report)["bomb.zip"][1]


class StopAfter(Silent):
    """Asks to stop before the file after `count`."""

    def __init__(self, count: int) -> None:
        self.left = count

    def should_stop(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_a_stopped_import_goes_on_where_it_was(run: Import, folder: Path, connection: sqlite3.Connection) -> None:
    with pytest.raises(Stopped):
        run(folder, job=7, progress=StopAfter(2))
    assert [file.path for file in list_import_files(connection, 7)] == ["a.png", "b.png"]
    report = run(folder, job=7)
    assert (report.imported, report.skipped, report.cases) == (3, 0, 3)


def test_a_file_in_which_the_import_died_once_is_tried_again_at_the_end(
    run: Import, folder: Path, settings: Settings
) -> None:
    written(settings.home / "imports" / "5.reading", b'{"a.png": 1}')
    report = run(folder, job=5)
    assert report.imported == 3
    assert [file.case for file in report.files] == [3, 1, 2]


def test_a_file_that_keeps_killing_the_import_is_left_out(run: Import, folder: Path, settings: Settings) -> None:
    note = written(settings.home / "imports" / "5.reading", b'{"b.png": 2}')
    report = run(folder, job=5)
    assert by_path(report)["b.png"][0] == "failed"
    assert "ended the import twice" in by_path(report)["b.png"][1]
    assert report.imported == 2
    assert not note.exists()


def test_attempts_are_counted_by_file_and_forgotten_when_it_went_well(tmp_path: Path) -> None:
    note = tmp_path / "note"
    dead = []

    def killed_while_reading(path: str) -> bool:
        dead.append(Attempts(note).of(path))  # never left, as when the process dies
        return dead[-1].__enter__()

    assert [killed_while_reading("a") for _ in range(3)] == [False, False, True]
    assert killed_while_reading("b") is False
    assert Attempts(note).doubtful == {"a", "b"}
    for path in "ab":
        with Attempts(note).of(path):
            pass
    assert not note.exists()
    dead.clear()


def test_a_note_that_a_kill_cut_short_is_forgotten(tmp_path: Path) -> None:
    note = written(tmp_path / "note", b'{"a": ')
    assert Attempts(note).doubtful == frozenset()


KILLED = """
import sys
from pathlib import Path
from core.images.ingest import import_paths
from core.progress import Silent
from core.projects.records import get_project
from core.settings import Settings
from core.store.audit import Actor, add_audit
from core.store.database import opened
from core.store.files import Files

home, folder = Path(sys.argv[1]), Path(sys.argv[2])
settings, actor = Settings(home=home), Actor("anna", "job")

def on_case(connection, case, row):
    add_audit(connection, actor, "label", f"case {case.id}")  # stands for a label in the same transaction

with opened(settings) as connection:
    project = get_project(connection, "Chest")
    print("begun", flush=True)
    report = import_paths(connection, Files(home), settings, project, [folder], table=None, patient_from=None,
                          job=1, actor=actor, on_case=on_case, progress=Silent())
    print("done", report.imported, flush=True)
"""


def test_killed_at_any_moment_nothing_is_half_imported_and_all_comes_in(
    settings: Settings, project: Project, tmp_path: Path, files: Files
) -> None:
    for seed in range(60):
        written(tmp_path / "in" / f"{seed}.png", picture(seed))
    command = [sys.executable, "-c", KILLED, str(settings.home), str(tmp_path / "in")]
    for wait in (0.05, 0.15):
        process = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        assert process.stdout.readline() == "begun\n"
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with opened(settings) as connection:
            recorded = [file.case for file in list_import_files(connection, 1) if file.status == "imported"]
            labelled = connection.execute("SELECT COUNT(*) FROM audit WHERE what = 'label'").fetchone()[0]
            assert len(recorded) == labelled == count_cases(connection, project.id)
            for case in list_cases(connection, project.id):
                assert files.read_array("pixels", case.pixel_hash).shape == (case.rows, case.columns)
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True, timeout=280)
    assert done.stdout == "begun\ndone 60\n"
    with opened(settings) as connection:
        assert count_cases(connection, project.id) == 60
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_dicom_patients_come_as_pseudonyms_and_the_file_itself_is_not_kept(
    run: Import, connection: sqlite3.Connection, settings: Settings, project: Project, test_data: Path
) -> None:
    path = test_data / "dicom_misc_pydicom" / "693_J2KR.dcm"
    case = get_case(connection, run(path, project=deidentified(project)).files[0].case or 0)
    assert (case.patient_from, case.patient[0], len(case.patient)) == ("dicom", "P", 17)
    assert (case.modality, case.dtype, case.windows[0].width) == ("CT", "int16", 100)
    kept = [file for file in settings.home.rglob("*") if file.is_file() and b"DICM" in file.read_bytes()]
    assert [file.parent.parent.name for file in kept] == ["headers"]


def test_ultrasound_with_burned_in_names_is_held(
    run: Import, connection: sqlite3.Connection, project: Project, test_data: Path
) -> None:
    run(test_data / "dicom_phi_burned_in" / "deid_data")
    cases = list(list_cases(connection, project.id))
    assert cases
    assert all(case.held for case in cases)


def test_the_real_x_rays_come_in_with_their_rows(
    run: Import, connection: sqlite3.Connection, project: Project, test_data: Path
) -> None:
    root = test_data / "cxr_pediatric_pneumonia"
    columns = {"path": "filename", "patient": "patient_id", "split": "source_split"}
    table = map_columns(read_label_table(root / "labels.csv"), columns)
    # every tenth, and the three pairs of equal files
    twins = {f"person{name}.jpg" for name in ("1312_bacteria_3317", "1312_bacteria_3318", "357_virus_734")}
    twins |= {f"person{name}.jpg" for name in ("357_virus_735", "401_virus_797", "401_virus_798")}
    names = sorted({*sorted(table)[::10], *twins})
    rows = {name: table[name] for name in names}
    labels = root / "labels.csv"
    report = run(*[root / "images" / name for name in names], labels, table=rows, label_table=labels, root=root)
    assert (report.imported, report.skipped, report.failed) == (len(names), 1, 0)
    assert (report.same_pixels, report.opposite_labels) == (3, 0)
    (warning,) = report.warnings  # no row without its file
    assert warning.startswith("3 files show the same pixels as another case, none with opposite labels: ")
    cases = list(list_cases(connection, project.id))
    assert {case.patient for case in cases} == {row.patient for row in rows.values()}
    assert {case.channels for case in cases} == {1}
    assert all(case.given_split and case.patient_from == "table" for case in cases)


def test_a_passing_lock_is_no_fault_of_the_file(run: Import, folder: Path) -> None:
    """The job fails with the sentence; resumed, it takes up the file where it was."""
    held = [True]

    def label(connection: sqlite3.Connection, case: Case, row: TableRow | None) -> None:
        if case.source == "b.png" and held:
            held.clear()
            raise Unavailable("Another program holds the database.")

    with pytest.raises(Unavailable, match="holds the database"):
        run(folder, job=900, on_case=label)
    report = run(folder, job=900, on_case=label)
    assert (report.imported, report.failed) == (3, 0)


# ---- volumes


def volume(path: Path, seed: int = 0, shape: tuple[int, int, int] = (24, 22, 20)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(-1000, 1000, shape).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([-0.5, 0.75, 3.0, 1.0])), path)
    return path


def test_a_volume_becomes_one_case_with_its_geometry(
    run: Import, tmp_path: Path, connection: sqlite3.Connection, files: Files
) -> None:
    report = run(volume(tmp_path / "scan.nii.gz"))
    case = get_case(connection, report.files[0].case or 0)
    assert (case.frames, case.rows, case.columns, case.channels, case.dtype) == (20, 22, 24, 1, "int16")
    assert (case.spacing_mm, case.spacing_at, case.slice_spacing_mm) == ((0.75, 0.5), "patient", 3.0)
    assert case.affine == ((0.5, 0, 0, 0), (0, 0.75, 0, -15.75), (0, 0, 3, 0), (0, 0, 0, 1))
    assert [window.name for window in case.windows] == ["0.1 % to 99.9 %"]
    pixels = files.read_array("pixels", case.pixel_hash)
    assert (pixels.shape, pixels.dtype) == ((20, 22, 24), np.int16)
    middle = to_uint8(pixels[10], "MONOCHROME2", case.windows)
    assert case.perceptual_hash == perceptual_hash(middle)
    assert files.path("thumbnails", case.pixel_hash).read_bytes() == thumbnail_of(middle)


def test_volumes_keep_the_rules_of_images(run: Import, tmp_path: Path, connection: sqlite3.Connection) -> None:
    volume(tmp_path / "in" / "a.nii.gz")
    volume(tmp_path / "in" / "b.nii")
    volume(tmp_path / "in" / "c.nii.gz", seed=1)
    written(tmp_path / "in" / "bad.nii.gz", b"\x1f\x8b broken")
    table = table_of("id,label,patient\na,normal,p1\nb,pneumonia,p2\nc,normal,p3\n".replace("id", "path"))
    first = by_path(run(tmp_path / "in", table=table))
    assert first["b.nii"] == (
        "imported",
        "Same pixels as case 1 (a.nii.gz). The patient differs: p2 here, p1 there. "
        "The labels are opposite: pneumonia here, normal there.",
    )
    assert first["bad.nii.gz"][0] == "failed"
    assert get_case(connection, 3).patient == "p3"
    again = run(tmp_path / "in", table=table)
    assert (again.imported, again.skipped, again.failed) == (0, 3, 1)
    volume(tmp_path / "in" / "a.nii.gz", seed=9)
    assert "Another image came under this name before: case 1" in by_path(run(tmp_path / "in"))["a.nii.gz"][1]
    found = find_case(connection, 1, "c")
    assert found is not None
    assert found.source == "c.nii.gz"


def test_volumes_in_a_zip_come_in_and_masks_beside_them_do_not(run: Import, tmp_path: Path) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name in ("images/a.nii.gz", "labels/a.nii.gz"):
            packed.write(volume(tmp_path / name, seed=len(name)), name)
    found = by_path(run(archive))
    assert found["images/a.nii.gz"] == ("imported", "")
    assert found["labels/a.nii.gz"] == (
        "skipped",
        "This looks like a mask of images/a.nii.gz; masks come in with `--masks`.",
    )


def test_no_text_of_a_volumes_header_is_kept(run: Import, tmp_path: Path, settings: Settings) -> None:
    image = nibabel.Nifti1Image(np.zeros((5, 6, 7), np.int16), np.eye(4))
    image.header["descrip"], image.header["aux_file"], image.header["intent_name"] = b"DOE^JANE", b"DOEAUX", b"DOENAME"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"DOE^COMMENT"))
    nibabel.save(image, tmp_path / "scan.nii")
    assert run(tmp_path / "scan.nii").imported == 1
    kept = [file.read_bytes() for file in settings.home.rglob("*") if file.is_file()]
    assert not any(b"DOE" in content for content in kept)


def test_killed_while_volumes_come_in_nothing_is_half_there(
    settings: Settings, project: Project, tmp_path: Path, files: Files
) -> None:
    for seed in range(20):
        volume(tmp_path / "in" / f"{seed}.nii.gz", seed, (64, 64, 40))
    command = [sys.executable, "-c", KILLED, str(settings.home), str(tmp_path / "in")]
    for wait in (0.05, 0.3):
        process = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        assert process.stdout.readline() == "begun\n"
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with opened(settings) as connection:
            for case in list_cases(connection, project.id):
                assert files.read_array("pixels", case.pixel_hash).shape == (case.frames, case.rows, case.columns)
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True, timeout=280)
    assert done.stdout == "begun\ndone 20\n"


def test_the_real_hippocampi_come_in_without_their_masks(
    run: Import, connection: sqlite3.Connection, project: Project, test_data: Path, files: Files
) -> None:
    root = test_data / "hippocampus_msd"
    table = map_columns(read_label_table(root / "volumes.csv"), {"path": "id"})
    report = run(root, table=table)
    outcomes = Counter((file.status, file.path.split("/")[0]) for file in report.files)
    assert outcomes == {
        ("imported", "images"): 60,
        ("skipped", "labels"): 60,
        ("failed", "SOURCE.md"): 1,
        ("failed", "volumes.csv"): 1,
    }
    assert report.warnings == ()
    for case in list_cases(connection, project.id):
        columns, rows, frames = map(int, case.attributes["shape"].split("x"))
        assert (case.columns, case.rows, case.frames) == (columns, rows, frames)
        assert case.dtype == case.attributes["dtype"]
        values = files.read_array("pixels", case.pixel_hash)
        assert float(values.max()) == pytest.approx(float(case.attributes["max"]))


def test_a_drawn_image_never_becomes_a_case_that_is_tested_on(
    run: Import, folder: Path, settings: Settings, connection: sqlite3.Connection, project: Project
) -> None:
    """The mark in the file itself says so, in a folder, in an archive, and before anything is carried out."""
    drawn = png_of(np.random.default_rng(9).integers(0, 255, (20, 24, 1), np.uint8), {"Model": "größer"})
    written(folder / "synthetic-1-0000.png", drawn)
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.writestr("synthetic-1-0001.png", drawn)
    marked = ["synthetic-1-0000.png", "more.zip/synthetic-1-0001.png"]
    foreseen = by_path(run(folder, hold_back="all"))
    assert {name: foreseen[name][0] for name in marked} == dict.fromkeys(marked, "failed")
    with ReadingChildren(settings, b"secret", project.deidentification) as reader:
        report = run(folder, reader=reader)
    assert (report.imported, report.failed) == (3, 2)
    for name in marked:
        assert "`readroom generate` keep them with `--into PROJECT`" in by_path(report)[name][1]
    assert count_cases(connection, project.id) == 3
    assert run(folder / "sub").failed == 0


def test_a_drawn_image_is_known_by_its_pixels_once_its_mark_is_gone(
    run: Import, folder: Path, settings: Settings, connection: sqlite3.Connection, project: Project, actor: Actor,
    make_case,
) -> None:  # fmt: skip
    """Saved anew by another program, of this project and of another one, which is not named to who may not see it."""
    other = add_project(connection, name="Other", task="classification", schema=project.schema, actor=actor)
    for into, seed in ((project, 50), (other, 51)):
        pixels = np.random.default_rng(seed).integers(0, 255, (20, 24), np.uint8)
        make_case(f"synthetic/{seed}.png", pixels=pixels, into=into, synthetic={"model": "vae 1"})
        written(folder / f"saved-{seed}.png", picture(seed))
    (here,) = list_cases(connection, project.id)
    report = run(folder)
    assert (report.imported, report.failed, report.skipped) == (3, 2, 0)
    told = by_path(report)
    assert (
        f"A model drew this image, whatever the file says: its pixels are those of case {here.id}."
        in (told["saved-50.png"][1])
    )
    assert "its pixels are those of a drawn image." in told["saved-51.png"][1]
    assert "Same pixels" not in told["saved-50.png"][1]
    assert {case.source for case in list_cases(connection, project.id) if not case.synthetic} == {
        "a.png", "b.png", "sub/c.png",
    }  # fmt: skip
    written(folder / "synthetic/50.png", picture(50))  # not even by the name of the drawn case itself
    with ReadingChildren(settings, b"secret", project.deidentification) as reader:
        again = by_path(run(folder, reader=reader))
    assert {name for name, (status, _) in again.items() if status == "failed"} == {
        "saved-50.png", "saved-51.png", "synthetic/50.png",
    }  # fmt: skip


def test_what_was_imported_before_it_was_drawn_stays_and_is_skipped(
    run: Import, folder: Path, connection: sqlite3.Connection, project: Project, make_case
) -> None:
    """A model that repeats a training image does not make that image unreal."""
    run(folder)
    make_case("synthetic/1.png", pixels=np.asarray(Image.open(folder / "a.png")), synthetic={"model": "vae 1"})
    report = run(folder)
    assert (report.skipped, report.failed) == (3, 0)
