"""Masks, painted in a real browser: what is on the screen is what is stored, in every plane, bit for bit."""

import io
import re
from pathlib import Path

import nibabel
import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Reading, wait_until

FRAMES, ROWS, COLUMNS = 20, 30, 40
SPACING = (1.0, 1.0, 2.0)  # millimetres between columns, rows and frames


@pytest.fixture(scope="module")
def volume(reading: Reading, tmp_path_factory: pytest.TempPathFactory) -> int:
    """A project with two structures and a volume; the number of its case."""
    folder = tmp_path_factory.mktemp("volumes")
    _write_volume(folder / "scan.nii.gz")
    reading.readroom("project", "create", "Volumes", "--task", "segmentation", "--structures", "liver,lesion")
    told = reading.readroom("import", "Volumes", str(folder))
    return int(told["files"][0]["case"])


def _write_volume(path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 200, (COLUMNS, ROWS, FRAMES)).astype(np.int16)
    # In patient axes that need no turning: columns go to the left, rows to the back, frames to the head.
    nibabel.save(nibabel.Nifti1Image(values, np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])), path)


@pytest.fixture
def painting(page: Page, reading: Reading, volume: int) -> Page:
    """The volume in its three planes, the brush in the hand."""
    open_case(page, reading, volume)
    page.keyboard.press("KeyT")
    stage(page, "row").wait_for()
    take_brush(page)
    return page


def open_case(page: Page, reading: Reading, case: int) -> None:
    page.goto(f"{reading.address}/label?project={project_of(reading)}&case={case}&worklist=all")
    page.get_by_role("img", name=re.compile("Image")).first.wait_for()
    # Nothing can be painted before it is known what is.
    expect(page.locator("[data-structure=liver] small")).not_to_have_text(re.compile("^$|loading"))


def take_brush(page: Page) -> None:
    """A wide one: in so small a volume it begins at one pixel."""
    page.keyboard.press("KeyB")
    for _ in range(12):
        page.keyboard.press("BracketRight")


def project_of(reading: Reading) -> int:
    rows = reading.readroom("project", "list")["projects"]
    return next(int(row["project"]) for row in rows if row["name"] == "Volumes")


def stage(page: Page, plane: str) -> Locator:
    return page.locator(f'.stage[data-plane="{plane}"]') if plane != "frame" else page.locator(".stage").first


def stored(page: Page, reading: Reading, case: int, structure: str = "liver") -> np.ndarray:
    answer = page.context.request.get(f"{reading.address}/api/v1/cases/{case}/masks/{structure}?format=npy")
    assert answer.ok, answer.text()
    return np.load(io.BytesIO(answer.body()))


