"""`readroom import --look`, `--accept`, `--again` and `readroom watch`: scripts see what comes in before it does."""

from pathlib import Path

from core.errors import InvalidInput
from tests.core.cli.conftest import Run
from tests.core.images.test_dicom_series import a_series
from tests.core.images.test_import_doctor import EVEN, GAP


def test_a_look_is_accepted_without_a_series_and_what_was_refused_is_tried_again(run: Run, tmp_path: Path) -> None:
    run("project", "create", "Chest", "--classes", "normal,pneumonia")
    a_series(tmp_path / "in" / "odd", GAP, SeriesInstanceUID="1.1")
    a_series(tmp_path / "in" / "even", EVEN, SeriesInstanceUID="1.2")
    (tmp_path / "in" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n-")
    looked = run("import", "Chest", str(tmp_path / "in"), "--look")
    assert (looked["imported"], looked["waiting"]) == (0, 13)
    by_folder = {one["series"]["folder"]: one["series"] for one in looked["series"]}
    assert [part["oddities"] for part in by_folder["odd"]["parts"]] == [
        [
            "Slice 5 is missing between z = 6 and 10 mm.",
            "The volume is shown slice by slice, and nothing is measured across slices.",
        ]
    ]
    out = by_folder["odd"]["number"]
    accepted = run("import", "Chest", "--accept", str(looked["job"]), "--leave-out", str(out))
    assert (accepted["imported"], accepted["joined"], accepted["failed"]) == (5, 5, 1)
    again = run("import", "Chest", "--again", str(accepted["job"]))
    assert [(row["path"], row["status"]) for row in again["files"]] == [("broken.png", "failed")]


def test_again_and_accept_take_nothing_else_and_need_an_import(run: Run, tmp_path: Path) -> None:
    run("project", "create", "Chest", "--classes", "normal,pneumonia")
    run("import", "Chest", str(tmp_path), "--again", "1", code=2)
    run("import", "Chest", str(tmp_path), "--leave-out", "1", code=2)
    run("import", "Chest", "--accept", "7", code=1)


def test_a_folder_is_watched_shown_and_no_longer_watched(run: Run, tmp_path: Path) -> None:
    run("project", "create", "Chest", "--classes", "normal,pneumonia")
    assert run("watch", "Chest")["folder"] is None
    (tmp_path / "incoming").mkdir()
    told = run("watch", "Chest", str(tmp_path / "incoming"), "--every", "5")
    assert (told["folder"], told["every_seconds"], told["worker"]) == (str(tmp_path / "incoming"), 5.0, False)
    assert run("watch", "Chest", "--off")["folder"] is None
    assert isinstance(run("watch", "Chest", "--off", code=1).exception, InvalidInput)
