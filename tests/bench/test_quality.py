"""What the rows of quality say beside their numbers: where a published one is from, what is aimed at, how long it took.

Nothing is trained here: what a training would leave is put in its place.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import (
    folds,
    loop,
    quality_cxr,
    quality_generation,
    quality_hippocampus,
    quality_nuclei,
    quality_nuclei_counts,
    quality_pneumoniamnist,
)
from bench.folds import SEEDS
from bench.harness import Figure
from core.evaluation.records import MeasuredMask


@pytest.fixture(autouse=True)
def _nothing_is_trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    for module in (quality_hippocampus, quality_nuclei, quality_nuclei_counts, quality_cxr):
        monkeypatch.setattr(module, "test_data", lambda: tmp_path)
        monkeypatch.setattr(module, "run_command", lambda *_: {})
        monkeypatch.setattr(module, "train_fold", lambda *_, **__: 60.0)
        monkeypatch.setattr(module.shutil, "rmtree", lambda _: None)


def named(figures: list[Figure], start: str) -> Figure:
    return next(figure for figure in figures if figure.name.startswith(start))


def test_a_published_number_carries_its_source() -> None:
    measured = [{"value": 0.98, "low": 0.97, "high": 0.99}]
    assert "doi:10.1038/s41597-022-01721-8" in quality_pneumoniamnist._figure("auc", measured, 5).against


def test_hippocampus_says_whose_level_it_aims_at_and_how_many_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"dice": 0.9, "hd95": 1.0, "predicted_pixels": 9, "reference_pixels": 10}

    def of_folds(*_: Any) -> list[list[Any]]:
        names = quality_hippocampus.STRUCTURES
        return [[type("Row", (), {**row, "structure": name})() for name in names] for _ in range(5)]

    assert set(row) <= {*MeasuredMask.__dataclass_fields__}
    monkeypatch.setattr(quality_hippocampus, "_evaluated", of_folds)
    figures = quality_hippocampus.measure()
    for figure in figures[:3]:
        assert "doi:10.1038/s41592-020-01008-z" in figure.against
    assert all(SEEDS in figure.detail for figure in figures[:-1])


def test_deep_supervision_is_compared_case_by_case(monkeypatch: pytest.MonkeyPatch) -> None:
    def evaluated(_: Any, folds: range, kind: str) -> list[list[Any]]:
        gain = {"without": 0.0, "with": 0.02}[kind]
        return [
            [
                type("Row", (), {"structure": name, "dice": 0.8 + 0.01 * at + gain})()
                for at in range(3)
                for name in quality_hippocampus.STRUCTURES
            ]
            for _ in folds
        ]

    monkeypatch.setattr(quality_hippocampus, "_prepare_project", lambda *_: None)
    monkeypatch.setattr(quality_hippocampus, "_evaluated", evaluated)
    anterior, posterior = quality_hippocampus.measure_deep_supervision()
    assert [anterior.value, posterior.value] == pytest.approx([0.02, 0.02])
    assert "0.830 with, 0.810 without; 95 % interval over volumes +0.020 to +0.020; n = 6, 2 folds" in anterior.detail
    assert "better in 100%" in anterior.detail


def test_nuclei_say_how_many_seeds_and_keep_to_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = [np.array([0.9, 0.95])] * 5
    monkeypatch.setattr(quality_nuclei, "_dice", lambda *_: (dice, dice))
    assert SEEDS in named(quality_nuclei.measure(), "Dice, unet2d").detail
    cases = [{"fold": at // 4, "answer": at % 4, "predicted": at % 4 + 0.1, "guessed": at % 4} for at in range(20)]
    monkeypatch.setattr(quality_nuclei_counts, "_read_predictions", lambda _: cases)
    monkeypatch.setattr(quality_nuclei_counts, "_guessed_by_forest", lambda _, some: some)
    took = named(quality_nuclei_counts.measure(), "training of all folds")
    assert (took.value, took.against, took.passed) == (5.0, "at most 40", True)


def test_chest_x_rays_say_what_is_aimed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    rivals = quality_cxr.Rivals([0.86] * 5, [0.8] * 5, [0.5] * 5)
    interval = type("Interval", (), {"low": 0.01, "high": 0.05})()
    monkeypatch.setattr(quality_cxr, "_read_predictions", lambda *_: ([], np.zeros(0)))
    monkeypatch.setattr(quality_cxr, "_compare", lambda *_: (rivals, rivals, interval))
    assert "aim: 0.88" in named(quality_cxr.measure(), "balanced accuracy, resnet").against


def test_drawn_images_are_measured_once_a_seed_and_no_seed_twice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A run that was interrupted goes on with the seeds that are missing."""
    asked: list[str] = []

    def run(home: Path, *words: str) -> dict[str, Any]:
        asked.append(" ".join(words))
        of_seed = 0.9 + 0.01 * sum("seed=" in one and "--name" in one for one in asked)
        metric = {"value": of_seed, "low": of_seed - 0.02, "high": of_seed + 0.02}
        names = ("auc", "memorised", "real_close", "fid_like", "class_consistency", "judge_accuracy")
        return {"models": [], "jobs": [], "model": "m", "metrics": dict.fromkeys(names, metric), "n_cases": 624,
                "n_samples": 60}  # fmt: skip

    def make(home: Path, *_: object) -> None:
        home.mkdir(exist_ok=True)
        (home / "readroom.db").touch()

    monkeypatch.setattr(quality_generation, "run_command", run)
    monkeypatch.setattr(loop, "run_command", run)
    monkeypatch.setattr(quality_generation, "make_project", make)
    monkeypatch.setattr(quality_generation, "test_data", lambda: tmp_path)
    quality_generation._measured(_place(tmp_path), "diffusion", 0)
    auc, *_, took = quality_generation.measure()
    assert sum("--name drawer-" in one for one in asked) == 3
    assert auc.value == pytest.approx(0.92)
    assert "3 seeds, each with its 95 % interval: 0.910 (0.890 to 0.930); 0.920" in auc.detail
    assert took.against == "at most 30"


