"""What is broken, gone or forged is said and stored nowhere, and the page goes on."""

import io
import json
import re
import sqlite3
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from core.store.database import opened
from core.store.files import Files
from dashboard.viewer import BUNDLE
from tests.browser.conftest import Reading, wait_until

# As Streamlit mounts the bundle, and as it ends a call that newer data overtook: the place on the page stays.
OVERTAKEN = """async ([address, data]) => {
  const { default: mount } = await import(address)
  const host = document.body.appendChild(document.createElement("div"))
  const root = host.attachShadow({ mode: "open" })
  const wait = () => new Promise((resolve) => setTimeout(resolve, 50))
  const call = () => mount({ data, parentElement: root, setTriggerValue: () => {} })
  const ends = [call(), call()]
  const viewer = root.querySelector(".viewer")
  ends[0]()
  await wait()
  const stayed = root.querySelector(".viewer") === viewer
  host.remove()
  ends[1]()
  await wait()
  return [stayed, root.querySelector(".viewer") === null]
}"""
STORED = ("labels", "marks", "mask_edits")
POST = """async (events) => {
  const answer = await fetch("/api/v1/events", { method: "POST", body: JSON.stringify({ events }) })
  return { status: answer.status, ...(await answer.json()) }
}"""
PUT_SPACES = """async ([path, megabytes]) => {
  const answer = await fetch(path, { method: "PUT", body: new Uint8Array(megabytes << 20).fill(32) })
  return { status: answer.status, ...(await answer.json()) }
}"""


