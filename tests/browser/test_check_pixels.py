"""The page Check pixels in a real browser: the box that was added is what is black afterwards."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from core.store.database import opened
from core.store.files import Files
from tests.browser.conftest import Reading, wait_until
from tests.core.images.hostile import hostile_file

ROWS, COLUMNS = 60, 80


@pytest.fixture(scope="module")
def held(reading: Reading, tmp_path_factory: pytest.TempPathFactory) -> int:
    """A held ultrasound image in a project of its own; the number of its case."""
    folder = tmp_path_factory.mktemp("ultrasound")
    pixels = np.random.default_rng(0).integers(500, 4000, (ROWS, COLUMNS), np.uint16)
    (folder / "us.dcm").write_bytes(hostile_file(pixels, Modality="US"))
    reading.readroom("project", "create", "Ultrasound", "--classes", "a,b")
    told = reading.readroom("import", "Ultrasound", str(folder))
    return int(told["files"][0]["case"])


@pytest.fixture
def home(reading: Reading) -> Iterator[sqlite3.Connection]:
    with opened(reading.settings) as connection:
        yield connection


def test_an_added_box_is_black_afterwards(page: Page, reading: Reading, held: int, home: sqlite3.Connection) -> None:
    project, before = home.execute("SELECT project, pixel_hash FROM cases WHERE id = ?", (held,)).fetchone()
    page.goto(f"{reading.address}/check_pixels?project={project}")
    page.get_by_role("heading", name=f"Case {held}").wait_for()
    page.get_by_role("img", name=re.compile("Image")).first.wait_for()
    page.get_by_role("button", name="Add this box").click()
    page.get_by_text("1 box").wait_for()
    page.get_by_role("button", name="Black out and release").click()
    wait_until(lambda: home.execute("SELECT held FROM cases WHERE id = ?", (held,)).fetchone()[0] == 0)
    page.get_by_text("No image waits").wait_for()
    after = home.execute("SELECT pixel_hash FROM cases WHERE id = ?", (held,)).fetchone()[0]
    files = Files(Path(reading.home))
    pixels = files.read_array("pixels", after)
    assert (pixels[: ROWS // 8] == pixels.min()).all()
    assert len(np.unique(pixels[ROWS // 2 :])) > 100
    wait_until(lambda: not files.has("pixels", before))