def _place(folder: Path) -> Path:
    place = folder / "readroom-bench-diffusion"
    place.mkdir()
    return place


def test_each_fold_is_trained_with_a_seed_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def run(_: Path, *words: str) -> dict[str, Any]:
        asked.append(" ".join(words))
        return {"models": [], "jobs": []}

    monkeypatch.setattr(loop, "run_command", run)
    for fold in range(2):
        folds.train_fold(tmp_path, "some", fold, "--recipe", "cnn")
    assert [one for one in asked if one.startswith("train")] == [
        f"train some --name fold-{fold} --snapshot folds --fold {fold} --set seed={fold} --recipe cnn --wait"
        for fold in range(2)
    ]


def test_a_training_that_a_killed_bench_has_begun_is_brought_to_its_end_and_not_asked_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its name is taken, so asking for it again would be refused."""
    states, workers = ["running", "running"], list[str]()

    class Worker:
        def __init__(self, command: list[str], **_: object) -> None:
            workers.append("works")

        def terminate(self) -> None:
            workers.append("ends")

        def wait(self) -> None:
            workers.append("ended")

    def run(_: Path, *words: str) -> dict[str, Any]:
        assert words[0] in ("models", "jobs")
        models = [] if states else [{"model": "fold-0", "seconds": 90.0}]
        job = {"kind": "train", "state": states.pop() if words[0] == "jobs" and states else "done"}
        return {"models": models, "jobs": [job]}

    monkeypatch.setattr(loop, "run_command", run)
    monkeypatch.setattr(loop.subprocess, "Popen", Worker)
    monkeypatch.setattr(loop.time, "sleep", lambda _: None)
    assert folds.train_fold(tmp_path, "some", 0) == 90.0
    assert workers == ["works", "ends", "ended"]
