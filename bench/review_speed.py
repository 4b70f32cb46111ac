"""How quickly a review answers over 10,000 and 100,000 stored predictions: opening it, the steps of its meeting, a
threshold, a cell, a report.

Times are those of the server, by the clock and of its processor: on a machine with other work the second is what the
code costs. A move of the threshold draws its fragment alone, as Streamlit does.
"""

import json
import logging
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from streamlit.testing.v1 import AppTest

from bench.harness import Figure, Figures, Row, run_child
from core.evaluation.records import add_evaluation, store_predictions
from core.labels.answers import value_text
from core.measures.bands import bands_of
from core.measures.classification import measure_classification
from core.people.accounts import ensure_user
from core.projects.records import Project, add_project
from core.projects.schema import Classification, make_classification, schema_to_json
from core.reviews.criteria import parse_criterion
from core.reviews.meetings import add_review, open_results
from core.reviews.report import write_report
from core.settings import PROJECT_ROOT, Settings
from core.store.audit import Actor
from core.store.database import opened, prepare_home, writing
from core.tasks.classification import encode_targets
from core.training.recipe import named_recipe
from core.training.records import Model, add_model, add_run
from dashboard import session

SIZES = (10_000, 100_000)
REPEATS = 9
NOW = "2026-01-01T00:00:00.000Z"
STEPS = ("numbers", "curves", "subgroups", "failures")  # of a meeting, those that look at every case
OPEN_MS, MOVE_MS, CELL_MS, REPORT_S = 1000, 100, 300, 10
Times = list[tuple[float, float]]  # milliseconds by the clock, and of the processor


def measure() -> Figures:
    """In a child without TensorFlow, whose session Streamlit would clear after each script, as the web process is."""
    return [Figure(**told) for told in run_child("bench.review_speed", most_said=2000)]


def _measure_here() -> Figures:
    """The smaller size is held against the budgets; of the larger one it is told that it still works."""
    logging.getLogger("streamlit").setLevel(logging.ERROR)  # it warns that no browser is there: that is the point
    return [figure for n in SIZES for figure in _measure(n, held=n == SIZES[0])]


def _measure(n: int, *, held: bool) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder))
        prepare_home(settings)
        actor = Actor("bench", "command line")
        with opened(settings) as connection:
            ensure_user(connection, "bench", role="admin")
            project, model = _add_answered(connection, n, actor)
        session.configure(settings, lambda connection: ensure_user(connection, "bench"))
        where = {"project": "1", "model": "1", "snapshot": "1", "split": "test"}
        numbers = _page_runs("evaluate", where)
        cases = _page_runs("review", where | {"result": "all"})
        cell = _page_runs("review", where | {"reference": "pneumonia", "predicted": "normal"})
        moves = _move_runs()
        with opened(settings) as connection:
            reports = _reports(connection, project, model, actor)
        meeting = {"project": "1", "review": "1"}
        card = _page_runs("meeting", meeting)
        steps = {step: _page_runs("meeting", meeting | {"step": step}, opens=True) for step in STEPS}
    told = [
        _figure(f"{n:,} cases: Evaluate opens", numbers, OPEN_MS, held=held),
        _figure(f"{n:,} cases: Review opens", cases, OPEN_MS, held=held),
        _figure(f"{n:,} cases: a cell shows its cases", cell, CELL_MS, held=held),
        _figure(f"{n:,} cases: the threshold is moved", moves, MOVE_MS, held=held),
        _figure(f"{n:,} cases: Meeting opens", card, OPEN_MS, held=held),
        *(_figure(f"{n:,} cases: its step {step}", times, OPEN_MS, held=held) for step, times in steps.items()),
    ]
    return told + [
        Figure(f"{n:,} cases: report as {kind}", wall, "s", f"budget {REPORT_S} s" if held else "",
               wall < REPORT_S if held else None, f"{processor:.1f} s of the processor")
        for kind, (wall, processor) in reports.items()
    ]  # fmt: skip


