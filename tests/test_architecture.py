"""The walls of the house: who may import whom. A failure names the line that broke through."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.settings import PROJECT_ROOT

# From the top floor to the ground; a room imports only rooms on floors below its own, or on its own floor.
FLOORS = (
    ("pages",),
    ("dashboard",),
    ("core.cli",),
    ("core.demo", "core.doctor"),
    ("core.jobs",),
    ("core.reviews", "core.erasing"),
    ("core.evaluation",),
    ("core.explain",),
    ("core.training",),
    ("core.tasks", "core.datasets"),
    ("core.measures",),
    ("core.labels",),
    ("core.images",),
    ("core.projects",),
    ("core.people",),
    ("core.store",),
    ("core.errors", "core.clock", "core.settings", "core.progress", "core.logs", "core.cells"),
)
HEIGHT = {room: len(FLOORS) - at for at, floor in enumerate(FLOORS) for room in floor}
SOURCES = sorted(path for top in ("core", "dashboard", "pages") for path in (PROJECT_ROOT / top).rglob("*.py"))


def room_of(module: str) -> str | None:
    """The room of a module, or None for a module that is not ours."""
    return next((room for room in HEIGHT if module == room or module.startswith(room + ".")), None)


def module_of(path: Path) -> str:
    parts = path.relative_to(PROJECT_ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Every imported module with its line, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively; name the room"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def test_there_is_something_to_check() -> None:
    assert len(SOURCES) > 40


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_imports_run_down_only(path: Path) -> None:
    here = room_of(module_of(path))
    if here is None:  # core/__init__.py stands above no floor and imports nothing
        assert list(imports_of(path)) == []
        return
    for line, module in imports_of(path):
        there = room_of(module)
        assert there is None or HEIGHT[there] <= HEIGHT[here], f"{path}:{line} climbs from {here} to {there}"


@pytest.mark.parametrize("path", [path for path in SOURCES if module_of(path).startswith("core")], ids=module_of)
def test_core_never_imports_the_screen(path: Path) -> None:
    for line, module in imports_of(path):
        assert module.split(".")[0] not in {"streamlit", "dashboard", "pages"}, f"{path}:{line} imports {module}"


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_only_its_neighbours_know_pydicom(path: Path) -> None:
    if path.name.startswith(("dicom", "deidentify")) or module_of(path).startswith(("core.demo", "core.images.pacs")):
        return
    for line, module in imports_of(path):
        assert module.split(".")[0] not in {"pydicom", "pynetdicom"}, (
            f"{path}:{line} imports pydicom outside core/images/dicom*.py"
        )


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_sql_lives_in_records(path: Path) -> None:
    at_home = (
        path.name == "records.py"
        or "store" in path.parts
        or module_of(path)
        in {
            # A room of several small tables has a file for each.
            "core.people.accounts",
            "core.people.invitations",
            "core.people.members",
            "core.people.roles",
            "core.people.sessions",
            "core.labels.said",
            "core.images.headers",
            "core.images.known_files",
            "core.images.watched_folders",
            "core.images.pixel_checks",
            "core.labels.assignments",
            "core.labels.case_lists",
            "core.labels.marks",
            "core.labels.masks",
            "core.labels.sight",
            "core.labels.worklist",
            "core.labels.reference",
            "core.projects.changes",
            "core.reviews.case_search",
            "core.reviews.comments",
        }
    )
    if at_home:
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in {"execute", "executemany"}, f"{path}:{node.lineno} speaks SQL"


def test_the_screens_never_import_tensorflow() -> None:
    """Every module that the web process can import, imported in a process of its own."""
    web = [module_of(path) for path in SOURCES if module_of(path).startswith("dashboard")]
    script = (
        "import importlib, sys\n"
        f"for name in {web!r}:\n"
        "    if name != 'dashboard.app': importlib.import_module(name)\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'tensorflow', 'keras', 'torch', 'jax'}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"
