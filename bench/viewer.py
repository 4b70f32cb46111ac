"""How quickly the viewer shows, scrolls, paints and saves, and what it takes of memory: headless Chromium on loopback.

Each time goes from when the browser got the key or the movement to the end of the frame with the new picture in it,
taken in the page (`viewer_probe.js`); that a picture said to be painted is the one on the screen is checked beside.
"""

import base64
import io
import random
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from bench.chromium import chromium, new_context, sign_in_link
from bench.harness import Figure, Figures, Row
from bench.plain_tab import PlainTab, plain_tab
from bench.server import Running, percentile, running
from bench.viewer_home import BEFORE_THE_VOLUME, LARGE, SMALL, Projects, make_pictures, prepare_viewing

PROBE = Path(__file__).with_suffix("").with_name("viewer_probe.js").read_text("utf-8")
# A machine without a graphics card draws with Canvas2D; that is what is measured on any machine.
ON_CPU = 'if (location.protocol !== "about:") localStorage.setItem("readroom-renderer", "canvas")'
KEYS_ONLY = 200
THINK_MS = 120  # of a reader who has seen the image; the next case is prefetched meanwhile
NEXT, COLD, SCROLLED, STROKES, LOADS, IMAGES = 40, 10, 150, 5, 5, 8
APART = 5  # cases, so that none of the cold ones was prefetched beside another
WALKED = 500
QUICK_LARGE = NEXT + 4 + APART * (COLD + 1)


@dataclass
class Viewing:
    """A label page under measurement."""

    browser: Browser
    server: Running
    projects: Projects
    page: Page

    def open(self, project: int, *, worklist: str = "all", more: str = "") -> float:
        """Go to the label page; milliseconds from there to the first picture."""
        self.page.goto(f"{self.server.address}/label?project={project}&worklist={worklist}{more}")
        self.page.evaluate("bench.until(() => bench.paints.length)")
        return float(self.page.evaluate("bench.paints[0].at"))

    def here(self) -> dict[str, int]:
        told: dict[str, int] = self.page.evaluate("bench.paints.at(-1)")
        return told

    def quiet(self) -> None:
        self.page.evaluate("bench.quiet()")

    def press(self, key: str) -> float:
        """Milliseconds from a key to another picture on the screen."""
        self.page.evaluate("(here) => { bench.expect(here) }", self.here())
        self.page.keyboard.press(key)
        return float(self.page.evaluate("() => bench.promised")["ms"])

    def jump(self, place: int) -> float:
        """The same to another place of the list, of which nothing is in the browser yet."""
        self.quiet()
        self.page.locator("input.place").fill(str(place))
        return self.press("Enter")

    def walk(self, count: int, key: str = "ArrowRight") -> list[float]:
        """So many steps, each once all that can be prefetched is there."""
        times = []
        for _ in range(count):
            self.quiet()
            times.append(self.press(key))
        return times


@contextmanager
def viewing(*, small: int, large: int, distinct: int) -> Iterator[Viewing]:
    with tempfile.TemporaryDirectory() as folder:
        projects = prepare_viewing(Path(folder), small=small, large=large, distinct=distinct)
        with running(projects.home) as server, chromium() as browser:
            context = new_context(browser, PROBE, ON_CPU)
            page = context.new_page()
            page.goto(sign_in_link(server.address, server.settings, "bench"))
            page.get_by_role("heading", name="Projects").wait_for()
            yield Viewing(browser, server, projects, page)
            context.close()


def measure() -> Figures:
    with viewing(small=KEYS_ONLY + NEXT + APART * (COLD + 2), large=QUICK_LARGE, distinct=QUICK_LARGE) as one:
        one.open(one.projects.small)  # Streamlit's first script run is nobody's wait
        return [
            *measure_first_usable(one),
            *measure_keys_only(one),
            *measure_cases(one, one.projects.small, SMALL, KEYS_ONLY, {0.5: 50, 0.95: 100}),
            *measure_cases(one, one.projects.large, LARGE, 0, {0.95: 300}),
            *measure_volume(one),
            *measure_brush(one),
        ]


