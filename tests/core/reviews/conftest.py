"""A model whose answers are known by hand, evaluated on the test split of a snapshot of a small project."""

import hashlib
import shutil
import sqlite3
from base64 import b64encode
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot
from core.evaluation.records import store_predictions
from core.evaluation.run import evaluate_model
from core.images.records import Case, NewCase, insert_case
from core.labels.records import NewLabel, add_label
from core.people.accounts import ensure_user
from core.people.members import set_member
from core.progress import Silent
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import opened
from core.store.files import Files
from core.training.recipe import named_recipe
from core.training.records import Model, add_model, add_run, get_run
from tests.conftest import add_chest

PASSWORD = "seven lamps at dusk"
WRONG = (36, 37)  # images of pneumonia that the model takes for normal, both of men


@dataclass(frozen=True)
class Room:
    """40 images of 40 patients, the last 16 of them test; odd ones show pneumonia, and every fourth patient is a man.

    `model` is right about every test image but those of `WRONG`, and was evaluated on test; `other` was not.
    """

    project: Project
    cases: list[Case]
    snapshot: Snapshot
    model: Model
    other: Model
    settings: Settings
    files: Files


@pytest.fixture(scope="session")
def furnished_room(prepared_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Room:
    """A home with such a room in it, made once: each test has a copy."""
    settings = Settings(home=Path(shutil.copytree(prepared_home, tmp_path_factory.mktemp("room") / "home")))
    actor = Actor("anna", "screen")
    with opened(settings) as connection:
        ensure_user(connection, actor.name, role="admin")
        return make_room(connection, Files(settings.home), settings, add_chest(connection, actor), actor)


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path, prepared_home: Path) -> Settings:
    furnished = "room" in request.fixturenames
    home = request.getfixturevalue("furnished_room").settings.home if furnished else prepared_home
    return Settings(home=Path(shutil.copytree(home, tmp_path / "home")))


@pytest.fixture
def project(request: pytest.FixtureRequest, connection: sqlite3.Connection, actor: Actor) -> Project:
    if "room" in request.fixturenames:
        return request.getfixturevalue("furnished_room").project  # type: ignore[no-any-return]
    return add_chest(connection, actor)


@pytest.fixture
def room(furnished_room: Room, settings: Settings, files: Files) -> Room:
    return replace(furnished_room, settings=settings, files=files)


def make_room(connection: sqlite3.Connection, files: Files, settings: Settings, project: Project, actor: Actor) -> Room:
    ensure_user(connection, actor.name)
    cases = [add_image(connection, project, number, actor) for number in range(40)]
    snapshot = freeze_snapshot(
        connection, files, project, "first", split_column="split", allow_leaks="hashes are made up", actor=actor,
        progress=Silent(),
    )  # fmt: skip
    model, other = (add_finished(connection, files, project, snapshot, name, actor) for name in ("quick", "other"))
    for one in (model, other):
        store_predictions(connection, one, snapshot.schema, {case.id: scores(at) for at, case in enumerate(cases)})  # type: ignore[arg-type]
    evaluate_model(connection, files, settings, model.id, snapshot.id, "test", actor, Silent())
    return Room(project, cases, snapshot, model, other, settings, files)


def add_image(connection: sqlite3.Connection, project: Project, number: int, actor: Actor) -> Case:
    case = insert_case(
        connection,
        NewCase(
            project=project.id, source=f"{number}.png", patient=f"p{number}", patient_from="table",
            pixel_hash=f"{number:064x}", file_hash=f"{number:064x}", perceptual_hash=None, rows=8, columns=8,
            channels=1, dtype="uint8", photometric="MONOCHROME2", imported_by="anna",
            attributes={"sex": "M" if number % 4 == 1 or number in WRONG else "F", "age": str(30 + number)},
            given_split="train" if number < 16 else "validation" if number < 24 else "test",
        ),
    )  # fmt: skip
    answer = {"classes": ["pneumonia" if number % 2 else "normal"]}
    if number in WRONG:
        answer = {"classes": ["pneumonia"]}
    add_label(connection, NewLabel(f"event-{number}", case.id, "anna", answer), actor)
    return case


def add_finished(
    connection: sqlite3.Connection, files: Files, project: Project, snapshot: Snapshot, name: str, actor: Actor
) -> Model:
    run = add_run(
        connection, project=project.id, snapshot=snapshot.id, recipe=named_recipe("cnn"), name=name, actor=actor
    )
    return add_model(
        connection, get_run(connection, run.id), keras_hash=files.put_bytes("models", name.encode()),
        onnx_left_out_because="it is a test", parameters=1, file_bytes=5,
        facts={"task": "classification", "classes": ["normal", "pneumonia"], "multi_label": False}, seconds=1.0,
        actor=actor,
    )  # fmt: skip


def scores(number: int) -> list[float]:
    sick = number % 2 == 1 and number not in WRONG
    sure = 0.9 + number / 1000
    return [1 - sure, sure] if sick else [sure, 1 - sure]


def give_password(connection: sqlite3.Connection, name: str) -> None:
    """`PASSWORD` with the least costly sum that its stored form can name: these tests sign often."""
    key = b64encode(hashlib.scrypt(PASSWORD.encode(), salt=b"salt", n=2, r=8, p=1, dklen=32)).decode()
    stored = f"scrypt$2$8$1${b64encode(b'salt').decode()}${key}"
    connection.execute("UPDATE users SET password = ? WHERE name = ?", (stored, name))


@pytest.fixture
def signers(connection: sqlite3.Connection, room: Room, actor: Actor) -> tuple[Actor, Actor]:
    """Anna, who administers, and Ben, a reviewer; both have the password `PASSWORD`."""
    ensure_user(connection, "ben")
    set_member(connection, room.project.id, "ben", "reviewer", actor=actor)
    for name in ("anna", "ben"):
        give_password(connection, name)
    return actor, Actor("ben", "screen")