def _figure(name: str, times: Times, budget: float, *, held: bool) -> Figure:
    walls, processor = zip(*times, strict=True)
    middle = statistics.median(walls)
    spread = f"{min(walls):.0f} to {max(walls):.0f}; {statistics.median(processor):.0f} ms of the processor"
    return Figure(name, middle, "ms", f"budget {budget:.0f} ms" if held else "", middle < budget if held else None,
                  f"{len(times)} runs, {spread}")  # fmt: skip


def _add_answered(connection: sqlite3.Connection, n: int, actor: Actor) -> tuple[Project, Model]:
    """A snapshot of n test and n / 10 validation cases, two a patient, which a model answers at an AUC of about 0.9."""
    schema = make_classification(["normal", "pneumonia"])
    project = add_project(connection, name="Many", task="classification", schema=schema, actor=actor)
    total, random = n + n // 10, np.random.default_rng(0)
    ill = random.random(total) < 0.3
    odds = random.normal(np.where(ill, 1.2, -1.2), 1.4)
    scores = np.column_stack([1 / (1 + np.exp(odds)), 1 / (1 + np.exp(-odds))])
    values = [{"classes": [schema.names[int(one)]]} for one in ill]
    columns = (
        "id, project, source, patient, patient_from, pixel_hash, file_hash, frames, rows, columns, channels, dtype, "
        "photometric, windows, attributes, imported_at, imported_by"
    )
    with writing(connection):
        connection.executemany(
            f"INSERT INTO cases ({columns}) VALUES (?, 1, ?, ?, 'table', ?, ?, 1, 512, 512, 1, 'uint8', 'MONOCHROME2', "
            f"'[]', ?, '{NOW}', 'bench')",
            (
                (at, f"{at:06d}.png", f"patient {at // 2}", f"{at:064x}", f"{at:064x}", _attributes(at))
                for at in range(1, total + 1)
            ),
        )
        connection.executemany(
            "INSERT INTO reference_labels (project, case_id, state, value, labels) VALUES (1, ?, 'labelled', ?, '[]')",
            ((at, value_text(value)) for at, value in enumerate(values, 1)),
        )
        connection.execute(
            "INSERT INTO snapshots (id, project, name, hash, task, label_schema, reference_rule, split_rule, seed, "
            f"folds, leaks, created_at, created_by) VALUES (1, 1, 'all', '', 'classification', ?, '{{}}', '{{}}', 0, "
            f"0, '[]', '{NOW}', 'bench')",
            (json.dumps(schema_to_json(schema)),),
        )
        _add_snapshot_cases(connection, values, n)
    run = add_run(connection, project=1, snapshot=1, recipe=named_recipe("resnet"), name="model", actor=actor)
    facts = {"classes": list(schema.names), "multi_label": False, "input": {"size": 64, "channels": 1}}
    model = add_model(
        connection, run, keras_hash="0" * 64, onnx_left_out_because="it is made up", parameters=1, file_bytes=1,
        facts=facts, seconds=1.0, actor=actor,
    )  # fmt: skip
    store_predictions(connection, model, schema, dict(enumerate(scores.tolist(), 1)))
    _add_evaluations(connection, schema, values, scores, n, actor)
    return project, model


def _attributes(at: int) -> str:
    return json.dumps({"sex": "FM"[at % 2], "age": str(at % 90), "site": f"site {at % 5}"})


def _add_snapshot_cases(connection: sqlite3.Connection, values: list[dict[str, list[str]]], n: int) -> None:
    connection.executemany(
        "INSERT INTO snapshot_cases (snapshot, position, case_id, patient, split, value, labels, pixel_hash, linked) "
        "VALUES (1, ?, ?, ?, ?, ?, '[]', ?, 0)",
        (
            (at, at, f"patient {at // 2}", "test" if at <= n else "validation", value_text(value), f"{at:064x}")
            for at, value in enumerate(values, 1)
        ),
    )