def measure_first_usable(one: Viewing) -> Figures:
    times = [one.open(one.projects.small) for _ in range(LOADS)]
    return [_times("label page from its address to the first image, warm, median", times, "median", 2000)]


def measure_keys_only(one: Viewing) -> Figures:
    """A reader with one hand on the keyboard: a look, a digit, the next case."""
    rng = random.Random(0)
    one.open(one.projects.small, worklist="unlabelled")
    one.quiet()
    one.page.evaluate("bench.acknowledged.length = 0")
    times = []
    for _ in range(KEYS_ONLY):
        one.page.wait_for_timeout(THINK_MS)
        times.append(one.press(rng.choice(["Digit1", "Digit2"])))
    one.page.evaluate("(count) => bench.until(() => bench.acknowledged.length >= count)", KEYS_ONLY)
    saved = [told["ms"] for told in one.page.evaluate("bench.acknowledged")]
    return [
        _times(f"{KEYS_ONLY} binary cases by keys alone: software a case, median", times, "median", 100),
        _times("answer from its key to the acknowledgement, 95th percentile", saved, 0.95, 200),
    ]


def measure_cases(one: Viewing, project: int, side: int, start: int, budgets: dict[float, int]) -> Figures:
    """Steps to prefetched cases, jumps to cold ones, and the same pictures as PNG in an `<img>`."""
    one.open(project)
    one.jump(start + APART + 1)
    times = one.walk(NEXT)
    seen = start + APART + 1 + NEXT
    cold = [one.jump(seen + APART * (at + 1)) for at in range(COLD)]
    check_painted(one)
    images = measure_images(one, side)
    size = f"{side}x{side}"
    ratio = statistics.median(times) / statistics.median(images)
    against = f"<img> of the same picture as PNG, {statistics.median(images):.0f} ms"
    return [
        *(
            _times(f"next prefetched case, {size}, {_name_of(share)}", times, share, budget)
            for share, budget in budgets.items()
        ),
        Figure(f"next prefetched case, {size}: ratio of the medians", ratio, "", against),
        _times(f"cold case, {size}, 95th percentile", cold, 0.95, 1000),
    ]


def measure_images(one: Viewing, side: int) -> list[float]:
    page = one.page.context.new_page()
    page.goto("about:blank")
    times = []
    for picture in make_pictures(side, IMAGES, seed=9):
        stream = io.BytesIO()
        Image.fromarray((picture >> 4).astype(np.uint8)).save(stream, "PNG")
        told = base64.b64encode(stream.getvalue()).decode()
        times.append(float(page.evaluate("([bytes, side]) => bench.asImage(bytes, side, side)", [told, side])))
    one.page.bring_to_front()
    return times


def check_painted(one: Viewing) -> None:
    """What the viewer calls painted is what the canvas shows: two cases that differ give two pictures."""
    seen = []
    for _ in range(2):
        one.quiet()
        one.press("ArrowRight")
        seen.append(one.page.evaluate("bench.viewer().querySelector('.stage canvas').toDataURL()"))
    if seen[0] == seen[1]:
        raise SystemExit("The viewer said that another case was painted, and the canvas shows the same.")


def measure_volume(one: Viewing) -> Figures:
    """A volume of 300 slices that nothing is known of: to its first slice; and through it once it is there."""
    one.open(one.projects.volume)
    first = one.jump(BEFORE_THE_VOLUME + 2)
    complete = one.page.locator('.framebar[data-complete="true"]').first
    complete.wait_for(timeout=120_000)
    one.page.keyboard.press("Home")
    one.quiet()
    times = [one.press("ArrowDown") for _ in range(SCROLLED)]
    return [
        _times("first slice of a volume of 512x512x300", [first], "median", 1500),
        _times("scroll in a volume of 512x512x300, 95th percentile", times, 0.95, 50),
    ]


