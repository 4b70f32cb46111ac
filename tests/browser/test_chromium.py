"""Where the browser of these tests is looked for. These tests need none."""

from pathlib import Path

import pytest

from bench.chromium import find_chromium


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_named_one_goes_before_the_path_and_the_path_before_an_app(tmp_path: Path) -> None:
    app = program(tmp_path / "apps" / "Google Chrome.app" / "Contents" / "MacOS" / "Google Chrome")
    environ, folders = {"PATH": str(tmp_path / "bin")}, (tmp_path / "none", tmp_path / "apps")
    assert find_chromium(environ, ()) is None
    assert find_chromium(environ, folders) == str(app)
    on_path = program(tmp_path / "bin" / "chromium")
    assert find_chromium(environ, folders) == str(on_path)
    named = program(tmp_path / "elsewhere" / "my browser")
    assert find_chromium(environ | {"READROOM_TEST_CHROMIUM": str(named)}, folders) == str(named)


def test_a_named_browser_that_is_not_there_is_no_reason_to_skip(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="Received: /nowhere/chrome"):
        find_chromium({"PATH": str(tmp_path), "READROOM_TEST_CHROMIUM": "/nowhere/chrome"}, ())
