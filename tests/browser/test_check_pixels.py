"""The page Check pixels in a real browser: what was drawn in the viewer is black afterwards."""

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
MARGIN = 0.985  # of the stage: as the viewer fits an image


def drawn_pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(500, 4000, (ROWS, COLUMNS), np.uint16)


@pytest.fixture(scope="module")
def held(reading: Reading, tmp_path_factory: pytest.TempPathFactory) -> int:
    """A held ultrasound image in a project of its own; the number of its case."""
    folder = tmp_path_factory.mktemp("ultrasound")
    (folder / "us.dcm").write_bytes(hostile_file(drawn_pixels(), Modality="US"))
    reading.readroom("project", "create", "Ultrasound", "--classes", "a,b")
    told = reading.readroom("import", "Ultrasound", str(folder))
    return int(told["files"][0]["case"])


@pytest.fixture
def home(reading: Reading) -> Iterator[sqlite3.Connection]:
    with opened(reading.settings) as connection:
        yield connection


def drag_box(page: Page, left: float, top: float, right: float, bottom: float) -> None:
    """From corner to corner, in pixels of the image while it fits the stage."""
    stage = page.locator(".stage").first.bounding_box()
    assert stage is not None
    scale = min(stage["width"] / COLUMNS, stage["height"] / ROWS) * MARGIN
    across, down = stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2
    page.mouse.move(across + (left - COLUMNS / 2) * scale, down + (top - ROWS / 2) * scale)
    page.mouse.down()
    page.mouse.move(across + (right - COLUMNS / 2) * scale, down + (bottom - ROWS / 2) * scale, steps=4)
    page.mouse.up()


def test_what_is_drawn_in_the_viewer_is_black_afterwards(
    page: Page, reading: Reading, held: int, home: sqlite3.Connection
) -> None:
    project, before = home.execute("SELECT project, pixel_hash FROM cases WHERE id = ?", (held,)).fetchone()
    page.goto(f"{reading.address}/check_pixels?project={project}")
    page.get_by_role("heading", name=f"Case {held}").wait_for()
    page.locator(f'.viewer[data-case="{held}"]').wait_for()
    page.wait_for_timeout(600)  # the viewer has taken its height
    drag_box(page, 0.5, 0.5, 30.5, 9.5)
    page.get_by_text("1 box", exact=True).wait_for()
    drag_box(page, 40.5, 40.5, 60.5, 50.5)
    page.get_by_text("2 boxes", exact=True).wait_for()
    page.keyboard.press("Control+z")
    page.get_by_text("1 box", exact=True).wait_for()
    page.keyboard.press("1")  # no answer can be given here
    page.get_by_role("button", name="Black out and release").click()
    wait_until(lambda: home.execute("SELECT held FROM cases WHERE id = ?", (held,)).fetchone()[0] == 0)
    page.get_by_text("No image waits").wait_for()
    after = home.execute("SELECT pixel_hash FROM cases WHERE id = ?", (held,)).fetchone()[0]
    files = Files(Path(reading.home))
    pixels, was = files.read_array("pixels", after), drawn_pixels()
    assert (pixels[:10, :31] == was.min()).all()
    pixels[:10, :31] = was[:10, :31]
    np.testing.assert_array_equal(pixels, was)
    wait_until(lambda: not files.has("pixels", before))
    for table in ("marks", "labels"):
        assert home.execute(f"SELECT count(*) FROM {table} WHERE case_id = ?", (held,)).fetchone()[0] == 0
