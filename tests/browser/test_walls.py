"""Every page in a real browser: nothing is asked of another host, and the policy has nothing to refuse."""

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from dashboard.places import PLACES
from tests.browser.conftest import Reading

OURS = ("127.0.0.1", "localhost")
SETTLE_MS = 800


class Watch:
    """What a tab asked for and complained about."""

    def __init__(self, page: Page) -> None:
        self.elsewhere: list[str] = []
        self.violations: list[str] = []
        self.asked = 0
        page.on("request", self.note_request)
        page.on("websocket", lambda socket: self.note_address(socket.url))
        page.on("console", self.note_console)

    def note_request(self, request: Request) -> None:
        self.note_address(request.url)

    def note_address(self, url: str) -> None:
        self.asked += 1
        parts = urlsplit(url)
        if parts.scheme not in ("blob", "data") and parts.hostname not in OURS:
            self.elsewhere.append(url)

    def note_console(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text or "Refused to" in message.text:
            self.violations.append(message.text)


@pytest.mark.usefixtures("tiny")
def test_every_page_opens_asks_nobody_else_and_breaks_no_policy(page: Page, reading: Reading) -> None:
    watch = Watch(page)
    for place in PLACES:
        asked = watch.asked
        path = "" if place == PLACES[0] else place.name
        case = "&case=1" if place.name == "case" else ""
        page.goto(f"{reading.address}/{path}?project=1{case}")
        page.locator("[data-testid=stSidebar]").get_by_text("Signed in as").wait_for()
        page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
        page.wait_for_timeout(SETTLE_MS)  # what a page fetches late: fonts, charts, the viewer
        expect(page.locator("[data-testid=stException]")).to_have_count(0)
        assert watch.asked > asked, place.name
        assert (place.name, watch.elsewhere, watch.violations) == (place.name, [], [])
        assert "patient" not in urlsplit(page.url).query, f"an identifier stands in the address of {place.name}"


@pytest.mark.parametrize("path", ["sign-in", "sign-out", "account"])
def test_a_plain_page_asks_nobody_else(page: Page, reading: Reading, path: str) -> None:
    watch = Watch(page)
    page.goto(f"{reading.address}/{path}")
    page.wait_for_timeout(SETTLE_MS // 3)
    assert watch.asked > 0
    assert (watch.elsewhere, watch.violations) == ([], [])


def test_the_watch_sees_a_request_elsewhere_and_a_refusal(browser: Browser, reading: Reading) -> None:
    """Else the tests above could not fail."""
    page = browser.new_page()
    watch = Watch(page)
    page.goto(f"{reading.address}/sign-in")
    page.evaluate("fetch('http://127.0.0.2:9/x').catch(() => {})")
    page.wait_for_timeout(SETTLE_MS // 3)
    page.close()
    assert watch.violations
    watch.note_address("https://fonts.example/x.woff2")
    assert watch.elsewhere == ["https://fonts.example/x.woff2"]


def test_a_password_can_be_shown_and_its_length_is_told(page: Page, reading: Reading) -> None:
    watch = Watch(page)
    page.goto(f"{reading.address}/account")
    field = page.locator("#new_password")
    field.fill("five more")
    expect(page.get_by_text("3 more characters needed.")).to_be_visible()
    field.fill("seven blue horses")
    expect(page.get_by_text("Long enough; longer is better.")).to_be_visible()
    expect(field).to_have_attribute("type", "password")
    show = page.get_by_role("button", name=re.compile("Show: New password"))
    show.click()
    expect(field).to_have_attribute("type", "text")
    show.click()
    expect(field).to_have_attribute("type", "password")
    page.goto(f"{reading.address}/sign-out")
    expect(page.get_by_role("button", name=re.compile("Show"))).to_have_count(0)
    assert watch.violations == []
