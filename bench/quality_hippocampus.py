"""Quality on real volumes: the two parts of the hippocampus in MRI, in 3-D, 5 folds, beside nnU-Net's published level.

60 of the 260 labelled volumes of the Medical Segmentation Decathlon, Task 4 (doi:10.1038/s41467-022-30695-9). nnU-Net
(`PUBLISHED`) reports Dice 0.90 and 0.89 for the two parts on all of them.
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np

from bench.folds import SEEDS, spread_of_cases, train_fold
from bench.harness import Figure, Figures, Row, test_data
from bench.loop import run_command
from core.datasets.records import get_snapshot, list_snapshot_cases
from core.evaluation.records import MeasuredMask, find_evaluation, list_measured
from core.measures.intervals import patient_bootstrap
from core.projects.records import get_project
from core.settings import Settings
from core.store.database import opened
from core.training.records import get_model

FOLDS = 5
STRUCTURES = ("anterior", "posterior")
MOST_MINUTES = 90  # for all folds
LEAST_DICE, PUBLISHED_DICE = 0.80, 0.89
PUBLISHED = "nnU-Net, Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, on all 260 volumes"
MOST_VOLUME_ERROR = 5.0  # per cent
DEEP_FOLDS = range(2)
DEEP = {"without": 0, "with": 2}  # models by how many lower resolutions are asked for the answer, too


def measure() -> Figures:
    """Train and evaluate each fold through the command line, as a user would, with the recipe that auto chooses."""
    return _measure(range(FOLDS))


def measure_one_fold() -> Figures:
    """The first fold alone: what a change has done is seen in a quarter of an hour."""
    return _measure(range(1))


def measure_deep_supervision() -> Figures:
    """The same folds and seeds with deep supervision and without: what it is worth, case by case."""
    home = _open_project("readroom-bench-deep-supervision")
    for fold in DEEP_FOLDS:
        for kind, stages in DEEP.items():
            train_fold(home, "hippocampus", fold, "--set", f"deep_supervision={stages}", kind=kind)
    found = {kind: _evaluated(home, DEEP_FOLDS, kind) for kind in DEEP}
    shutil.rmtree(home)
    return [_gain(found, name) for name in STRUCTURES]


def _gain(found: dict[str, list[list[MeasuredMask]]], structure: str) -> Figure:
    without, deep = (_by_fold(found[kind], structure, "dice") for kind in DEEP)
    gains = [after - before for before, after in zip(without, deep, strict=True)]
    each = np.concatenate(gains)
    volumes = [str(at) for at in range(len(each))]  # each of a patient of its own
    interval = patient_bootstrap(lambda weights: {"gain": weights @ each / weights.sum(axis=1)}, volumes)["gain"]
    means = f"{np.concatenate(deep).mean():.3f} with, {np.concatenate(without).mean():.3f} without"
    return Figure(
        f"gain in Dice by deep supervision, {structure}", float(each.mean()), "", "", None,
        f"{means}; 95 % interval over volumes {interval.low:+.3f} to {interval.high:+.3f}; "
        f"{spread_of_cases(gains)}; better in {np.mean(each > 0):.0%}; {SEEDS}",
    )  # fmt: skip


def _measure(folds: range) -> Figures:
    home = _open_project("readroom-bench-hippocampus")
    seconds = [train_fold(home, "hippocampus", fold) for fold in folds]
    found = _evaluated(home, folds)
    shutil.rmtree(home)
    dice = {name: _by_fold(found, name, "dice") for name in STRUCTURES}
    mean = float(np.mean([np.concatenate(of_folds).mean() for of_folds in dice.values()]))
    minutes = sum(seconds) / 60 * FOLDS / len(folds)
    error = np.concatenate([_volume_errors(found, name) for name in STRUCTURES])
    distances = [row.hd95 for rows in found for row in rows if row.hd95 is not None]
    return [
        Figure("Dice, mean of both structures", mean, "", f"at least {LEAST_DICE}; aim: {PUBLISHED_DICE} ({PUBLISHED})",
               mean >= LEAST_DICE,
               f"n = {sum(map(len, found)) // len(STRUCTURES)} volumes, {len(folds)} folds; {SEEDS}"),
        *(Figure(f"Dice, {name}", float(np.concatenate(one).mean()), "", f"aim: {PUBLISHED_DICE} ({PUBLISHED})", None,
                 f"{spread_of_cases(one)}; {SEEDS}") for name, one in dice.items()),
        Figure("volume error, mean of both structures", float(error.mean()), "%", f"aim: under {MOST_VOLUME_ERROR:g}",
               None, f"n = {len(error)}, worst {error.max():.1f}; {SEEDS}"),
        Figure("HD95, mean", float(np.mean(distances)), "mm", "", None, f"n = {len(distances)}; {SEEDS}"),
        Figure("training of all folds", minutes, "minutes", f"at most {MOST_MINUTES}", minutes <= MOST_MINUTES,
               f"from {len(folds)} of {FOLDS} folds"),
    ]  # fmt: skip


def _open_project(folder: str) -> Path:
    """A home with the volumes and their folds; one that an interrupted bench left goes on."""
    home = Path(tempfile.gettempdir()) / folder
    if not (home / "readroom.db").exists():
        _prepare_project(home, test_data() / "hippocampus_msd")
    return home


def _prepare_project(home: Path, source: Path) -> None:
    named = ("--task", "segmentation", "--structures", ",".join(STRUCTURES))
    run_command(home, "project", "create", "hippocampus", *named)
    # Label maps: 1 is the first structure, 2 the second.
    run_command(home, "import", "hippocampus", str(source / "images"), "--masks", str(source / "labels"))
    run_command(home, "snapshot", "hippocampus", "folds", "--folds", str(FOLDS), "--seed", "0")


def _evaluated(home: Path, folds: range, kind: str = "fold") -> list[list[MeasuredMask]]:
    """Of each fold how its test cases were painted, by the model that never saw them."""
    for fold in folds:
        run_command(home, "evaluate", "hippocampus", f"{kind}-{fold}", "--split", "test")
    with opened(Settings(home=home)) as connection:
        project = get_project(connection, "hippocampus")
        frozen = list_snapshot_cases(connection, get_snapshot(connection, project.id, "folds").id)
        found = []
        for fold in folds:
            evaluation = find_evaluation(connection, get_model(connection, project.id, f"{kind}-{fold}").id)
            assert evaluation is not None
            tested = {case.case_id for case in frozen if case.fold == fold}
            found.append([row for row in list_measured(connection, evaluation.id) if row.case_id in tested])
        return found


def _by_fold(found: list[list[MeasuredMask]], structure: str, value: str) -> list[np.ndarray]:
    return [np.array([getattr(row, value) for row in rows if row.structure == structure], float) for rows in found]


def _volume_errors(found: list[list[MeasuredMask]], structure: str) -> np.ndarray:
    """How far each painted volume is from its reference, in per cent of that."""
    painted, reference = (
        np.concatenate(_by_fold(found, structure, value)) for value in ("predicted_pixels", "reference_pixels")
    )
    return 100 * np.abs(painted - reference) / reference


ROWS = [
    Row("quality_hippocampus", "full", measure),
    Row("fold_hippocampus", "full", measure_one_fold),
    Row("deep_supervision", "full", measure_deep_supervision),
]
