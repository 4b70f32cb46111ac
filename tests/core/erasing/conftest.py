"""A home in use: two patients' images imported, labelled, frozen, predicted, explained and talked about."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot
from core.evaluation.records import add_evaluation, store_predictions
from core.images.ingest import import_paths
from core.images.label_table import map_columns, read_label_table
from core.images.records import Case, list_cases
from core.jobs.records import Job, add_job, claim_job, finish_job, report_job
from core.labels.exchange import add_table_labels
from core.labels.records import NewLabel, add_label, new_event
from core.people.accounts import ensure_user
from core.progress import Silent
from core.projects.deidentification import Deidentification
from core.projects.records import Project, set_deidentification
from core.reviews.comments import add_comment
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.training.recipe import named_recipe
from core.training.records import Model, add_model, add_run, get_run, start_run

PATIENTS = ("MUELLER-1947", "KOWALSKI-1962", "ROSSI-1950", "IVANOVA-1971", "NGUYEN-1980", "OKAFOR-1933")


@pytest.fixture
def project(connection: sqlite3.Connection, project: Project, operator: Actor) -> Project:
    """Patients and files keep their names here, which is the harder case for erasing."""
    return set_deidentification(connection, project, Deidentification(enabled=False), operator)


@dataclass(frozen=True)
class Used:
    """What the home holds."""

    project: Project
    job: Job
    cases: tuple[Case, ...]
    snapshot: Snapshot
    model: Model

    def of(self, patient: str) -> list[Case]:
        return [case for case in self.cases if case.patient == patient]


def settle(connection: sqlite3.Connection, job: Job, result: dict[str, object], **facts: object) -> None:
    """As a worker would, without a process."""
    running = claim_job(connection, job.lane, "cpu")
    assert running is not None
    assert running.id == job.id
    report_job(connection, running, fraction=0.5, note=str(facts.get("file", "")), facts=facts)
    finish_job(connection, running, "done", result=result)


def log_of(files: Files, job: Job, text: str) -> Path:
    """What the processes of a job would have printed."""
    path = files.root / "jobs" / str(job.id) / "log.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


@pytest.fixture
def operator() -> Actor:
    """Whoever runs commands on the home."""
    return Actor("operator", "command line")


@pytest.fixture
def used(
    connection: sqlite3.Connection,
    files: Files,
    settings: Settings,
    project: Project,
    operator: Actor,
    tmp_path: Path,
) -> Used:
    for name in ("operator", "anna", "ben"):
        ensure_user(connection, name, role="admin" if name == "anna" else "reader")
    folder = tmp_path / "clinic"
    rows = ["path,label,patient,sex"]
    for number, patient in enumerate(PATIENTS):
        for view in ("front", "side"):
            source = f"{patient}/{view}-{number}.png"
            (folder / source).parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng([number, len(view)]).integers(0, 256, (24, 24), np.uint8)
            Image.fromarray(pixels).save(folder / source)
            rows.append(f"{source},{'pneumonia' if number % 2 else 'normal'},{patient},F")
        (folder / patient / "broken.png").write_bytes(b"no image at all")
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(rows) + "\n", "utf-8")
    paths = [str(folder / patient) for patient in PATIENTS]
    asked = {"project": project.id, "paths": paths, "labels": str(table), "root": str(folder)}
    job = add_job(connection, "import", asked, actor=operator, project=project.id)
    import_paths(
        connection, files, settings, project, [Path(path) for path in paths], root=folder,
        table=map_columns(read_label_table(table), {}), patient_from=None, job=job.id, actor=operator,
        on_case=lambda made, case, row: add_table_labels(made, project, case, row, operator), progress=Silent(),
    )  # fmt: skip
    settle(connection, job, {"warnings": [f"{PATIENTS[0]} has no view"]}, file=f"{PATIENTS[0]}/front-0.png")
    log_of(files, job, "\n".join(f"read {path}/front.png" for path in paths))
    cases = tuple(list_cases(connection, project.id))
    for case in cases:
        answer = {"classes": ["pneumonia" if PATIENTS.index(case.patient) % 2 else "normal"]}
        note = f"seen by the uncle of {case.patient}"
        add_label(connection, NewLabel(new_event(), case.id, "ben", answer, note=note), Actor("ben", "command line"))
        add_comment(connection, case.id, f"remark on the lung of {case.patient}", actor=Actor("anna", "screen"))
    snapshot = freeze_snapshot(
        connection, files, project, "first", ratios=(0.5, 0.25, 0.25), allow_leaks=None, actor=operator,
        progress=Silent(),
    )  # fmt: skip
    model = make_model(connection, project, snapshot, operator)
    store_predictions(connection, model, project.schema, {case.id: [0.6, 0.4] for case in cases})  # type: ignore[arg-type]
    for split in ("train", "validation", "test"):
        add_evaluation(
            connection, model_id=model.id, snapshot_id=snapshot.id, split=split, result={"warnings": []}, actor=operator
        )
    for case in cases:
        explain(connection, files, model, case, operator)
    prepared = files.path("prepared", "ab" * 32)
    prepared.parent.mkdir(parents=True, exist_ok=True)
    prepared.write_bytes(b"prepared pixels of everybody")
    return Used(project, job, cases, snapshot, model)


def make_model(connection: sqlite3.Connection, project: Project, snapshot: Snapshot, actor: Actor) -> Model:
    run = add_run(
        connection, project=project.id, snapshot=snapshot.id, recipe=named_recipe("resnet"), name="quick", actor=actor
    )
    start_run(connection, run.id, device="cpu", environment={})
    return add_model(
        connection, get_run(connection, run.id), keras_hash="0" * 64, onnx_left_out_because="it is a stand-in",
        parameters=1, file_bytes=1, facts={"classes": ["normal", "pneumonia"], "multi_label": False}, seconds=1.0,
        actor=actor,
    )  # fmt: skip


def explain(connection: sqlite3.Connection, files: Files, model: Model, case: Case, actor: Actor) -> Job:
    key = files.put_array("explanations", np.full((3, 3), case.id, np.float32))
    job = add_job(connection, "explain", {"model": model.id, "case": case.id}, actor=actor, project=model.project)
    settle(connection, job, {"explanation": key, "case": case.id})
    folder = files.root / "jobs" / str(job.id)
    folder.mkdir(parents=True)
    (folder / "overlay.png").write_bytes(f"overlay of case {case.id}".encode())
    return job


@pytest.fixture
def bystanders(connection: sqlite3.Connection, used: Used) -> Callable[[str], str]:
    """`bystanders(patient)`: every row about everybody else, as one text."""

    def tell(patient: str) -> str:
        mine = [case.id for case in used.of(patient)]
        told = []
        for table, column in (
            ("cases", "id"), ("labels", "case_id"), ("current_labels", "case_id"), ("reference_labels", "case_id"),
            ("predictions", "case_id"), ("comments", "case_id"), ("case_attributes", "case_id"),
            ("snapshot_cases", "case_id"),
        ):  # fmt: skip
            rows = connection.execute(f"SELECT * FROM {table}").fetchall()
            told.append([dict(row) for row in rows if row[column] not in mine])
        return json.dumps(told, sort_keys=True)

    return tell
