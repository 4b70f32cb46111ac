"""What a run says after its first epoch of the time that is left, against the time that it then took to its end.

Small trainings through the ordinary job, beside a running Readroom, on drawn images: the time after the last epoch
(calibration, export to ONNX, the check of the explanations) is a large part of them, as it is of a first try.
"""

import csv
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.harness import Figure, Figures, Row
from bench.loop import run_here
from bench.server import running
from core.datasets.records import get_snapshot
from core.jobs.asking import ask_training
from core.jobs.context import job_folder
from core.jobs.records import get_job
from core.jobs.reporting import read_events
from core.projects.records import get_project
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import opened
from core.training.recipe import change_recipe, named_recipe

MOST_OFF = 0.30
SIDE, SQUARE = 64, 12
IMAGES = 300
SECONDS_BETWEEN_LOOKS = 0.5
RUNS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("answered", "resnet", {"input_size": SIDE, "epochs": 10}),
    ("answered", "cnn", {"input_size": SIDE, "epochs": 40}),
    ("painted", "unet2d", {"input_size": SIDE, "epochs": 12}),
)


def measure() -> Figures:
    """How far off each run was, as a share of the time that was truly left."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        _prepare(home, Path(folder))
        with running(home):
            figures = [_train(home, *run) for run in RUNS]
    worst = max(figures, key=lambda figure: figure.value)
    return [
        *figures,
        Figure("the worst of them", worst.value, "of the time left", f"at most {MOST_OFF:g}", worst.value <= MOST_OFF),
    ]


def _prepare(home: Path, folder: Path) -> None:
    """Noise, every second image with a bright square: one project answers whether it is there, one paints it."""
    images, masks = folder / "images", folder / "masks"
    images.mkdir()
    masks.mkdir()
    random = np.random.default_rng(0)
    rows = []
    for at in range(IMAGES):
        image, mask = random.integers(0, 120, (SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE), np.uint8)
        if at % 2:
            top, left = random.integers(0, SIDE - SQUARE, 2)
            mask[top : top + SQUARE, left : left + SQUARE] = 1
            image[mask == 1] += 100
        Image.fromarray(image).save(images / f"{at}.png")
        Image.fromarray(mask).save(masks / f"{at}.png")
        rows.append({"path": f"{at}.png", "label": "square" if at % 2 else "none", "patient": f"p{at}"})
    with (folder / "labels.csv").open("w", newline="") as stream:
        table = csv.DictWriter(stream, ["path", "label", "patient"])
        table.writeheader()
        table.writerows(rows)
    run_here(home, "project", "create", "answered", "--task", "classification", "--classes", "none,square")
    run_here(home, "import", "answered", str(images), "--labels", str(folder / "labels.csv"))
    run_here(home, "project", "create", "painted", "--task", "segmentation", "--structures", "square")
    run_here(home, "import", "painted", str(images), "--masks", str(masks))
    for name in ("answered", "painted"):
        run_here(home, "snapshot", name, "first", "--split", "0.7,0.3,0", "--allow-leaks", "squares look alike")


def _train(home: Path, name: str, network: str, changes: dict[str, Any]) -> Figure:
    with opened(Settings(home=home)) as connection:
        project = get_project(connection, name)
        snapshot = get_snapshot(connection, project.id, "first")
        recipe = change_recipe(named_recipe(network), changes)
        _, job = ask_training(connection, project, snapshot, recipe, actor=Actor("bench", "command line"))
        while get_job(connection, job.id).is_active:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        job = get_job(connection, job.id)
    if job.state != "done":
        raise SystemExit(f"The training of {network} ended as {job.state}: {job.error}")
    events = read_events(job_folder(Settings(home=home), job.id))
    said = next(event for event in events if _epochs_done(event) >= 1)
    told, true = float(said["seconds_left"]), _seconds(events[-1]) - _seconds(said)
    after = _seconds(events[-1]) - _seconds(next(event for event in events if event.get("note") == "Storing the model"))
    return Figure(
        f"{network}, {changes['epochs']} epochs: off by", abs(told - true) / true, "of the time left", "", None,
        f"told {told:.0f} s, took {true:.0f} s, {after:.0f} of them after the last epoch",
    )  # fmt: skip


def _epochs_done(event: dict[str, Any]) -> int:
    """Epochs that are over by an event; of the last batch it is told once before the validation and once after."""
    if "epoch" not in event:
        return 0
    over = event["batch"] == event["batches"] and "validation_loss" in event
    return int(event["epoch"]) - (not over)


def _seconds(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["at"]).timestamp()


ROWS = [Row("eta", "quick", measure)]
