"""The users' paths, walked by keyboard and mouse from the sign-in link to a Grad-CAM overlay."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, WebSocketRoute, expect

from core.store.database import opened
from tests.browser.conftest import Reading, is_up, wait_until
from tests.browser.test_access import settle, visit

pytestmark = pytest.mark.usefixtures("tiny")


def test_nobody_gets_in_without_the_link(browser: Browser, reading: Reading) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{reading.address}/label?project=1")
    expect(page).to_have_url(re.compile("/sign-in"))
    assert context.request.get(f"{reading.address}/api/v1/cases/1").status == 401
    context.close()


def test_training_needs_no_scrolling_under_the_warning_that_no_worker_runs(page: Page, reading: Reading) -> None:
    """Before a page of these tests asks for a warm child, for which a worker that ends would wait."""
    with reading.without_worker():
        page.goto(f"{reading.address}/train?project=1")
        expect(page.locator("[data-testid=stMain]").get_by_text("Worker is not running")).to_be_visible()
        settle(page)
        assert_fits(page, "train")


def test_a_case_is_labelled_by_one_key_and_the_next_one_is_there(page: Page, reading: Reading) -> None:
    before = len(reading.stored_events())
    page.goto(reading.address)
    page.get_by_text("Open", exact=True).last.click()  # the first project made; other tests add more
    page.locator("[data-testid=stSidebar]").get_by_role("link", name="Label", exact=True).click()
    page.get_by_role("img", name=re.compile("Image")).wait_for()
    first = page.get_by_role("img", name=re.compile("Image")).get_attribute("aria-label")
    page.keyboard.press("Digit1")
    expect(page.get_by_text(re.compile(r"Saved \d"))).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Image"))).not_to_have_attribute("aria-label", first or "")
    wait_until(lambda: len(reading.stored_events()) == before + 1)


def test_an_answer_that_is_taken_back_counts_no_more(page: Page, reading: Reading) -> None:
    page.goto(f"{reading.address}/label?project=1")
    image = page.get_by_role("img", name=re.compile("Image"))
    image.wait_for()
    shown = image.get_attribute("aria-label") or ""
    before, events = reading.current_answers(), len(reading.stored_events())
    page.keyboard.press("Digit2")
    wait_until(lambda: len(reading.stored_events()) == events + 1)
    given = {said for said in reading.current_answers().items() if said not in before.items()}
    assert [value for _, value in given] == ['{"classes": ["bright"]}']
    page.keyboard.press("Control+z")
    wait_until(lambda: len(reading.stored_events()) == events + 2)
    assert reading.current_answers() == before
    expect(image).to_have_attribute("aria-label", shown)


def test_a_correction_that_is_taken_back_restores_the_answer_before(page: Page, reading: Reading) -> None:
    page.goto(f"{reading.address}/label?project=1")
    image = page.get_by_role("img", name=re.compile("Image"))
    image.wait_for()
    shown = image.get_attribute("aria-label") or ""
    nothing, events = reading.current_answers(), len(reading.stored_events())
    page.keyboard.press("Digit1")
    wait_until(lambda: len(reading.stored_events()) == events + 1)
    first = reading.current_answers()
    ((place, value),) = (said for said in first.items() if said not in nothing.items())
    assert value == '{"classes": ["dark"]}'
    page.keyboard.press("ArrowLeft")
    expect(image).to_have_attribute("aria-label", shown)
    page.keyboard.press("Digit2")
    wait_until(lambda: len(reading.stored_events()) == events + 2)
    assert reading.current_answers() == first | {place: '{"classes": ["bright"]}'}
    page.keyboard.press("Control+z")
    wait_until(lambda: len(reading.stored_events()) == events + 3)
    assert reading.current_answers() == first


def test_a_main_page_needs_no_scrolling(page: Page, reading: Reading) -> None:
    page.goto(reading.address)
    for name in ("", "overview", "cases", "label", "train", "evaluate", "review?result=all", "models", "meeting"):
        visit(page, name + ("&" if "?" in name else "?") + "project=1")
        assert_fits(page, name)


def test_a_watched_case_is_seen_whole_on_a_wide_screen(page: Page, reading: Reading) -> None:
    """Tiles are as high as on a small screen; a square that is as wide as a wide tile was cut above and below."""
    page.set_viewport_size({"width": 1920, "height": 1080})
    page.goto(f"{reading.address}/train?project=1")
    page.get_by_role("tab", name="What it says").click()
    picture = page.locator(".rr-watched img").first
    picture.wait_for()
    tile, shown = picture.locator("xpath=..").bounding_box(), picture.bounding_box()
    assert tile is not None
    assert shown is not None
    assert shown["height"] <= tile["height"]
    assert tile["y"] <= shown["y"]


def test_the_choice_of_a_theme_holds_on_every_page_and_after_a_reload(page: Page, reading: Reading) -> None:
    page.goto(reading.address)
    app = page.locator("[data-testid=stApp]")
    for choice, elsewhere in (("Light", "cases?project=1"), ("Dark", "")):
        page.get_by_role("button", name=choice, exact=True).click()  # loads the page anew
        expect(app).to_have_css("color-scheme", choice.lower())
        page.goto(f"{reading.address}/{elsewhere}")
        expect(app).to_have_css("color-scheme", choice.lower())


def test_a_choice_made_before_its_script_is_there_is_not_lost(page: Page, reading: Reading) -> None:
    held: list[Route] = []
    page.route("**/assets/theme.js", lambda route: held.append(route), times=1)
    page.goto(reading.address)
    light = page.get_by_role("button", name="Light", exact=True)
    expect(light).to_be_disabled()
    wait_until(lambda: page.wait_for_timeout(50) or held)  # a plain wait would keep the request from arriving here
    held[0].continue_()
    light.click()
    expect(page.locator("[data-testid=stApp]")).to_have_css("color-scheme", "light")


def test_files_that_are_sent_while_another_page_is_open_are_ready_when_the_reader_comes_back(
    page: Page, reading: Reading, tmp_path: Path
) -> None:
    (tmp_path / "more.png").write_bytes(next((reading.home.parent / "images").glob("*.png")).read_bytes())
    held: list[Route] = []
    page.route("**/api/v1/uploads/*", lambda route: held.append(route), times=1)
    page.goto(f"{reading.address}/import_images?project=1")
    with page.expect_file_chooser() as chooser:
        page.locator("[data-part=pick-files]").click()
    chooser.value.set_files(tmp_path / "more.png")
    wait_until(lambda: page.wait_for_timeout(50) or held)
    menu = page.locator("[data-testid=stSidebar]")
    menu.get_by_role("link", name="Cases", exact=True).click()
    page.get_by_role("heading", name="Cases").wait_for()
    with page.expect_response("**/api/v1/uploads/*"):
        held[0].continue_()
    menu.get_by_role("link", name="Import", exact=True).click()
    expect(page.get_by_text("1 file is on the server")).to_be_visible()
    expect(page.get_by_role("button", name="Look first")).to_be_visible()


@pytest.mark.usefixtures("tiny")
def test_a_second_press_of_the_button_that_was_seen_starts_no_second_job(page: Page, reading: Reading) -> None:
    """What the browser sent for a press comes once more when the first has done its work, as on a slow line."""
    sent: list[str | bytes] = []
    server: list[WebSocketRoute] = []

    def relay(line: WebSocketRoute) -> None:
        server.append(line.connect_to_server())
        line.on_message(lambda message: (sent.append(message), server[-1].send(message)))

    def press_twice(button: str, key: bytes, kind: str) -> None:
        before = len(jobs(reading, kind))
        page.get_by_role("button", name=button).click()
        wait_until(lambda: page.wait_for_timeout(50) or len(jobs(reading, kind)) == before + 1)
        server[-1].send(next(message for message in reversed(sent) if is_press(message, key)))
        page.wait_for_timeout(3000)
        settle(page)
        made = jobs(reading, kind)[before:]
        for job in made:
            reading.readroom("jobs", "stop", str(job))
        assert len(made) == 1

    page.route_web_socket(re.compile("_stcore/stream"), relay)
    with reading.worker_asleep():
        page.goto(f"{reading.address}/train?project=1")
        press_twice("Start training", b"train_start", "train")
        page.goto(f"{reading.address}/evaluate?project=1")
        press_twice("Evaluate again", b"evaluate_start", "evaluate")


def is_press(message: str | bytes, key: bytes) -> bool:
    return key in (message if isinstance(message, bytes) else message.encode())


def jobs(reading: Reading, kind: str) -> list[int]:
    with opened(reading.settings) as connection:
        return [row["id"] for row in connection.execute("SELECT id FROM jobs WHERE kind = ? ORDER BY id", (kind,))]


def assert_fits(page: Page, name: str) -> None:
    if name in ("label", "review?result=all"):
        lowest = page.get_by_role("toolbar", name="Looking").bounding_box()
        assert lowest is not None
        assert lowest["y"] + lowest["height"] <= 800
    if name in ("train", "evaluate"):
        page.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert_no_overhang(page, name)


def assert_no_overhang(page: Page, name: str) -> None:
    page.wait_for_timeout(300)  # what is drawn last has taken its place
    for part in ("stMain", "stSidebarContent"):
        measure = (
            f"(() => {{ const at = document.querySelector('[data-testid={part}]');"
            "return at.scrollHeight - at.clientHeight })()"
        )
        # While a page is being drawn a piece of the one before may still stand below it.
        wait_until(lambda measure=measure: page.evaluate(measure) <= 1, 30, f"{name or 'projects'}: {part} scrolls")


def test_answers_given_while_the_server_is_dead_arrive_when_it_is_back(page: Page, reading: Reading) -> None:
    page.goto(f"{reading.address}/label?project=1")
    page.get_by_role("img", name=re.compile("Image")).wait_for()
    page.wait_for_load_state("networkidle")  # the next cases are in the browser
    before = len(reading.stored_events())
    reading.web_process().kill()
    image = page.get_by_role("img", name=re.compile("Image"))
    shown = image.get_attribute("aria-label")
    page.keyboard.press("Digit1")
    expect(image).not_to_have_attribute("aria-label", shown or "")  # the next one was in the browser
    page.keyboard.press("Digit2")
    wait_until(lambda: is_up(reading.address))
    wait_until(lambda: len(reading.stored_events()) == before + 2)
    assert len(set(reading.stored_events())) == before + 2


def test_a_cell_of_the_confusion_matrix_leads_to_its_cases_and_their_overlay(page: Page, reading: Reading) -> None:
    page.goto(f"{reading.address}/evaluate?project=1")
    page.get_by_text("Confusion matrix").wait_for()
    points = page.locator(".js-plotly-plot .scatterlayer .point")
    points.first.wait_for()
    points.first.click(force=True)
    expect(page).to_have_url(re.compile(r"/review\?"))
    page.get_by_role("img", name=re.compile("Image")).wait_for()
    with page.expect_response(re.compile(r"/api/v1/explanations/.*\.npy"), timeout=180_000) as answer:
        page.keyboard.press("g")
    assert answer.value.ok
    expect(page.get_by_text(re.compile("shuffled weights"))).to_be_visible()


def test_a_label_is_corrected_from_the_review(page: Page, reading: Reading) -> None:
    page.goto(f"{reading.address}/review?project=1&result=all")
    page.get_by_role("img", name=re.compile("Image")).wait_for()
    shown = page.get_by_role("img", name=re.compile("Image")).get_attribute("aria-label")
    page.keyboard.press("Digit2")
    wait_until(lambda: "review" in reading.places_of_answers())
    expect(page.get_by_text(re.compile(r", review$")).first).to_be_visible()  # among the answers beside the image
    expect(page.get_by_role("img", name=re.compile("Image"))).to_have_attribute("aria-label", shown or "")


def test_the_address_alone_reproduces_the_view(page: Page, reading: Reading) -> None:
    page.goto(f"{reading.address}/review?project=1&result=all")
    image = page.get_by_role("img", name=re.compile("Image"))
    image.wait_for()
    expect(page).to_have_url(re.compile("case="))
    page.keyboard.press("ArrowRight")
    page.get_by_role("combobox", name="Class that is explained").select_option("bright")
    page.get_by_role("slider", name="Opacity of the overlay").fill("0.3")
    page.keyboard.press("g")
    for said in (r"explained=bright", r"opacity=0\.30", r"overlay=on"):
        expect(page).to_have_url(re.compile(said))
    shown = image.get_attribute("aria-label")
    address = page.url
    page.goto("about:blank")  # nothing of the view is left but its address
    page.goto(address)
    expect(image).to_have_attribute("aria-label", shown or "")
    expect(page.get_by_role("button", name="Explanation")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("combobox", name="Class that is explained")).to_have_value("bright")
    expect(page.get_by_role("slider", name="Opacity of the overlay")).to_have_value("0.3")
    expect(page.get_by_text(re.compile("shuffled weights"))).to_be_visible(timeout=180_000)
    page.keyboard.press("g")
    expect(page).not_to_have_url(re.compile("overlay="))
