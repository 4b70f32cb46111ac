"""What drawn images teach: a classifier that learnt from synthetic PneumoniaMNIST alone, measured on real images.

The diffusion model sees the published training split. The classifier sees drawn images and, to choose its epoch and its
threshold, the real validation split; it never sees a real training image.
"""

import csv
import json
import shutil
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from bench.harness import Figure, Figures, Row, test_data
from bench.loop import run_command, train_once
from core.demo.pneumoniamnist import CLASSES, SPLITS, find_file, read_arrays

MOST_MINUTES = 30  # to train the model that draws
EPOCHS = {"diffusion": 30, "vae": 60}
DRAWN_OF_EACH_CLASS = 1000
SEEDS = (0, 1, 2)
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


def measure(network: str = "diffusion", seeds: tuple[int, ...] = SEEDS) -> Figures:
    """Draw, learn from what was drawn, and look at the real test split, all through the command line, once a seed."""
    place = Path(tempfile.gettempdir()) / f"readroom-bench-{network}"  # kept: an interrupted bench goes on
    measured = [_measured(place, network, seed) for seed in seeds]
    shutil.rmtree(place)
    return _figures(measured, network)


def _measured(place: Path, network: str, seed: int) -> dict[str, Any]:
    """What one seed gives: `learnt`, `judged` (evaluations), `minutes` to the model that draws."""
    home, told = place / "home", place / f"{seed}.json"
    if told.exists():
        return dict(json.loads(told.read_text("utf-8")))
    model = f"drawer-{seed}"
    if not (home / "readroom.db").exists():
        place.mkdir(exist_ok=True)
        make_project(home, "drawn", "generation", place / "all", tuple(SPLITS))
        freeze(home, "drawn")
    changes = ("--recipe", network, "--set", f"epochs={EPOCHS[network]}", "--set", f"seed={seed}")
    minutes = train_once(home, "drawn", model, "--snapshot", "first", *changes) / 60
    judged = run_command(home, "evaluate", "drawn", model, "--split", "test")
    learnt = f"learnt-{seed}-{len(list(place.glob(f'learnt-{seed}-*.csv')))}"  # what a run that was killed began stays
    make_project(home, learnt, "classification", place / learnt, ("val", "test"))
    for name in CLASSES:
        run_command(home, "generate", "drawn", model, "--class", name, "-n", str(DRAWN_OF_EACH_CLASS),
                    "--into", learnt)  # fmt: skip
    freeze(home, learnt, "--synthetic", str(2 * DRAWN_OF_EACH_CLASS))
    trained = run_command(home, "train", learnt, "--snapshot", "first", "--set", f"seed={seed}", "--wait")
    result = run_command(home, "evaluate", learnt, trained["model"], "--split", "test")
    found = {"learnt": result, "judged": judged, "minutes": minutes}
    told.write_text(json.dumps(found), "utf-8")
    return found


def _figures(measured: Sequence[Mapping[str, Any]], network: str) -> Figures:
    aucs = [one["learnt"]["metrics"]["auc"] for one in measured]
    auc, n = _mean(aucs), measured[0]["learnt"]["n_cases"]
    judged = [one["judged"]["metrics"] for one in measured]
    drawn = measured[0]["judged"]["n_samples"]
    memorised, real = ([metrics[name] for metrics in judged] for name in ("memorised", "real_close"))
    minutes = max(one["minutes"] for one in measured)
    return [
        Figure(
            f"AUC on real images of a classifier that learnt from {2 * DRAWN_OF_EACH_CLASS:,} of {network} alone",
            auc, "", f"at least {PASS}, aim {AIM}", auc >= PASS, f"n = {n}; {_each(aucs)}",
        ),
        Figure("memorised training images, share of drawn ones", _mean(memorised), "", "aim 0", None,
               f"{drawn} drawn; {_each(memorised)}; of real test images {_mean(real):.3f} pass as such"),
        *(Figure(name, _mean(ones), "", "", None, f"{drawn} drawn; {_each(ones)}")
          for name in ("fid_like", "class_consistency", "judge_accuracy", "real_close")
          for ones in [[metrics[name] for metrics in judged]]),
        Figure("from the command to the model that draws, the slowest seed", minutes, "minutes",
               f"at most {MOST_MINUTES}", minutes <= MOST_MINUTES),
    ]  # fmt: skip


def _mean(ones: Sequence[Mapping[str, float]]) -> float:
    return statistics.fmean(one["value"] for one in ones)


def _each(ones: Sequence[Mapping[str, float]]) -> str:
    each = "; ".join(f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})" for one in ones)
    return f"{len(ones)} seeds, each with its 95 % interval: {each}"


ROWS = [Row("quality_generation", "full", measure)]