def _add_evaluations(
    connection: sqlite3.Connection,
    schema: Classification,
    values: list[dict[str, list[str]]],
    scores: np.ndarray,
    n: int,
    actor: Actor,
) -> None:
    for split, chosen in (("test", slice(0, n)), ("validation", slice(n, None))):
        targets = encode_targets(schema, values[chosen]).astype(int)
        patients = [f"patient {at // 2}" for at in range(1, len(values) + 1)][chosen]
        found = measure_classification(targets, scores[chosen], patients, classes=list(schema.names), resamples=200)
        bands = bands_of(targets, scores[chosen], patients, classes=schema.names, resamples=200)
        result = {
            "task": "classification", "split": split, "fold": None, "snapshot": "all", "model": "model",
            **found.to_json(), "bands": bands, "seen_in_training": 0, "warnings": [], "test_uses": 1,
        }  # fmt: skip
        add_evaluation(connection, model_id=1, snapshot_id=1, split=split, result=result, actor=actor)


def _page_runs(page: str, query: dict[str, str], *, opens: bool = False) -> Times:
    """Script runs of a page inside the shell, after one that warms the caches.

    Args:
        opens: the gate before test results is opened first, as each tab does once.
    """
    app = AppTest.from_file(str(PROJECT_ROOT / "dashboard" / "app.py"), default_timeout=60)
    app.query_params.update(query)
    app.switch_page(str(PROJECT_ROOT / "pages" / f"{page}.py"))
    if opens:
        app.run()
        app.button("meeting_open").click()
    return _timed(app, lambda: None)


def _move_runs() -> Times:
    """The fragment of the threshold on the test cases' scores, each time at another threshold."""
    app = AppTest.from_function(_fragment, default_timeout=60)
    app.run()
    places = iter(np.linspace(0.1, 0.9, REPEATS + 1))
    return _timed(app, lambda: app.slider[0].set_value(round(float(next(places)), 3)))


def _fragment() -> None:
    """A script of its own, as Streamlit runs a fragment: the stored answers are at hand."""
    import streamlit as st

    from core.datasets.records import get_snapshot
    from core.evaluation.operating import read_scored
    from core.projects.records import get_project
    from core.training.records import get_model
    from dashboard import session
    from dashboard.threshold_view import _draw_point

    model = get_model(session.db(), None, 1)
    if "seen" not in st.session_state:
        st.session_state.seen = read_scored(session.db(), model, get_snapshot(session.db(), 1, 1), "test")
    project = get_project(session.db(), "1")
    _draw_point(project, model, st.session_state.seen, "pneumonia", 0.5, "validation", True)


def _timed(app: AppTest, change: Callable[[], object]) -> Times:
    times = []
    for _ in range(REPEATS + 1):
        change()
        began, worked = time.perf_counter(), time.process_time()
        app.run()
        times.append((1000 * (time.perf_counter() - began), 1000 * (time.process_time() - worked)))
        if app.exception:
            raise SystemExit(f"A page failed: {app.exception[0].message}")
    return times[1:]


def _reports(
    connection: sqlite3.Connection, project: Project, model: Model, actor: Actor
) -> dict[str, tuple[float, float]]:
    """Seconds by the clock and of the processor, of each kind of report on a review whose results are open."""
    criteria = [
        parse_criterion(text) for text in ("accuracy at least 0.8", "sensitivity of pneumonia by sex at least 0.7")
    ]
    review = open_results(
        connection, add_review(connection, project, model, criteria=criteria, actor=actor), actor=actor
    )
    found = {}
    for kind in ("html", "pdf"):
        began, worked = time.perf_counter(), time.process_time()
        write_report(connection, project, review, kind, actor=actor)
        found[kind] = time.perf_counter() - began, time.process_time() - worked
    return found


ROWS = [Row("review_speed", "quick", measure)]

if __name__ == "__main__":
    print(json.dumps([vars(figure) for figure in _measure_here()]))
