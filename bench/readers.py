"""20 readers label four times a minute while a model trains and 5,000 files are imported.

Every label that was acknowledged must be in the database, no answer and no log may say
"database is locked", and the 95th percentile of the time to an acknowledgement is reported.
"""

import csv
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from bench.harness import Figure, Figures, Row
from bench.loop import end_job, run_command
from bench.server import Running, percentile, running
from core.clock import utc_now
from core.images.records import list_cases
from core.jobs.records import list_jobs
from core.labels.records import list_labels
from core.projects.records import get_project
from core.settings import PROJECT_ROOT
from core.store.database import opened

READERS = 20
SECONDS_BETWEEN = 15.0
LEAST_SECONDS = 90
FILES = 5000
BUDGET_MS = 500
LONG_TRAINING = ("--set", "epochs=400", "--set", "input_size=96")


def measure() -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        home = prepare_load(work)
        with running(home) as server:
            return measure_load(server, home, work / "more")


def prepare_load(work: Path) -> Path:
    """A home with a project of 240 labelled images, and in `work / "more"` the files that are imported later."""
    write_images(work / "labelled", 240, seed=0)
    write_images(work / "more", FILES, seed=1)
    home = work / "home"
    run_command(home, "project", "create", "load", "--task", "classification", "--classes", "dark,bright")
    run_command(home, "import", "load", str(work / "labelled"), "--labels", str(work / "labelled" / "labels.csv"))
    run_command(home, "snapshot", "load", "all", "--allow-leaks", "noise resembles noise")
    return home


def write_images(folder: Path, count: int, *, seed: int) -> None:
    """Noise with a bright or a dark middle, and the table that says which."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["path", "label", "patient"])
        for at in range(count):
            pixels = rng.integers(0, 160, (96, 96), dtype=np.uint8)
            pixels[32:64, 32:64] += 60 * (at % 2)
            Image.fromarray(pixels).save(folder / f"{at:05d}.png")
            table.writerow([f"{at:05d}.png", ["dark", "bright"][at % 2], f"patient {at}"])


def measure_load(server: Running, home: Path, more: Path) -> Figures:
    """What 20 readers see while a model trains and `more` is imported. They have signed in before it begins."""
    with ExitStack() as stack:
        clients = [stack.enter_context(server.client(f"reader {number}", "reader")) for number in range(READERS)]
        training = run_command(home, "train", "load", "--snapshot", "all", *LONG_TRAINING)
        try:
            return _measure_beside(server, home, more, clients)
        finally:
            end_job(home, training["job"])


def _measure_beside(server: Running, home: Path, more: Path, clients: list[httpx.Client]) -> Figures:
    with opened(server.settings) as connection:
        case_ids = [case.id for case in list_cases(connection, get_project(connection, "load").id)]
    importing = subprocess.Popen(
        [sys.executable, "-m", "core.cli.app", "import", "load", str(more), "--home", str(home), "--json"],
        cwd=PROJECT_ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    began = time.monotonic()
    over = threading.Event()
    acknowledged: list[tuple[str, float]] = []
    refused: list[str] = []
    with ThreadPoolExecutor(READERS) as pool:
        readers = [
            pool.submit(_label, client, number, case_ids, over, acknowledged, refused)
            for number, client in enumerate(clients)
        ]
        try:
            importing.wait()
            import_seconds = time.monotonic() - began
            time.sleep(max(0.0, LEAST_SECONDS - import_seconds))
        finally:
            over.set()
        for reader in readers:
            reader.result()  # a reader who fell over must not pass for one who lost nothing
    return _figures(server, case_ids, acknowledged, refused, import_seconds)


def _label(
    client: httpx.Client,
    reader: int,
    case_ids: list[int],
    over: threading.Event,
    acknowledged: list[tuple[str, float]],
    refused: list[str],
) -> None:
    """One reader: an answer, a pause, until it is over."""
    rng = np.random.default_rng(reader)
    over.wait(float(rng.uniform(0, SECONDS_BETWEEN)))
    while not over.is_set():
        event = {
            "event": str(uuid.uuid4()),
            "type": "label",
            "case": int(rng.choice(case_ids)),
            "value": {"classes": [str(rng.choice(["dark", "bright"]))]},
            "unsure": False,
            "unusable": False,
            "note": "",
            "schema_version": 1,
            "made_at": utc_now(),
            "made_in": "label page",
        }
        began = time.perf_counter()
        answer = client.post("/api/v1/events", json={"events": [event]})
        took = 1000 * (time.perf_counter() - began)
        if answer.status_code == 200:
            acknowledged.append((str(event["event"]), took))
        else:
            refused.append(answer.text)
        over.wait(SECONDS_BETWEEN)


def _figures(
    server: Running, case_ids: list[int], acknowledged: list[tuple[str, float]], refused: list[str], seconds: float
) -> Figures:
    with opened(server.settings) as connection:
        stored = {label.event for case_id in case_ids for label in list_labels(connection, case_id)}
        jobs = list_jobs(connection)
    lost = [event for event, _ in acknowledged if event not in stored]
    logs = [server.output, *(server.settings.home / "jobs").rglob("*.txt")]
    locked = sum("database is locked" in path.read_text("utf-8", "replace") for path in logs)
    locked += sum("locked" in text for text in refused) + sum("locked" in (job.error or "") for job in jobs)
    times = [took for _, took in acknowledged]
    training = next(job for job in jobs if job.kind == "train")
    return [
        Figure("labels acknowledged", len(acknowledged), "", f"{READERS} readers, training {training.state}"),
        Figure("acknowledged labels lost", len(lost), "", "0", not lost),
        Figure("labels refused", len(refused), "", "0", not refused),
        Figure("'database is locked'", locked, "", "0", locked == 0),
        Figure("acknowledged, median", percentile(times, 0.5), "ms"),
        Figure("acknowledged, 95th percentile", percentile(times, 0.95), "ms", f"budget {BUDGET_MS} ms",
               percentile(times, 0.95) <= BUDGET_MS),
        Figure(f"import of {FILES} files meanwhile", FILES / seconds, "files/s", "", None, f"{seconds:.0f} s"),
    ]  # fmt: skip


ROWS = [Row("readers", "full", measure)]
