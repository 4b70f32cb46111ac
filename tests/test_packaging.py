"""What a wheel takes along: every package, and every file beside the code."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from core.settings import PROJECT_ROOT


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    read = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text("utf-8"))
    found: dict[str, Any] = read["tool"]["setuptools"]
    return found


def test_every_package_is_named(told: dict[str, Any]) -> None:
    here = {path.parent for top in ("core", "dashboard", "pages") for path in (PROJECT_ROOT / top).rglob("*.py")}
    assert set(told["packages"]) == {".".join(folder.relative_to(PROJECT_ROOT).parts) for folder in here}


def test_every_file_beside_the_code_is_taken_along(told: dict[str, Any]) -> None:
    taken = {
        path
        for package, patterns in told["package-data"].items()
        for pattern in patterns
        for path in (PROJECT_ROOT / Path(*package.split("."))).glob(pattern)
    }
    beside = {
        path
        for top in ("core", "dashboard", "pages")
        for path in (PROJECT_ROOT / top).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert beside == taken
