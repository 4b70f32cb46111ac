"""How long somebody waits from the click on Train to the first step, and on what; the budget is for this machine.

The project is what a team would have: real chest X-rays, imported and frozen before, never trained on, so that their
images are prepared within the time that is measured. The worker runs already, as it does behind the screens.
"""

import statistics
import tempfile
import time
from pathlib import Path

from bench.harness import Figure, Figures, Row, test_data
from bench.loop import end_job, run_here
from bench.quality_cxr import prepare_project
from bench.server import running
from core.datasets.records import get_snapshot
from core.jobs.asking import ask_training
from core.projects.records import get_project
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import opened
from core.training.recipe import named_recipe
from core.training.records import get_run

MOST_SECONDS = 30
TURNS = 3
RECIPE = "resnet"


def measure() -> Figures:
    """The first time with all images to prepare, then with those that are there."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        prepare_project(home, test_data() / "cxr_pediatric_pneumonia")
        images = int(run_here(home, "project", "list")["projects"][0]["cases"])
        with running(home):
            turns = [_begin(home) for _ in range(TURNS)]
    first, again = turns[0], [turn["seconds"] for turn in turns[1:]]
    parts = ", ".join(
        f"{part.replace('_', ' ')} {seconds:.1f} s" for part, seconds in first.items() if part != "seconds"
    )
    return [
        Figure(f"click to first step, {RECIPE}, {images:,} X-rays to prepare", first["seconds"], "s",
               f"budget {MOST_SECONDS} s", first["seconds"] < MOST_SECONDS, parts),
        Figure("the same, images prepared before", statistics.median(again), "s", f"budget {MOST_SECONDS} s",
               max(again) < MOST_SECONDS, f"{len(again)} turns, {min(again):.1f} to {max(again):.1f}"),
    ]  # fmt: skip


def _begin(home: Path) -> dict[str, float]:
    """Ask for a training as the page does, and stop it after its first step."""
    # it imports TensorFlow, after which Streamlit clears the Keras session in each page that another row measures
    from core.training.beginning import BEGINNING

    with opened(Settings(home=home)) as connection:
        project = get_project(connection, "cxr")
        snapshot = get_snapshot(connection, project.id, "folds")
        actor = Actor("bench", "command line")
        run, job = ask_training(connection, project, snapshot, named_recipe(RECIPE), fold=0, actor=actor)
        while BEGINNING not in (told := get_run(connection, run.id).told):
            time.sleep(0.2)
    end_job(home, job.id)
    return dict(told[BEGINNING])


ROWS = [Row("first_step", "quick", measure)]
