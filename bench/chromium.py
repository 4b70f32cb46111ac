"""The Chromium before which the viewer is measured and tested: where it is found, how it starts, who is signed in."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from core.people.accounts import ensure_user
from core.people.sessions import issue_token
from core.settings import Settings
from core.store.database import opened

# The shell is the same browser without windows: pages cost it two thirds of the processor time.
ON_PATH = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# On macOS a browser is an app, which no path leads to.
MAC_APPS = ("Chromium.app/Contents/MacOS/Chromium", "Google Chrome.app/Contents/MacOS/Google Chrome")
MAC_FOLDERS = (Path("/Applications"), Path.home() / "Applications")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WAIT_MS = 90_000  # for a page beside other work
SCREEN = (1280, 800)
ABSENT = "Chromium is absent: sudo apt-get install chromium-headless-shell, or name one in READROOM_TEST_CHROMIUM"


def find_chromium(environ: Mapping[str, str] = os.environ, mac_folders: Sequence[Path] = MAC_FOLDERS) -> str | None:
    """What `READROOM_TEST_CHROMIUM` names, else a Chromium on the path, else an app of macOS."""
    if given := environ.get("READROOM_TEST_CHROMIUM"):
        found = shutil.which(given, path=environ.get("PATH"))
        # Who names a browser wants it used: a typing error must not skip tests in silence.
        assert found, f"READROOM_TEST_CHROMIUM must name a browser that can be run. Received: {given}"
        return found
    on_path = (shutil.which(name, path=environ.get("PATH")) for name in ON_PATH)
    apps = (shutil.which(str(folder / app)) for folder in mac_folders for app in MAC_APPS)
    return next(filter(None, (*on_path, *apps)), None)


def need_chromium() -> str:
    """The program, for a bench, which has no use for being skipped."""
    found = find_chromium()
    if found is None:
        raise SystemExit(ABSENT)
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium for a bench."""
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=need_chromium(), args=FLAGS)
        try:
            yield made
        finally:
            made.close()


def new_context(browser: Browser, *scripts: str, wait_ms: int = WAIT_MS, still: bool = False) -> BrowserContext:
    """A reader's browser with the screen of a small laptop; each script runs in every page before the page's own.

    `still`: of somebody who asked their system for less motion.
    """
    width, height = SCREEN
    motion: Literal["reduce", "no-preference"] = "reduce" if still else "no-preference"
    context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion=motion)
    context.set_default_timeout(wait_ms)
    for script in scripts:
        context.add_init_script(script)
    return context


def sign_in_link(address: str, settings: Settings, name: str) -> str:
    """An address that lets somebody in once, as `readroom up` prints one.

    To be opened in a tab: the page behind it also tells Streamlit the theme, which else loads its first page twice.
    """
    with opened(settings) as connection:
        token = issue_token(connection, ensure_user(connection, name, role="admin"))
    return f"{address}/sign-in?token={token}"
