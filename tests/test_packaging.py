"""What a wheel takes along: every package, and every file beside the code."""

import subprocess
import sys
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


def test_streamlits_settings_go_with_the_package_and_are_found_from_anywhere(tmp_path: Path) -> None:
    beside_the_script = PROJECT_ROOT / "dashboard" / ".streamlit" / "config.toml"
    assert beside_the_script.read_bytes() == (PROJECT_ROOT / ".streamlit" / "config.toml").read_bytes()
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from core.settings import Settings\n"
        "from dashboard.server import make_app\n"
        "from streamlit import config\n"
        "make_app(Settings(home=Path.cwd()))\n"
        "print(config.get_option('runner.postScriptGC'), config.get_option('client.showErrorDetails'))\n"
    )
    words = [sys.executable, "-c", script, str(PROJECT_ROOT)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=280)
    assert done.stdout.split() == ["False", "none"]
