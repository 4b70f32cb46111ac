"""How quickly the screens answer, and how much memory the web process takes.

Server time is that of a script run: what the server does between a click and its answer.
The overlay goes the whole way: asked over HTTP, made by the warm child, fetched as an array;
on a machine at rest, and once more beside a running fit.
"""

import json
import logging
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from streamlit.testing.v1 import AppTest

from bench.harness import Figure, Figures, Row
from bench.loop import end_job, run_command
from bench.readers import write_images
from bench.server import MEGABYTE, Running, percentile, running
from core.labels.answers import value_text
from core.people.accounts import ensure_user
from core.projects.records import Project, add_project
from core.projects.schema import make_classification, schema_to_json
from core.settings import PROJECT_ROOT, Settings
from core.store.audit import Actor
from core.store.database import opened, prepare_home, writing
from dashboard import session

MANY = 100_000
REPEATS = 15
OVERLAYS = 30


def measure_pages() -> Figures:
    """Script runs of a plain page, and of the cases page with 100,000 rows."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder))
        prepare_home(settings)
        with opened(settings) as connection:
            ensure_user(connection, "bench", role="admin")
            project = _add_many_cases(connection)
        logging.getLogger("streamlit").setLevel(logging.ERROR)  # it warns that no browser is there: that is the point
        session.configure(settings, lambda connection: ensure_user(connection, "bench"))
        plain = _script_runs("jobs", {"project": str(project.id)})
        cases = _script_runs("cases", {"project": str(project.id)})
        filtered = _script_runs("cases", {"project": str(project.id), "label": "pneumonia"})
        by_attribute = _script_runs("cases", {"project": str(project.id), "attribute": "site"}, case_is_site="site 3")
        wrong = _script_runs("cases", {"project": str(project.id), "model": "1", "result": "wrong"})
    return [
        _page_figure("plain page", plain, 50),
        _page_figure(f"cases page, {MANY:,} cases", cases, 300),
        _page_figure(f"cases page, {MANY:,} cases, filtered by label", filtered, 300),
        _page_figure(f"cases page, {MANY:,} cases, filtered by attribute", by_attribute, 300),
        _page_figure(f"cases page, {MANY:,} cases, a model's mistakes", wrong, 300),
    ]


def _page_figure(name: str, times: list[float], budget_ms: int) -> Figure:
    middle = statistics.median(times)
    spread = f"{REPEATS} runs, {min(times):.0f} to {max(times):.0f} ms"
    return Figure(name, middle, "ms", f"budget {budget_ms} ms", middle <= budget_ms, spread)


def _add_many_cases(connection: sqlite3.Connection) -> Project:
    """A project of 100,000 cases of 40,000 patients, each with four attributes, a reader's label and what a model
    says of it, straight into the tables."""
    schema = make_classification(["normal", "pneumonia"])
    project = add_project(
        connection, name="Many", task="classification", schema=schema, actor=Actor("bench", "command line")
    )
    reader = ensure_user(connection, "reader").id
    columns = (
        "id, project, source, patient, patient_from, pixel_hash, file_hash, frames, rows, columns, channels, dtype, "
        "photometric, windows, attributes, imported_at, imported_by"
    )
    numbers = range(1, MANY + 1)
    values = [value_text({"classes": [name]}) for name in schema.names]
    with writing(connection):
        connection.executemany(
            f"INSERT INTO cases ({columns}) VALUES (?, ?, ?, ?, 'table', ?, ?, 1, 512, 512, 1, 'uint8', "
            "'MONOCHROME2', '[]', ?, '2026-01-01T00:00:00.000Z', 'bench')",
            (
                (at, project.id, f"{at:06d}.png", f"patient {at % 40_000}", f"{at:064x}", f"{at:064x}", _attributes(at))
                for at in numbers
            ),
        )
        connection.executemany(
            "INSERT INTO labels (id, project, event, case_id, reader, value, unsure, unusable, note, schema_version, "
            "made_in, entered_by, made_at, stored_at) VALUES (?, ?, ?, ?, ?, ?, 0, 0, '', 1, 'import', 'bench', "
            "'2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z')",
            ((at, project.id, f"event {at}", at, reader, values[at % 2]) for at in numbers),
        )
        connection.execute(
            "INSERT INTO current_labels (project, case_id, reader, label) "
            "SELECT project, case_id, reader, id FROM labels"
        )
        connection.execute(
            "INSERT INTO reference_labels (project, case_id, state, value, labels) "
            "SELECT project, case_id, 'labelled', value, '[' || id || ']' FROM labels"
        )
        _add_model(connection, project, values)
    return project


def _attributes(at: int) -> str:
    told = {"sex": "FM"[at % 2], "age": str(at % 90), "site": f"site {at % 5}", "scanner": f"scanner {at % 12}"}
    return json.dumps(told)


def _add_model(connection: sqlite3.Connection, project: Project, values: list[str]) -> None:
    """A model that is right about nine cases in ten."""
    now = "2026-01-01T00:00:00.000Z"
    connection.execute(
        "INSERT INTO snapshots (id, project, name, hash, task, label_schema, reference_rule, split_rule, seed, folds, "
        "leaks, created_at, created_by) "
        "VALUES (1, ?, 'all', '', 'classification', ?, '{}', '{}', 0, 0, '[]', ?, 'bench')",
        (project.id, json.dumps(schema_to_json(project.schema)), now),
    )
    connection.execute(
        "INSERT INTO runs (id, project, snapshot, name, recipe, recipe_hash, created_at, created_by) "
        "VALUES (1, ?, 1, 'model', '{}', '', ?, 'bench')",
        (project.id, now),
    )
    connection.execute(
        "INSERT INTO models (id, project, run, name, keras_hash, parameters, file_bytes, facts, created_at) "
        "VALUES (1, ?, 1, 'model', '', 0, 0, '{}', ?)",
        (project.id, now),
    )
    connection.executemany(
        "INSERT INTO predictions (model, case_id, scores, predicted, confidence, made_at) VALUES (1, ?, '[]', ?, ?, ?)",
        ((at, values[(at + (at % 10 == 0)) % 2], (at % 100) / 100, now) for at in range(1, MANY + 1)),
    )


def _script_runs(page: str, query: dict[str, str], **chosen: str) -> list[float]:
    """Milliseconds of each run of a page inside the shell, after one that warms the caches."""
    app = AppTest.from_file(str(PROJECT_ROOT / "dashboard" / "app.py"), default_timeout=60)
    app.query_params.update(query)
    for key, value in chosen.items():
        app.session_state[key] = value
    app.switch_page(str(PROJECT_ROOT / "pages" / f"{page}.py"))
    times = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        app.run()
        times.append(1000 * (time.perf_counter() - began))
        if app.exception:
            raise SystemExit(f"The page {page} failed: {app.exception[0].message}")
    return times[1:]


def measure_overlay() -> Figures:
    """Time to a Grad-CAM overlay at 224 px by the warm child, at rest and beside a running fit; web memory."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_images(work / "images", 240, seed=0)
        home = work / "home"
        run_command(home, "project", "create", "load", "--classes", "dark,bright")
        run_command(home, "import", "load", str(work / "images"), "--labels", str(work / "images" / "labels.csv"))
        run_command(home, "snapshot", "load", "all", "--allow-leaks", "noise resembles noise")
        quick = ("--set", "epochs=1", "--set", "input_size=224")
        run_command(home, "train", "load", "--snapshot", "all", *quick, "--name", "model", "--wait")
        with running(home) as server, server.client("bench") as client:
            _explain(client, 1)  # loads the model, traces the function
            at_rest = [_explain(client, case) for case in range(2, 2 + OVERLAYS)]
            memory = server.web_process().memory_info().rss / MEGABYTE
            busy = _beside_a_fit(server, home, client)
    budget = "budget 1 s"
    return [
        Figure("overlay when warm, median", statistics.median(at_rest), "s", budget, statistics.median(at_rest) < 1),
        Figure("overlay when warm, 95th percentile", percentile(at_rest, 0.95), "s", budget),
        Figure("overlay beside a running fit, median", statistics.median(busy), "s"),
        Figure("overlay beside a running fit, 95th percentile", percentile(busy, 0.95), "s"),
        Figure("memory of the web process, no page open", memory, "MB", "budget 400 MB", memory < 400),
    ]


