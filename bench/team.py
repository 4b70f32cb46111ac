"""A busy team through TLS and accounts: 20 readers, a training job, an import, and 50 people before open pages.

The same load as `readers`, but over https on a second loopback address, everybody with a password and a
role of their own, and the readers blind first; beside it 50 scientists' sessions click through the pages.
"""

import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from websockets.sync.client import ClientConnection

from bench.harness import Figure, Figures, Row
from bench.readers import measure_load, prepare_load
from bench.server import MEGABYTE, Running, percentile, running_securely
from bench.tabs import Click, click_until, open_tab
from core.projects.records import change_project, get_project
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import opened

TABS = 50
SECONDS_BETWEEN = 20.0
WALK = tuple(Click(page, {"project": "1"}) for page in ("overview", "cases", "models", "jobs", "snapshots"))


def measure() -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        home = prepare_load(work)
        read_blind_first(home)
        with running_securely(home) as server:
            return _measure_with_tabs(server, home, work / "more")


def read_blind_first(home: Path) -> None:
    """As a team would that takes its readers seriously: each event, case and page asks what its reader may see."""
    with opened(Settings(home=home)) as connection:
        change_project(
            connection, get_project(connection, "load"), description="", intended_use="", digit_advances=True,
            blind_first=True, actor=Actor("bench", "command line"),
        )  # fmt: skip


def _measure_with_tabs(server: Running, home: Path, more: Path) -> Figures:
    over, times, before = threading.Event(), list[float](), _memory(server)
    tabs = [_open_tab(server, number) for number in range(TABS)]
    with ThreadPoolExecutor(TABS) as pool:
        visits = [
            pool.submit(click_until, over, tab, WALK, SECONDS_BETWEEN, number, times) for number, tab in enumerate(tabs)
        ]
        try:
            figures = measure_load(server, home, more)
            memory = _memory(server)
        finally:
            over.set()  # else nobody would leave, and an error would never be told
        for visit in visits:
            visit.result()
    return [
        *figures,
        Figure("clicks answered", len(times), "", f"{TABS} open sessions, one click in {SECONDS_BETWEEN:.0f} s each"),
        Figure("click to answer, median", percentile(times, 0.5), "ms"),
        Figure("click to answer, 95th percentile", percentile(times, 0.95), "ms"),
        Figure("memory of the web process, before", before, "MB"),
        Figure(f"memory of the web process, {TABS} sessions", memory, "MB"),
    ]


def _open_tab(server: Running, number: int) -> ClientConnection:
    with server.client(f"visitor {number}", "scientist") as client:
        return open_tab(server.address, client.cookies, server.verify)


def _memory(server: Running) -> float:
    return float(server.web_process().memory_info().rss) / MEGABYTE


ROWS = [Row("team", "quick", measure)]
