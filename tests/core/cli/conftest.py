"""Commands as a script calls them: in a home of the test's own, answered as JSON."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer import testing
from typer.testing import CliRunner

from core.cli.app import app
from core.errors import CoreError
from core.settings import Settings

Run = Callable[..., Any]


@pytest.fixture(scope="session", autouse=True)
def as_in_one_process() -> Iterator[None]:
    """The tree of all commands is built once, as in the process of a command, and not for each that is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(testing, "_get_command", cache(testing._get_command))
        yield


@pytest.fixture
def run(settings: Settings) -> Run:
    """Run one command in a home of the test's own; the answer is its JSON document."""

    def run_command(*words: str, code: int = 0) -> Any:
        result = CliRunner().invoke(app, [*words, "--home", str(settings.home), "--json"])
        assert result.exit_code == code, result.output + repr(result.exception)
        return json.loads(result.stdout) if code == 0 else result

    return run_command


def run_in(home: Path, *words: str) -> dict[str, object]:
    """The JSON document of a command in this home; a refusal is raised as the engine raised it."""
    result = CliRunner().invoke(app, [*words, "--home", str(home), "--json"], catch_exceptions=True)
    if isinstance(result.exception, CoreError):
        raise result.exception
    assert result.exit_code == 0, result.output
    document: dict[str, object] = json.loads(result.stdout)
    return document