def _explain(client: httpx.Client, case: int) -> float:
    """Seconds from the question to the map as an array."""
    question = {"model": 1, "case": case, "class": "bright", "method": "grad_cam"}
    began = time.perf_counter()
    answer = client.post("/api/v1/explanations", json=question)
    while answer.status_code == 202:
        time.sleep(0.02)
        answer = client.post("/api/v1/explanations", json=question)
    answer.raise_for_status()
    client.get(answer.json()["url"]).raise_for_status()
    return time.perf_counter() - began


def _beside_a_fit(server: Running, home: Path, client: httpx.Client) -> list[float]:
    slow = ("--set", "epochs=500", "--set", "input_size=128")
    job = str(run_command(home, "train", "load", "--snapshot", "all", *slow)["job"])
    _wait_until(lambda: "epoch 2" in run_command(home, "jobs", "show", job)["note"].lower())
    times = [_explain(client, case) for case in range(100, 100 + OVERLAYS)]
    end_job(home, int(job))
    return times


def _wait_until(is_so: Callable[[], Any], seconds: float = 180) -> None:
    last = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > last:
            raise SystemExit("The training did not reach its second epoch.")
        time.sleep(1)


ROWS = [Row("screens", "quick", measure_pages), Row("overlay", "quick", measure_overlay)]
