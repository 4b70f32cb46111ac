"""The whole loop by the command line, on real chest X-rays: import, snapshot, train, evaluate, explain, predict."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.settings import PROJECT_ROOT

PATIENTS = 15  # of each class


@pytest.fixture
def chest(test_data: Path, tmp_path: Path) -> Path:
    """A few patients of each class of the real set, linked and not copied, with their rows of the label table."""
    source = test_data / "cxr_pediatric_pneumonia"
    folder = tmp_path / "chest"
    folder.mkdir()
    patients: dict[str, set[str]] = {}
    with (source / "labels.csv").open(encoding="utf-8") as table, (folder / "labels.csv").open("w") as few:
        rows = csv.DictReader(table)
        kept = csv.DictWriter(few, rows.fieldnames or [])
        kept.writeheader()
        for row in rows:
            known = patients.setdefault(row["label"], set())
            if len(known) < PATIENTS or row["patient_id"] in known:
                known.add(row["patient_id"])
                kept.writerow(row)
                (folder / row["filename"]).symlink_to((source / "images" / row["filename"]).resolve())
    return folder


def test_the_loop_runs_on_real_x_rays(chest: Path, tmp_path: Path) -> None:
    def readroom(*words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "core.cli.app", *words, "--home", str(tmp_path / "home"), "--json"],
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    classes = "normal,bacterial_pneumonia,viral_pneumonia"
    readroom("project", "create", "cxr", "--task", "classification", "--classes", classes)
    columns = "path=filename,patient=patient_id,label=label,split=source_split"
    imported = readroom("import", "cxr", str(chest), "--labels", str(chest / "labels.csv"), "--columns", columns)
    assert imported["imported"] >= 3 * PATIENTS
    assert imported["failed"] == 0

    frozen = readroom("snapshot", "cxr", "first", "--seed", "1")
    assert frozen["leaks"] == []
    assert min(part["patients"] for part in frozen["counts"].values()) > 0

    small = ("--set", "input_size=48", "--set", "epochs=2", "--set", "filters=8,16", "--set", "learning_rate=0.004")
    trained = readroom("train", "cxr", "--snapshot", "first", *small, "--name", "one", "--wait")
    assert (trained["model"], trained["snapshot"], trained["epochs"]) == ("one", "first", 2)

    measured = readroom("evaluate", "cxr", "one", "--split", "test")
    assert measured["classes"] == classes.split(",")
    assert sum(map(sum, measured["confusion_matrix"])) == measured["n_cases"]
    for name in ("accuracy", "balanced_accuracy", "f1_macro", "auc"):
        metric = measured["metrics"][name]
        assert metric["low"] <= metric["value"] <= metric["high"]

    some = sorted(chest.glob("*.jpg"))[0]
    explained = readroom("explain", "cxr", "one", some.name, "--out", str(tmp_path / "overlay.png"))
    assert (tmp_path / "overlay.png").read_bytes().startswith(b"\x89PNG")
    assert explained["check"]["n"] > 0

    (row,) = readroom("predict", "cxr", "one", str(some))["cases"]
    assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-4)
