"""A real Readroom on loopback and a real Chromium before it; where there is no Chromium, these tests skip."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, StorageState, expect, sync_playwright
from typer.testing import CliRunner

from bench.chromium import ABSENT, FLAGS, WAIT_MS, find_chromium, new_context
from bench.server import free_port
from core.cli.app import app
from core.datasets.records import list_snapshots
from core.evaluation.run import evaluate_model
from core.jobs.worker import worker_alive
from core.people.accounts import operating_system_user
from core.progress import Silent
from core.projects.records import get_project
from core.settings import PROJECT_ROOT, Settings
from core.store.audit import Actor
from core.store.database import opened
from core.store.files import Files
from core.training.records import get_run, list_models
from core.training.request import request_training

START_SECONDS = 120
expect.set_options(timeout=WAIT_MS)  # beside other tests a page takes longer than Playwright's own five seconds
NOTHING_CAME = "what was waited for did not come"


@dataclass(frozen=True)
class Reading:
    """A running Readroom with one small project."""

    address: str
    home: Path

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home)

    def readroom(self, *words: str) -> Any:
        return run_command(self.home, *words)

    def train(self, project: str, name: str, *, epochs: int) -> None:
        """Train a small model here, check its explanations, and make no ONNX file: a job would start two processes that
        load TensorFlow, and is walked through in `test_loop.py`."""
        from core.explain.run import check_explanations
        from core.training.device import CPU
        from core.training.recipe import change_recipe, named_recipe
        from core.training.run import run_training

        actor = Actor(operating_system_user(), "command line")
        recipe = change_recipe(named_recipe("resnet"), {"input_size": 32, "filters": "4,4,8", "epochs": epochs})
        files, without_onnx = Files(self.home), Settings(home=self.home, onnx_memory_bytes=1)
        with opened(self.settings) as connection:
            owner = get_project(connection, project)
            (snapshot,) = list_snapshots(connection, owner.id)
            asked, _ = request_training(connection, owner, snapshot, recipe, name=name, files=files, actor=actor)
            folder = self.home.parent / f"{project} {name}"
            made = run_training(connection, files, without_onnx, asked.id, folder, CPU, Silent())
            check_explanations(connection, files, made["model_id"], Silent())

    def evaluate(self, project: str, name: str, *splits: str) -> None:
        """Measure a model here and not in a job, which would start a process of its own; by default on test."""
        with opened(self.settings) as connection:
            models = list_models(connection, get_project(connection, project).id)
            model = next(model for model in models if model.name == name)
            actor = Actor(operating_system_user(), "command line")
            snapshot = get_run(connection, model.run).snapshot
            for split in splits or ("test",):
                evaluate_model(connection, Files(self.home), self.settings, model.id, snapshot, split, actor, Silent())

    def link(self) -> str:
        port = self.address.rpartition(":")[2]
        return str(self.readroom("link", "--port", port)["url"])

    def stored_events(self) -> list[str]:
        with opened(self.settings) as connection:
            return [row["event"] for row in connection.execute("SELECT event FROM labels WHERE made_in != 'import'")]

    def current_answers(self) -> dict[tuple[int, str], str | None]:
        """The answer that counts, by case and reader, as the database has it."""
        query = """SELECT current_labels.case_id, users.name, labels.value FROM current_labels
                   JOIN labels ON labels.id = current_labels.label JOIN users ON users.id = current_labels.reader"""
        with opened(self.settings) as connection:
            return {(row["case_id"], row["name"]): row["value"] for row in connection.execute(query)}

    def places_of_answers(self) -> set[str]:
        with opened(self.settings) as connection:
            return {row["made_in"] for row in connection.execute("SELECT DISTINCT made_in FROM labels")}

    def web_process(self) -> psutil.Process:
        return self._process_of("dashboard.serve")

    @contextmanager
    def without_worker(self) -> Iterator[None]:
        """What keeps the worker running sleeps meanwhile; afterwards it starts another."""
        keeper = self._process_of("dashboard.up")
        keeper.suspend()
        try:
            self._process_of("core.jobs.worker").terminate()
            wait_until(lambda: not worker_alive(self.settings))
            yield
        finally:
            keeper.resume()
            wait_until(lambda: worker_alive(self.settings))

    @contextmanager
    def worker_asleep(self) -> Iterator[None]:
        """Jobs stay queued meanwhile."""
        worker = self._process_of("core.jobs.worker")
        worker.suspend()
        try:
            yield
        finally:
            worker.resume()

    def _process_of(self, module: str) -> psutil.Process:
        """The running process of this home that was started with `python -m module`."""
        return next(
            process
            for process in psutil.process_iter(["cmdline"])
            if module in (process.info["cmdline"] or []) and str(self.home) in process.info["cmdline"]
        )


def run_command(home: Path, *words: str) -> Any:
    done = CliRunner().invoke(app, [*words, "--home", str(home), "--json"])
    assert done.exit_code == 0, done.output + repr(done.exception)
    return json.loads(done.stdout)


@pytest.fixture(scope="session")  # one for all files here; without a page open it is at rest
def reading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    """Forty labelled pictures with a bright or a dark middle, and the whole service around them."""
    if find_chromium() is None:
        pytest.skip(ABSENT)
    work = tmp_path_factory.mktemp("reading")
    home = work / "home"
    _write_images(work / "images")
    run_command(home, "project", "create", "Middle", "--classes", "dark,bright")
    run_command(home, "import", "Middle", str(work / "images"), "--labels", str(work / "images" / "labels.csv"))
    port = free_port()
    made = Reading(f"http://127.0.0.1:{port}", home)
    with running(home, ["--port", str(port)], work / "up.log", lambda: is_up(made.address)):
        yield made


@pytest.fixture(scope="session")
def tiny(reading: Reading) -> None:
    """A model of two epochs in the project, and its evaluation; for pages that show one."""
    reading.readroom("snapshot", "Middle", "first", "--split", "0.5,0.2,0.3", "--allow-leaks", "noise resembles noise")
    reading.train("Middle", "tiny", epochs=2)
    reading.evaluate("Middle", "tiny")


@contextmanager
def running(home: Path, options: Sequence[str], log: Path, is_there: Callable[[], bool]) -> Iterator[None]:
    """The whole service around a home until the block ends; one that does not come up says what it printed."""
    words = [sys.executable, "-m", "dashboard.up", *options, "--home", str(home), "--no-browser"]
    with log.open("wb") as stream:
        process = subprocess.Popen(words, cwd=PROJECT_ROOT, stdout=stream, stderr=subprocess.STDOUT)
    until = time.monotonic() + START_SECONDS
    while not is_there():
        assert process.poll() is None, log.read_text("utf-8")
        assert time.monotonic() < until, log.read_text("utf-8")
        time.sleep(0.2)
    yield
    process.send_signal(signal.SIGINT)
    process.wait(START_SECONDS)


def _write_images(folder: Path) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = ["path,label,patient"]
    for at in range(40):
        pixels = rng.integers(0, 120, (64, 64), dtype=np.uint8)
        pixels[20:44, 20:44] += 100 * (at % 2)
        Image.fromarray(pixels).save(folder / f"{at:02d}.png")
        lines.append(f"{at:02d}.png,{['dark', 'bright'][at % 2]},patient {at}")
    (folder / "labels.csv").write_text("\n".join(lines), "utf-8")


def three_pictures(folder: Path) -> Path:
    """A home with a project of three pictures, about which nothing is said."""
    home, images = folder / "home", folder / "images"
    images.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (64, 64), dtype=np.uint8)
        Image.fromarray(pixels).save(images / f"{number}.png")
    run_command(home, "project", "create", "Middle", "--classes", "dark,bright")
    run_command(home, "import", "Middle", str(images))
    return home


def is_up(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def wait_until(is_so: Callable[[], object], seconds: float = START_SECONDS, otherwise: str = NOTHING_CAME) -> None:
    last = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < last, otherwise
        time.sleep(0.1)


# ---- the browser


class Kept:
    """What all files of this folder share while they run one after another.

    Not for the session: as long as Playwright is there an event loop runs in this thread, which other tests must not
    find. And not for a file: what a browser has compiled of Streamlit's scripts makes each further page half as dear.
    """

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}
        self._ending = ExitStack()

    def get(self, name: str, make: Callable[[], AbstractContextManager[Any]]) -> Any:
        if name not in self._made:
            self._made[name] = self._ending.enter_context(make())
        return self._made[name]

    def end(self) -> None:
        self._made.clear()
        self._ending.close()


KEPT = Kept()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Iterator[None]:
    """After the last test of this folder in a row, and after what that test itself had."""
    try:
        yield
    finally:
        if nextitem is None or nextitem.path.parent != Path(__file__).parent:
            KEPT.end()


@pytest.fixture(scope="module")
def playwright() -> Playwright:
    if find_chromium() is None:
        pytest.skip(ABSENT)
    return KEPT.get("playwright", sync_playwright)


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Browser:
    start = partial(playwright.chromium.launch, executable_path=find_chromium(), args=FLAGS)
    return KEPT.get("browser", start)


@pytest.fixture(scope="module")
def context(browser: Browser, reading: Reading) -> BrowserContext:
    """The browser of somebody who came by the link and asked for less motion: a busy machine draws what moves as long
    as a page waits."""

    def sign_in() -> BrowserContext:
        made = new_context(browser, still=True)
        first = made.new_page()
        first.goto(reading.link())
        first.get_by_role("heading", name="Projects").wait_for()
        first.close()
        return made

    return KEPT.get("context", sign_in)


@pytest.fixture(scope="module")
def at_rest(context: BrowserContext) -> StorageState:
    """What is stored in this browser when a test begins."""
    return context.storage_state()


@pytest.fixture
def page(context: BrowserContext, at_rest: StorageState, reading: Reading) -> Iterator[Page]:
    """A signed-in, empty tab at 1280x800. Afterwards: nothing was asked of another host, and no script failed."""
    made = context.new_page()
    elsewhere: list[str] = []
    failures: list[str] = []
    host = reading.address.removeprefix("http://")
    made.on(
        "request",
        lambda request: (
            None if host in request.url or request.url.startswith(("blob:", "data:")) else elsewhere.append(request.url)
        ),
    )
    made.on("pageerror", lambda error: failures.append(str(error)))
    yield made
    for tab in context.pages:
        tab.close()
    context.set_storage_state(at_rest)  # what a test left in this browser is not the next one's
    assert elsewhere == []
    assert failures == []
