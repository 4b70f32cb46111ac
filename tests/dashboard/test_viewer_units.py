"""The viewer's own tests, which speak its language, run with all the others."""

import os
import re
import shutil
import subprocess

import pytest

from core.settings import PROJECT_ROOT

FRONTEND = PROJECT_ROOT / "frontend"
VITEST = FRONTEND / "node_modules" / "vitest" / "vitest.mjs"
TOGETHER = ("--pool=threads", "--no-isolate")  # a fresh world for each file takes twice as long as its tests
OLDEST = (20, 19)  # as `engines` in package.json says


def find_node() -> str:
    """The Node that is there and new enough, with what the tests run on; else skip with the way to get it."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is absent: install version 20.19 or newer, then `make test`")
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if tuple(int(number) for number in re.findall(r"\d+", told)[:2]) < OLDEST:
        pytest.skip(f"Node is too old: install version 20.19 or newer, then `make test`; found {told.strip()}")
    if not VITEST.exists():
        pytest.skip("Vitest is absent: `make test` installs it where npm reaches its registry")
    return node


def test_the_viewers_own_tests_pass() -> None:
    done = subprocess.run(
        [find_node(), str(VITEST), "run", *TOGETHER],
        cwd=FRONTEND,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Tests +\d+ passed", done.stdout), done.stdout
