"""The demo project: computed phantoms, simulated readers, a frozen snapshot, and its training in the queue.

Every step is the ordinary one. What is there already is not made twice, and a step that was cut off goes on:
the same seed makes the same files, answers and events.
"""

import sqlite3
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot, find_snapshot
from core.demo.phantom_files import phantom_name, write_phantom
from core.demo.phantoms import make_phantoms
from core.demo.readers import EXPERIENCED, NO_NODULE, NODULE, READERS, SimulatedAnswer, read_phantom
from core.errors import CoreError
from core.images.ingest import import_paths
from core.images.label_table import TableRow
from core.images.pseudonyms import load_secret, path_token
from core.images.records import Case
from core.jobs.asking import ask_training
from core.labels.marks import NewMark, add_mark
from core.labels.records import NewLabel, put_label
from core.people.accounts import ensure_user
from core.progress import Portion, Progress, Silent, stop_if_asked
from core.projects.records import Project, ReferenceRule, add_project, list_projects
from core.projects.schema import make_classification
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import opened, prepare_home, writing
from core.store.files import Files
from core.training.recipe import Recipe, change_recipe, named_recipe
from core.training.records import list_runs

NAME = "Demo: nodules in chest phantoms"
DESCRIPTION = (
    "Computed chest phantoms, not patients. Does the image show a lung nodule? Two simulated readers of different "
    "skill have answered; where they disagree, the experienced one is the reference."
)
INTENDED_USE = "To try Readroom. A model trained here knows nothing about patients."
SNAPSHOT, MODEL = "demo", "demo resnet"
PATIENTS, SEED = 200, 2026
EVENTS = uuid.UUID("8c2f1c0e-58f0-4c55-9d0a-6d0a3b7f6a11")  # namespace of the simulated answers' event ids


@dataclass(frozen=True)
class _Study:
    """What was computed: the label-table rows and the answers, by file."""

    rows: dict[str, TableRow]
    answers: dict[str, dict[str, SimulatedAnswer]]  # file -> reader -> answer
    boxes: dict[str, list[dict[str, float]]]  # file -> one around each nodule, in image pixels


def demo_recipe() -> Recipe:
    """Small enough for about a minute on two cores.

    Few images teach a network about few things, so the images vary little, except that they are mirrored:
    unlike a heart, a nodule means the same on either side.
    """
    changes = {
        "input_size": 64,
        "filters": "16,32,64",
        "batch": 16,
        "epochs": 90,
        "learning_rate": 0.003,
        "dropout": 0,
        "flip": "left-right",
        "rotation": 3,
        "zoom": 0.05,
        "contrast": 0,
        "noise": 0,
    }
    return change_recipe(named_recipe("resnet"), changes)


def ensure_demo(
    settings: Settings, actor: Actor, *, patients: int = PATIENTS, progress: Progress | None = None
) -> Project:
    """The demo project, made where it is not there yet; its training is in the queue when this returns."""
    told = progress or Silent()
    prepare_home(settings)
    files = Files(settings.home)
    with opened(settings) as connection:
        project = _ensure_project(connection, actor)
        snapshot = find_snapshot(connection, project.id, SNAPSHOT)
        if snapshot is None:
            _ensure_labelled_cases(connection, files, settings, project, patients, actor, Portion(told, 0.0, 0.9))
            snapshot = freeze_snapshot(
                connection, files, project, SNAPSHOT, seed=SEED, actor=actor, progress=Portion(told, 0.9, 1.0)
            )
        _ensure_training(connection, project, snapshot, actor)
    return project


def _ensure_project(connection: sqlite3.Connection, actor: Actor) -> Project:
    with writing(connection):
        for reader in READERS:
            ensure_user(connection, reader.name, kind="simulated")
        found = [project for project in list_projects(connection) if project.name == NAME]
        return (
            found[0]
            if found
            else add_project(
                connection,
                name=NAME,
                task="classification",
                schema=make_classification([NO_NODULE, NODULE]),
                description=DESCRIPTION,
                intended_use=INTENDED_USE,
                reference_rule=ReferenceRule("reader", EXPERIENCED.name),
                actor=actor,
            )
        )


