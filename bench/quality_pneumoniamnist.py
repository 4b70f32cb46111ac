"""Quality on PneumoniaMNIST (28 px, its given split) beside published figures: `auto`, three seeds, each by itself."""

import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.harness import Figure, Figures, Row, test_data
from bench.loop import run_command
from core.demo.pneumoniamnist import SNAPSHOT

MOST_MINUTES = 20  # for each seed
SEEDS = (0, 1, 2)
PASS = {"auc": 0.975, "accuracy": 0.92}
# Numbers of others, as they are quoted in EXPECTED_MEDMNIST.json beside the data.
PUBLISHED = "MedMNIST v2, Yang et al. 2023, doi:10.1038/s41597-022-01721-8, Table 3, as quoted"
AIM = {"auc": 0.991, "accuracy": 0.946}
AIM_OF = f"Google AutoML Vision in {PUBLISHED}"
WORDS = {
    "auc": "AUC",
    "accuracy": "accuracy at the threshold chosen on validation",
    "accuracy_at_half": "accuracy at 0.5",
}


def measure_seed(home: Path, project: str, seed: int) -> tuple[dict[str, Any], float]:
    """Train with `auto` and evaluate on the test split, as a user would: the numbers, and minutes to the model."""
    began = time.monotonic()
    trained = run_command(home, "train", project, "--snapshot", SNAPSHOT, "--set", f"seed={seed}", "--wait")
    minutes = (time.monotonic() - began) / 60
    return run_command(home, "evaluate", project, trained["model"], "--split", "test"), minutes


def measure(seeds: tuple[int, ...] = SEEDS) -> Figures:
    """Import, freeze, train and evaluate through the command line; means over the seeds, with each and their spread."""
    published = json.loads((test_data() / "EXPECTED_MEDMNIST.json").read_text("utf-8"))["PneumoniaMNIST"]
    os.environ.setdefault("READROOM_TEST_DATA", str(test_data()))  # where the command line looks for the file
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        project = str(run_command(home, "demo", "--dataset", "pneumoniamnist")["project"])
        measured = [measure_seed(home, project, seed) for seed in seeds]
    results = [result for result, _ in measured]
    figures = [_figure(name, [result["metrics"][name] for result in results], results[0]["n_cases"]) for name in WORDS]
    longest = max(minutes for _, minutes in measured)
    figures.append(
        Figure("from the command to the stored model, the slowest seed", longest, "minutes",
               f"at most {MOST_MINUTES}", longest <= MOST_MINUTES)
    )  # fmt: skip
    for name, numbers in published.items():
        if isinstance(numbers, dict):
            figures.append(
                Figure(
                    f"published AUC, {name}",
                    numbers["AUC"],
                    "",
                    "",
                    None,
                    f"published accuracy {numbers['ACC']}; {PUBLISHED}",
                )
            )
    return figures


def _figure(name: str, metrics: list[dict[str, float]], n: int) -> Figure:
    """The mean over seeds beside what is asked and aimed at; in the detail each seed with its own interval."""
    values = [metric["value"] for metric in metrics]
    mean = statistics.fmean(values)
    each = "; ".join(f"{metric['value']:.3f} ({metric['low']:.3f} to {metric['high']:.3f})" for metric in metrics)
    spread = f", standard deviation {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    asked, aim = PASS.get(name), AIM.get(name)
    return Figure(
        f"{WORDS[name]}, auto at 28 px, mean of {len(values)} seeds",
        mean,
        "",
        f"at least {asked}, aim {aim} ({AIM_OF})" if asked else "",
        mean >= asked if asked else None,
        f"n = {n}{spread}; each seed with its 95 % interval: {each}",
    )


ROWS = [Row("quality_pneumoniamnist", "full", measure)]
