"""The label page by keyboard: the loop, taking back after a reload, two tabs, numbers, chords, what was refused."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from core.store.database import opened
from tests.browser.conftest import Reading, wait_until
from tests.browser.test_access import settle

MANY = [f"finding {at + 1}" for at in range(14)]


@pytest.fixture(scope="module")
def projects(reading: Reading, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Three projects of 24 pictures: two classes, fourteen classes, a number."""
    folder = tmp_path_factory.mktemp("pictures")
    _write_pictures(folder)
    created = {
        "Twenty": ("--classes", "dark,bright"),
        "Fourteen": ("--classes", ",".join(MANY)),
        "Diameter": ("--task", "regression", "--target", "diameter", "--unit", "mm", "--low", "0", "--high", "300"),
    }
    numbers = {}
    for name, words in created.items():
        numbers[name] = int(reading.readroom("project", "create", name, *words)["project"])
        reading.readroom("import", name, str(folder))
    return numbers


def _write_pictures(folder: Path) -> None:
    rng = np.random.default_rng(1)
    for at in range(24):
        Image.fromarray(rng.integers(0, 200, (64, 64), dtype=np.uint8)).save(folder / f"{at:02d}.png")


def open_list(page: Page, reading: Reading, project: int, *, worklist: str = "all", more: str = "") -> None:
    page.goto(f"{reading.address}/label?project={project}&worklist={worklist}{more}")
    shown(page)


def shown(page: Page) -> str:
    """The number of the case on the screen, once its image is there."""
    image = page.get_by_role("img", name=re.compile("Image")).first
    image.wait_for()
    return str(page.locator(".viewer").get_attribute("data-case"))


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def press_and_go(page: Page, *keys: str) -> None:
    """Keys that answer a case; the next one is on the screen afterwards."""
    before = shown(page)
    press(page, *keys)
    expect(page.locator(".viewer")).not_to_have_attribute("data-case", re.compile(f"^({before})?$"))


def saved(page: Page) -> None:
    expect(page.locator(".state")).to_have_text(re.compile(r"^Saved \d"))


def answers(reading: Reading, project: int) -> dict[int, Any]:
    """What counts in a project, by case."""
    query = """SELECT current_labels.case_id, labels.value, labels.unusable_reason, labels.active_seconds
               FROM current_labels JOIN labels ON labels.id = current_labels.label WHERE current_labels.project = ?"""
    with opened(reading.settings) as connection:
        return {row["case_id"]: dict(row) for row in connection.execute(query, (project,))}


def note_of(reading: Reading, case: int) -> str:
    """The note of the answer to a case that was given last."""
    with opened(reading.settings) as connection:
        query = "SELECT note FROM labels WHERE case_id = ? ORDER BY id DESC LIMIT 1"
        return str(connection.execute(query, (case,)).fetchone()["note"])


def values(reading: Reading, project: int) -> list[Any]:
    rows = answers(reading, project)
    return [json.loads(rows[case]["value"]) if rows[case]["value"] else None for case in sorted(rows)]


def test_twenty_cases_are_labelled_by_keyboard(page: Page, reading: Reading, projects: dict[str, int]) -> None:
    project = projects["Twenty"]
    open_list(page, reading, project, worklist="unlabelled")
    said = ["bright" if at % 3 else "dark" for at in range(20)]
    for name in said:
        press_and_go(page, "Digit2" if name == "bright" else "Digit1")
    saved(page)
    wait_until(lambda: len(answers(reading, project)) == 20)
    assert values(reading, project) == [{"classes": [name]} for name in said]
    assert all(row["active_seconds"] > 0 for row in answers(reading, project).values())
    expect(page.locator(".top .progress")).to_contain_text("20 of 24 by me")
    expect(page.locator(".top .progress")).to_contain_text("cases/h")
    # Both are in the address: who opens it again is where they were.
    assert f"case={shown(page)}" in page.url
    assert "worklist=unlabelled" in page.url


def test_undo_after_a_reload_takes_the_answers_back_one_by_one_and_redo_gives_them_again(
    page: Page, reading: Reading, projects: dict[str, int]
) -> None:
    project = projects["Twenty"]
    open_list(page, reading, project)
    first = shown(page)
    before = answers(reading, project)
    press_and_go(page, "Digit2")
    second = shown(page)
    press_and_go(page, "Digit1")
    saved(page)
    page.reload()
    shown(page)
    press(page, "Control+z")
    expect(page.locator(".viewer")).to_have_attribute("data-case", second)
    press(page, "Control+z")
    expect(page.locator(".viewer")).to_have_attribute("data-case", first)
    saved(page)

    def told(case: str) -> Any:
        return answers(reading, project).get(int(case), {}).get("value")

    wait_until(lambda: all(told(case) == before.get(int(case), {}).get("value") for case in (first, second)))
    press(page, "Control+y")
    wait_until(lambda: told(first) == '{"classes": ["bright"]}')


def test_an_unusable_image_says_why_by_a_second_key(page: Page, reading: Reading, projects: dict[str, int]) -> None:
    project = projects["Twenty"]
    open_list(page, reading, project, worklist="unlabelled")
    case = int(shown(page))
    press_and_go(page, "KeyQ", "Digit1")
    wait_until(lambda: answers(reading, project).get(case, {}).get("unusable_reason") == "motion or blur")


