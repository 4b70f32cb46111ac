"""Quality on a measured number: nuclei counted in fluorescence images, 5 folds by patient, beside a random forest.

The forest sees the same folds and four simple features of each image: Otsu's foreground share, mean, standard
deviation, and the number of connected components.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import label
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import mean_absolute_error, r2_score

from bench.folds import SEEDS, spread_of, train_fold
from bench.harness import Figure, Figures, Row, test_data
from bench.loop import run_command
from core.datasets.records import get_snapshot, list_snapshot_cases
from core.evaluation.pairs import list_pairs
from core.images.records import get_case
from core.projects.records import get_project
from core.projects.schema import Regression
from core.settings import Settings
from core.store.database import opened
from core.training.records import get_model

FOLDS = 5
AIM = 0.97
MOST_MINUTES = 40  # for all folds, as long as the masks of the same images may take
# Whole nuclei at their own scale: what moves some out of the image changes the answer.
RECIPE = {
    "input_size": 256, "epochs": 30, "batch": 8, "flip": "both", "dropout": 0, "contrast": 0.1,
    "rotation": 0, "zoom": 0, "shift": 0, "noise": 0,
}  # fmt: skip


def measure() -> Figures:
    """Train and evaluate each fold through the command line, as a user would."""
    source = test_data() / "dsb2018_nuclei"
    home = Path(tempfile.gettempdir()) / "readroom-bench-nuclei-counts"  # kept: an interrupted bench goes on
    seconds = _train_folds(home, source)
    cases = _read_predictions(Settings(home=home))
    cases = _guessed_by_forest(source, cases)
    ours, forest = _score(cases, "predicted"), _score(cases, "guessed")
    differences = [mine - theirs for mine, theirs in zip(ours["r2"], forest["r2"], strict=True)]
    shutil.rmtree(home)
    mean, minutes = float(np.mean(ours["r2"])), sum(seconds) / 60
    return [
        Figure("R2, resnet at 256 px", mean, "", "the forest's", mean >= float(np.mean(forest["r2"])),
               f"{spread_of(ours['r2'])}; {SEEDS}"),
        Figure("R2 over all cases, resnet", _r2_of(cases, "predicted"), "", f"aim: {AIM}", None,
               f"each by the model that never saw it; {SEEDS}"),
        Figure("MAE, resnet at 256 px", float(np.mean(ours["mae"])), "nuclei", "", None,
               f"{spread_of(ours['mae'])}; {SEEDS}"),
        Figure("R2, forest on four features", float(np.mean(forest["r2"])), "", "", None, spread_of(forest["r2"])),
        Figure("R2 over all cases, forest", _r2_of(cases, "guessed"), ""),
        Figure("MAE, forest on four features", float(np.mean(forest["mae"])), "nuclei", "", None,
               spread_of(forest["mae"])),
        Figure("difference of R2 on the same folds", float(np.mean(differences)), "", "", None, spread_of(differences)),
        Figure("training of all folds", minutes, "minutes", f"at most {MOST_MINUTES}", minutes <= MOST_MINUTES,
               f"the slowest fold {max(seconds) / 60:.1f}"),
    ]  # fmt: skip


def _train_folds(home: Path, source: Path) -> list[float]:
    if not (home / "readroom.db").exists():
        _prepare_project(home, source)
    changes = [word for key, value in RECIPE.items() for word in ("--set", f"{key}={value}")]
    seconds = [train_fold(home, "nuclei", fold, *changes) for fold in range(FOLDS)]
    for fold in range(FOLDS):
        run_command(home, "evaluate", "nuclei", f"fold-{fold}", "--split", "test")
    return seconds


def _prepare_project(home: Path, source: Path) -> None:
    quantity = ("--task", "regression", "--target", "count", "--unit", "nuclei", "--low", "0")
    run_command(home, "project", "create", "nuclei", *quantity)
    table = ("--labels", str(source / "index.csv"), "--columns", "path=id,label=n_nuclei")
    run_command(home, "import", "nuclei", str(source / "images"), *table)
    run_command(home, "snapshot", "nuclei", "folds", "--folds", str(FOLDS), "--seed", "0")


def _read_predictions(settings: Settings) -> list[dict[str, Any]]:
    """Every case with its fold, its count and what the model that never saw it says."""
    with opened(settings) as connection:
        project = get_project(connection, "nuclei")
        snapshot = get_snapshot(connection, project.id, "folds")
        assert isinstance(project.schema, Regression)
        of_case = {case.case_id: case for case in list_snapshot_cases(connection, snapshot.id)}
        cases = []
        for fold in range(FOLDS):
            model = get_model(connection, project.id, f"fold-{fold}")
            for pair in list_pairs(connection, model, snapshot, project.schema, "test", fold):
                assert of_case[pair.case_id].fold == fold
                file = f"{Path(get_case(connection, pair.case_id).source).stem}.png"
                cases.append({"fold": fold, "answer": pair.reference, "predicted": pair.predicted, "file": file})
    return cases


def _guessed_by_forest(source: Path, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The cases with what a forest says that was grown on the other folds."""
    features = np.array([_features(source / "images" / case["file"]) for case in cases])
    answers, folds = (np.array([case[key] for case in cases]) for key in ("answer", "fold"))
    guessed = np.empty(len(cases))
    for fold in range(FOLDS):
        forest = RandomForestRegressor(500, random_state=0)
        guessed[folds == fold] = forest.fit(features[folds != fold], answers[folds != fold]).predict(
            features[folds == fold]
        )
    return [{**case, "guessed": guess} for case, guess in zip(cases, guessed, strict=True)]


def _features(path: Path) -> tuple[float, float, float, float]:
    """Foreground share, mean, standard deviation, connected components."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L"))
    foreground = pixels > _otsu(pixels)
    return float(foreground.mean()), float(pixels.mean()), float(pixels.std()), float(label(foreground)[1])


def _otsu(pixels: np.ndarray) -> int:
    """The grey value that parts dark and bright best (Otsu 1979, doi:10.1109/TSMC.1979.4310076)."""
    share = np.bincount(pixels.ravel(), minlength=256) / pixels.size
    below, total = np.cumsum(share), np.cumsum(share * np.arange(256))
    with np.errstate(divide="ignore", invalid="ignore"):
        between = np.square(total[-1] * below - total) / (below * (1 - below))
    return int(np.nanargmax(between))


def _score(cases: list[dict[str, Any]], said: str) -> dict[str, list[float]]:
    """R2 and MAE of each fold."""
    scores: dict[str, list[float]] = {"r2": [], "mae": []}
    for fold in range(FOLDS):
        truth, guess = (np.array([case[key] for case in cases if case["fold"] == fold]) for key in ("answer", said))
        scores["r2"].append(float(r2_score(truth, guess)))
        scores["mae"].append(float(mean_absolute_error(truth, guess)))
    return scores


def _r2_of(cases: list[dict[str, Any]], said: str) -> float:
    """R2 over the cases of all folds: not swayed by how the few large counts fell into folds."""
    return float(r2_score([case["answer"] for case in cases], [case[said] for case in cases]))


ROWS = [Row("quality_nuclei_counts", "full", measure)]