def drag(page: Page, over: Locator, *points: tuple[float, float]) -> None:
    """Along points of a stage, given as shares of its width and height."""
    box = over.bounding_box()
    assert box is not None
    places = [(box["x"] + across * box["width"], box["y"] + down * box["height"]) for across, down in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()


def saved(page: Page) -> None:
    expect(page.locator(".state")).to_have_text(re.compile(r"^Saved \d"))


def clear(page: Page, reading: Reading, case: int) -> None:
    empty = io.BytesIO()
    np.save(empty, np.zeros((FRAMES, ROWS, COLUMNS), np.uint8))
    for structure in ("liver", "lesion"):
        path = f"{reading.address}/api/v1/cases/{case}/masks/{structure}"
        headers = {"Content-Type": "application/octet-stream", "Origin": reading.address}
        answer = page.context.request.put(path, data=empty.getvalue(), headers=headers)
        assert answer.ok, answer.text()


def coloured(page: Page, plane: str) -> int:
    """How many pixels of the screen have the colour of the first structure, which no grey value has."""
    shot = page.evaluate(
        """plane => {
            const roots = [...document.querySelectorAll("*")].map(one => one.shadowRoot)
            const root = roots.find(one => one?.querySelector(".viewer"))
            const stage = root.querySelector(plane === "frame" ? ".stage" : `.stage[data-plane="${plane}"]`)
            const { data } = stage.querySelector("canvas").getContext("2d").getImageData(0, 0, 4000, 4000)
            let count = 0
            for (let at = 0; at < data.length; at += 4) if (data[at + 2] > data[at] + 40) count++
            return count
        }""",
        plane,
    )
    return int(shot)


def test_what_is_painted_in_the_coronal_plane_is_found_in_the_axial_one(
    page: Page, reading: Reading, volume: int
) -> None:
    clear(page, reading, volume)
    open_case(page, reading, volume)
    assert coloured(page, "frame") == 0
    page.keyboard.press("KeyT")
    take_brush(page)
    drag(page, stage(page, "row"), (0.3, 0.5), (0.7, 0.5), (0.7, 0.62))
    saved(page)
    mask = stored(page, reading, volume)
    frames, rows, _ = np.nonzero(mask)
    assert set(rows) == {ROWS // 2}  # the plane that was on the screen, nothing beside it
    assert FRAMES // 2 in set(frames)
    assert mask.sum() > 100
    wait_until(lambda: coloured(page, "frame") > 0 and coloured(page, "column") > 0)
    told = page.locator("[data-structure=liver] small")
    expect(told).to_have_text(f"{mask.sum() * 2 / 1000:.3g} ml")


def test_a_mask_is_the_same_bit_for_bit_after_a_reload_undo_and_redo_and_when_it_is_exported(
    painting: Page, reading: Reading, volume: int, tmp_path: Path
) -> None:
    page = painting
    before = stored(page, reading, volume)
    drag(page, stage(page, "frame"), (0.4, 0.3), (0.6, 0.35), (0.5, 0.4))
    saved(page)
    wait_until(lambda: (stored(page, reading, volume) != before).any())
    painted = stored(page, reading, volume)
    open_case(page, reading, volume)
    expect(page.locator("[data-structure=liver] small")).to_have_text(f"{painted.sum() * 2 / 1000:.3g} ml")
    page.keyboard.press("Control+z")
    wait_until(lambda: (stored(page, reading, volume) == before).all())
    page.keyboard.press("Control+y")
    wait_until(lambda: (stored(page, reading, volume) == painted).all())
    reading.readroom("export", "Volumes", "masks", "--format", "npy", "--out", str(tmp_path / "masks"))
    (exported,) = (tmp_path / "masks").rglob("*liver*.npy")
    assert (np.load(exported) == painted).all()


def test_a_stroke_on_one_that_was_stored_keeps_what_was_there(page: Page, reading: Reading, volume: int) -> None:
    whole = np.zeros((FRAMES, ROWS, COLUMNS), np.uint8)
    whole[:, :4] = 1
    body = io.BytesIO()
    np.save(body, whole)
    headers = {"Content-Type": "application/octet-stream", "Origin": reading.address}
    path = f"{reading.address}/api/v1/cases/{volume}/masks/lesion"
    assert page.context.request.put(path, data=body.getvalue(), headers=headers).ok
    open_case(page, reading, volume)
    page.keyboard.press("Digit2")
    take_brush(page)
    drag(page, stage(page, "frame"), (0.5, 0.5), (0.55, 0.5))
    saved(page)
    wait_until(lambda: stored(page, reading, volume, "lesion").sum() > whole.sum())
    assert (stored(page, reading, volume, "lesion")[:, :4] == 1).all()


def test_a_locked_structure_is_not_changed_and_says_so(painting: Page, reading: Reading, volume: int) -> None:
    page = painting
    before = stored(page, reading, volume)
    page.get_by_role("button", name="Lock liver").click()
    drag(page, stage(page, "frame"), (0.2, 0.8), (0.8, 0.8))
    expect(page.get_by_text("liver is locked. Unlock it to change it.")).to_be_visible()
    assert (stored(page, reading, volume) == before).all()


def test_enter_says_which_structures_there_are(painting: Page, reading: Reading, volume: int) -> None:
    page = painting
    drag(page, stage(page, "frame"), (0.45, 0.6), (0.5, 0.6))
    saved(page)
    page.keyboard.press("Enter")

    def answers() -> list[str]:
        return [value or "" for (case, _), value in reading.current_answers().items() if case == volume]

    wait_until(lambda: any("liver" in value for value in answers()))


def test_a_page_with_masks_needs_no_scrolling(painting: Page) -> None:
    assert painting.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight <= innerHeight + 1")


def test_a_mask_that_cannot_be_read_is_said_and_the_page_goes_on(page: Page, reading: Reading, volume: int) -> None:
    wrong = '{"frames": {}, "rows": 7, "columns": 7, "frames_total": 1}'
    page.route("**/masks/liver", lambda route: route.fulfill(body=wrong, content_type="application/json"))
    before = stored(page, reading, volume, "lesion")
    open_case(page, reading, volume)
    expect(page.get_by_text(re.compile("The mask of liver cannot be shown: It has 7 × 7 pixels"))).to_be_visible()
    page.keyboard.press("Digit2")
    take_brush(page)
    drag(page, stage(page, "frame"), (0.3, 0.7), (0.4, 0.7))
    saved(page)
    wait_until(lambda: (stored(page, reading, volume, "lesion") != before).any())
