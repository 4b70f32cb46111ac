"""A reader on another machine: over TLS, from the invitation to the first label. Skips where Chromium is absent."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from bench.chromium import WAIT_MS
from bench.server import SECOND_LOOPBACK
from core.settings import Settings
from core.store.database import opened
from dashboard.reach import Reach, answers
from tests.browser.conftest import run_command, running, three_pictures
from tests.dashboard.certificates import make_certificate
from tests.second_address import free_port_there

PASSWORD = "grey horses sleep standing"


@dataclass(frozen=True)
class Ward:
    """A running Readroom with three unread images, served over TLS."""

    reach: Reach
    home: Path

    def labels(self) -> list[tuple[str, str]]:
        """Who gave which answer, as the database has it."""
        query = "SELECT users.name, labels.value FROM labels JOIN users ON users.id = labels.reader"
        with opened(Settings(home=self.home)) as connection:
            return [(row["name"], row["value"]) for row in connection.execute(query)]


@pytest.fixture
def ward(browser: Browser, tmp_path: Path) -> Iterator[Ward]:
    port = free_port_there()
    home = three_pictures(tmp_path)
    reach = Reach(SECOND_LOOPBACK, port, certificate=make_certificate(tmp_path / "tls"))
    with running(home, reach.options(), tmp_path / "up.log", lambda: answers(reach)):
        yield Ward(reach, home)


def test_an_invited_administrator_chooses_a_password_and_labels_a_case_over_tls(browser: Browser, ward: Ward) -> None:
    link = str(run_command(ward.home, "link", "--user", "Dr. Okafor")["url"])
    assert link.startswith(ward.reach.url + "/sign-in?token=")
    context = browser.new_context(viewport={"width": 1280, "height": 800}, ignore_https_errors=True)
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    sockets: list[str] = []
    page.on("websocket", lambda opened_socket: sockets.append(opened_socket.url))

    page.goto(link)
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("The same once more", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Set password and sign in").click()
    page.get_by_role("heading", name="Projects").wait_for()
    assert sockets
    assert all(url.startswith(f"wss://{SECOND_LOOPBACK}:") for url in sockets)
    (cookie,) = [kept for kept in context.cookies() if kept["name"].startswith("__Host-readroom_")]
    assert cookie["secure"]
    assert cookie["httpOnly"]

    page.get_by_text("Open", exact=True).first.click()
    page.locator("[data-testid=stSidebar]").get_by_role("link", name="Label", exact=True).click()
    page.get_by_role("img", name=re.compile("Image")).wait_for()
    page.keyboard.press("Digit2")
    expect(page.get_by_text(re.compile(r"Saved \d"))).to_be_visible()
    assert ward.labels() == [("Dr. Okafor", '{"classes": ["bright"]}')]
    context.close()
