"""The import doctor: statuses and series, looking before accepting, another attempt, known files, and no orphans."""

import os
import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.errors import NotFound
from core.images import ingest, refused_files, stored_image
from core.images.decoded import DecodedImage
from core.images.headers import list_overlaps
from core.images.import_files import NOTED, Report, list_named_files, read_report
from core.images.ingest import ImportReport, import_paths
from core.images.known_files import find_known
from core.images.label_table import map_columns, read_label_table
from core.images.pseudonyms import load_secret
from core.images.reading_child import ReaderEnded
from core.images.reading_children import ReadingChildren
from core.images.records import (
    count_cases,
    get_case,
    list_cases,
    list_import_files,
    list_unnamed,
    record_import_file,
    set_flag,
    wanted_again,
)
from core.images.refused_files import forget_refused
from core.images.sources import list_sources
from core.jobs.records import add_job
from core.labels.records import NewLabel, add_label, new_event
from core.progress import Silent
from core.projects.records import Project, add_project
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import opened
from core.store.files import Files
from tests.core.images.conftest import Import
from tests.core.images.test_dicom_series import a_series, a_slice

EVEN = [0.0, 2.0, 4.0, 6.0, 8.0]
GAP = [0.0, 2.0, 4.0, 6.0, 10.0, 12.0, 14.0]


def picture(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (20, 24), np.uint8)).save(path)
    return path


