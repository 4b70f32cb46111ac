"""Nothing that a reader said is lost or doubled: labelling in Chromium while the web process is killed with -9.

Two tabs of one reader, one with answers and boxes, one with strokes of a brush. The web process is killed at random
moments, most of them while events are on their way; then the network is cut, then the sign-in expires. What the
browser kept, what the server acknowledged and what the header called saved is compared with what the database holds.
"""

import base64
import json
import random
import re
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Error, Page

from bench.chromium import chromium, new_context, sign_in_link
from bench.harness import Figure, Figures, Row
from bench.loop import run_here
from bench.mortal import MortalServer, dying, mortal
from core.labels.masks import read_mask
from core.store.database import opened

READER = "reader"
CASES = 40
KILLS = 100
SPELLS = 5  # without a network, and with an expired sign-in
CLASSES = {"Digit1": "dark", "Digit2": "bright"}
PATIENCE_SECONDS = 90
TRIES = 5  # to say something between the end of a sign-in and the page that says so
CONNECTED = '[data-testid="stApp"][data-test-connection-state="CONNECTED"]'
LOOK_MS = 3000  # a part of the page that is not there by then is gone
# Told at the two doors of the browser: what goes into its own store, and what the server answers.
LISTEN = """(() => {
  const { add } = IDBObjectStore.prototype
  IDBObjectStore.prototype.add = function (row, ...more) {
    if (this.name === "events") told({ made: row.event })
    return add.call(this, row, ...more)
  }
  const { fetch } = window
  window.fetch = async (...request) => {
    const isEvents = String(request[0]).endsWith("/api/v1/events")
    if (isEvents) told({ sending: true })
    const response = await fetch(...request)
    if (isEvents) response.clone().json().then(({ acknowledged, refused }) => told({ acknowledged, refused }), () => {})
    return response
  }
})()"""
COUNT_WAITING = """() => new Promise((resolve, reject) => {
  const request = indexedDB.open("readroom")
  request.onerror = () => reject(request.error)
  request.onsuccess = () => {
    const database = request.result
    if (!database.objectStoreNames.contains("events")) return database.close(), resolve(0)
    const counted = database.transaction("events").objectStore("events").count()
    counted.onsuccess = () => (database.close(), resolve(counted.result))
  }
})"""


@dataclass
class Heard:
    """What came through the doors of the browser, and what the reader saw."""

    made: dict[str, dict[str, Any]] = field(default_factory=dict)  # by event id, in the order they were made
    made_on: dict[Page, list[str]] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    refused: list[dict[str, Any]] = field(default_factory=list)
    answered: dict[int, str] = field(default_factory=dict)  # case -> the class whose key led on to the next case
    called_saved: int = 0  # events that the header called saved when it was looked at
    unsaved: set[str] = field(default_factory=set)  # those of them that the database had not

    def hear(self, page: Page, told: dict[str, Any]) -> None:
        if event := told.get("made"):
            self.made[event["event"]] = event
            self.made_on.setdefault(page, []).append(event["event"])
        self.acknowledged |= {receipt["event"] for receipt in told.get("acknowledged") or ()}
        self.refused += told.get("refused") or ()

    def last_said(self, case: int) -> str | None:
        """The class of the last answer on a case, or None."""
        said = [one for one in self.made.values() if one["type"] == "label" and one["case"] == case]
        return said[-1]["value"]["classes"][0] if said else None


@dataclass(frozen=True)
class Verdict:
    """The comparison; all but the first two must be 0."""

    made: int
    acknowledged: int
    missing: int  # made, and not in the database
    broken: int  # acknowledged, or called saved by the header, and not in the database
    doubled: int  # in the database twice, or never made by the reader
    altered: tuple[str, ...]  # what counts in the end and is not what was said last; none
    refused: int


