"""Plain pages in a real browser: nothing is asked of another host, and the policy has nothing to refuse.

The pages of Streamlit are watched in the walk of test_access.py, which opens them all.
"""

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

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
    with page.expect_console_message(lambda message: bool(watch.violations)):
        page.evaluate("fetch('http://127.0.0.2:9/x').catch(() => {})")
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
