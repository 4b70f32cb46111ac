"""Looking at volumes in a real browser: slices, planes, two cases, keys, fingers."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from core.images.records import get_case
from core.store.database import opened, writing
from tests.browser.conftest import Reading

FRAMES, ROWS, COLUMNS = 20, 24, 32
SPACING = (1.0, 1.0, 3.0)  # millimetres between columns, rows and frames


def value_of(column: int, row: int, frame: int) -> int:
    """What stands in a voxel of the test volumes: its own address."""
    return 1000 * frame + COLUMNS * row + column


@pytest.fixture(scope="module")
def volumes(reading: Reading, tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """A project with two volumes whose voxels tell where they are; the first counts as CT."""
    folder = tmp_path_factory.mktemp("looking")
    for name in ("first", "second"):
        _write_volume(folder / f"{name}.nii.gz")
    reading.readroom("project", "create", "Looking", "--classes", "dark,bright")
    told = reading.readroom("import", "Looking", str(folder))
    cases = [int(row["case"]) for row in told["files"]]
    with opened(reading.settings) as connection, writing(connection):
        connection.execute("UPDATE cases SET modality = 'CT' WHERE id = ?", (cases[0],))
    return cases


def _write_volume(path: Path) -> None:
    frame, row, column = np.meshgrid(*(np.arange(size) for size in (FRAMES, ROWS, COLUMNS)), indexing="ij")
    values = (1000 * frame + COLUMNS * row + column).astype(np.int16)
    # In patient axes that need no turning: columns go to the left, rows to the back, frames to the head.
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    if path.stem.startswith("second"):
        values[0, 0, 0] = -1  # two files with the same pixels would be one case
    nibabel.save(nibabel.Nifti1Image(values.transpose(2, 1, 0), affine), path)


@pytest.fixture
def looking(page: Page, reading: Reading, volumes: list[int]) -> Iterator[Page]:
    """The first volume on the screen."""
    open_case(page, reading, volumes[0])
    yield page
    page.evaluate("localStorage.clear()")  # keys that a test changed


def open_case(page: Page, reading: Reading, case: int) -> None:
    with opened(reading.settings) as connection:
        project = connection.execute("SELECT project FROM cases WHERE id = ?", (case,)).fetchone()["project"]
    page.goto(f"{reading.address}/label?project={project}&case={case}&worklist=all")
    page.get_by_role("img", name=re.compile("Image")).first.wait_for()
    expect(how(page, "frame")).to_have_text(re.compile(r"\d+ / 20"))


def stage(page: Page, plane: str) -> Locator:
    return page.locator(f'.stage[data-plane="{plane}"]') if plane != "frame" else page.locator(".stage").first


def how(page: Page, plane: str) -> Locator:
    return stage(page, plane).locator(".corner.how")


def is_at(page: Page, plane: str, index: int) -> None:
    expect(how(page, plane)).to_have_text(re.compile(rf"^{index + 1} / "))


def point(page: Page, plane: str, across: float, down: float) -> tuple[int, int, int]:
    """Where the pointer then is in a picture, and the value there."""
    box = stage(page, plane).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
    text = stage(page, plane).locator(".corner.value")
    expect(text).to_have_text(re.compile(r"\d+, \d+: \d+"))
    column, row, value = map(int, re.findall(r"\d+", text.inner_text())[:3])
    return column, row, value


def in_planes(page: Page) -> None:
    page.keyboard.press("KeyT")
    stage(page, "column").wait_for()
    expect(how(page, "column")).to_have_text(re.compile(r"\d+ / 32"))


def test_every_slice_is_loaded_once_and_the_bar_shows_it(page: Page, reading: Reading, volumes: list[int]) -> None:
    asked: Counter[str] = Counter()
    page.on("request", lambda request: asked.update(re.findall(r"/pixels/.*frame=(\d+)", request.url)))
    open_case(page, reading, volumes[0])
    expect(stage(page, "frame").locator(".framebar")).to_have_attribute("data-complete", "true")
    own = {frame: count for frame, count in asked.items() if frame != str(FRAMES // 2)}  # of the neighbour the middle
    assert own == {str(frame): 1 for frame in range(FRAMES) if frame != FRAMES // 2}


def test_wheel_and_keys_go_from_frame_to_frame_and_the_value_under_the_pointer_is_true(looking: Page) -> None:
    is_at(looking, "frame", FRAMES // 2)
    column, row, value = point(looking, "frame", 0.4, 0.3)
    assert value == value_of(column, row, FRAMES // 2)
    expect(stage(looking, "frame").locator(".corner.value")).to_have_text(re.compile(" HU$"))
    looking.mouse.wheel(0, 100)
    is_at(looking, "frame", FRAMES // 2 + 1)
    looking.keyboard.press("ArrowUp")
    looking.keyboard.press("ArrowUp")
    is_at(looking, "frame", FRAMES // 2 - 1)
    looking.keyboard.press("End")
    is_at(looking, "frame", FRAMES - 1)
    zoom = how(looking, "frame").inner_text()
    looking.keyboard.down("Control")
    looking.mouse.wheel(0, -100)
    looking.keyboard.up("Control")
    expect(how(looking, "frame")).not_to_have_text(zoom)
    is_at(looking, "frame", FRAMES - 1)


def test_a_click_in_one_plane_takes_the_others_to_that_point(looking: Page) -> None:
    in_planes(looking)
    names = [stage(looking, plane).locator(".plane-name").inner_text() for plane in ("frame", "row", "column")]
    assert names == ["Axial", "Coronal", "Sagittal"]
    column, frame, value = point(looking, "row", 0.6, 0.35)
    assert value == value_of(column, ROWS // 2, frame)
    looking.mouse.down()
    looking.mouse.up()
    is_at(looking, "frame", frame)
    is_at(looking, "column", column)
    is_at(looking, "row", ROWS // 2)
    row, frame, value = point(looking, "column", 0.43, 0.6)
    assert value == value_of(column, row, frame)
    looking.keyboard.down("Alt")  # a drag of the crosshair, wherever it begins
    looking.mouse.down()
    row, frame, _ = point(looking, "column", 0.55, 0.5)
    looking.mouse.up()
    looking.keyboard.up("Alt")
    is_at(looking, "row", row)
    is_at(looking, "frame", frame)


def test_letters_follow_flips_and_the_head_is_up(looking: Page) -> None:
    in_planes(looking)
    sides = ("left", "right", "top", "bottom")
    edges = {
        plane: [stage(looking, plane).locator(f".edge.at-{side}").inner_text() for side in sides]
        for plane in ("frame", "row", "column")
    }
    assert edges == {"frame": list("RLAP"), "row": list("RLHF"), "column": list("APHF")}
    stage(looking, "frame").focus()
    looking.keyboard.press("KeyH")
    expect(stage(looking, "frame").locator(".edge.at-right")).to_have_text("R")


def test_overlays_are_away_while_m_is_held(looking: Page) -> None:
    in_planes(looking)
    painted = """() => {
      const all = [...document.querySelectorAll("*")]
      const { shadowRoot } = all.find((one) => one.shadowRoot?.querySelector(".viewer"))
      const over = shadowRoot.querySelector(".stage canvas.over")
      return over.getContext("2d").getImageData(0, 0, over.width, over.height).data.some((part) => part > 0)
    }"""
    looking.wait_for_function(painted)
    looking.keyboard.down("KeyM")
    looking.wait_for_function(f"() => !({painted})()")
    looking.keyboard.up("KeyM")
    looking.wait_for_function(painted)


def test_windows_in_hu_are_there_for_ct_only(looking: Page, reading: Reading, volumes: list[int]) -> None:
    looking.keyboard.press("Shift+Digit1")
    expect(how(looking, "frame")).to_have_text(re.compile("W 1500  L -600  Lung"))
    open_case(looking, reading, volumes[1])
    looking.keyboard.press("Shift+Digit5")
    expect(how(looking, "frame")).not_to_have_text(re.compile("Liver"))
    assert "HU" not in stage(looking, "frame").locator(".corner.value").inner_text()


def test_two_cases_side_by_side_move_together_until_they_are_not_linked(
    looking: Page, reading: Reading, volumes: list[int]
) -> None:
    with opened(reading.settings) as connection:
        second = get_case(connection, volumes[1]).source
    looking.keyboard.press("KeyD")
    other = looking.locator(".stage").nth(1)
    looking.get_by_label("What to compare with").select_option("next")
    expect(other).to_have_attribute("aria-label", re.compile(re.escape(second)))
    text = other.locator(".corner.how")
    expect(text).to_have_text(re.compile(rf"^{FRAMES // 2 + 1} / "))
    looking.keyboard.press("ArrowDown")
    expect(text).to_have_text(re.compile(rf"^{FRAMES // 2 + 2} / "))
    stage(looking, "frame").click()
    before = text.inner_text()
    looking.keyboard.press("Equal")
    expect(text).not_to_have_text(before)
    looking.keyboard.press("KeyK")
    before = text.inner_text()
    looking.keyboard.press("ArrowDown")
    is_at(looking, "frame", FRAMES // 2 + 2)
    assert text.inner_text() == before
    number = looking.get_by_label("Compare with the case number")
    number.fill("999")
    number.press("Enter")
    expect(other.locator(".message")).to_have_text("There is no case 999.")


def test_a_key_that_was_changed_is_so_after_a_reload(looking: Page, reading: Reading, volumes: list[int]) -> None:
    looking.keyboard.press("?")
    looking.locator('[data-command="invert"]').click()
    looking.keyboard.press("KeyO")
    expect(looking.locator(".sheet .told").first).to_have_text(re.compile("had this key"))
    open_case(looking, reading, volumes[0])
    looking.keyboard.press("KeyI")
    expect(how(looking, "frame")).not_to_have_text(re.compile("inverted"))
    looking.keyboard.press("KeyO")
    expect(how(looking, "frame")).to_have_text(re.compile("inverted"))


def test_two_fingers_zoom_and_three_go_from_frame_to_frame(looking: Page) -> None:
    browser = looking.context.new_cdp_session(looking)
    browser.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 5})
    box = stage(looking, "frame").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        fingers = [{"x": middle[0] + x, "y": middle[1] + y, "id": at} for at, (x, y) in enumerate(places)]
        browser.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    before = how(looking, "frame").inner_text()
    touch("touchStart", (-40, 0))
    touch("touchStart", (-40, 0), (40, 0))
    for apart in (60, 80, 100):
        touch("touchMove", (-apart, 0), (apart, 0))
    touch("touchEnd")
    expect(how(looking, "frame")).not_to_have_text(before)
    is_at(looking, "frame", FRAMES // 2)
    assert "set by hand" not in how(looking, "frame").inner_text()
    touch("touchStart", (-40, 0), (0, 0), (40, 0))
    for down in (20, 40, 60):
        touch("touchMove", (-40, down), (0, down), (40, down))
    touch("touchEnd")
    is_at(looking, "frame", FRAMES // 2 + 4)


def test_no_layout_makes_the_page_scroll(looking: Page) -> None:
    for key in ("KeyT", "KeyD"):
        looking.keyboard.press(key)
        looking.locator(".stage").nth(1).wait_for()
        room = looking.locator("[data-testid=stMain]")
        assert room.evaluate("(main) => main.scrollHeight - main.clientHeight") <= 0
