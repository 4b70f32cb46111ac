"""A measured number, from a table with gaps to an overlay and to the cases in order of their error, by the bodies of
the jobs."""

import csv
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot, list_snapshot_cases, snapshot_counts
from core.errors import CoreError, InvalidInput
from core.evaluation.drafts import set_assist_model
from core.evaluation.pairs import list_pairs
from core.images.records import get_case, list_import_files
from core.jobs.asking import ask_training
from core.jobs.context import JobContext, job_folder
from core.jobs.handlers import HANDLERS
from core.jobs.records import Job, add_job
from core.progress import Silent
from core.projects.records import Project, add_project
from core.projects.schema import Regression
from core.reviews.case_search import CaseFilter, search_case_ids
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.training.recipe import Recipe, change_recipe, named_recipe
from core.training.records import get_model, list_epochs, list_runs

SIDE, CASES = 16, 208
DOSE = Regression("dose", "mGy", 0, 90)  # some of the images are brighter than that: a model must not say so
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(connection: sqlite3.Connection, files: Files, settings: Settings, actor: Actor) -> Run:
    """The body of a job, in this process; the ONNX file would need a child of its own and is left out."""

    def go(asked: Job | str, arguments: dict[str, Any] | None = None, project: int | None = None) -> dict[str, Any]:
        job = (
            add_job(connection, asked, arguments or {}, project=project, actor=actor)
            if isinstance(asked, str)
            else asked
        )
        spare, folder = replace(settings, onnx_memory_bytes=1), job_folder(settings, job.id)
        folder.mkdir(parents=True, exist_ok=True)
        anna = Actor("anna", "job")
        return dict(HANDLERS[job.kind](JobContext(connection, files, spare, job, folder, "cpu", anna, Silent())))

    return go


@pytest.fixture
def project(connection: sqlite3.Connection, actor: Actor) -> Project:
    return add_project(connection, name="Dose", task="regression", schema=DOSE, actor=actor)


