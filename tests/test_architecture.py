"""The walls of the house: who may import whom. A failure names the lines that broke through."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

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


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text("utf-8"))))


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Every imported module with its line, those inside functions too."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively; name the room"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def test_there_is_something_to_check() -> None:
    assert len(SOURCES) > 40


def assert_none_imports(paths: list[Path], modules: set[str]) -> None:
    found = [(path, line, module) for path in paths for line, module in imports_of(path)]
    broken = [f"{path}:{line} imports {module}" for path, line, module in found if module.split(".")[0] in modules]
    assert not broken, "\n".join(broken)


def test_imports_run_down_only() -> None:
    climbing = []
    for path in SOURCES:
        here = room_of(module_of(path))
        for line, module in imports_of(path):
            there = room_of(module)
            # core/__init__.py stands above no floor and imports nothing
            if here is None or (there is not None and HEIGHT[there] > HEIGHT[here]):
                climbing.append(f"{path}:{line} climbs from {here} to {there}")
    assert not climbing, "\n".join(climbing)


def test_core_never_imports_the_screen() -> None:
    core = [path for path in SOURCES if module_of(path).startswith("core")]
    assert_none_imports(core, {"streamlit", "dashboard", "pages"})


def test_only_its_neighbours_know_pydicom() -> None:
    others = [
        path
        for path in SOURCES
        if not path.name.startswith(("dicom", "deidentify"))
        and not module_of(path).startswith(("core.demo", "core.images.pacs"))
    ]
    assert_none_imports(others, {"pydicom", "pynetdicom"})


# A room of several small tables has a file for each.
SPEAK_SQL = {
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
    "core.reviews.decisions",
    "core.reviews.drift",
    "core.reviews.failures",
    "core.reviews.flow",
    "core.reviews.meetings",
    "core.reviews.reference_standard",
    "core.reviews.registry",
    "core.reviews.remarks",
}


def test_sql_lives_in_records() -> None:
    speaking = []
    for path in SOURCES:
        if path.name == "records.py" or "store" in path.parts or module_of(path) in SPEAK_SQL:
            continue
        calls = [node for node in nodes_of(path) if isinstance(node, ast.Call)]
        speaking += [
            f"{path}:{call.lineno} speaks SQL"
            for call in calls
            if isinstance(call.func, ast.Attribute) and call.func.attr in {"execute", "executemany"}
        ]
    assert not speaking, "\n".join(speaking)


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
        [sys.executable, "-c", script], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True, timeout=280
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"
