"""A network learns to draw: the same loop, the same promises, and files that say what they are."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.errors import CoreError, InvalidInput
from core.progress import Silent
from core.training.device import CPU
from core.training.drawn import Wanted, check_wanted, conditions_of, draw_with
from core.training.recipe import change_recipe, named_recipe
from core.training.records import get_model, list_epochs
from core.training.request import request_training
from core.training.run import run_training
from core.training.samples import draw_images, list_samples, png_of
from core.training.stored import load_network

SIDE = 16
SMALL = {"input_size": SIDE, "filters": "8,8", "batch": 4, "epochs": 2, "learning_rate": 0.01, "ema": 0.5}


@pytest.fixture
def train(connection, files, settings, actor, sides, tmp_path: Path) -> Any:
    def run(network: str = "vae", *, folder: str = "job", progress: Any = None, **changes: Any) -> dict[str, Any]:
        recipe = change_recipe(named_recipe(network), {**SMALL, **changes})
        made, _ = request_training(connection, *sides, recipe, actor=actor)
        return run_training(connection, files, settings, made.id, tmp_path / folder, CPU, progress or Silent())

    return run


NEVER_SHOWN = [
    (Wanted("grey"), 1, "draws left, right"),
    (Wanted("left", "M"), 1, "no image of this sex; take F"),
    (Wanted("left", "F", 90.0), 1, "shown ages from"),
    (Wanted("left"), 0, "Draw 1 to"),
]


class Killed(Exception):
    pass


class KilledAfter(Silent):
    """Ends a run where it stands, once an epoch is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def should_stop(self) -> bool:
        if (self._folder / "checkpoint.npz").exists():
            raise Killed
        return False


def test_a_model_draws_what_it_was_shown_and_says_so(connection, files, train, tmp_path) -> None:
    result = train(epochs=20)
    model = get_model(connection, None, result["model_id"])
    assert model.facts["calibration"]["shown"]["classes"] == {"left": 12, "right": 12}
    assert model.facts["calibration"]["shown"]["sex"] == {"F": 12, "M": 0}
    asked = [Wanted("left"), Wanted("right", "F", 30.0)] * 4
    images = draw_with(connection, files, model, conditions_of(model, asked), Silent(), seed=3)
    assert images.shape == (8, SIDE, SIDE, 1)
    assert images.dtype == np.uint8
    shift = images[:, :, SIDE // 2 :].mean(axis=(1, 2, 3)) - images[:, :, : SIDE // 2].mean(axis=(1, 2, 3))
    assert shift[1::2].mean() > 60
    assert shift[::2].mean() < -60
    again = draw_with(connection, files, model, conditions_of(model, asked[:3]), Silent(), seed=3)
    np.testing.assert_array_equal(images[:3], again)
    assert (images[2] != draw_with(connection, files, model, conditions_of(model, asked[:1]), Silent(), seed=4)).any()
    assert len(list_samples(tmp_path / "job")) == 20
    assert {"validation_drawing_error", "validation_kl"} <= set(list_epochs(connection, result["run"])[0])
    for wanted, n, sentence in NEVER_SHOWN:
        with pytest.raises(InvalidInput, match=sentence):
            check_wanted(model, wanted, n)
    marked = Image.open(io.BytesIO(png_of(images[0], {"Model": "größer"})))
    assert marked.text["Synthetic"].startswith("synthetic")
    assert Image.open(list_samples(tmp_path / "job")[0]).text["Synthetic"].startswith("synthetic")


def test_a_stopped_diffusion_resumes_to_the_weights_of_an_unbroken_one(
    connection, files, actor, settings, sides, train, tmp_path
) -> None:
    """Chance is the step's seed: bit for bit, and so also the same run twice."""
    changes = {"filters": "4", "epochs": 2, "input_size": SIDE, "batch": 12, "ema": 0.5}
    recipe = change_recipe(named_recipe("diffusion"), {**SMALL, **changes})
    made, _ = request_training(connection, *sides, recipe, actor=actor)
    folder = tmp_path / "broken"
    with pytest.raises(Killed):
        run_training(connection, files, settings, made.id, folder, CPU, KilledAfter(folder))
    results = [
        run_training(connection, files, settings, made.id, folder, CPU, Silent()),
        train("diffusion", folder="whole", **changes),
    ]
    broken, whole = (load_network(files, get_model(connection, None, one["model_id"])) for one in results)
    assert all(np.array_equal(*pair) for pair in zip(broken.get_weights(), whole.get_weights(), strict=True))
    drawn = draw_images(
        "diffusion", whole, conditions_of(get_model(connection, None, results[1]["model_id"]), [Wanted("left")]), seed=0
    )
    assert drawn.shape == (1, SIDE, SIDE, 1)
    assert drawn.std() > 0


def test_blending_is_refused() -> None:
    with pytest.raises(InvalidInput, match="mixup"):
        change_recipe(named_recipe("vae"), {"mixup": 0.2})


def test_sizes_meet_again_on_the_way_back() -> None:
    with pytest.raises(CoreError, match="that 8 divides"):
        change_recipe(named_recipe("vae"), {"input_size": 28})
