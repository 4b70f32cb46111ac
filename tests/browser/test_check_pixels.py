"""The page Check pixels in a real browser: what was drawn in the viewer is black afterwards."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, Route, WebSocketRoute, expect

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


def test_nothing_is_released_unseen_and_no_box_on_its_way_is_left_out(
    page: Page, reading: Reading, home: sqlite3.Connection, tmp_path: Path
) -> None:
    for at in range(2):
        (tmp_path / f"{at}.dcm").write_bytes(hostile_file(drawn_pixels() + np.uint16(at), Modality="US"))
    project = int(reading.readroom("project", "create", "Slow ultrasound", "--classes", "a,b")["project"])
    first, second = (int(row["case"]) for row in reading.readroom("import", "Slow ultrasound", str(tmp_path))["files"])
    held_line, waiting, server = [False], list[str | bytes](), list[WebSocketRoute]()

    def relay(line: WebSocketRoute) -> None:
        server.append(line.connect_to_server())
        line.on_message(lambda text: waiting.append(text) if held_line[0] else server[-1].send(text))

    page.route_web_socket(re.compile("_stcore/stream"), relay)
    images: list[Route] = []
    page.route(f"**/api/v1/cases/{first}", lambda route: images.append(route), times=1)
    page.goto(f"{reading.address}/check_pixels?project={project}&case={first}")
    release = page.get_by_role("button", name="Nothing to hide: release")
    expect(release).to_be_disabled()  # there is no image yet
    wait_until(lambda: page.wait_for_timeout(50) or images)
    images[0].continue_()
    release.click()
    page.get_by_role("heading", name=f"Case {second}").wait_for()
    expect(release).to_be_disabled()  # whoever presses twice
    black = page.get_by_role("button", name="Black out and release")
    expect(black).to_be_enabled()
    held_line[0] = True
    drag_box(page, 0.5, 0.5, 30.5, 9.5)
    black.click()
    expect(page.get_by_text("Wait until the page has the last box")).to_be_visible()
    held_line[0] = False
    for text in waiting:
        server[-1].send(text)
    page.get_by_text("1 box", exact=True).wait_for()
    black.click()
    page.get_by_text("No image waits").wait_for()
    pixel_hash = home.execute("SELECT pixel_hash FROM cases WHERE id = ?", (second,)).fetchone()[0]
    pixels = Files(Path(reading.home)).read_array("pixels", pixel_hash)
    assert (pixels[:10, :31] == pixels.min()).all()
