"""What a map is called on the shelf, and what its picture shows."""

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from core.explain.shelf import explanation_key, write_overlay
from core.images.records import Case, Window
from core.training.records import Model

MODEL = cast(Model, SimpleNamespace(keras_hash="k" * 64, facts={}))
PIXELS = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
WINDOWS = [Window("", 128, 256), Window("", 128, 256, "sigmoid"), Window("", 128, 256, ((128, 255), (128, 0)))]


@pytest.fixture
def cases(make_case: Callable[..., Case]) -> list[Case]:
    return [make_case(f"{at}.dcm", pixels=PIXELS, windows=(one,)) for at, one in enumerate(WINDOWS)]


def test_a_curve_is_another_map_and_a_straight_line_the_one_of_before(cases: list[Case]) -> None:
    keys = [explanation_key(MODEL, case, "grad_cam", "a", "conv") for case in cases]
    assert len(set(keys)) == 3
    known = "df0fc26e8110e8fc280ec6577678127ec98b6ddf4a17ab0e6e103cdde7caba78"  # of the code before there were curves
    assert keys[0] == known


def test_the_picture_under_a_map_is_the_one_the_curve_shows(cases: list[Case], tmp_path: Path) -> None:
    seen: list[Any] = []
    for case in cases:
        folder = tmp_path / str(case.id)
        folder.mkdir()
        told = write_overlay(folder, case, PIXELS, np.zeros((2, 2), np.float32))
        seen.append(np.asarray(Image.open(io.BytesIO(Path(told["overlay"]).read_bytes())).convert("L")).astype(int))
    assert seen[0][0].mean() < seen[0][-1].mean()
    assert seen[2][0].mean() > seen[2][-1].mean()  # from white to black
    assert not np.array_equal(seen[0], seen[1])
