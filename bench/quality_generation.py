"""What drawn images teach: a classifier that learnt from synthetic PneumoniaMNIST alone, measured on real images.

The diffusion model sees the published training split. The classifier sees drawn images and, to choose its epoch and its
threshold, the real validation split; it never sees a real training image.
"""

import csv
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

from bench.harness import Figure, Figures, Row, test_data
from bench.loop import run_command
from core.demo.pneumoniamnist import CLASSES, SPLITS, find_file, read_arrays

MOST_MINUTES = 30  # to train the model that draws
EPOCHS = {"diffusion": 30, "vae": 60}
DRAWN_OF_EACH_CLASS = 1000
PASS, AIM = 0.85, 0.93
REASON = "The split is the one MedMNIST published; it names no patients, and a few images occur twice."


def write_images(folder: Path, splits: tuple[str, ...]) -> Path:
    """The images of some splits as PNG files, and their label table."""
    arrays = read_arrays(find_file({"READROOM_TEST_DATA": str(test_data())}) or Path())
    folder.mkdir()
    table = folder.with_suffix(".csv")
    with table.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["path", "label", "patient", "split"])
        for split in splits:
            labelled = zip(arrays[f"{split}_images"], arrays[f"{split}_labels"].ravel(), strict=True)
            for at, (pixels, label) in enumerate(labelled):
                Image.fromarray(pixels).save(folder / f"{split}_{at:05}.png")
                rows.writerow([f"{split}_{at:05}.png", CLASSES[label], f"{split}{at}", SPLITS[split]])
    return table


def make_project(home: Path, name: str, task: str, folder: Path, splits: tuple[str, ...]) -> None:
    table = write_images(folder, splits)
    run_command(home, "project", "create", name, "--task", task, "--classes", ",".join(CLASSES),
                "--without-deidentification")  # fmt: skip
    run_command(home, "import", name, str(folder), "--labels", str(table))


def freeze(home: Path, project: str, *words: str) -> None:
    run_command(home, "snapshot", project, "first", "--split-column", "split", "--allow-leaks", REASON, *words)


def measure(network: str = "diffusion") -> Figures:
    """Draw, learn from what was drawn, and look at the real test split, all through the command line."""
    os.environ.setdefault("READROOM_TEST_DATA", str(test_data()))
    with tempfile.TemporaryDirectory() as place:
        home = Path(place) / "home"
        make_project(home, "drawn", "generation", Path(place) / "all", tuple(SPLITS))
        freeze(home, "drawn")
        began = time.monotonic()
        changes = ["--recipe", network, "--set", f"epochs={EPOCHS[network]}"]
        run_command(home, "train", "drawn", "--snapshot", "first", *changes, "--name", "drawer", "--wait")
        minutes = (time.monotonic() - began) / 60
        judged = run_command(home, "evaluate", "drawn", "drawer", "--split", "test")
        make_project(home, "learnt", "classification", Path(place) / "others", ("val", "test"))
        for name in CLASSES:
            run_command(home, "generate", "drawn", "drawer", "--class", name, "-n", str(DRAWN_OF_EACH_CLASS),
                        "--into", "learnt")  # fmt: skip
        freeze(home, "learnt", "--synthetic", str(2 * DRAWN_OF_EACH_CLASS))
        trained = run_command(home, "train", "learnt", "--snapshot", "first", "--wait")
        result = run_command(home, "evaluate", "learnt", trained["model"], "--split", "test")
    return [*_figures(result, judged, network), _took(minutes)]


def _figures(result: dict[str, Any], judged: dict[str, Any], network: str) -> Figures:
    auc, n = result["metrics"]["auc"], result["n_cases"]
    metrics, memorised = judged["metrics"], judged["metrics"]["memorised"]["value"]
    figures = [
        Figure(
            f"AUC on real images of a classifier that learnt from {2 * DRAWN_OF_EACH_CLASS:,} of {network} alone",
            auc["value"], "", f"at least {PASS}, aim {AIM}", auc["value"] >= PASS,
            f"n = {n}, 95 % interval {auc['low']:.3f} to {auc['high']:.3f}",
        ),
        Figure("memorised training images, share of drawn ones", memorised, "", "aim 0", None, _interval(judged)),
    ]  # fmt: skip
    for name in ("fid_like", "class_consistency", "judge_accuracy", "real_close"):
        one = metrics[name]
        detail = f"{judged['n_samples']} drawn, 95 % interval {one['low']:.3f} to {one['high']:.3f}"
        figures.append(Figure(name, one["value"], "", "", None, detail))
    return figures


def _interval(judged: dict[str, Any]) -> str:
    one, real = judged["metrics"]["memorised"], judged["metrics"]["real_close"]
    return (
        f"{judged['n_samples']} drawn, 95 % interval {one['low']:.3f} to {one['high']:.3f}; of real test images "
        f"{real['value']:.3f} pass as such"
    )


def _took(minutes: float) -> Figure:
    return Figure(
        "from the command to the model that draws",
        minutes,
        "minutes",
        f"at most {MOST_MINUTES}",
        minutes <= MOST_MINUTES,
    )


ROWS = [Row("quality_generation", "full", measure)]