def test_files_read_side_by_side_become_the_same_cases_and_leave_nothing_behind(
    run: Import, tmp_path: Path, connection: sqlite3.Connection, settings: Settings, files: Files, project: Project,
    actor: Actor, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for number in range(20):
        picture(tmp_path / "in" / f"{number}.png", number)
    a_series(tmp_path / "in" / "ct", EVEN)
    (tmp_path / "in" / "notes.png").write_text("no picture")
    alone = run(tmp_path / "in")
    here = {case.source: case.pixel_hash for case in list_cases(connection, project.id)}
    other = add_project(connection, name="other", task="classification", schema=project.schema, actor=actor)

    def not_here(*_: Any) -> None:
        raise AssertionError("the pixels of single images are written by their readers")

    monkeypatch.setattr(Files, "put_array", not_here)
    with ReadingChildren(settings, load_secret(settings), other.deidentification, count=2) as reader:
        beside = import_paths(
            connection, files, settings, other, [tmp_path / "in"], table=None, patient_from=None, job=50, actor=actor,
            on_case=lambda *_: None, progress=Silent(), reader=reader,
        )  # fmt: skip
    assert {case.source: case.pixel_hash for case in list_cases(connection, other.id)} == here
    assert len(here) == 21
    assert [(file.path, file.status) for file in beside.files] == [(file.path, file.status) for file in alone.files]
    for pixel_hash in here.values():
        files.check("pixels", pixel_hash)
    assert not list(files.root.rglob("*.part"))


def statuses(report: ImportReport) -> Counter[str]:
    return Counter(file.status for file in report.files)


@pytest.fixture
def nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        for word in (
            "core.images.surveys._seen_here",
            "core.images.stored_image.read_source",
            "core.images.time_points._head",
        ):
            monkeypatch.setattr(word, lambda *_: pytest.fail("a known file was opened"))

    return forbid


# ---- statuses and series


def test_slices_are_joined_a_held_image_is_held_and_both_came_in(
    run: Import, tmp_path: Path, connection: sqlite3.Connection, settings: Settings
) -> None:
    a_series(tmp_path / "in" / "ct", EVEN)
    a_slice(tmp_path / "in" / "us.dcm", 0, SeriesInstanceUID="1.2.9", Modality="US", BurnedInAnnotation="YES")
    picture(tmp_path / "in" / "film.png", 1)
    report = run(tmp_path / "in")
    assert statuses(report) == {"joined": 5, "held": 1, "imported": 1}
    assert (report.imported, report.joined, report.held, report.cases) == (7, 5, 1, 3)
    told = {one.series.modality: one for one in read_report(connection, settings, 1).series}
    assert told["CT"].what == "CT, 5 files in ct", "the person importing reads the folder's own name"
    assert told["CT"].becomes == "1 volume of 5 frames, 16 x 12"
    assert told["CT"].series.parts[0].depths_mm == (0, 2, 4, 6, 8)
    assert told["US"].counts == {"held": 1}
    assert told["CT"].cases == (next(file.case for file in report.files if file.status == "joined"),)


def test_no_folders_name_is_stored_with_a_series(run: Import, tmp_path: Path, connection: sqlite3.Connection) -> None:
    a_series(tmp_path / "in" / "Doe Jane 1970", EVEN)
    run(tmp_path / "in")
    rows = [tuple(row) for table in ("import_series", "import_files", "known_files")
            for row in connection.execute(f"SELECT * FROM {table}")]  # fmt: skip
    assert len(rows) == 11
    assert "Doe" not in str(rows)


def test_a_report_is_kept_until_something_of_it_changes(
    run: Import, tmp_path: Path, connection: sqlite3.Connection, settings: Settings
) -> None:
    a_series(tmp_path / "in" / "ct", EVEN)
    (tmp_path / "in" / "notes.txt").write_text("hello")
    run(tmp_path / "in")

    def read(**more: Any) -> Report:
        return read_report(connection, settings, 1, warnings=["A warning."], **more)

    report = read()
    assert report is read(), "100,000 names are not read back at each click"
    assert list(report.files) == list_named_files(connection, settings, 1)
    assert (report.counts, report.warnings) == ({"joined": 5, "failed": 1, NOTED: 0}, ("A warning.",))
    assert [Path(file.path).name for file in report.select(["failed"])] == ["notes.txt"]
    assert len(report.select(["joined"], "CT/003")) == len(report.select([], "ct/003.dcm")) == 1
    assert len(report.select([], "series 1")) == 5
    assert "ct/" not in str(read(with_paths=False).files), "whoever did not import it reads tokens"
    record_import_file(connection, 1, "late.png", "joined", 1, "Same pixels as case 1 (a.png).")
    assert read().counts == {"joined": 6, "failed": 1, NOTED: 1}
    assert [file.path for file in read().select([NOTED])] == ["late.png"]


# ---- looking before accepting


def test_to_look_stores_no_image_and_says_what_would_come(
    run: Import, tmp_path: Path, connection: sqlite3.Connection, settings: Settings, project: Project
) -> None:
    a_series(tmp_path / "in" / "ct", GAP)
    picture(tmp_path / "in" / "film.png", 1)
    (tmp_path / "in" / "notes.txt").write_text("hello")
    report = run(tmp_path / "in", hold_back="all")
    assert statuses(report) == {"waiting": 8, "failed": 1}
    assert (report.waiting, count_cases(connection, project.id)) == (8, 0)
    assert not list((settings.home / "pixels").rglob("*.npy"))
    said = {Path(file.path).name: file.reason for file in report.files}
    assert said["film.png"] == "Becomes a case (PNG)."
    assert "Readroom takes in" in said["notes.txt"]
    assert said["007.dcm"] == (
        "Becomes one volume of 7 frames, 16 x 12. Slice 5 is missing between z = 6 and 10 mm. "
        "The volume is shown slice by slice, and nothing is measured across slices."
    )


def test_what_is_odd_waits_and_the_rest_comes_in(run: Import, tmp_path: Path, connection: sqlite3.Connection) -> None:
    a_series(tmp_path / "in" / "odd", GAP, SeriesInstanceUID="1.1")
    a_series(tmp_path / "in" / "even", EVEN, SeriesInstanceUID="1.2")
    report = run(tmp_path / "in", hold_back="odd")
    assert statuses(report) == {"joined": 5, "waiting": 7}
    waiting = wanted_again(list_import_files(connection, 1), ("waiting",))
    accepted = run(tmp_path / "in", only=waiting)
    assert statuses(accepted) == {"joined": 7}
    assert get_case(connection, accepted.files[0].case or 0).frames == 7


def test_a_series_can_be_left_out(run: Import, tmp_path: Path, connection: sqlite3.Connection) -> None:
    for number in (1, 2):
        a_series(tmp_path / "in" / str(number), GAP, SeriesInstanceUID=f"1.{number}")
    run(tmp_path / "in", hold_back="odd")
    rows = list_import_files(connection, 1)
    assert statuses(run(tmp_path / "in", only=wanted_again(rows, ("waiting",), left_out={2}))) == {"joined": 7}


# ---- another attempt


def test_a_refused_slice_is_tried_again_with_its_whole_series(
    run: Import, tmp_path: Path, connection: sqlite3.Connection
) -> None:
    folder = tmp_path / "in"
    a_series(folder, EVEN)
    picture(folder / "film.png", 1)
    whole = (folder / "003.dcm").read_bytes()
    (folder / "003.dcm").write_bytes(whole[:-100])
    first = run(folder)
    assert statuses(first) == {"joined": 4, "imported": 1, "failed": 1}
    assert {path.name for path in first.left} == {f"00{number}.dcm" for number in range(1, 6)}
    (folder / "003.dcm").write_bytes(whole)
    again = run(folder, only=wanted_again(list_import_files(connection, 1), ("failed",)))
    assert statuses(again) == {"joined": 5}
    assert get_case(connection, again.files[0].case or 0).frames == 5
    assert "Another image came under this name" not in " ".join(file.reason for file in again.files)


@pytest.mark.parametrize("said", ["nothing", "an answer", "a withdrawn answer", "a flag", "asked for a map"])
def test_the_whole_volume_replaces_the_part_of_which_nothing_is_said(
    run: Import, tmp_path: Path, connection: sqlite3.Connection, settings: Settings, project: Project, said: str,
    actor: Actor,
) -> None:  # fmt: skip
    folder = tmp_path / "in"
    a_series(folder, EVEN)
    whole = (folder / "003.dcm").read_bytes()
    (folder / "003.dcm").write_bytes(whole[:-100])
    part = get_case(connection, run(folder).files[0].case or 0)
    assert part.frames == 4
    if "answer" in said:
        for value in [{"classes": ["normal"]}, *([None] if "withdrawn" in said else [])]:
            add_label(connection, NewLabel(new_event(), part.id, actor.name, value), actor)
    elif said == "a flag":
        set_flag(connection, part.id, True, actor)
    elif said == "asked for a map":
        add_job(connection, "explain", {"case": part.id, "split": "train"}, project=project.id, actor=actor)
    labels = [tuple(row) for row in connection.execute("SELECT * FROM labels ORDER BY id")]
    (folder / "003.dcm").write_bytes(whole)
    again = run(folder, only=wanted_again(list_import_files(connection, 1), ("failed",)))
    assert statuses(again) == {"joined": 5}
    (case,) = {file.case for file in again.files}
    reasons = " ".join(file.reason for file in again.files)
    assert [tuple(row) for row in connection.execute("SELECT * FROM labels ORDER BY id")] == labels
    if said == "nothing":
        assert f"Replaces case {part.id}, which had 4 of these slices and nothing said of it." in reasons
        assert count_cases(connection, project.id) == 1
        with pytest.raises(NotFound):
            get_case(connection, part.id)
        assert {file.case for file in list_import_files(connection, 1) if file.case} == {case}
        assert not (settings.home / "pixels" / part.pixel_hash[:2] / f"{part.pixel_hash}.npy").exists()
        assert not connection.execute("PRAGMA foreign_key_check").fetchall()
        assert case != part.id, "an answer to the number of before may be on its way"
        assert statuses(run(folder)) == {"skipped": 5}
    else:
        assert f"Fewer of these slices came in before, as case {part.id} " in reasons
        assert (count_cases(connection, project.id), get_case(connection, part.id).frames) == (2, 4)
        assert list_overlaps(connection, part) == [(case, 5)]
        assert list_overlaps(connection, get_case(connection, case or 0)) == [(part.id, 4)]


# ---- known files


def test_what_is_in_and_unchanged_is_not_opened_again(
    run: Import, tmp_path: Path, nothing_is_opened: Callable[[], None]
) -> None:
    a_series(tmp_path / "in" / "ct", EVEN)
    picture(tmp_path / "in" / "film.png", 1)
    shutil.make_archive(str(tmp_path / "in" / "more"), "zip", picture(tmp_path / "z" / "b.png", 2).parent)
    first = run(tmp_path / "in")
    nothing_is_opened()
    again = run(tmp_path / "in")
    assert statuses(again) == {"skipped": 7}
    assert [file.case for file in again.files] == [file.case for file in first.files]
    assert "an unchanged file" in again.files[0].reason


def test_a_new_slice_wakes_the_series_it_belongs_to(
    run: Import, tmp_path: Path, connection: sqlite3.Connection
) -> None:
    a_series(tmp_path / "in" / "a", EVEN)
    a_series(tmp_path / "in" / "other", EVEN, SeriesInstanceUID="1.9")
    run(tmp_path / "in")
    a_slice(tmp_path / "in" / "b" / "late.dcm", 10.0)
    again = run(tmp_path / "in")
    assert statuses(again) == {"joined": 6, "skipped": 5}
    assert get_case(connection, next(file.case for file in again.files if file.status == "joined") or 0).frames == 6


def test_a_file_that_was_written_since_is_read_again(run: Import, tmp_path: Path) -> None:
    film = picture(tmp_path / "in" / "film.png", 1)
    run(tmp_path / "in")
    picture(film, 2)
    assert statuses(run(tmp_path / "in")) == {"imported": 1}


def test_an_erased_case_makes_its_file_unknown(
    run: Import, tmp_path: Path, connection: sqlite3.Connection, settings: Settings, project: Project
) -> None:
    film = picture(tmp_path / "in" / "film.png", 1)
    run(tmp_path / "in")
    (source,) = list_sources([film], settings)
    assert find_known(connection, load_secret(settings), project.id, [source])[source.path].is_in
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("DELETE FROM cases")
    assert not find_known(connection, load_secret(settings), project.id, [source])[source.path].is_in
    assert statuses(run(tmp_path / "in")) == {"imported": 1}


def test_a_refused_file_is_no_news_until_it_is_written_anew(run: Import, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n-")
    assert statuses(run(tmp_path / "in")) == {"failed": 1}
    assert statuses(run(tmp_path / "in")) == {"failed": 1}
    assert run(tmp_path / "in", only_new=True).files == ()
    picture(tmp_path / "in" / "broken.png", 3)
    assert statuses(run(tmp_path / "in", only_new=True)) == {"imported": 1}


def test_what_was_refused_and_is_unchanged_is_not_opened_again(
    run: Import, tmp_path: Path, nothing_is_opened: Callable[[], None]
) -> None:
    a_series(tmp_path / "in" / "ct", EVEN)
    cut = tmp_path / "in" / "ct" / "003.dcm"
    cut.write_bytes(cut.read_bytes()[:-100])
    (tmp_path / "in" / "notes.txt").write_text("hello")
    first = run(tmp_path / "in")
    assert statuses(first) == {"joined": 4, "failed": 2}
    nothing_is_opened()
    again = run(tmp_path / "in")
    assert statuses(again) == {"skipped": 4, "failed": 2}
    said = [[(file.path, file.reason) for file in report.files if file.status == "failed"] for report in (first, again)]
    assert said[0] == said[1]
    assert again.left == first.left, "a refused slice is tried again with its whole series"


@pytest.mark.parametrize("change", ["asked for", "other rules", "erased"])
def test_a_refused_file_is_read_again_when(
    change: str, run: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings,
    project: Project, connection: sqlite3.Connection,
) -> None:  # fmt: skip
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n-")
    run(tmp_path / "in")
    read = []
    monkeypatch.setattr(stored_image, "read_source", lambda file, *_: read.append(file.path) or b"\x89PNG\r\n\x1a\n-")
    run(tmp_path / "in")
    assert not read
    if change == "other rules":
        monkeypatch.setattr(refused_files, "reading_rules", lambda: "a decoder was installed")
    elif change == "erased":
        forget_refused(settings, project.id)
    wanted = wanted_again(list_import_files(connection, 1), ("failed",)) if change == "asked for" else None
    assert statuses(run(tmp_path / "in", only=wanted)) == {"failed": 1}
    assert len(read) == 1


def test_a_refusal_holds_for_a_projects_options_only(
    run: Import, tmp_path: Path, settings: Settings, project: Project
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("hello")
    run(tmp_path / "in")
    found = list_sources([tmp_path / "in"], settings)
    for options in (project.deidentification, replace(project.deidentification, clean_descriptors=False)):
        refused = refused_files.RefusedFiles(settings, load_secret(settings), project.id, options)
        assert bool(refused.find(found)) == (options == project.deidentification)


def test_what_the_machine_decided_is_tried_again(run: Import, tmp_path: Path) -> None:
    picture(tmp_path / "in" / "film.png", 1)

    def ended(*_: object) -> DecodedImage:
        raise ReaderEnded("Reading this file ended its reader; export it again. Received: 9 bytes")

    assert statuses(run(tmp_path / "in", reader=ended)) == {"failed": 1}
    assert statuses(run(tmp_path / "in")) == {"imported": 1}


def test_a_table_still_reaches_known_files(run: Import, tmp_path: Path) -> None:
    a_series(tmp_path / "in" / "ct", EVEN)
    picture(tmp_path / "in" / "film.png", 1)
    run(tmp_path / "in")
    met = []
    table = map_columns(read_label_table(b"path,label\nfilm.png,x\nct,y\n"))
    report = run(tmp_path / "in", table=table, on_skipped=lambda _, case, row: met.append((case.frames, row.labels)))
    assert sorted(met) == [(1, "x"), (5, "y")]
    assert report.warnings == ()


def test_files_beside_which_something_was_just_written_are_left_for_later(run: Import, tmp_path: Path) -> None:
    old, new = picture(tmp_path / "in" / "old" / "a.png", 1), picture(tmp_path / "in" / "new" / "b.png", 2)
    for path, age in ((old, 100), (new, 1)):
        os.utime(path, (time.time() - age, time.time() - age))
    assert [Path(file.path).name for file in run(tmp_path / "in", quiet_seconds=10).files] == ["a.png"]


# ---- no orphans


def everything_is_named(connection: sqlite3.Connection, home: Path) -> bool:
    """No file of the store without a row, nothing half-written, no note of an import."""
    stored = {path.stem for shelf in ("pixels", "thumbnails", "headers") for path in (home / shelf).rglob("*.*")}
    left = [path for path in home.rglob("*") if path.suffix in (".part", ".stored", ".reading")]
    return not list_unnamed(connection, sorted(stored)) and not left


def killed_at(place: str, times: int) -> None:
    """In this process, from now on: the given step is the last thing it does."""
    module, _, name = place.rpartition(".")
    owner = __import__(module, fromlist=[name])
    usual, left = getattr(owner, name), [times]

    def last(*given: Any, **more: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return usual(*given, **more)

    setattr(owner, name, last)


# Before each of these steps, the so many-th time that it is taken.
MOMENTS = [
    ("core.store.files._write_part", 1),  # the paths are sealed
    ("core.store.files._write_part", 5),  # pixels are written, no thumbnail
    ("core.store.files._write_part", 7),  # the pixels of the next, no thumbnail
    ("core.store.together.force_each", 0),  # all is written, nothing is forced to disk
    ("core.store.together.force_each", 1),  # all has its name, which is not forced to disk
    ("core.store.together.force_each", 2),
    ("os.fsync", 2),  # some of it is
    ("core.images.keeping.insert_case", 0),  # all files, no row
    ("core.images.keeping.insert_case", 1),
    ("core.images.keeping.add_headers", 1),  # within the transaction
    ("core.images.one_import.record_import_file", 3),
    ("core.images.one_import.remember", 4),
    ("core.images.ingest.add_audit", 0),  # all is in, nothing is reported
    ("core.images.stored_files.list_unnamed", 0),  # while it tidies up
]


@pytest.mark.parametrize(("place", "times"), MOMENTS, ids=[f"{place.rpartition('.')[2]}-{n}" for place, n in MOMENTS])
def test_killed_at_this_moment_nothing_is_left_over_after_the_resume(
    place: str, times: int, run: Import, tmp_path: Path, connection: sqlite3.Connection, settings: Settings,
    files: Files, project: Project, actor: Actor,
) -> None:  # fmt: skip
    folder = tmp_path / "in"
    a_series(folder / "ct", EVEN[:3])
    picture(folder / "film.png", 1)
    picture(folder / "second.png", 2)
    load_secret(settings)
    child = os.fork()
    if child == 0:
        try:
            killed_at(place, times)
            with opened(settings) as own:
                import_paths(own, files, settings, project, [folder], table=None, patient_from=None, job=1, actor=actor,
                             on_case=lambda *_: None, progress=Silent())  # fmt: skip
        finally:
            os._exit(3)
    _, ending = os.waitpid(child, 0)
    assert os.WTERMSIG(ending) == signal.SIGKILL, "the step was never reached"
    report = run(folder)
    assert (report.imported, report.skipped, report.failed, report.cases) == (5, 0, 0, 3)
    assert count_cases(connection, project.id) == 3
    assert everything_is_named(connection, settings.home)


def test_a_file_whose_row_is_refused_leaves_no_pixels(
    run: Import, tmp_path: Path, connection: sqlite3.Connection, settings: Settings
) -> None:
    picture(tmp_path / "in" / "film.png", 1)

    def refuse(*_: Any) -> None:
        raise ingest.InvalidInput("The class is unknown. Received: flu")

    assert statuses(run(tmp_path / "in", on_case=refuse)) == {"failed": 1}
    assert everything_is_named(connection, settings.home)
    assert not list((settings.home / "pixels").rglob("*.npy"))