def measure_brush(one: Viewing) -> Figures:
    one.open(one.projects.painting)
    liver = one.page.locator("[data-structure=liver] small")
    expect(liver).not_to_have_text(re.compile("^$|loading"))  # before that nothing can be painted
    unpainted = liver.text_content() or ""
    one.page.keyboard.press("KeyB")
    figures = []
    for key, name in (("KeyA", "fitted"), ("KeyO", "1:1")):
        one.page.keyboard.press(key)
        one.page.wait_for_timeout(200)
        one.page.evaluate("bench.moves.length = 0")
        for number in range(STROKES):
            _stroke(one.page, number)
        moves = one.page.evaluate("bench.moves")
        # A movement over what is painted already changes nothing on the screen, and would wait for the next that does.
        for _ in range(STROKES):
            one.page.keyboard.press("Control+z")
        expect(liver).to_have_text(unpainted)
        figures.append(_times(f"brush on {LARGE}x{LARGE}, {name}, on the CPU, 95th percentile", moves, 0.95, 33))
    return figures


def _stroke(page: Page, number: int) -> None:
    box = page.locator(".stage").first.bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] * (0.3 + 0.08 * number)
    page.mouse.move(middle[0] - 150, middle[1])
    page.mouse.down()
    for step in range(40):
        page.mouse.move(middle[0] - 150 + 7 * step, middle[1] + 40 * np.sin(step / 4))
    page.mouse.up()


def measure_memory() -> Figures:
    """The process of the page after 500 cases of 2048x2048, 4 GB of pixels, in a tab as readers have it."""
    with tempfile.TemporaryDirectory() as folder:
        projects = prepare_viewing(Path(folder), small=1, large=WALKED + 4, distinct=64)
        with running(projects.home) as server, plain_tab(PROBE, ON_CPU) as tab:
            tab.goto(sign_in_link(server.address, server.settings, "bench"))
            _until(tab, "[...document.querySelectorAll('h1')].some((one) => one.innerText === 'Projects')")
            tab.goto(f"{server.address}/label?project={projects.large}&worklist=all")
            _until(tab, "globalThis.bench?.paints.length")
            empty, times, sizes = tab.megabytes(), [], []
            for at in range(WALKED):
                tab.evaluate("bench.quiet().then(() => bench.expect(bench.paints.at(-1)))")
                tab.press("ArrowRight")
                times.append(float(tab.evaluate("bench.promised.then((told) => told.ms)")))
                if at % 20 == 19:
                    sizes.append(tab.megabytes())
    detail = f"most on the way {max(sizes):.0f} MB, on the first case {empty:.0f} MB"
    return [
        Figure(
            f"memory after {WALKED} cases of {LARGE}x{LARGE}", sizes[-1], "MB", "budget 700 MB", sizes[-1] < 700, detail
        ),
        _times(f"next prefetched case, {LARGE}x{LARGE}, of {WALKED}, 95th percentile", times, 0.95, 300),
    ]


def _until(tab: PlainTab, is_so: str) -> None:
    """Wait for what a page shows; its context may be another one meanwhile, where it loads again."""
    for _ in range(300):
        if tab.evaluate(is_so):
            return
        time.sleep(0.1)
    raise SystemExit(f"This did not come within 30 s: {is_so}")


def _name_of(share: float) -> str:
    return "median" if share == 0.5 else f"{100 * share:.0f}th percentile"


def _times(name: str, times: list[float], share: float | str, budget_ms: int) -> Figure:
    value = statistics.median(times) if share in ("median", 0.5) else percentile(times, float(share))
    spread = f"n = {len(times)}, {min(times):.0f} to {max(times):.0f} ms" if len(times) > 1 else ""
    return Figure(name, value, "ms", f"budget {budget_ms} ms", value < budget_ms, spread)


ROWS = [Row("viewer", "quick", measure), Row("viewer_full", "full", measure_memory)]
