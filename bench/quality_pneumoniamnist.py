"""Quality on PneumoniaMNIST (28 px, its given split) beside published figures."""

import json
import os
import tempfile
import time
from pathlib import Path

from bench.harness import Figure, Figures, Row, test_data
from bench.loop import run_command
from core.demo.pneumoniamnist import SNAPSHOT

MOST_MINUTES = 10
LEAST_AUC = 0.96


def measure() -> Figures:
    """Import, freeze, train and evaluate through the command line, as a user would."""
    published = json.loads((test_data() / "EXPECTED_MEDMNIST.json").read_text("utf-8"))["PneumoniaMNIST"]
    os.environ.setdefault("READROOM_TEST_DATA", str(test_data()))  # where the command line looks for the file
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        project = str(run_command(home, "demo", "--dataset", "pneumoniamnist")["project"])
        began = time.monotonic()
        trained = run_command(
            home, "train", project, "--snapshot", SNAPSHOT, "--set", "input_size=28", "--set", "epochs=12", "--wait"
        )
        minutes = (time.monotonic() - began) / 60
        result = run_command(home, "evaluate", project, trained["model"], "--split", "test")
    auc, accuracy = result["metrics"]["auc"], result["metrics"]["accuracy"]
    figures = [
        Figure("AUC, resnet at 28 px, 12 epochs", auc["value"], "", f"at least {LEAST_AUC}", auc["value"] >= LEAST_AUC,
               f"95 % interval {auc['low']:.3f} to {auc['high']:.3f}, n = {result['n_cases']}"),
        Figure("accuracy at 0.5", accuracy["value"], "", "", None,
               f"95 % interval {accuracy['low']:.3f} to {accuracy['high']:.3f}"),
        Figure("from the command to the stored model", minutes, "minutes", f"at most {MOST_MINUTES}",
               minutes <= MOST_MINUTES),
    ]  # fmt: skip
    for name, numbers in published.items():
        if isinstance(numbers, dict):
            figures.append(
                Figure(f"published AUC, {name}", numbers["AUC"], "", "", None, f"published accuracy {numbers['ACC']}")
            )
    return figures


ROWS = [Row("quality_pneumoniamnist", "full", measure)]
