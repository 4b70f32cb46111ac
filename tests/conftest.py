"""What most tests stand on: a fresh home, its connection and files, and the real images where they are."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from core.people.accounts import ensure_user
from core.projects.records import Project, add_project
from core.projects.schema import make_classification
from core.settings import PROJECT_ROOT, Settings
from core.store.audit import Actor
from core.store.database import opened, prepare_home
from core.store.files import Files

# No timed tests: on a busy machine Hypothesis would take a slow example for a failure.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A prepared home of its own."""
    made = Settings(home=tmp_path / "home")
    prepare_home(made)
    return made


@pytest.fixture
def connection(settings: Settings) -> Iterator[sqlite3.Connection]:
    with opened(settings) as made:
        yield made


@pytest.fixture
def files(settings: Settings) -> Files:
    return Files(settings.home)


@pytest.fixture
def actor(connection: sqlite3.Connection) -> Actor:
    """Anna, who administers this Readroom, before a screen."""
    ensure_user(connection, "anna", role="admin")
    return Actor("anna", "screen")


@pytest.fixture
def project(connection: sqlite3.Connection, actor: Actor) -> Project:
    """Chest X-rays, single-label: normal or pneumonia."""
    return add_project(
        connection,
        name="Chest",
        task="classification",
        schema=make_classification(["normal", "pneumonia"]),
        actor=actor,
    )


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real, openly licensed images; tests that need it skip where it is absent."""
    given = Path(os.environ.get("READROOM_TEST_DATA", PROJECT_ROOT.parent / "shared" / "data"))
    if not given.is_dir():
        pytest.skip(f"real images are absent: set READROOM_TEST_DATA (looked in {given})")
    return given
