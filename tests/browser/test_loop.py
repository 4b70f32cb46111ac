"""The whole loop by screen: from files on somebody's computer to the cells of a confusion matrix."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from bench.chromium import WAIT_MS
from core.images.pseudonyms import load_secret, patient_name
from core.images.records import list_cases
from core.labels.exchange import answers_in_words
from core.projects.records import get_project
from core.store.database import opened
from tests.browser.conftest import Reading

NAME = "Sides"
IMAGES = 12  # in each of the three imports
IMPORT_MS, TRAIN_MS = 180_000, 300_000


@pytest.fixture
def sides(reading: Reading) -> Iterator[str]:
    """The name of a project that a test makes by screen; it goes afterwards, as other tests open the first they see."""
    yield NAME
    reading.readroom("delete", "project", NAME, "--yes")


def draw(folder: Path, first: int, head: str) -> list[Path]:
    """Pictures that resemble each other in their bright half alone, and their label table, whose path comes last."""
    folder.mkdir()
    lines, paths = [head], []
    for at in range(first, first + IMAGES):
        random = np.random.default_rng(at)
        pixels = np.kron(random.integers(0, 120, (8, 8), np.uint8), np.ones((8, 8), np.uint8))
        pixels[:, 32 * (at % 2) : 32 * (at % 2) + 32] += 100
        paths.append(folder / f"{at:02d}.png")
        Image.fromarray(pixels).save(paths[-1])
        lines.append(f"{at:02d}.png,{('left', 'right')[at % 2]},patient {at},{'FM'[at % 2]}")
    paths.append(folder / "labels.csv")
    paths[-1].write_text("\n".join(lines), "utf-8")
    return paths


def keyed(page: Page, key: str) -> Locator:
    """A control by the key that the page's script gives it."""
    return page.locator(f".st-key-{key.replace('.', '-')}")


def settle(page: Page) -> None:
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')


def fill(page: Page, key: str, text: str) -> None:
    field = keyed(page, key).locator("input")
    field.fill(text)
    field.press("Tab")
    settle(page)


def press(page: Page, key: str) -> None:
    once = page.locator(f'[class*="st-key-{key}_"]')  # its key has a number once something was done (dashboard/once.py)
    keyed(page, key).or_(once).get_by_role("button").click()


def choose_column(page: Page, meaning: str, column: str) -> None:
    keyed(page, f"import_column_{meaning}_labels.csv").locator("input").click()
    page.get_by_role("option", name=column, exact=True).click()
    settle(page)


def await_text(page: Page, text: str | re.Pattern[str], milliseconds: int = WAIT_MS) -> None:
    """Longer than Playwright's own five seconds: what is awaited may lie behind a job on a busy machine."""
    expect(page.get_by_text(text)).to_be_visible(timeout=milliseconds)


def bring_in(page: Page, part: str, chosen: list[Path] | Path, told: str) -> None:
    with page.expect_file_chooser() as asked:
        page.locator(f"[data-part=pick-{part}]").click()
    asked.value.set_files(chosen)
    await_text(page, f"{told} on the server")


def start_import(page: Page, counts: str) -> None:
    await_text(page, f"{IMAGES} rows about {IMAGES} files, {IMAGES} with an answer.")
    press(page, "import_start")
    await_text(page, counts, IMPORT_MS)
    await_text(page, f"imported ({IMAGES})")
    settle(page)


def go(page: Page, name: str) -> None:
    page.locator("[data-testid=stSidebar]").get_by_role("link", name=name, exact=True).click()
    page.get_by_role("heading", name=name, exact=True).wait_for()
    settle(page)


@pytest.mark.timeout(600)  # five jobs, one after the other, beside whatever else the machine does
def test_from_files_on_a_computer_to_the_cells_of_a_confusion_matrix(
    page: Page, reading: Reading, sides: str, tmp_path: Path
) -> None:
    page.goto(reading.address)
    press(page, "new_project")
    fill(page, "new_name", sides)
    fill(page, "class_name_0", "left")
    fill(page, "class_name_1", "right")
    press(page, "new_create")
    page.get_by_role("heading", name="Import", exact=True).wait_for()

    # single files with a table whose columns say nothing, a zip with its table beside it, a folder
    bring_in(page, "files", draw(tmp_path / "a", 0, "bild,befund,wer,gender"), f"{IMAGES + 1} files are")
    choose_column(page, "path", "bild")
    choose_column(page, "label", "befund")
    choose_column(page, "patient", "wer")
    start_import(page, f"{IMAGES} imported, 1 skipped, 0 refused")
    page.get_by_role("link", name="Import more").click()
    *pictures, table = draw(tmp_path / "b", IMAGES, "path,label,patient,sex")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as packed:
        for picture in pictures:
            packed.write(picture, picture.name)
    bring_in(page, "files", [tmp_path / "b.zip", table], "2 files are")
    start_import(page, f"{IMAGES} imported, 0 skipped, 0 refused")
    page.get_by_role("link", name="Import more").click()
    draw(tmp_path / "c", 2 * IMAGES, "path,label,patient,sex")
    bring_in(page, "folder", tmp_path / "c", f"{IMAGES + 1} files are")
    start_import(page, f"{IMAGES} imported, 1 skipped, 0 refused")
    with opened(reading.settings) as connection:
        cases = list(list_cases(connection, get_project(connection, sides).id))
        said = answers_in_words(connection, cases)
    told = {case.source: (case.patient, case.attributes["sex"], said[case.id]) for case in cases}
    numbers = range(3 * IMAGES)
    answers = (("F", ["left"]), ("M", ["right"]))
    secret = load_secret(reading.settings)  # the table's patients go by pseudonyms
    named = {at: patient_name(secret, f"patient {at}") for at in numbers}
    assert told == {f"{at:02d}.png": (named[at], *answers[at % 2]) for at in numbers}

    go(page, "Snapshots")
    fill(page, "snapshot_name", "first")
    for split, share in (("train", "50"), ("validation", "25"), ("test", "25")):
        fill(page, f"snapshot_{split}", share)
    press(page, "snapshot_freeze")
    await_text(page, "Snapshot first is frozen.")

    go(page, "Train")
    page.get_by_role("radio", name="resnet", exact=True).click()
    fill(page, "recipe_resnet_input_size", "32")
    fill(page, "recipe_resnet_epochs", "2")
    page.get_by_text("More settings").click()
    fill(page, "recipe_resnet_filters", "4, 4, 8")
    fill(page, "train_name", "tiny sides")
    press(page, "train_start")
    await_text(page, re.compile("are kept as"), TRAIN_MS)

    go(page, "Evaluate")
    press(page, "evaluate_start")
    page.get_by_text("Confusion matrix").wait_for(timeout=IMPORT_MS)
    await_text(page, re.compile(r"have been used once"))
    page.locator(".js-plotly-plot .scatterlayer .point").first.click(force=True)
    expect(page).to_have_url(re.compile(r"/review\?.*predicted="), timeout=WAIT_MS)
