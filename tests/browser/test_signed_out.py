"""A session that runs out while the label page is open: nothing that was answered is lost."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from bench.chromium import new_context
from core.store.database import opened
from tests.browser.conftest import Reading, wait_until


@pytest.fixture
def forget(reading: Reading) -> Iterator[Callable[[], None]]:
    """Makes it so that nobody has clicked for a long time; other files sign in with the sessions as they were."""
    with opened(reading.settings) as connection:
        had = [tuple(row) for row in connection.execute("SELECT last_seen_at, session_hash FROM sessions")]

        def forget_all() -> None:
            connection.execute("UPDATE sessions SET last_seen_at = '2026-01-01T00:00:00.000Z'")

        yield forget_all
        connection.executemany("UPDATE sessions SET last_seen_at = ? WHERE session_hash = ?", had)


def test_an_answer_given_after_the_session_ran_out_is_sent_after_the_next_sign_in(
    page: Page, reading: Reading, forget: Callable[[], None]
) -> None:
    page.goto(f"{reading.address}/label?project=1")
    page.get_by_role("img", name=re.compile("Image")).wait_for()
    before = len(reading.stored_events())
    forget()
    with page.expect_response("**/api/v1/events") as refused:
        page.keyboard.press("Digit1")
    assert refused.value.status == 401
    expect(page.get_by_text(re.compile("signed out")).first).to_be_visible()
    assert len(reading.stored_events()) == before
    second = page.context.new_page()
    second.goto(reading.link())
    second.get_by_role("heading", name="Projects").wait_for()
    wait_until(lambda: len(reading.stored_events()) == before + 1)


def test_a_password_is_sent_once_however_often_its_button_is_pressed(browser: Browser, reading: Reading) -> None:
    """The link works once: a second request would be told so, and the answer to the first be given up."""
    page = new_context(browser).new_page()
    page.goto(
        reading.address
        + urlsplit(reading.readroom("user", "invite", "carla")["url"])._replace(scheme="", netloc="").geturl()
    )
    held: list[Route] = []
    page.route("**/sign-in", lambda route: held.append(route) if route.request.method == "POST" else route.continue_())
    for field in page.locator("input[type=password]").all():
        field.fill("a slow line to the ward")
    button = page.get_by_role("button", name="Set password and sign in")
    box = button.bounding_box()
    assert box is not None
    for _ in range(3):  # by the mouse alone: a locator would wait for the answer
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        wait_until(lambda: page.wait_for_timeout(50) or held)
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    held[0].continue_()
    page.get_by_role("heading", name="Projects").wait_for()
    assert len(held) == 1
    page.context.close()