class Reader:
    """Somebody who answers, draws and paints as quickly as the page lets them, whatever happens around them."""

    def __init__(self, browser: Browser, server: MortalServer, projects: tuple[int, int], seed: int = 0) -> None:
        self.server, self.heard, self.rng = server, Heard(), random.Random(seed)
        self.projects = projects
        self.context = new_context(browser)
        self.context.expose_binding("told", self._hear)
        self.context.add_init_script(LISTEN)
        self.answering, self.painting = self.context.new_page(), self.context.new_page()
        for page in self.pages:
            page.on("dialog", lambda dialog: dialog.accept())  # leave, although something is not sent yet
        self.answering.goto(self.link())
        self.answering.get_by_role("heading", name="Projects").wait_for()
        self.open()

    @property
    def pages(self) -> tuple[Page, Page]:
        return self.answering, self.painting

    def _hear(self, source: dict[str, Any], told: dict[str, Any]) -> None:
        self.heard.hear(source["page"], told)
        if told.get("sending"):
            self.server.sending.set()

    def link(self) -> str:
        return sign_in_link(self.server.address, self.server.settings, READER)

    def open(self) -> None:
        """Both tabs anew."""
        for page, project in zip(self.pages, self.projects, strict=True):
            page.goto(f"{self.server.address}/label?project={project}&worklist=all")
        for page in self.pages:
            self.until(lambda page=page: case_of(page), "The label page did not come.")
        self.painting.keyboard.press("KeyB")

    # ---- what they do

    def work(self) -> None:
        """A few answers and a box, a few strokes, and a look at the header."""
        try:
            self.answering.bring_to_front()
            for _ in range(3):
                self.answer()
            self.draw_box()
            self.check_header(self.answering)
            self.painting.bring_to_front()
            for _ in range(2):
                self.paint()
            self.confirm()
            self.check_header(self.painting)
        except Error:  # the page was in the middle of coming back
            time.sleep(0.2)

    def answer(self, *, other: bool = False) -> None:
        """One of the classes at random, or another than was said of the case: the same again is nothing to keep."""
        page, case = self.answering, self.steady(self.answering)
        if not case:
            return
        said = self.heard.last_said(case) if other else None
        key = self.rng.choice([key for key, name in CLASSES.items() if name != said])
        # A page that comes back may show another case just before the key, which is then the one that is answered; and
        # another viewer shows other cases although no key was taken.
        viewer, mark = page.locator(".viewer").first, str(len(self.heard.made))
        viewer.evaluate("(viewer, mark) => { viewer.dataset.watched = mark }", mark, timeout=LOOK_MS)
        place, total = place_of(page)
        if case_of(page) != case:  # a key from before was taken only now, and led on
            return
        page.keyboard.press(key)
        if not self.moved_on(page, case) or viewer.get_attribute("data-watched", timeout=LOOK_MS) != mark:
            return
        if place_of(page)[0] == ("1" if place == total else str(int(place) + 1)):
            self.heard.answered[case] = CLASSES[key]

    def draw_box(self) -> None:
        if self.steady(self.answering):
            self.answering.keyboard.press("KeyX")
            self.drag(self.answering)
            self.answering.keyboard.press("Escape")
            self.answering.keyboard.press("Escape")

    def paint(self) -> None:
        if self.steady(self.painting):
            self.drag(self.painting)

    def confirm(self) -> None:
        case = self.steady(self.painting)
        if case:
            self.painting.keyboard.press("Enter")
            self.moved_on(self.painting, case)

    def drag(self, page: Page) -> None:
        box = page.locator(".stage").first.bounding_box(timeout=LOOK_MS)
        if box is None:
            return
        left, right = (box["x"] + box["width"] * self.rng.uniform(0.35, 0.65) for _ in range(2))
        top, bottom = (box["y"] + box["height"] * self.rng.uniform(0.3, 0.7) for _ in range(2))
        page.mouse.move(left, top)
        page.mouse.down()
        page.mouse.move(right, bottom, steps=3)
        page.mouse.up()

    # ---- what they see

    def steady(self, page: Page) -> int:
        """The case on the screen; 0 where there is none, and then the reader goes back to one that was there."""
        for _ in range(10):
            if case := case_of(page):
                return case
            page.wait_for_timeout(50)
        page.keyboard.press("ArrowLeft")
        return 0

    def moved_on(self, page: Page, case: int) -> bool:
        """Whether another case came; at the end of the list the reader begins again."""
        place, total = place_of(page)
        if place == total:
            page.locator("input.place").fill("1", timeout=LOOK_MS)
            page.keyboard.press("Enter")
        for _ in range(100):
            if case_of(page) not in (0, case):
                return True
            page.wait_for_timeout(20)
        return False

    def check_header(self, page: Page) -> None:
        """What the header calls saved must be in the database now."""
        if not re.match(r"Saved \d", state_of(page)):
            return
        claimed = set(self.heard.made_on.get(page, ()))
        self.heard.called_saved += len(claimed)
        self.heard.unsaved |= claimed - set(stored_events(self.server))

    # ---- what happens to them

    def work_until(self, is_over: Callable[[], bool]) -> None:
        while not is_over():
            self.work()

    def wait_for_pages(self) -> None:
        """Until both are back and have found the server: before that there is nothing to say anything on."""
        for page in self.pages:
            self.until(lambda page=page: case_of(page), "The label page did not come back.")
            # One that still looks for the server has a dialog before it once it is signed out, and takes no key.
            self.until(lambda page=page: page.locator(CONNECTED).count(), "The page did not find the server again.")

    def work_offline(self, rounds: int = 1) -> None:
        self.wait_for_pages()
        self.context.set_offline(True)
        for _ in range(rounds):
            self.work()
        self.until(lambda: "no connection" in state_of(self.answering), "Without a network the header must say so.")
        self.context.set_offline(False)
        self.settle()

    def work_signed_out(self) -> None:
        """The sign-in ends under the reader, who says something more, and signs in again."""
        said = False
        for _ in range(TRIES):
            self.wait_for_pages()
            said = self.speak_signed_out()
            assert self.context.request.get(self.link()).ok
            self.open()
            self.settle()
            if said:
                return
        raise AssertionError("The page was gone each time before anything could be said without a sign-in.")

    def speak_signed_out(self) -> bool:
        """Whether anything was said after the sign-in had ended: a page goes as soon as it has noticed."""
        self.answering.bring_to_front()
        for _ in range(2):
            self.answering.keyboard.press("Escape")  # a box that was begun would take the key for its class
        before = len(self.heard.made)
        with opened(self.server.settings) as connection:
            connection.execute("DELETE FROM sessions")
        with suppress(Error):
            self.answer(other=True)
            self.painting.bring_to_front()
            self.paint()
        self.answering.wait_for_timeout(500)  # what the pages tell is heard
        return len(self.heard.made) > before

    def until(self, is_so: Callable[[], Any], otherwise: str) -> None:
        """Wait for it, and listen meanwhile; a page that is just being replaced is asked again."""
        last = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < last:
            with suppress(Error):
                if is_so():
                    return
            self.answering.wait_for_timeout(100)
        raise AssertionError(otherwise)

    def settle(self) -> None:
        """Until nothing waits in the browser, and the headers say so."""
        self.until(lambda: self.answering.evaluate(COUNT_WAITING) == 0, "Something still waits in the browser.")
        for page in self.pages:
            self.until(
                lambda page=page: re.match(r"Saved \d|$", state_of(page)), "The header does not call all of it saved."
            )


