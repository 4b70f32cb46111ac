"""Quality on real fluorescence images of nuclei: masks by a U-Net, 5 folds, beside Otsu's threshold on the same cases.

Otsu's threshold (1979, doi:10.1109/TSMC.1979.4310076) knows no training; on these images it is a strong rival.
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from bench.folds import SEEDS, spread_of_cases, train_fold
from bench.harness import Figure, Figures, Row, test_data
from bench.loop import run_command
from core.datasets.records import get_snapshot, list_snapshot_cases
from core.evaluation.records import find_evaluation, list_measured
from core.images.records import get_case
from core.labels.mask_store import read_kept_mask
from core.measures.segmentation import compare_masks
from core.projects.records import get_project
from core.settings import Settings
from core.store.database import opened
from core.store.files import Files
from core.training.records import get_model

FOLDS = 5
MOST_MINUTES = 40  # for all folds
# Nuclei have no up and no left: they may be turned and mirrored as one likes.
RECIPE = ("input_size=256", "filters=8,16,32,64,128", "epochs=30", "learning_rate=0.004", "flip=both", "rotation=90")
CHANGES = [word for change in RECIPE for word in ("--set", change)]


def measure() -> Figures:
    """Train and evaluate each fold through the command line, as a user would."""
    return _measure(range(FOLDS))


def measure_one_fold() -> Figures:
    """The first fold alone: what a change has done is seen in minutes."""
    return _measure(range(1))


def _measure(folds: range) -> Figures:
    home = Path(tempfile.gettempdir()) / "readroom-bench-nuclei"  # kept: an interrupted bench goes on
    if not (home / "readroom.db").exists():
        _prepare_project(home, test_data() / "dsb2018_nuclei")
    seconds = [train_fold(home, "nuclei", fold, "--recipe", "unet2d", *CHANGES) for fold in folds]
    for fold in folds:
        run_command(home, "evaluate", "nuclei", f"fold-{fold}", "--split", "test")
    ours, otsu = _dice(Settings(home=home), folds)
    shutil.rmtree(home)
    mine, theirs = np.concatenate(ours), np.concatenate(otsu)
    difference = mine - theirs
    minutes = sum(seconds) / 60 * FOLDS / len(folds)
    return [
        Figure("Dice, unet2d at 256 px", float(mine.mean()), "", "Otsu on the same cases; aim: 0.95",
               float(mine.mean()) >= float(theirs.mean()), f"{spread_of_cases(ours)}; {SEEDS}"),
        Figure("Dice, Otsu", float(theirs.mean()), "", "0.891 in sanity_baselines.json of the data", None,
               spread_of_cases(otsu)),
        Figure("difference, case by case", float(difference.mean()), "", "aim: above 0", None,
               f"n = {len(difference)}, worst {difference.min():.3f}; {SEEDS}"),
        Figure("training of all folds", minutes, "minutes", f"at most {MOST_MINUTES}", minutes <= MOST_MINUTES),
    ]  # fmt: skip


def _prepare_project(home: Path, source: Path) -> None:
    run_command(home, "project", "create", "nuclei", "--task", "segmentation", "--structures", "nucleus")
    # Instance maps: whatever is not 0 is a nucleus.
    run_command(home, "import", "nuclei", str(source / "images"), "--masks", str(source / "labels"))
    run_command(home, "snapshot", "nuclei", "folds", "--folds", str(FOLDS), "--seed", "0")


def _dice(settings: Settings, folds: range) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Dice of each test case of each fold, by the model that never saw it and by Otsu's threshold."""
    files = Files(settings.home)
    ours, otsu = [], []
    with opened(settings) as connection:
        project = get_project(connection, "nuclei")
        frozen = list_snapshot_cases(connection, get_snapshot(connection, project.id, "folds").id)
        for fold in folds:
            evaluation = find_evaluation(connection, get_model(connection, project.id, f"fold-{fold}").id)
            assert evaluation is not None
            measured = {row.case_id: row.dice for row in list_measured(connection, evaluation.id)}
            tested = [case for case in frozen if case.fold == fold]
            ours.append(np.array([measured[case.case_id] for case in tested], float))
            theirs = []
            for one in tested:
                case = get_case(connection, one.case_id)
                reference = read_kept_mask(files, one.masks[0].mask_hash, case)[0]
                grey = np.asarray(Image.fromarray(files.read_array("pixels", case.pixel_hash)).convert("L"))
                theirs.append(compare_masks(reference, grey > otsu_threshold(grey), (1, 1)).dice)
            otsu.append(np.array(theirs))
    return ours, otsu


def otsu_threshold(grey: np.ndarray) -> int:
    """The level that parts grey values into two classes of the largest variance between them."""
    counts = np.bincount(grey.ravel(), minlength=256).astype(float)
    below, levels = counts.cumsum(), np.arange(256)
    sums = (counts * levels).cumsum()
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return int(np.nan_to_num(apart).argmax())


ROWS = [
    Row("quality_nuclei_masks", "full", measure),
    Row("fold_nuclei_masks", "full", measure_one_fold),
]
