"""`python -m docs.screenshots.make`: a real Readroom, every page at two sizes in two themes, and the README's pictures.

Without options it makes a home of its own, waits until the demo's model is trained and evaluated (some minutes),
walks every page and every step of a review meeting into a temporary folder, and writes the README's pictures beside
this file. `--home` takes a home that has the demo already (it gets a review there, whose test results are opened),
`--walk FOLDER` says where the walk goes, `--only readme` and `--only walk` do one half.
It ends with 1 where a main screen scrolls at 1280 x 800, or a page broke.
"""

import argparse
import io
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as BrowserError

from bench.chromium import find_chromium
from dashboard.meeting_view import STEPS
from dashboard.places import PLACES

CRITERIA = (
    "auc at least 0.80",
    "sensitivity of nodule at least 0.85, lower bound at least 0.75",
    "sensitivity of nodule by sex at least 0.70",
)
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SMALL, LARGE = (1280, 800), (1920, 1080)
THEMES = ("dark", "light")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
# The body of these may not scroll on the small screen; lists within them may.
MAIN = ("projects", "overview", "cases", "label", "train", "evaluate", "review", "models", "meeting")
OTHER = tuple(place.name for place in PLACES if place.name not in MAIN)
README = (("label", "dark"), ("review", "dark"), ("evaluate", "light"), ("cases", "dark"), ("train", "light"))
LARGEST_BYTES = 200_000
START_SECONDS, DEMO_SECONDS = 120, 1800
# What Streamlit is still fetching the code for is a skeleton; a chart is drawn some time after that.
ALL_DRAWN = """() => ![...document.querySelectorAll('[data-testid=stSkeleton]')].some((one) => one.checkVisibility())
  && [...document.querySelectorAll('[data-testid=stVegaLiteChart]')]
    .every((one) => !one.checkVisibility() || one.querySelector('canvas, svg'))"""