def write_images(folder: Path) -> Path:
    """Grey squares, the brighter the higher the dose; every second one of them without a number. The table's path."""
    folder.mkdir()
    random = np.random.default_rng(0)
    rows = []
    for at in range(CASES):
        dose = int(random.integers(0, 91))
        pixels = np.clip(2 * dose + random.integers(0, 60, (SIDE, SIDE)), 0, 255).astype(np.uint8)
        pixels[0] = np.repeat([0, 255], SIDE // 2)  # so that the display window keeps the grey
        Image.fromarray(pixels).save(folder / f"{at}.png")
        rows.append([f"{at}.png", "" if at % 2 else dose, f"p{at // 4}"])
    rows[0][1], rows[2][1] = "high", 91
    table = folder.parent / "doses.csv"
    with table.open("w", newline="") as out:
        csv.writer(out).writerows([["file", "dose", "who"], *rows])
    return table


@pytest.fixture
def snapshot(
    connection: sqlite3.Connection, files: Files, project: Project, run: Run, actor: Actor, tmp_path: Path
) -> Snapshot:
    """Frozen from imported images, of which two have no number that counts and half have none at all."""
    table = write_images(tmp_path / "images")
    columns = {"path": "file", "label": "dose", "patient": "who"}
    paths = [str(tmp_path / "images")]
    imported = run(
        "import", {"project": project.id, "paths": paths, "labels": str(table), "columns": columns}, project.id
    )
    assert (imported["imported"], imported["failed"]) == (CASES - 2, 2)
    return freeze_snapshot(
        connection, files, project, "s", ratios=(0.6, 0.2, 0.2), allow_leaks="squares look alike", actor=actor,
        progress=Silent(),
    )  # fmt: skip


def small(**changes: object) -> Recipe:
    settled = {"input_size": SIDE, "filters": "8", "batch": 8, "epochs": 12, "learning_rate": 0.01, "dropout": 0}
    return change_recipe(named_recipe("resnet"), {**settled, "zoom": 0, "shift": 0, "contrast": 0, **changes})


def test_a_text_and_a_number_out_of_range_are_refused_at_import_with_their_reasons(
    connection: sqlite3.Connection, project: Project, snapshot: Snapshot
) -> None:
    job = connection.execute("SELECT id FROM jobs WHERE kind = 'import'").fetchone()[0]
    reasons = {file.path: file.reason for file in list_import_files(connection, job) if file.status == "failed"}
    assert reasons["0.png"] == "The label of this project is a number. Received: line 2 of the label table"
    assert "between 0 and 90" in reasons["2.png"]
    assert any("left out: unlabelled" in note for note in snapshot.notes), snapshot.notes
    counts = snapshot_counts(connection, snapshot)
    assert sum(part["images"] for part in counts.values()) == CASES // 2 - 2
    assert all(0 <= part["lowest"] <= part["median"] <= part["highest"] <= 90 for part in counts.values())


def test_what_cannot_be_learnt_is_refused_before_it_waits_in_the_queue(
    connection: sqlite3.Connection, project: Project, snapshot: Snapshot, actor: Actor
) -> None:
    with pytest.raises(InvalidInput, match=r"huber, absolute, squared\. Received: focal"):
        ask_training(connection, project, snapshot, small(loss="focal"), actor=actor)
    connection.execute("UPDATE snapshot_cases SET value = '{\"value\":7}'")
    with pytest.raises(CoreError, match="Received: 7 mGy"):
        ask_training(connection, project, snapshot, small(), actor=actor)
    assert list_runs(connection, project.id) == []


def test_from_a_table_to_an_overlay_and_to_the_largest_error(
    connection: sqlite3.Connection, files: Files, project: Project, snapshot: Snapshot, run: Run, actor: Actor,
    tmp_path: Path,
) -> None:  # fmt: skip
    asked, job = ask_training(connection, project, snapshot, small(), name="m", actor=actor)
    model = get_model(connection, project.id, run(job)["model_id"])
    assert (model.task, model.facts["target"], model.facts["unit"]) == ("regression", "dose", "mGy")
    assert model.calibration["interval"]["n"] == len(list_snapshot_cases(connection, snapshot.id, split="validation"))
    assert list_epochs(connection, asked.id)[-1]["validation_mae"] < 15, "it guesses: the mean is 23 off"

    result = run("evaluate", {"model": model.id, "snapshot": snapshot.id, "split": "test"}, project.id)
    assert set(result["metrics"]) == {"mae", "rmse", "r2", "bias", "limit_low", "limit_high", "coverage"}
    assert all(metric["low"] <= metric["value"] <= metric["high"] for metric in result["metrics"].values())
    pairs = list_pairs(connection, model, snapshot, DOSE, "test", None)
    errors = {pair.case_id: abs(pair.predicted - pair.reference) for pair in pairs}
    assert result["n_cases"] == len(pairs)
    assert result["metrics"]["mae"]["value"] == pytest.approx(np.mean(list(errors.values())), rel=1e-5)
    wanted = CaseFilter(model=model.id, snapshot=snapshot.id, split="test")
    ordered = search_case_ids(connection, project, wanted, order="largest error")
    assert [errors[case] for case in ordered] == sorted(errors.values(), reverse=True)

    with pytest.raises(InvalidInput, match="Drafts are offered of classes and of painted structures"):
        set_assist_model(connection, project, model.id, actor=actor)

    white = tmp_path / "white.png"
    Image.fromarray(np.full((SIDE, SIDE), 255, np.uint8) - np.eye(SIDE, dtype=np.uint8) * 255).save(white)
    (row,) = run("predict", {"model": model.id, "paths": [str(white)]}, project.id)["cases"]
    assert row["unit"] == "mGy"
    assert row["interval"]["high"] == 90.0, "no interval reaches beyond the range"
    assert row["value"] - row["interval"]["low"] == pytest.approx(row["interval"]["half_width"])

    explained = run(
        "explain", {"model": model.id, "case": ordered[0], "class": None, "method": "grad_cam", "overlay": True}
    )
    case = get_case(connection, ordered[0])
    assert explained["class"] == "dose"
    (worst,) = (pair for pair in pairs if pair.case_id == case.id)
    assert explained["value"] == pytest.approx(worst.predicted, abs=1e-3)
    assert np.asarray(Image.open(explained["overlay"])).shape == (case.rows, case.columns, 3)
    assert files.has("explanations", explained["explanation"])
