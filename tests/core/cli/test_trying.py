"""Commands that help to choose a training; the jobs that they wait for are tested where they are done."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.cli.trying import _point
from core.jobs.asking_trials import ask_samples
from core.jobs.records import claim_job, finish_job
from core.store.audit import Actor
from core.store.files import Files, array_bytes
from core.training.augmented import samples_key
from core.training.recipe import change_recipe, named_recipe

Run = Callable[..., Any]


def test_the_picture_of_augmented_images_is_written_where_it_is_asked_for(
    run: Run, connection: sqlite3.Connection, files: Files, planted: Any, actor: Actor, tmp_path: Path
) -> None:
    recipe = change_recipe(named_recipe("cnn"), {"rotation": 31})
    ask_samples(connection, files, planted.project, planted.snapshot, recipe, actor=actor)
    job = claim_job(connection, "explain", "cpu")
    assert job is not None
    key = samples_key(planted.snapshot, recipe, None)
    files.put_under("prepared", key, array_bytes(np.full((8, 9, 3), 7, np.uint8)))
    finish_job(connection, job, "done", result={"samples": key})
    out = tmp_path / "seen" / "samples.png"
    words = ("--snapshot", "first", "--recipe", "cnn", "--set", "rotation=31", "--out", str(out))
    assert run("augmented", planted.project.name, *words) == {"samples": key, "out": str(out)}
    assert np.asarray(Image.open(out)).shape == (8, 9, 3)
    words = (*words[:-1], str(tmp_path))
    assert "name another place" in str(run("augmented", planted.project.name, *words, code=1).exception)


def test_a_point_of_the_curve_that_is_undefined_is_told_and_not_a_crash() -> None:
    told = {"cases": 1200, "patients": 30, "low": None, "high": None}
    assert "1,200 cases of 30 patients: 0.500 (no interval)" in _point({**told, "value": 0.5})
    assert "1,200 cases of 30 patients: undefined" in _point({**told, "value": None})
