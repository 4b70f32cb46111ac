"""Commands about what is asked of readers: tasks, classes, assignments, masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import CoreError
from core.images.pseudonyms import TOKEN_PATH
from core.images.records import NewCase, get_case, insert_case
from core.labels.masks import put_mask
from core.labels.records import new_event
from core.people.accounts import ensure_user, operating_system_user
from core.people.members import set_member
from core.projects.records import get_project
from core.settings import load_settings
from core.store.audit import Actor
from core.store.database import opened
from tests.core.cli.conftest import Run


def test_a_segmentation_is_made_labelled_and_its_masks_exported(run: Run, tmp_path: Path) -> None:
    made = run("project", "create", "Abdomen", "--task", "segmentation", "--structures", "liver,lesion")
    assert [one["name"] for one in made["schema"]["structures"]] == ["liver", "lesion"]
    (tmp_path / "in").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (12, 10), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in" / "a.png")
    run("import", "Abdomen", str(tmp_path / "in"))
    stored = run("label", "Abdomen", "a.png", "lesion", "--reader", "anna", "--confidence", "4")
    assert stored["value"] == {"structures": ["lesion"]}
    mask = np.random.default_rng(1).integers(0, 2, (1, 12, 10), np.uint8)
    with opened(load_settings(tmp_path / "home")) as connection:
        case = get_case(connection, 1)
        actor = Actor(operating_system_user(), "command line")
        put_mask(connection, case, "lesion", mask, actor, event=new_event(), reader="anna")
    out = run("export", "Abdomen", "masks", "--out", str(tmp_path / "out"))
    assert (out["files"], out["cases"]) == (1, 1)
    assert (np.asarray(Image.open(tmp_path / "out" / "anna" / case.source)) == mask[0] * 2).all()
    run("export", "Abdomen", "masks", "--out", str(tmp_path / "arrays"), "--format", "npy", "--reader", "anna")
    array = tmp_path / "arrays" / "anna" / case.source.replace(".png", "_lesion.npy")
    assert TOKEN_PATH.fullmatch(case.source)  # names of files are called by tokens
    assert (np.load(array) == mask).all()
    refused = run("export", "Abdomen", "masks", "--out", str(tmp_path / "out"), code=1)
    assert "empty folder" in str(refused.exception)
    below_a_file = tmp_path / "in" / "a.png" / "masks"
    refused = run("export", "Abdomen", "masks", "--out", str(below_a_file), code=1)
    assert f"name another place. Received: {below_a_file}" in str(refused.exception)
    refused = run("snapshot", "Abdomen", "first", code=1)
    assert "3 splits need at least 3 patients" in str(refused.exception)


def test_a_regression_is_made_with_unit_range_and_measurement(run: Run, tmp_path: Path) -> None:
    words = ("--task", "regression", "--target", "heart width", "--unit", "mm", "--low", "20", "--high", "300")
    made = run("project", "create", "Widths", *words, "--measure", "length")
    assert made["schema"] == {
        "target": "heart width", "unit": "mm", "low": 20.0, "high": 300.0, "measure": "length",
    }  # fmt: skip
    assert "comes in ° or degrees" in str(run("project", "create", "X", *words, "--measure", "angle", code=1).exception)


@pytest.fixture
def chest(run: Run, tmp_path: Path) -> Run:
    """Six images, and ben who may label them."""
    run("project", "create", "Chest", "--classes", "normal,pneumonia")
    with opened(load_settings(tmp_path / "home")) as connection:
        project = get_project(connection, "Chest")
        for at in range(6):  # an import would be a job in a process of its own
            insert_case(
                connection,
                NewCase(
                    project=project.id, source=f"{at}.png", patient=f"p{at}", patient_from="table",
                    pixel_hash=f"{at:064x}", file_hash="0" * 64, perceptual_hash=None, rows=12, columns=10, channels=1,
                    dtype="uint8", photometric="MONOCHROME2", imported_by="anna",
                ),
            )  # fmt: skip
        ensure_user(connection, "ben")
        set_member(connection, project.id, "ben", "reader", actor=Actor("operator", "command line"))
    return run


def test_cases_are_handed_out_by_number_name_and_chance(chest: Run) -> None:
    assert chest("assign", "Chest")["assigned"] == []
    told = chest("assign", "Chest", "ben", "--cases", "1,3-4,5.png")
    assert told["assigned"] == [{"reader": "ben", "cases": 4, "answered": 0}]
    assert chest("assign", "Chest", "ben", "--random", "2")["assigned"][0]["cases"] == 6
    assert chest("assign", "Chest", "ben", "--cases", "1", "--remove")["assigned"][0]["cases"] == 5
    assert chest("assign", "Chest", "ben", "--remove")["assigned"] == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("ben",), "--cases, or how many with --random"),
        (("ben", "--cases", "1", "--random", "1"), "--cases, or how many with --random"),
        (("ben", "--cases", "5-2"), "from a lower to a higher"),
        (("ben", "--cases", "99"), "There is no case 99"),
        (("ben", "--random", "7"), "6 cases are free"),
        (("zoe", "--cases", "1"), "There is no user zoe"),
    ],
)
def test_what_cannot_be_handed_out_is_said(chest: Run, words: tuple[str, ...], sentence: str) -> None:
    result = chest("assign", "Chest", *words, code=1)
    assert isinstance(result.exception, CoreError)
    assert sentence in str(result.exception)


def test_classes_change_and_answers_stay(chest: Run) -> None:
    chest("label", "Chest", "0.png", "pneumonia", "--reader", "ben")
    told = chest("project", "classes", "Chest", "rename", "pneumonia", "consolidation")
    assert told["schema_version"] == 2
    assert [one["name"] for one in told["schema"]["classes"]] == ["normal", "consolidation"]
    chest("project", "classes", "Chest", "add", "effusion")
    told = chest("project", "classes", "Chest", "retire", "effusion")
    assert told["schema"]["classes"][2]["retired"] is True
    assert "A change is one of" in str(chest("project", "classes", "Chest", "burn", "normal", code=1).exception)


def test_drafts_need_a_model_or_are_off(chest: Run) -> None:
    assert "Name a model, or say --off" in str(chest("assist", "Chest", code=1).exception)
    assert "There is no model" in str(chest("assist", "Chest", "one", code=1).exception)
    assert chest("assist", "Chest", "--off") == {"assist_model": None, "cases": 0, "refused": []}