def readroom(home: Path, *words: str) -> Any:
    """What a command answers with `--json`."""
    command = [sys.executable, "-m", "core.cli.app", *words, "--home", str(home), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@contextmanager
def service(home: Path) -> Iterator[int]:
    """Web process and worker of this home on a free port; they end with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "dashboard.up", "--home", str(home), "--port", str(port), "--no-browser"]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: is_up(port), START_SECONDS, "the web process")
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def is_evaluated(home: Path) -> bool:
    """Whether the demo's last job, its evaluation, is done."""
    try:
        jobs = readroom(home, "jobs", "list")
    except subprocess.CalledProcessError:
        return False  # the home is being made
    return any(job["kind"] == "evaluate" and job["state"] == "done" for job in jobs.get("jobs", jobs))


def wait_until(is_so: Callable[[], bool], seconds: float, what: str) -> None:
    last = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > last:
            raise SystemExit(f"Waited {seconds:.0f} s for {what}, in vain.")
        time.sleep(1)


@contextmanager
def signed_in(browser: Browser, home: Path, port: int, theme: str) -> Iterator[Page]:
    """A tab in one theme, signed in, that notes what breaks."""
    context = browser.new_context(viewport={"width": SMALL[0], "height": SMALL[1]})
    context.add_init_script(f"localStorage.setItem('readroom-theme', {json.dumps(theme)})")
    page = context.new_page()
    page.goto(readroom(home, "link", "--port", str(port))["url"])
    page.get_by_role("heading", name="Projects").wait_for(timeout=60_000)
    yield page
    context.close()


def open_page(page: Page, port: int, name: str) -> None:
    """One page by its address, when its script has ended and its pictures are there."""
    query = {"case": "?project=1&case=1", "review": "?project=1&result=all"}.get(name, "?project=1")
    page.goto(f"http://127.0.0.1:{port}/{'' if name == 'projects' else name + query}")
    settle(page)


def settle(page: Page) -> None:
    """Wait until its script has ended and its pictures are there."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=60_000)
    with suppress(BrowserError):  # a running job keeps asking
        page.wait_for_load_state("networkidle", timeout=5_000)
    page.wait_for_function(ALL_DRAWN, timeout=30_000)
    page.wait_for_timeout(900)


def overhang(page: Page) -> int:
    """By how many pixels the body of the page is longer than the window."""
    script = (
        "(() => { const m = document.querySelector('[data-testid=stMain]'); return m.scrollHeight - m.clientHeight })()"
    )
    return int(page.evaluate(script))


def walk(
    browser: Browser, home: Path, port: int, folder: Path, names: tuple[str, ...], themes: tuple[str, ...]
) -> list[str]:
    """Every page at both sizes and in both themes into the folder; gives what is wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    faults = []
    for theme in themes:
        with signed_in(browser, home, port, theme) as page:
            page.on("pageerror", lambda error: faults.append(f"script failed: {error}"))
            for name in names:
                page.set_viewport_size({"width": SMALL[0], "height": SMALL[1]})
                open_page(page, port, name)
                faults.extend(photograph(page, name, folder, f"{name}-{theme}", may_scroll=name not in MAIN))
    return faults


def photograph(page: Page, what: str, folder: Path, name: str, *, may_scroll: bool = False) -> list[str]:
    """What is on screen at both sizes, into `NAME-WIDTH.png`; gives what is wrong at the smaller one."""
    long, faults = overhang(page), []
    if long > 1 and not may_scroll:
        faults.append(f"{what} scrolls by {long} px at 1280 x 800")
    if page.locator("[data-testid=stException]").count():
        faults.append(f"{what} broke")
    for width, height in (SMALL, LARGE):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(900)
        page.screenshot(path=folder / f"{name}-{width}.png")
    sys.stdout.write(f"{name}: overhang {long}\n")
    sys.stdout.flush()
    return faults


def walk_meeting(
    browser: Browser, home: Path, port: int, folder: Path, review: int, themes: tuple[str, ...]
) -> list[str]:
    """Every step of a review by the arrow keys, at both sizes, its test results opened once; gives what is wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    faults = []
    for theme in themes:
        with signed_in(browser, home, port, theme) as page:
            page.goto(f"http://127.0.0.1:{port}/meeting?project=1&review={review}")
            for number, step in enumerate(STEPS):
                page.set_viewport_size({"width": SMALL[0], "height": SMALL[1]})
                settle(page)
                if (gate := page.get_by_role("button", name="Open the test results")).count():
                    gate.click()
                    settle(page)
                name = f"meeting-{number + 1:02}-{step.key}-{theme}"
                faults.extend(photograph(page, f"step {step.key} of the meeting", folder, name))
                page.keyboard.press("ArrowRight")
                page.wait_for_timeout(300)
    return faults


def prepare_review(home: Path) -> int:
    """A review of the demo's model with criteria, its test results opened; the newest where there is one."""
    project = readroom(home, "project", "list")["projects"][0]["name"]
    if known := readroom(home, "review", "list", project)["reviews"]:
        return int(known[0]["review"])
    model = readroom(home, "models", project)["models"][0]["model"]
    asked = [word for line in CRITERIA for word in ("--criterion", line)]
    made = readroom(home, "review", "create", project, model, *asked)
    readroom(home, "review", "open", project, str(made["review"]))
    return int(made["review"])


def picture(browser: Browser, home: Path, port: int, name: str, theme: str) -> None:
    """One picture of the README, as small as it stays sharp."""
    with signed_in(browser, home, port, theme) as page:
        open_page(page, port, name)
        if name == "review":
            page.get_by_role("button", name="Explanation").click()
            page.get_by_text("shuffled weights").wait_for(timeout=120_000)
            page.mouse.move(2, 2)
            page.wait_for_timeout(600)
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    for quality in (86, 78, 70, 60):
        packed = io.BytesIO()
        shot.save(packed, "WEBP", quality=quality, method=6)
        if packed.tell() < LARGEST_BYTES:
            break
    (HERE / f"{name}.webp").write_bytes(packed.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, help="a home that has the demo, or gets it")
    parser.add_argument("--port", type=int, help="where it is served already; needs --home")
    parser.add_argument("--walk", type=Path, help="where the pictures of every page go")
    parser.add_argument("--only", choices=("walk", "readme"))
    parser.add_argument("--page", action="append", help="walk this page only; may be repeated")
    parser.add_argument("--theme", choices=THEMES, action="append")
    given = parser.parse_args()
    folder = given.walk or Path(tempfile.mkdtemp(prefix="readroom-walk-"))
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        home = given.home or Path(temporary) / "home"
        with _served(home, given.port) as port:
            wait_until(lambda: is_evaluated(home), DEMO_SECONDS, "the demo's model")
            browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
            if given.only != "readme":
                names = tuple(given.page or (*MAIN, *OTHER))
                faults = walk(browser, home, port, folder, names, tuple(given.theme or THEMES))
                if "meeting" in names:
                    review = prepare_review(home)
                    faults += walk_meeting(browser, home, port, folder, review, tuple(given.theme or THEMES))
                sys.stdout.write(f"Every page is in {folder}\n")
            if given.only != "walk":
                for name, theme in README:
                    picture(browser, home, port, name, theme)
                sys.stdout.write(f"The README's pictures are in {HERE}\n")
            browser.close()
    if faults:
        raise SystemExit("\n".join(faults))


@contextmanager
def _served(home: Path, port: int | None) -> Iterator[int]:
    if port is not None:
        yield port
        return
    with service(home) as found:
        yield found


if __name__ == "__main__":
    main()