def _ensure_labelled_cases(
    connection: sqlite3.Connection,
    files: Files,
    settings: Settings,
    project: Project,
    patients: int,
    actor: Actor,
    progress: Progress,
) -> None:
    """Compute the phantoms into a passing folder, import them from there, and let the readers answer."""
    with tempfile.TemporaryDirectory() as place:
        study = _compute(Path(place), patients, Portion(progress, 0.0, 0.7))

        secret = load_secret(settings)
        names = {path_token(secret, name): name for name in study.answers}

        def let_readers_answer(connection: sqlite3.Connection, case: Case, _: TableRow | None) -> None:
            name = names[case.source]
            for reader, answer in study.answers[name].items():
                new = NewLabel(
                    event=str(uuid.uuid5(EVENTS, f"{project.id} {name} {reader}")),
                    case_id=case.id,
                    reader=reader,
                    value={"classes": [answer.name]},
                    unsure=answer.unsure,
                    schema_version=project.schema_version,
                    made_in="demo",
                    made_at="2026-01-01T00:00:00.000Z",
                )
                put_label(connection, project, new, entered_by=actor.name)
                if reader == EXPERIENCED.name and answer.name == NODULE:
                    _draw_boxes(connection, case, study.boxes[name], actor)

        report = import_paths(
            connection,
            files,
            settings,
            project,
            [Path(place)],
            table=study.rows,
            patient_from=None,
            # No job imports these; a number of its own keeps their rows apart and lets a cut-off import go on.
            job=-project.id,
            actor=actor,
            on_case=let_readers_answer,
            progress=Portion(progress, 0.7, 1.0),
        )
    refused = [file for file in report.files if file.status == "failed"]
    if refused:
        raise CoreError(f"The demo images could not be imported: {refused[0].reason} Received: {refused[0].path}")


def _compute(folder: Path, patients: int, progress: Progress) -> _Study:
    rows: dict[str, TableRow] = {}
    answers: dict[str, dict[str, SimulatedAnswer]] = {}
    boxes: dict[str, list[dict[str, float]]] = {}
    for phantom in make_phantoms(patients, seed=SEED):
        stop_if_asked(progress)
        write_phantom(phantom, folder)
        name, site = phantom_name(phantom), phantom.chest.site
        rows[name] = TableRow(name, attributes={"site": site.name, "scanner": site.scanner})
        answers[name] = {reader.name: read_phantom(reader, phantom, seed=SEED) for reader in READERS}
        boxes[name] = [_box_around(mask) for mask in phantom.masks]
        progress.report(int(phantom.chest.patient[-4:]) / patients, f"Computing phantoms, {len(rows)} so far")
    return _Study(rows, answers, boxes)


def _box_around(mask: np.ndarray) -> dict[str, float]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    left, top = float(columns[0]), float(rows[0])
    return {"x": left, "y": top, "width": float(columns[-1]) + 1 - left, "height": float(rows[-1]) + 1 - top}


def _draw_boxes(connection: sqlite3.Connection, case: Case, boxes: list[dict[str, float]], actor: Actor) -> None:
    """Where the nodules are that the experienced reader has seen: what explanations are compared with."""
    for at, box in enumerate(boxes):
        event = str(uuid.uuid5(EVENTS, f"{case.id} box {at}"))
        new = NewMark(
            event, case.id, EXPERIENCED.name, event, "box", box, label=NODULE, schema_version=1,
            made_in="demo", made_at="2026-01-01T00:00:00.000Z",
        )  # fmt: skip
        add_mark(connection, new, actor, audited=False)


def _ensure_training(connection: sqlite3.Connection, project: Project, snapshot: Snapshot, actor: Actor) -> None:
    """Queue the ordinary training, followed by an evaluation on the test split, unless a run was ever asked for."""
    with writing(connection):
        if list_runs(connection, project.id):
            return
        ask_training(connection, project, snapshot, demo_recipe(), name=MODEL, evaluate="test", actor=actor)