def test_two_tabs_of_one_reader_know_what_the_other_said(
    page: Page, reading: Reading, projects: dict[str, int]
) -> None:
    project = projects["Twenty"]
    open_list(page, reading, project)
    case = shown(page)
    other = page.context.new_page()
    open_list(other, reading, project, more=f"&case={case}")
    chosen = other.get_by_role("button", name=re.compile("bright"))
    press_and_go(page, "Digit2")
    expect(chosen).to_have_attribute("aria-pressed", "true")
    press_and_go(page, "ArrowLeft")
    press_and_go(page, "Digit1")
    expect(chosen).to_have_attribute("aria-pressed", "false")
    expect(other.get_by_text("Changed in another tab of yours.")).to_be_visible()
    saved(page)
    saved(other)
    assert json.loads(answers(reading, project)[int(case)]["value"]) == {"classes": ["dark"]}


def test_two_keys_choose_among_fourteen_classes_and_so_does_the_search(
    page: Page, reading: Reading, projects: dict[str, int]
) -> None:
    project = projects["Fourteen"]
    open_list(page, reading, project)
    press_and_go(page, "Digit9")
    press_and_go(page, "Digit0", "Digit5")
    press_and_go(page, "Slash", "1", "2", "Enter")
    wait_until(lambda: len(answers(reading, project)) == 3)
    assert values(reading, project) == [{"classes": [name]} for name in ("finding 9", "finding 14", "finding 12")]


def test_a_number_is_typed_checked_and_saved(page: Page, reading: Reading, projects: dict[str, int]) -> None:
    project = projects["Diameter"]
    open_list(page, reading, project)
    press_and_go(page, "Digit4", "Digit2", "Comma", "Digit5", "Enter")
    stays = shown(page)
    press(page, "Digit9", "Digit9", "Digit9", "Enter")
    expect(page.get_by_text("Diameter is between 0 and 300 mm. Received: 999")).to_be_visible()
    assert shown(page) == stays
    page.keyboard.type("99")  # in its place: the number is chosen
    press_and_go(page, "Enter")
    wait_until(lambda: values(reading, project) == [{"value": 42.5}, {"value": 99.0}])


def test_classes_that_change_under_an_open_page_are_taken_over_and_said(
    page: Page, reading: Reading, projects: dict[str, int]
) -> None:
    project = projects["Fourteen"]
    open_list(page, reading, project)
    page.wait_for_timeout(3500)  # what was asked for before is old now
    reading.readroom("project", "classes", "Fourteen", "rename", "finding 2", "cyst")
    press(page, "ArrowRight")
    expect(page.get_by_text(re.compile("What can be answered in this project has changed"))).to_be_visible()
    expect(page.get_by_role("button", name="cyst")).to_be_visible()
    case = int(shown(page))
    press_and_go(page, "Digit2")
    wait_until(lambda: answers(reading, project).get(case, {}).get("value") == '{"classes": ["cyst"]}')


def test_the_viewer_that_comes_after_another_page_knows_what_was_said_before(
    page: Page, reading: Reading, projects: dict[str, int]
) -> None:
    """It finds the cases in the browser's memory, as they were before: an answer that was given up counts when its key
    is pressed again."""
    open_list(page, reading, projects["Twenty"])
    case = int(shown(page))
    for key in ("Digit2", "Digit1"):  # whatever was said of it before, the second key changes it
        press_and_go(page, key)
        press(page, "ArrowLeft")
        expect(page.locator(".viewer")).to_have_attribute("data-case", str(case))
    saved(page)
    page.goto(page.url.partition("&case")[0])
    assert int(shown(page)) == case
    page.route(f"**/api/v1/cases/{case}", lambda route: route.abort())  # what the server knows does not get through
    press_and_go(page, "Digit2")
    saved(page)
    page.locator("[data-testid=stSidebar]").get_by_role("link", name="Cases", exact=True).click()
    page.get_by_role("heading", name="Cases").wait_for()
    # whole, so that it writes its own address no more after the page has gone back
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.go_back()
    shown(page)
    page.locator("input.place").fill("1")
    press(page, "Enter")
    expect(page.locator(".viewer")).to_have_attribute("data-case", str(case))
    press_and_go(page, "Digit1")
    wait_until(lambda: json.loads(answers(reading, projects["Twenty"])[case]["value"]) == {"classes": ["dark"]})


def test_that_somebody_else_has_answered_meanwhile_is_said(
    page: Page, reading: Reading, projects: dict[str, int]
) -> None:
    open_list(page, reading, projects["Twenty"])
    case = int(shown(page))
    page.wait_for_timeout(3500)
    reading.readroom("label", "Twenty", str(case + 1), "bright", "--reader", "ben")
    press(page, "ArrowRight")
    expect(page.get_by_text("ben has answered this case meanwhile.")).to_be_visible()


