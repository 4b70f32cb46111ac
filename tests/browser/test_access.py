"""What a program can check of every page in both themes: accessibility, whom it asks, what the policy refuses."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, StorageState, expect

from dashboard.places import PLACES
from tests.browser.conftest import Reading
from tests.browser.test_walls import Watch

PLAIN_PAGES = ("account", "sign-out")  # without Streamlit; /sign-in is for those who are not signed in
PAGES = {"" if place is PLACES[0] else place.name: place.title for place in PLACES}
# The themes differ in colours and in nothing else: the other rules are asked in the first of them.
RULES = {
    "dark": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]},
    "light": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
}
# Faults of Streamlit's own widgets, which no page of ours can mend.
NOT_OURS = "[data-testid=stDataFrame], [data-testid=stFileUploader], .js-plotly-plot"
# The frame of a combobox lights up, a table draws its cell; the way past the menu is there only while it has the focus.
WITHOUT_RING = ('role="combobox"', 'role="gridcell"', "stSkipToContent")
# The next Tab begins again at the page's first control.
FROM_THE_TOP = "() => { const { body } = document; body.tabIndex = -1; body.focus(); body.removeAttribute('tabindex') }"


@pytest.fixture(scope="module", params=RULES)
def theme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def at_rest(theme: str, context: BrowserContext, reading: Reading, tiny: None) -> Iterator[StorageState]:
    """The browser of somebody who came by the link and likes one theme."""
    before = context.storage_state()
    first = context.new_page()
    first.goto(reading.address)
    first.get_by_role("button", name=theme.capitalize(), exact=True).click()  # loads the page anew
    expect(first.locator("[data-testid=stApp]")).to_have_css("color-scheme", theme)
    first.close()
    yield context.storage_state()
    context.set_storage_state(before)


def settle(page: Page) -> None:
    """Wait until a page is drawn: half-way, Streamlit's own header is there and our styles are not."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.locator("[data-testid=stSidebar]").get_by_text("Signed in as").wait_for()
    for viewer in page.locator(".viewer").all():
        expect(viewer).to_have_attribute("data-case", re.compile("."))  # until then its answers are disabled and pale
    page.wait_for_timeout(500)  # Streamlit fades in what it draws, and half-faded text has half its contrast


def visit(page: Page, path: str) -> None:
    """Another address in the page that is open, as the browser's own way back goes there: quicker than a new page."""
    go = "(to) => { history.pushState({}, '', to); dispatchEvent(new PopStateEvent('popstate', { state: {} })) }"
    page.evaluate(go, f"/{path}")
    name = urlsplit(path).path
    title = re.compile(r"Case \d+") if name == "case" else PAGES[name]
    expect(page.locator(".rr-head h1")).to_have_text(title)
    settle(page)


def faults_of(page: Page, name: str, theme: str) -> list[str]:
    options = {"runOnly": RULES[theme], "resultTypes": ["violations"]}  # what is in order is not described
    for wait in (0, 2000, 8000):  # a fault stays; what a busy machine has half drawn or half faded does not
        page.wait_for_timeout(wait)
        found = Axe().run(page, context={"exclude": [NOT_OURS]}, options=options).response["violations"]
        if not found:
            break
    return [
        f"{name or 'projects'}: {fault['id']}: {node['target']} {node['failureSummary'].splitlines()[-1]}"
        for fault in found
        for node in fault["nodes"]
    ]


def test_every_page_opens_asks_nobody_else_breaks_no_policy_and_has_no_fault_that_axe_finds(
    page: Page, reading: Reading, theme: str
) -> None:
    watch = Watch(page)
    faults = []
    page.goto(reading.address)
    settle(page)
    assert watch.asked > 0
    for name in PAGES:
        visit(page, name + "?project=1" + ("&case=1" if name == "case" else "&result=all" if name == "review" else ""))
        faults += faults_of(page, name, theme)
        expect(page.locator("[data-testid=stException]")).to_have_count(0)
        assert (name, watch.elsewhere, watch.violations) == (name, [], [])
        assert "patient" not in urlsplit(page.url).query, f"an identifier stands in the address of {name}"
    assert not faults, "\n".join(faults)


def test_no_plain_page_has_a_fault_that_axe_finds(page: Page, reading: Reading, theme: str) -> None:
    faults = []
    for name in PLAIN_PAGES:
        page.goto(f"{reading.address}/{name}")
        faults += faults_of(page, name, theme)
    page.context.clear_cookies()
    for name in ("sign-in", "sign-in?token=used"):  # the second one says why not
        page.goto(f"{reading.address}/{name}")
        expect(page.locator("html")).to_have_css("color-scheme", theme)
        faults += faults_of(page, name, theme)
    assert not faults, "\n".join(faults)


def test_whoever_goes_by_keyboard_sees_where_they_are(page: Page, reading: Reading, theme: str) -> None:
    page.goto(reading.address)
    settle(page)
    tab_through(page, "", whole=False)
    for name in ("label?project=1&worklist=all", "cases?project=1", "users?project=1"):
        visit(page, name)
        page.evaluate(FROM_THE_TOP)
        tab_through(page, name, whole=theme == "dark")


def tab_through(page: Page, name: str, *, whole: bool) -> None:
    """Past the menu, which is the same everywhere, and through the page, or only so far that both are seen."""
    seen = 0
    for _ in range(70 if whole else 25):
        page.keyboard.press("Tab")
        ring = page.evaluate(
            """() => {
                let at = document.activeElement
                while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement
                if (at === document.body) return null
                const style = getComputedStyle(at), name = at.outerHTML.slice(0, 120)
                return { outline: parseFloat(style.outlineWidth), kind: style.outlineStyle, name }
            }"""
        )
        if ring is None or any(sign in ring["name"] for sign in WITHOUT_RING):
            continue
        assert ring["kind"] != "none", (name, ring)
        assert ring["outline"] >= 2, (name, ring)
        seen += 1
    assert seen > (30 if whole else 10), name
