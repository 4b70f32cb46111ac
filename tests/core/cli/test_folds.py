"""`readroom evaluate --all-folds`, up to the queue and from its answer on."""

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from core.jobs.records import Job, list_jobs
from core.store.audit import Actor
from core.training.recipe import change_recipe, named_recipe
from core.training.records import add_model, add_run

FACTS = {"classes": ["normal", "pneumonia"], "multi_label": False}


def test_all_folds_are_asked_for_by_any_of_their_models_and_told_together(
    run: Callable[..., Any], connection: sqlite3.Connection, planted: Any, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = change_recipe(named_recipe("resnet"), {"input_size": 16})

    def add(fold: int) -> int:
        made = add_run(
            connection, project=planted.project.id, snapshot=planted.snapshot.id, recipe=recipe, name=f"fold {fold}",
            fold=fold, actor=actor,
        )  # fmt: skip
        return add_model(
            connection, made, keras_hash=f"{fold}" * 64, onnx_left_out_because="none", parameters=10, file_bytes=40,
            facts=FACTS, seconds=1.0, actor=actor,
        ).id  # fmt: skip

    second = add(1)
    asked = ("evaluate", planted.project.name, "fold 1", "--all-folds")
    assert "Train the other folds" in str(run(*asked, code=1).exception)
    first = add(0)
    run(*asked, "--split", "validation", code=2)
    assert not list_jobs(connection, kinds=("evaluate",))
    told = {"split": "out of fold", "n_cases": 40, "n_patients": 40, "metrics": {}, "warnings": [], "folds": []}
    done: list[Job] = []
    monkeypatch.setattr("core.cli.modelling.wait_and_tell", lambda _, job: done.append(job) or told)
    assert run(*asked) == told
    assert done[0].arguments == {
        "model": first, "snapshot": planted.snapshot.id, "split": "test", "folds": [first, second],
    }  # fmt: skip