@pytest.fixture
def refusing(page: Page) -> Page:
    """A page whose server refuses every event."""

    def refuse(route: Route) -> None:
        events = json.loads(route.request.post_data or "{}")["events"]
        refused = [{"event": one["event"], "reason": "There is no such case any more."} for one in events]
        route.fulfill(status=422, json={"acknowledged": [], "refused": refused})

    page.route("**/api/v1/events", refuse)
    return page


def test_what_is_refused_is_put_aside_and_can_be_sent_again(
    refusing: Page, reading: Reading, projects: dict[str, int]
) -> None:
    page, project = refusing, projects["Fourteen"]
    open_list(page, reading, project, worklist="unlabelled")
    case = int(shown(page))
    press_and_go(page, "Digit3")
    expect(page.get_by_text(re.compile("put aside: There is no such case any more."))).to_be_visible()
    page.reload()
    shown(page)
    page.unroute("**/api/v1/events")
    page.get_by_role("button", name="1 put aside").click()
    with page.expect_download() as file:
        page.get_by_role("button", name="Download all").click()
    (kept,) = json.loads(file.value.path().read_text("utf-8"))
    assert (kept["case"], kept["value"]) == (case, {"classes": ["finding 3"]})
    page.get_by_role("button", name="Send again").click()
    wait_until(lambda: case in answers(reading, project))
    expect(page.get_by_role("button", name=re.compile("put aside"))).to_have_count(0)


def test_without_a_connection_answers_are_kept_and_the_header_says_how_many(
    page: Page, reading: Reading, projects: dict[str, int]
) -> None:
    project = projects["Fourteen"]
    open_list(page, reading, project, worklist="unlabelled")
    page.wait_for_load_state("networkidle")  # the next cases are in the browser
    before = len(answers(reading, project))
    page.context.set_offline(True)
    press_and_go(page, "Digit1")
    press_and_go(page, "Digit2")
    expect(page.get_by_text("Not saved: no connection, 2 changes kept in this browser")).to_be_visible()
    page.context.set_offline(False)
    saved(page)
    wait_until(lambda: len(answers(reading, project)) == before + 2)


def test_a_case_that_is_gone_is_said_and_the_next_one_is_reached(
    page: Page, reading: Reading, projects: dict[str, int]
) -> None:
    project = projects["Twenty"]
    gone = {"status": 404, "json": {"reason": "There is no case any more."}}
    page.goto(f"{reading.address}/label?project={project}&worklist=all")
    case = int(shown(page))
    page.route(f"**/api/v1/cases/{case + 1}", lambda route: route.fulfill(**gone))  # type: ignore[arg-type]
    page.reload()
    shown(page)
    press(page, "ArrowRight")
    expect(page.get_by_text("There is no case any more.")).to_be_visible()
    press(page, "Digit1")  # says nothing about a case that is not there
    press(page, "ArrowRight")
    expect(page.locator(".viewer")).to_have_attribute("data-case", str(case + 2))


def test_an_image_that_does_not_come_is_said_and_asked_for_anew(
    page: Page, reading: Reading, projects: dict[str, int]
) -> None:
    held: list[Route] = []
    page.clock.install()
    open_list(page, reading, projects["Fourteen"])
    case = int(shown(page))
    press_and_go(page, "Digit0", "Digit1")
    page.route(f"**/api/v1/cases/{case + 5}", lambda route: held.append(route), times=1)
    page.locator("input.place").fill("6")
    saved(page)
    settle(page)
    expect(page.locator("input.place")).to_have_value("6")  # though the page was drawn anew meanwhile
    press(page, "Enter")
    expect(page.get_by_text("Loading", exact=True)).to_be_visible()
    expect(page.get_by_role("textbox", name="Note")).to_be_disabled()
    page.clock.fast_forward(15_000)
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".viewer")).to_have_attribute("data-case", str(case + 5))
    expect(page.get_by_role("textbox", name="Note")).to_be_enabled()
    assert len(held) == 1
    press(page, "Digit0", "ArrowRight")  # a digit that was begun on one case
    expect(page.locator(".viewer")).to_have_attribute("data-case", str(case + 6))
    press_and_go(page, "Digit5")
    wait_until(lambda: case + 6 in answers(reading, projects["Fourteen"]))
    assert json.loads(answers(reading, projects["Fourteen"])[case + 6]["value"]) == {"classes": ["finding 5"]}


def test_a_note_that_is_being_written_when_the_page_is_closed_is_kept(
    page: Page, reading: Reading, projects: dict[str, int]
) -> None:
    open_list(page, reading, projects["Fourteen"])
    case = int(shown(page))
    press_and_go(page, "Digit1")
    press(page, "ArrowLeft")
    expect(page.locator(".viewer")).to_have_attribute("data-case", str(case))
    expect(page).to_have_url(re.compile(rf"case={case}\b"))  # where the page opens when it is loaded again
    saved(page)
    press(page, "KeyN")
    page.keyboard.type("hazy left base")
    page.on("dialog", lambda dialog: dialog.accept())  # "Leave the page?", because the note is on its way
    page.reload()
    shown(page)
    expect(page.get_by_role("textbox", name="Note")).to_have_value("hazy left base")
    wait_until(lambda: note_of(reading, case) == "hazy left base")
