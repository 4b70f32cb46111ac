"""A session that runs out while the label page is open: nothing that was answered is lost."""

import re

from playwright.sync_api import Page, expect

from core.store.database import opened
from tests.browser.conftest import Reading, wait_until
from tests.browser.test_walk import open_page


def test_an_answer_given_after_the_session_ran_out_is_sent_after_the_next_sign_in(page: Page, reading: Reading) -> None:
    open_page(page, reading, "Label")
    page.get_by_role("img", name=re.compile("Image")).wait_for()
    before = len(reading.stored_events())
    with opened(reading.settings) as connection:  # nobody has clicked for a long time
        connection.execute("UPDATE sessions SET last_seen_at = '2026-01-01T00:00:00.000Z'")
    with page.expect_response("**/api/v1/events") as refused:
        page.keyboard.press("Digit1")
    assert refused.value.status == 401
    expect(page.get_by_text(re.compile("signed out")).first).to_be_visible()
    assert len(reading.stored_events()) == before
    second = page.context.new_page()
    second.goto(reading.link())
    second.get_by_role("heading", name="Projects").wait_for()
    wait_until(lambda: len(reading.stored_events()) == before + 1)
