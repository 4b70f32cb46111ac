"""Drafts of a model on the label page: taken over or rejected by a key, and unseen where readers answer blind."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from core.store.database import opened
from tests.browser.conftest import Reading, wait_until
from tests.browser.test_viewer_label import open_list, press, press_and_go, shown


@pytest.fixture
def drafted(reading: Reading, tiny: None) -> Iterator[list[int]]:
    """The first project offers its model's answers as drafts; the cases that have one and no answer of this reader."""
    with opened(reading.settings) as connection:
        query = """SELECT case_id FROM predictions WHERE case_id NOT IN (
                       SELECT case_id FROM labels WHERE made_in = 'label page') ORDER BY case_id"""
        cases = [row["case_id"] for row in connection.execute(query)]
        connection.execute("UPDATE projects SET assist_model = (SELECT min(id) FROM models) WHERE id = 1")
    yield cases
    with opened(reading.settings) as connection:
        connection.execute("UPDATE projects SET assist_model = NULL, blind_first = 0 WHERE id = 1")


def told_drafts(reading: Reading, case: int) -> list[Any]:
    """What became of the draft of a case, answer by answer."""
    with opened(reading.settings) as connection:
        rows = connection.execute(
            "SELECT draft FROM labels WHERE case_id = ? AND made_in = 'label page' ORDER BY id", (case,)
        )
        return [json.loads(row["draft"])["outcome"] if row["draft"] else None for row in rows]


def test_a_draft_is_accepted_or_rejected_by_a_key_and_which_is_stored(
    page: Page, reading: Reading, drafted: list[int]
) -> None:
    first, second, *_ = drafted
    open_list(page, reading, 1, more=f"&case={first}")
    expect(page.get_by_text("Draft of tiny")).to_be_visible()
    press_and_go(page, "Shift+Enter")
    wait_until(lambda: told_drafts(reading, first) == ["accepted"])
    open_list(page, reading, 1, more=f"&case={second}")
    expect(page.get_by_text("Draft of tiny")).to_be_visible()
    text = page.locator(".draft p").first.inner_text()
    (suggested,) = (name for name in ("dark", "bright") if name in text)
    press(page, "Shift+Delete")
    press_and_go(page, "Digit1" if suggested == "bright" else "Digit2")  # the other one
    wait_until(lambda: told_drafts(reading, second) == ["rejected"])


def test_a_draft_is_never_seen_before_the_first_answer_where_readers_answer_blind(
    page: Page, reading: Reading, drafted: list[int]
) -> None:
    case = drafted[2]
    with opened(reading.settings) as connection:
        connection.execute("UPDATE projects SET blind_first = 1 WHERE id = 1")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/draft") else None)
    open_list(page, reading, 1, more=f"&case={case}")
    page.wait_for_load_state("networkidle")
    assert asked == []
    press(page, "Digit2")  # stays on the case: now the draft may be seen
    expect(page.get_by_text("Draft of tiny")).to_be_visible()
    assert shown(page) == str(case)
    assert told_drafts(reading, case) == [None]
    press_and_go(page, "Enter")
