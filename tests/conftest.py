"""What most tests stand on: a fresh home, its connection and files, and the real images where they are."""

import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

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

SERVICES = (  # each is started once for the files that a line names
    ("walk", "access", "loop", "meeting", "walls", "viewer_drafts", "signed_out"),
    ("viewer_label", "viewer_faults", "viewer_masks", "viewer_looking", "viewer_marks", "check_pixels"),
)
SERVICE_OF = {f"browser/test_{name}.py": f"service {at}" for at, names in enumerate(SERVICES) for name in names}
# Begun first, longest first, so that all workers end together; a file that is missing here only ends later.
LONG_FILES = (
    *SERVICE_OF,
    "core/training/test_run.py",
    "core/jobs/test_handlers.py",
    "test_loop.py",
    "test_permissions.py",
    "pages/test_what_readers_do.py",
    "pages/test_every_page.py",
    "core/training/test_painting.py",
    "core/training/test_fine_tuning.py",
    "browser/test_no_loss.py",
    "pages/test_blind_first.py",
    "core/cli/test_commands.py",
    "core/doctor/test_doctor.py",
    "core/demo/test_project.py",
    "test_faults.py",
    "core/training/test_whole_volumes.py",
    "core/training/test_generation.py",
    "dashboard/test_process.py",
    "dashboard/test_up.py",
    "core/training/test_patches.py",
    "core/training/test_onnx_export.py",
    "core/training/test_networks.py",
    "core/training/test_spread.py",
    "core/explain/test_evidence.py",
    "core/explain/test_run.py",
    "core/jobs/test_numbers.py",
    "dashboard/test_behind_proxy.py",
    "dashboard/test_tls.py",
    "core/evaluation/test_drawing.py",
    "core/jobs/test_worker.py",
    "core/jobs/test_pulling.py",
    "core/jobs/test_receiving.py",
)
FILES_IN_PARTS = {"test_permissions.py": 8}
MEMORY = Path("/dev/shm")
ROOM_BYTES = 8 << 30  # the whole suite needs less than half of it
WORKERS_BEYOND_CORES = 2  # two mostly wait for the browser and the processes of a service of theirs
WORKERS_AT_MOST = 6  # each may load TensorFlow, and the tests start processes of their own


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For the whole suite more workers than there are cores; what is named runs here, at once and with all that it
    prints."""
    whole = config.args == config.getini("testpaths")
    return min((os.cpu_count() or 1) + WORKERS_BEYOND_CORES, WORKERS_AT_MOST) if whole else 0


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Homes lie in memory where the machine has room there: each test writes to disk and waits for it many times."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long files first, where workers share the files."""
    if hasattr(config, "workerinput"):
        place = {Path(__file__).parent / name: at for at, name in enumerate(LONG_FILES)}
        items.sort(key=lambda item: place.get(item.path, len(place)))


class ByWhatIsShared(LoadScopeScheduling):
    """One worker for a file, whose fixtures serve all its tests, or for a service's files; large files in parts."""

    def _split_scope(self, nodeid: str) -> str:
        name = nodeid.partition("::")[0].removeprefix("tests/")
        if name in SERVICE_OF:
            return SERVICE_OF[name]
        return f"{name}:{crc32(nodeid.encode()) % FILES_IN_PARTS.get(name, 1)}"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return ByWhatIsShared(config, log)


@pytest.fixture(autouse=True)
def _main_module_kept() -> Iterator[None]:
    """Streamlit's AppTest makes its script `__main__` for good, and a process spawned later would run that script."""
    kept = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = kept


def our_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("READROOM_")}


@pytest.fixture(autouse=True)
def _environment_kept() -> Iterator[None]:
    """What one test leaves there another stumbles over: real images that were there were skipped as absent."""
    kept = our_variables()
    yield
    assert our_variables() == kept, "a test has left a variable in the environment"


@pytest.fixture(scope="session")
def prepared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home as `readroom` leaves it when it first starts: made once, since a copy takes a thirtieth of the time."""
    home = tmp_path_factory.mktemp("prepared") / "home"
    prepare_home(Settings(home=home))
    return home


@pytest.fixture
def settings(tmp_path: Path, prepared_home: Path) -> Settings:
    """A prepared home of its own."""
    return Settings(home=Path(shutil.copytree(prepared_home, tmp_path / "home")))


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
    return add_chest(connection, actor)


def add_chest(connection: sqlite3.Connection, actor: Actor) -> Project:
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