@pytest.fixture(scope="module")
def project(reading: Reading, tmp_path_factory: pytest.TempPathFactory) -> int:
    """Twelve pictures to be asked about."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(7)
    for at in range(12):
        Image.fromarray(rng.integers(0, 200, (48, 64), dtype=np.uint8)).save(folder / f"{at:02d}.png")
    number = int(reading.readroom("project", "create", "Faults", "--classes", "dark,bright")["project"])
    reading.readroom("import", "Faults", str(folder))
    return number


@pytest.fixture
def cases(reading: Reading, project: int) -> list[sqlite3.Row]:
    """The cases nobody has answered, in the order of the list."""
    query = """SELECT id, pixel_hash FROM cases WHERE project = ?
               AND id NOT IN (SELECT case_id FROM labels) ORDER BY id"""
    with opened(reading.settings) as connection:
        return connection.execute(query, (project,)).fetchall()


def open_case(page: Page, reading: Reading, project: int, case: int) -> None:
    page.goto(f"{reading.address}/label?project={project}&worklist=unlabelled&case={case}")
    expect(page.locator(".viewer")).to_have_attribute("data-case", str(case))


def answer_of(reading: Reading, case: int) -> Any:
    return next((told for (number, _), told in reading.current_answers().items() if number == case), None)


def count_stored(reading: Reading) -> list[int]:
    with opened(reading.settings) as connection:
        return [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in STORED]


def is_still_usable(page: Page, reading: Reading, case: int) -> None:
    """The case on the screen can be answered, and that is saved."""
    expect(page.locator(".viewer")).to_have_attribute("data-case", str(case))
    page.keyboard.press("Digit2")
    wait_until(lambda: answer_of(reading, case) == '{"classes": ["bright"]}')


def test_a_viewer_stays_when_streamlit_ends_a_call_that_was_overtaken_and_goes_with_its_place(
    page: Page, reading: Reading
) -> None:
    project = {"classes": [], "structures": [], "id": 1, "name": "none", "task": "classification", "schema_version": 1}
    data = {
        "server": "s",
        "reader": "r",
        "mode": "label",
        "model": None,
        "project": project,
        "case_ids": [],
        "index": 0,
    }
    address = f"{reading.address}/assets/viewer/{BUNDLE}"
    page.goto(reading.address)
    assert page.evaluate(OVERTAKEN, [address, {**data, "outbox": "", "seen": 0}]) == [True, True]


def test_a_corrupt_image_is_said_and_shown_once_it_is_restored(
    page: Page, reading: Reading, project: int, cases: list[sqlite3.Row]
) -> None:
    before, broken, after = cases[:3]
    path = Files(reading.home).path("pixels", broken["pixel_hash"])
    whole = path.read_bytes()
    path.write_bytes(whole[:-20] + bytes(255 - value for value in whole[-20:]))
    open_case(page, reading, project, before["id"])
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text(re.compile("A stored file was altered on disk; restore it from a backup"))).to_be_visible()
    page.keyboard.press("Digit1")  # nothing can be said about what is not seen
    page.keyboard.press("ArrowRight")
    is_still_usable(page, reading, after["id"])
    assert answer_of(reading, broken["id"]) is None
    path.write_bytes(whole)
    page.goto(f"{reading.address}/label?project={project}&worklist=unlabelled&case={broken['id']}")
    is_still_usable(page, reading, broken["id"])


def test_an_answer_to_a_case_that_was_deleted_while_open_is_put_aside_with_the_reason(
    page: Page, reading: Reading, project: int, cases: list[sqlite3.Row]
) -> None:
    gone, after = cases[0]["id"], cases[1]["id"]
    open_case(page, reading, project, gone)
    reading.readroom("delete", "case", "Faults", str(gone), "--yes")
    page.keyboard.press("Digit1")
    expect(page.get_by_text(re.compile("put aside: This case was deleted for good"))).to_be_visible()
    is_still_usable(page, reading, after)
    with opened(reading.settings) as connection:
        assert connection.execute("SELECT count(*) FROM labels WHERE case_id = ?", (gone,)).fetchone()[0] == 0


def test_what_is_forged_wrong_or_too_much_is_refused_and_the_page_goes_on(
    page: Page, reading: Reading, project: int, cases: list[sqlite3.Row]
) -> None:
    case = cases[0]["id"]
    open_case(page, reading, project, case)
    before = count_stored(reading)
    common = {"case": case, "made_at": "2026-01-01T10:00:00.000Z", "schema_version": 1, "made_in": "label page"}
    label = {**common, "type": "label", "unsure": False, "unusable": False, "note": ""}
    box = {**common, "type": "mark", "mark": "m", "kind": "box", "frame": 0, "label": ""}
    wrong = [
        ({**box, "geometry": {"x": 60, "y": 2, "width": 30, "height": 4}}, "A box lies inside the image"),
        ({**label, "value": {"classes": ["flu"]}}, "dark, bright"),
        ({**label, "value": {"classes": ["dark"]}, "reader": "somebody else"}, "You are signed in as"),
        ({**common, "type": "mask", "structure": "liver", "frames": {"0": "FA=="}}, "Received"),
    ]
    answer = page.evaluate(POST, [{**event, "event": f"forged {at}"} for at, (event, _) in enumerate(wrong)])
    assert answer["status"] == 422
    assert answer["acknowledged"] == []
    for (_, sentence), refused in zip(wrong, answer["refused"], strict=True):
        assert sentence in refused["reason"]
    assert count_stored(reading) == before
    is_still_usable(page, reading, case)


def test_a_mask_of_another_size_and_one_of_a_hundred_megabytes_are_refused(
    page: Page, reading: Reading, project: int, cases: list[sqlite3.Row]
) -> None:
    case = cases[0]["id"]
    open_case(page, reading, project, case)
    before = count_stored(reading)
    path = f"/api/v1/cases/{case}/masks/liver"
    huge = page.evaluate(PUT_SPACES, [path, 100])
    assert huge["status"] == 413
    assert "Send at most" in huge["reason"]
    huge = page.evaluate(PUT_SPACES.replace("PUT", "POST"), ["/api/v1/events", 40])
    assert huge["status"] == 413
    other = io.BytesIO()
    np.save(other, np.zeros((1, 5, 5), np.uint8))
    headers = {"Content-Type": "application/octet-stream", "Origin": reading.address}
    answer = page.context.request.put(f"{reading.address}{path}", data=other.getvalue(), headers=headers)
    assert answer.status == 422
    assert "Received" in json.loads(answer.text())["reason"]
    assert count_stored(reading) == before
    is_still_usable(page, reading, case)
