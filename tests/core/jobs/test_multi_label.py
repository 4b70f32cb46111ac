"""Several findings in one image, from labels to the cells of a review, through the bodies of the jobs."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.datasets.freeze import freeze_snapshot
from core.evaluation.records import find_evaluation
from core.jobs.asking import ask_training
from core.jobs.context import JobContext, job_folder
from core.jobs.handlers import HANDLERS
from core.jobs.records import Job, add_job
from core.progress import Silent
from core.projects.records import add_project
from core.projects.schema import make_classification
from core.reviews.case_search import CaseFilter, Cell, count_cases, search_cases
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.training.recipe import change_recipe, named_recipe
from core.training.records import get_model

SIDE = 16
ANSWERS = ([], ["left"], ["right"], ["left", "right"])


@pytest.fixture
def run(connection: sqlite3.Connection, files: Files, settings: Settings) -> Callable[[Job], dict[str, Any]]:
    """The body of a job, in this process; the ONNX file would need a child of its own and is left out."""

    def go(job: Job) -> dict[str, Any]:
        spare = replace(settings, onnx_memory_bytes=1)
        actor, folder = Actor("anna", "job"), job_folder(settings, job.id)
        return dict(HANDLERS[job.kind](JobContext(connection, files, spare, job, folder, "cpu", actor, Silent())))

    return go


def draw(at: int, answer: list[str]) -> np.ndarray:
    """Noise uint8 `(SIDE, SIDE)` with a bright square in each half that the answer names."""
    random = np.random.default_rng(at)
    pixels = random.integers(0, 120, (SIDE, SIDE), np.uint8)
    for name, first in (("left", 0), ("right", SIDE // 2)):
        if name in answer:
            row, column = random.integers(0, SIDE - 5), first + random.integers(0, 3)
            pixels[row : row + 5, column : column + 5] = random.integers(200, 256, (5, 5))
    return pixels


def test_several_labels_from_training_to_review(
    connection: sqlite3.Connection, files: Files, actor: Actor, make_case: Any, answer: Any, run: Any
) -> None:
    schema = make_classification(["left", "right"], multi_label=True)
    project = add_project(connection, name="Halves", task="classification", schema=schema, actor=actor)
    for at in range(64):
        case = make_case(f"{at}.png", pixels=draw(at, ANSWERS[at % 4]), into=project)
        answer(case, value={"classes": ANSWERS[at % 4]})
    snapshot = freeze_snapshot(
        connection, files, project, "s", ratios=(0.6, 0.2, 0.2), allow_leaks="noise resembles noise", actor=actor,
        progress=Silent(),
    )  # fmt: skip
    small = {
        "input_size": SIDE,
        "filters": "8",
        "batch": 8,
        "epochs": 8,
        "learning_rate": 0.01,
        "zoom": 0,
        "shift": 0,
    }
    recipe = change_recipe(named_recipe("resnet"), small)
    _, job = ask_training(connection, project, snapshot, recipe, name="halves", actor=actor)
    model = get_model(connection, project.id, run(job)["model_id"])
    assert (model.facts["multi_label"], model.facts["activation"]) == (True, "sigmoid")

    asked = {"model": model.id, "snapshot": snapshot.id, "split": "test"}
    result = run(add_job(connection, "evaluate", asked, project=project.id, actor=actor))
    stored = find_evaluation(connection, model.id, snapshot.id)
    assert stored is not None
    assert stored.result == result
    assert [sum(map(sum, matrix)) for matrix in result["confusion_matrix"]] == [result["n_cases"]] * 2
    assert {"accuracy", "balanced_accuracy", "f1_macro", "auc"} <= set(result["metrics"])

    seen = CaseFilter(model=model.id, snapshot=snapshot.id, split="test")
    for name, ((absent, false_alarms), (missed, found)) in zip(
        result["classes"], result["confusion_matrix"], strict=True
    ):
        counts = {("absent", "absent"): absent, ("absent", "present"): false_alarms,
                  ("present", "absent"): missed, ("present", "present"): found}  # fmt: skip
        for (reference, predicted), count in counts.items():
            wanted = replace(seen, cell=Cell(reference, predicted, name))
            assert count_cases(connection, project, wanted) == count
            for row in search_cases(connection, project, wanted, order="most confident"):
                assert row.reference is not None
                assert (name in row.reference["classes"]) == (reference == "present")
    right = count_cases(connection, project, replace(seen, outcome="right"))
    assert right / result["n_cases"] == pytest.approx(result["metrics"]["accuracy"]["value"])
