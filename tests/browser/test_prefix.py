"""A reader where Readroom lies below a path of its host. Skips where Chromium is absent."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from bench.chromium import WAIT_MS
from bench.server import free_port
from core.settings import Settings
from core.store.database import opened
from dashboard.reach import Reach, answers
from tests.browser.conftest import run_command, running, three_pictures, wait_until

PREFIX = "/apps/readroom"
ALL_DRAWN = "[...document.querySelectorAll('.rr-grid img')].every((image) => image.naturalWidth > 0)"


@dataclass(frozen=True)
class Ward:
    """A running Readroom with three unread images, below a path."""

    reach: Reach
    home: Path

    def labels(self) -> list[str]:
        with opened(Settings(home=self.home)) as connection:
            return [row["value"] for row in connection.execute("SELECT value FROM labels")]


@pytest.fixture
def ward(browser: Browser, tmp_path: Path) -> Iterator[Ward]:
    home = three_pictures(tmp_path)
    reach = Reach(port=free_port(), prefix=PREFIX)
    with running(home, reach.options(), tmp_path / "up.log", lambda: answers(reach)):
        yield Ward(reach, home)


def test_a_reader_labels_sends_a_file_and_signs_out_below_a_path(browser: Browser, ward: Ward, tmp_path: Path) -> None:
    link = str(run_command(ward.home, "link")["url"])
    assert link.startswith(f"{ward.reach.url}/sign-in?token=")
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    asked: list[str] = []
    refused: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda opened_socket: asked.append(opened_socket.url))
    page.on("response", lambda response: refused.append(response.url) if response.status >= 400 else None)

    page.goto(link)
    page.get_by_role("heading", name="Projects").wait_for()
    (cookie,) = [kept for kept in context.cookies() if kept["name"].startswith("readroom_")]
    assert cookie["path"] == PREFIX

    # A label, the same page loaded by its address, and the grid with its pictures and links.
    page.get_by_text("Open", exact=True).first.click()
    open_place(page, "Label")
    label_first(page)
    assert ward.labels() == ['{"classes": ["bright"]}']
    page.reload()
    page.get_by_role("img", name=re.compile("Image")).wait_for()
    open_place(page, "Cases")
    pictures = page.locator(".rr-grid img")
    expect(pictures).to_have_count(3)
    pictures.first.scroll_into_view_if_needed()
    # asked again and again from here: the page's policy forbids to wait within it
    wait_until(lambda: page.evaluate(ALL_DRAWN))
    loads = len([url for url in asked if url.endswith("/_stcore/host-config")])
    pictures.first.click()  # caught: the page changes in place
    page.wait_for_url(re.compile(rf"{PREFIX}/case\?"))
    assert len([url for url in asked if url.endswith("/_stcore/host-config")]) == loads

    # Files go up below it, and the choice of colours holds.
    open_place(page, "Import")
    Image.fromarray(np.full((64, 64), 7, np.uint8)).save(tmp_path / "more.png")
    with page.expect_file_chooser() as chooser:
        page.locator("[data-part=pick-files]").click()
    chooser.value.set_files(tmp_path / "more.png")
    page.get_by_text(re.compile("1 file is on the server")).wait_for()
    page.get_by_role("button", name="Light", exact=True).click()
    expect(page.get_by_role("button", name="Light", exact=True)).to_have_attribute("aria-pressed", "true")

    page.get_by_role("link", name="Sign out").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{ward.reach.url}/sign-in")
    page.goto(f"{ward.reach.url}/label")
    expect(page).to_have_url(re.compile(re.escape(f"{ward.reach.url}/sign-in?next=")))
    context.close()

    ours = [url for url in asked if urlsplit(url).scheme in ("http", "https", "ws", "wss")]
    assert len(ours) > 20
    assert [url for url in ours if not urlsplit(url).path.startswith(f"{PREFIX}/")] == []
    # Streamlit looks for its base below any page but the first.
    looking_for_its_base = re.compile(f"{PREFIX}/[a-z_]+/_stcore/(health|host-config)$")
    assert [url for url in refused if not looking_for_its_base.search(url)] == []


def open_place(page: Page, name: str) -> None:
    page.locator("[data-testid=stSidebar]").get_by_role("link", name=name, exact=True).click()


def label_first(page: Page) -> None:
    page.get_by_role("img", name=re.compile("Image")).wait_for()
    page.keyboard.press("Digit2")
    expect(page.get_by_text(re.compile(r"Saved \d"))).to_be_visible()