def case_of(page: Page) -> int:
    """The case whose image is on the screen, or 0."""
    viewer = page.locator(".viewer")
    return int((viewer.count() and viewer.first.get_attribute("data-case", timeout=LOOK_MS)) or 0)


def state_of(page: Page) -> str:
    """What the header says about saving."""
    return page.locator(".state").first.text_content(timeout=LOOK_MS) or ""


def place_of(page: Page) -> tuple[str, str]:
    total = (page.locator(".total").first.text_content(timeout=LOOK_MS) or "").removeprefix("of ")
    return page.locator("input.place").first.input_value(timeout=LOOK_MS), total


# ---- the comparison


def stored_events(server: MortalServer) -> Counter[str]:
    """How often the database holds each event, whatever it says."""
    query = "SELECT event FROM labels UNION ALL SELECT event FROM marks UNION ALL SELECT event FROM mask_edits"
    with opened(server.settings) as connection:
        return Counter(row["event"] for row in connection.execute(query))


def judge(server: MortalServer, heard: Heard) -> Verdict:
    """Compare what was said with what is stored."""
    stored = stored_events(server)
    made = set(heard.made)
    with opened(server.settings) as connection:
        altered = tuple(find_altered(connection, heard))
    return Verdict(
        made=len(made),
        acknowledged=len(heard.acknowledged),
        missing=len(made - set(stored)),
        broken=len((heard.acknowledged - set(stored)) | heard.unsaved),
        doubled=sum(count > 1 for count in stored.values()) + len(set(stored) - made),
        altered=altered,
        refused=len(heard.refused),
    )


