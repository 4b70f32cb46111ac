"""Several quantities of one image, from a table with a column each to numbers of each, by the bodies of the jobs."""

import csv
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import snapshot_counts
from core.evaluation.abstention import freeze_rule
from core.evaluation.pairs import list_pairs
from core.images.records import list_import_files
from core.jobs.asking import ask_training
from core.jobs.context import JobContext, job_folder
from core.jobs.handlers import HANDLERS
from core.jobs.records import add_job
from core.labels.exchange import export_labels, import_labels
from core.progress import Silent
from core.projects.records import add_project
from core.projects.schema import Quantity, Regression
from core.reviews.case_search import CaseFilter, search_case_ids
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.training.recipe import change_recipe, named_recipe
from core.training.records import get_model, list_epochs

SIDE, CASES = 16, 60
BODY = Regression("age", "years", 0, 120, None, (Quantity("body weight", "kg", 0, None),))


def write_images(folder: Path) -> Path:
    """Squares whose upper half is the brighter the older, and the lower the heavier; the table names both."""
    folder.mkdir()
    random, rows = np.random.default_rng(0), []
    for at in range(CASES):
        age, weight = (int(random.integers(0, most)) for most in (100, 1000))
        pixels = random.integers(0, 40, (SIDE, SIDE))
        pixels[1 : SIDE // 2] += 2 * age
        pixels[SIDE // 2 :] += weight // 5
        pixels[0] = np.repeat([0, 255], SIDE // 2)  # so that the display window keeps the grey
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{at}.png")
        rows.append([f"{at}.png", age, weight, f"p{at}"])
    rows[3][1:3], rows[4][2] = ["", ""], ""
    table = folder.parent / "bodies.csv"
    with table.open("w", newline="") as out:
        csv.writer(out).writerows([["path", "Years", "Body weight", "patient"], *rows])
    return table


def test_from_a_table_with_a_column_each_to_the_numbers_of_each(
    connection: sqlite3.Connection, files: Files, settings: Settings, actor: Actor, tmp_path: Path
) -> None:
    project = add_project(connection, name="Bodies", task="regression", schema=BODY, actor=actor)

    def run(kind: str, arguments: dict[str, Any]) -> dict[str, Any]:
        job = add_job(connection, kind, arguments, project=project.id, actor=actor)
        spare, folder = replace(settings, onnx_memory_bytes=1), job_folder(settings, job.id)
        folder.mkdir(parents=True, exist_ok=True)
        anna = Actor("anna", "job")
        return dict(HANDLERS[kind](JobContext(connection, files, spare, job, folder, "cpu", anna, Silent())))

    table = write_images(tmp_path / "images")
    run(
        "import",
        {"project": project.id, "paths": [str(tmp_path / "images")], "labels": str(table), "columns": {"age": "Years"}},
    )
    job = connection.execute("SELECT id FROM jobs").fetchone()[0]
    (refused,) = (file for file in list_import_files(connection, job) if file.status == "failed")
    assert refused.path == "4.png"
    assert "half an answer is none. Received: line 6 of the label table" in refused.reason

    told = export_labels(connection, project)
    assert told.splitlines()[0].endswith(",age,body weight"), "a column each, and no attribute beside"
    again = import_labels(connection, project, told, actor)
    assert (again.added, again.unchanged, again.refused) == (0, CASES - 2, ())

    snapshot = freeze_snapshot(
        connection, files, project, "s", ratios=(0.5, 0.25, 0.25), allow_leaks="squares", actor=actor, progress=Silent()
    )
    counts = snapshot_counts(connection, snapshot)
    assert sum(part["images"] for part in counts.values()) == CASES - 2
    assert counts["train"]["targets"]["age"]["highest"] <= 100 < counts["train"]["targets"]["body weight"]["highest"]

    recipe = change_recipe(
        named_recipe("cnn"),
        {"input_size": SIDE, "filters": "4", "batch": 8, "epochs": 8, "learning_rate": 0.01, "dropout": 0, "zoom": 0},
    )
    asked, training = ask_training(connection, project, snapshot, recipe, name="m", actor=actor)
    spare, folder = replace(settings, onnx_memory_bytes=1), job_folder(settings, training.id)
    folder.mkdir(parents=True, exist_ok=True)
    context = JobContext(connection, files, spare, training, folder, "cpu", Actor("anna", "job"), Silent())
    model = get_model(connection, project.id, HANDLERS["train"](context)["model_id"])
    assert set(model.calibration["intervals"]) == {"age", "body weight"}
    assert list_epochs(connection, asked.id)[-1]["validation_mae"] < 0.7, "it guesses: the mean is 0.85 deviations off"

    result = run("evaluate", {"model": model.id, "snapshot": snapshot.id, "split": "test"})
    assert result["targets"] == ["age", "body weight"]
    for at, quantity in enumerate(BODY.quantities):
        pairs = list_pairs(connection, model, snapshot, BODY, "test", None, at)
        found = result["per_target"][quantity.target]
        errors = [abs(pair.predicted - pair.reference) for pair in pairs]
        assert found["metrics"]["mae"]["value"] == pytest.approx(np.mean(errors), rel=1e-5)
        assert found["metrics"]["mae"]["low"] <= found["metrics"]["mae"]["value"] <= found["metrics"]["mae"]["high"]
        assert (found["unit"], found["interval"]) == (quantity.unit, model.calibration["intervals"][quantity.target])

    wanted = CaseFilter(model=model.id, snapshot=snapshot.id, split="test")
    assert len(search_case_ids(connection, project, wanted, order="largest error")) == result["n_cases"]
    (row,) = run("predict", {"model": model.id, "paths": [str(tmp_path / "images" / "4.png")]})["cases"]
    assert [(one["target"], one["unit"]) for one in row["numbers"]] == [("age", "years"), ("body weight", "kg")]
    assert all(one["interval"]["low"] <= one["value"] <= one["interval"]["high"] for one in row["numbers"])

    narrowest = min(model.calibration["intervals"]["age"]["half_width"] / 2, 1.0)
    freeze_rule(connection, model, most_half_widths={"age": narrowest}, unlike=False, actor=actor)
    (row,) = run("predict", {"model": model.id, "paths": [str(tmp_path / "images" / "4.png")]})["cases"]
    assert "age within" in row["withheld"], "the rule holds for files too"
