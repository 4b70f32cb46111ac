"""The screens without a browser: the whole shell runs, on a home that a test fills."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.scriptrunner import script_runner
from streamlit.testing.v1 import AppTest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot, list_snapshot_cases
from core.evaluation.records import add_evaluation, store_predictions
from core.images.records import Case, NewCase, insert_case
from core.labels.records import NewLabel, add_label, new_event
from core.measures.bands import bands_of
from core.measures.classification import measure_classification
from core.people.accounts import User, ensure_user
from core.progress import Silent
from core.projects.records import Project
from core.settings import PROJECT_ROOT, Settings
from core.store.audit import Actor
from core.store.database import opened
from core.store.files import Files
from core.tasks.classification import encode_targets
from core.training.recipe import named_recipe
from core.training.records import Model, add_epoch, add_model, add_run, get_run, start_run
from dashboard import session
from tests.conftest import add_chest

OpenPage = Callable[..., AppTest]
SECONDS = 240  # for a page while other tests run beside it
CLASSES = ("normal", "pneumonia")
scanned_once = cache(manifest_scanner.scan_component_manifests)


@pytest.fixture(scope="session", autouse=True)
def as_in_the_web_process() -> Iterator[None]:
    """What each AppTest would do again and the web process does once, or never.

    It looks through all installed packages for components once, at its start; and it never has Keras, whose session
    Streamlit clears after every script: half a second for each page, in a process that has also trained something.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", scanned_once)
        patch.setattr(script_runner, "_clean_problem_modules", lambda: None)
        yield


@pytest.fixture
def anna(connection: sqlite3.Connection) -> User:
    return ensure_user(connection, "anna", role="admin")


def run_page(name: str, **query: object) -> AppTest:
    """The shell at the address of a page, for whoever `session.configure` says is signed in.

    As when a browser comes to this address, no other page was drawn before: Streamlit finds the page by the name of
    its file, which is its address.
    """
    app = AppTest.from_file(PROJECT_ROOT / "dashboard" / "app.py", default_timeout=SECONDS)
    app.switch_page(f"../pages/{name}.py")
    for key, value in query.items():
        app.query_params[key] = str(value)
    return app.run()


@pytest.fixture
def open_page(settings: Settings, anna: User) -> Iterator[OpenPage]:
    """`open_page("cases", label="normal")` runs the shell at that address, with Anna signed in."""
    session.configure(settings, lambda connection: anna)

    def open_it(name: str, **query: str | int) -> AppTest:
        return run_page(name, **query)

    yield open_it
    session._Process.settings = session._Process.identify = None


def said(app: AppTest) -> str:
    """Everything that stands on the screen, as text."""
    return "\n".join(str(getattr(element, "proto", "")) for element in app) + "\n".join(
        str(getattr(element, "proto", "")) for element in app.sidebar
    )


def plain(text: str) -> str:
    """What `said` gives with the quotes of its HTML as they are."""
    return text.replace('\\"', '"')


@dataclass(frozen=True)
class Furnished:
    """A home and what was put into it, as far as it was."""

    home: Path
    project: Project
    cases: list[Case]
    snapshot: Snapshot | None = None
    model: Model | None = None


@pytest.fixture(scope="session")
def furnished(prepared_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Furnished]:
    """`furnished("model")`: the home that a test of this fixture has a copy of, made once."""

    @cache
    def up_to(last: str) -> Furnished:
        before = up_to({"model": "snapshot", "snapshot": "cases"}[last]) if last != "cases" else None
        source = before.home if before else prepared_home
        home = Path(shutil.copytree(source, tmp_path_factory.mktemp("furnished") / "home"))
        files, actor = Files(home), Actor("anna", "screen")
        with opened(Settings(home=home)) as connection:
            if before is None:
                ensure_user(connection, "anna", role="admin")
                project = add_chest(connection, actor)
                return Furnished(home, project, _add_cases(connection, files, project, actor))
            if before.snapshot is None:
                made = freeze_snapshot(
                    connection, files, before.project, "first", folds=2, actor=actor, progress=Silent()
                )
                return replace(before, home=home, snapshot=made)
            model = _add_model(connection, before.project, before.snapshot, actor)
            return replace(before, home=home, model=model)

    return up_to