def find_altered(connection: sqlite3.Connection, heard: Heard) -> Iterator[str]:
    """What counts in the database and is not what the reader said last."""
    last: dict[tuple[Any, ...], Any] = {}
    for event in heard.made.values():
        if event["type"] == "label":
            last["label", event["case"]] = event["value"]
        elif event["type"] == "mark":
            last["mark", event["mark"]] = [event["geometry"], event["deleted"]]
        else:
            for frame, runs in event["frames"].items():
                last["mask", event["case"], event["structure"], int(frame)] = base64.b64decode(runs)
    for case, name in heard.answered.items():
        if last.get(("label", case)) != {"classes": [name]}:
            yield f"answer of case {case}: the key said {name}"
    for what, said in last.items():
        if said != find_counting(connection, what):
            yield f"{what}: {str(said)[:80]}"


def find_counting(connection: sqlite3.Connection, what: tuple[Any, ...]) -> Any:
    if what[0] == "mask":
        return read_mask(connection, what[1], READER, what[2]).frames.get(what[3])
    if what[0] == "mark":
        query = "SELECT geometry, deleted FROM marks WHERE mark = ? ORDER BY made_at DESC, id DESC LIMIT 1"
        row = connection.execute(query, (what[1],)).fetchone()
        return row and [json.loads(row["geometry"]), bool(row["deleted"])]
    query = "SELECT value FROM current_labels JOIN labels ON labels.id = label WHERE current_labels.case_id = ?"
    row = connection.execute(query, (what[1],)).fetchone()
    return row and json.loads(row["value"])


# ---- the home


def prepare_reading(work: Path) -> tuple[Path, tuple[int, int]]:
    """A home with a project to answer in and one to paint in."""
    home, pictures = work / "home", work / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for at in range(CASES):
        Image.fromarray(rng.integers(0, 200, (128, 128), dtype=np.uint8)).save(pictures / f"{at:02d}.png")
    answers, masks = ("--classes", "dark,bright"), ("--task", "segmentation", "--structures", "liver,lesion")
    projects = []
    for name, words in (("Answers", answers), ("Masks", masks)):
        projects.append(int(run_here(home, "project", "create", name, *words)["project"]))
        run_here(home, "import", name, str(pictures))
    return home, (projects[0], projects[1])


@contextmanager
def reading_under_fire(work: Path, browser: Browser) -> Iterator[Reader]:
    """A reader before two open tabs of a web process that can be killed."""
    home, projects = prepare_reading(work)
    with mortal(home) as server:
        reader = Reader(browser, server, projects)
        try:
            yield reader
        finally:
            reader.context.close()


def survive(reader: Reader, *, kills: int, spells: int) -> Verdict:
    """All that can happen to a reader, and the verdict."""
    with dying(reader.server, kills) as killing:
        reader.work_until(lambda: not killing.is_alive())
    reader.settle()
    for _ in range(spells):
        reader.work_offline()
        reader.work_signed_out()
    reader.settle()
    return judge(reader.server, reader.heard)


def measure() -> Figures:
    with (
        tempfile.TemporaryDirectory() as folder,
        chromium() as browser,
        reading_under_fire(Path(folder), browser) as reader,
    ):
        verdict = survive(reader, kills=KILLS, spells=SPELLS)
        kills, called_saved = reader.server.kills, reader.heard.called_saved
    told = f"{kills} kills -9, {SPELLS} times offline, {SPELLS} times signed out"
    return [
        Figure("events made in the browser", verdict.made, "", told),
        Figure("acknowledged to the browser", verdict.acknowledged, ""),
        Figure("called saved by the header when looked at", called_saved, ""),
        Figure("kills of the web process", kills, "", f"at least {KILLS}", kills >= KILLS),
        *(
            Figure(name, count, "", "0", count == 0, "; ".join(verdict.altered) if "otherwise" in name else "")
            for name, count in {
                "made and missing": verdict.missing,
                "acknowledged or called saved, and missing": verdict.broken,
                "doubled, or never made": verdict.doubled,
                "counting otherwise than said last": len(verdict.altered),
                "refused": verdict.refused,
            }.items()
        ),
    ]


ROWS = [Row("no_loss", "full", measure)]