@pytest.fixture
def found(request: pytest.FixtureRequest, furnished: Callable[[str], Furnished]) -> Furnished | None:
    """What lies in the home of this test already, by the fixtures that it asks for."""
    last = next((name for name in ("model", "snapshot", "cases") if name in request.fixturenames), None)
    return furnished(last) if last else None


@pytest.fixture
def settings(tmp_path: Path, prepared_home: Path, found: Furnished | None) -> Settings:
    return Settings(home=Path(shutil.copytree(found.home if found else prepared_home, tmp_path / "home")))


@pytest.fixture
def project(connection: sqlite3.Connection, actor: Actor, found: Furnished | None) -> Project:
    return found.project if found else add_chest(connection, actor)


@pytest.fixture
def cases(connection: sqlite3.Connection, found: Furnished) -> list[Case]:
    """24 cases of 12 patients, each answered by Anna; every second patient has pneumonia."""
    return list(found.cases)


@pytest.fixture
def snapshot(connection: sqlite3.Connection, found: Furnished) -> Snapshot:
    assert found.snapshot
    return found.snapshot


@pytest.fixture
def model(connection: sqlite3.Connection, found: Furnished) -> Model:
    """A model that was never trained, with two epochs and an evaluation of the test split: one mistake in it."""
    assert found.model
    return found.model


def _add_cases(connection: sqlite3.Connection, files: Files, project: Project, actor: Actor) -> list[Case]:
    made = []
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 255, (16, 20)).astype(np.uint8)
        pixel_hash = files.put_array("pixels", pixels)
        new = NewCase(
            project=project.id,
            source=f"film-{number}.png",
            patient=f"P{number // 2}",
            patient_from="table",
            pixel_hash=pixel_hash,
            file_hash=pixel_hash,
            perceptual_hash=f"{number * 0x0123456789ABCDEF % 2**64:016x}",
            rows=16,
            columns=20,
            channels=1,
            dtype="uint8",
            photometric="MONOCHROME2",
            imported_by="anna",
            attributes={"sex": "F" if number % 3 else "M"},
            given_split="train" if number < 15 else "test",
        )
        case = insert_case(connection, new)
        answer = {"classes": [CLASSES[number // 2 % 2]]}
        add_label(connection, NewLabel(new_event(), case.id, "anna", answer), actor)
        made.append(case)
    return made


def _add_model(connection: sqlite3.Connection, project: Project, snapshot: Snapshot, actor: Actor) -> Model:
    run = add_run(
        connection, project=project.id, snapshot=snapshot.id, recipe=named_recipe("resnet"), name="quick", actor=actor
    )
    start_run(connection, run.id, device="cpu", environment={"python": "3.11", "packages": {"keras": "3.15.1"}})
    for epoch, loss in enumerate((0.7, 0.5), start=1):
        add_epoch(connection, run.id, epoch, {"epoch": epoch, "loss": loss, "validation_loss": loss, "accuracy": 0.5})
    made = add_model(
        connection,
        get_run(connection, run.id),
        keras_hash="0" * 64,
        onnx_left_out_because="it would need 22 GB of memory",
        parameters=1000,
        file_bytes=4096,
        facts={"classes": list(CLASSES), "multi_label": False},
        seconds=2.0,
        actor=actor,
    )
    _evaluate(connection, made, snapshot, actor)
    return made


def _evaluate(connection: sqlite3.Connection, model: Model, snapshot: Snapshot, actor: Actor) -> None:
    tested = list_snapshot_cases(connection, snapshot.id, split="test")
    targets = encode_targets(snapshot.schema, [case.value for case in tested]).astype(int)  # type: ignore[arg-type]
    scores = targets * 0.8 + 0.1
    scores[0] = scores[0][::-1]
    store_predictions(
        connection,
        model,
        snapshot.schema,  # type: ignore[arg-type]
        {case.case_id: row.tolist() for case, row in zip(tested, scores, strict=True)},
    )
    patients = [case.patient for case in tested]
    measured: dict[str, Any] = measure_classification(
        targets, scores, patients, classes=CLASSES, resamples=50
    ).to_json()
    measured["bands"] = bands_of(targets, scores, patients, classes=CLASSES, resamples=50)
    result = {"task": "classification", "split": "test", "warnings": [], "test_uses": 1, **measured}
    add_evaluation(connection, model_id=model.id, snapshot_id=snapshot.id, split="test", result=result, actor=actor)
