"""Marks, drawn in a real browser: kept, edited, taken back after a reload, and measuring what they should."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from core.store.database import opened
from tests.browser.conftest import Reading, wait_until

ROWS, COLUMNS = 120, 200
SPACING = (0.8, 0.4)  # millimetres between rows and between columns: pixels twice as long as wide
MARGIN = 0.985  # of the stage: as the viewer fits an image
KINDS = {"Box": "X", "Ellipse": "Shift X", "Polygon": "P", "Freehand": "Shift P", "Point": "Y", "Length": "L"}
KINDS |= {"Angle": "Shift L"}


@pytest.fixture(scope="module")
def cases(reading: Reading, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, int]]:
    """Project and case of a picture with two classes, and of a DICOM file whose number is a length."""
    folder = tmp_path_factory.mktemp("drawn")
    pictures, scans = folder / "pictures", folder / "scans"
    pictures.mkdir()
    scans.mkdir()
    pixels = np.random.default_rng(2).integers(0, 200, (ROWS, COLUMNS), dtype=np.uint8)
    Image.fromarray(pixels).save(pictures / "one.png")
    _write_dicom(scans / "bar.dcm")
    made = {}
    for name, words, source in (
        ("Findings", ("--classes", "nodule,effusion"), pictures),
        ("Lengths", ("--task", "regression", "--target", "diameter", "--unit", "mm", "--measure", "length"), scans),
    ):
        project = int(reading.readroom("project", "create", name, *words)["project"])
        told = reading.readroom("import", name, str(source))
        made[name] = (project, int(told["files"][0]["case"]))
    return made


def _write_dicom(path: Path) -> None:
    """A bright bar of 100 columns on dark grey."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    data.PatientID, data.PatientName, data.Modality = "P1", "P1", "MR"
    data.ImageType = ["ORIGINAL", "PRIMARY"]  # else it is held for a check of its pixels
    data.Rows, data.Columns = ROWS, COLUMNS
    data.PixelSpacing = list(SPACING)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 0
    pixels = np.full((ROWS, COLUMNS), 200, np.uint16)
    pixels[58:62, 40:140] = 900
    data.PixelData = pixels.tobytes()
    data.save_as(path, enforce_file_format=True)


def open_case(page: Page, reading: Reading, place: tuple[int, int]) -> None:
    page.goto(f"{reading.address}/label?project={place[0]}&case={place[1]}&worklist=all")
    page.get_by_role("img", name=re.compile("Image")).first.wait_for()
    expect(page.locator(f'.viewer[data-case="{place[1]}"]')).to_be_visible()
    page.wait_for_timeout(600)  # the page has taken its height


def on_screen(page: Page, x: float, y: float, tall: float) -> tuple[float, float]:
    """Where a point of the image is, while it fits the stage."""
    box = page.locator(".stage").first.bounding_box()
    assert box is not None
    scale = min(box["width"] / COLUMNS, box["height"] / (ROWS * tall)) * MARGIN
    return (
        box["x"] + box["width"] / 2 + (x - COLUMNS / 2) * scale,
        box["y"] + box["height"] / 2 + (y - ROWS / 2) * scale * tall,
    )


def drag(page: Page, *points: tuple[float, float], tall: float = 1) -> None:
    page.mouse.move(*on_screen(page, *points[0], tall))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*on_screen(page, *point, tall), steps=5)
    page.mouse.up()


def stored_marks(reading: Reading, case: int) -> list[dict[str, Any]]:
    """The newest row of each mark that is there."""
    query = """SELECT mark, kind, frame, geometry, label, deleted FROM marks WHERE case_id = ? ORDER BY made_at, id"""
    with opened(reading.settings) as connection:
        rows = {row["mark"]: dict(row) for row in connection.execute(query, (case,))}
    return [row | {"geometry": json.loads(row["geometry"])} for row in rows.values() if not row["deleted"]]


def rows_of(reading: Reading, case: int) -> int:
    with opened(reading.settings) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM marks WHERE case_id = ?", (case,)).fetchone()[0])


def is_near(geometry: dict[str, float], x: float, y: float, width: float, height: float) -> bool:
    wanted = {"x": x, "y": y, "width": width, "height": height}
    return all(abs(geometry[key] - value) <= 1 for key, value in wanted.items())


def test_a_box_with_a_class_is_edited_taken_back_and_done_again_after_a_reload(
    page: Page, reading: Reading, cases: dict[str, tuple[int, int]]
) -> None:
    place = cases["Findings"]
    open_case(page, reading, place)
    page.keyboard.press("KeyX")
    drag(page, (40, 30), (60, 50), (100, 80))
    page.keyboard.press("Digit2")  # the box is chosen: its class, not the answer of the case
    wait_until(lambda: [one["label"] for one in stored_marks(reading, place[1])] == ["effusion"])
    (drawn,) = stored_marks(reading, place[1])
    assert (drawn["kind"], drawn["frame"]) == ("box", 0)
    assert is_near(drawn["geometry"], 40, 30, 60, 50)
    assert place[1] not in {case for case, _ in reading.current_answers()}
    drag(page, (100, 80), (120, 90))  # a corner
    wait_until(lambda: is_near(stored_marks(reading, place[1])[0]["geometry"], 40, 30, 80, 60))
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    drag(page, (80, 30), (85, 40))  # its upper side, with no tool in the hand: the whole box
    wait_until(lambda: is_near(stored_marks(reading, place[1])[0]["geometry"], 45, 40, 80, 60))
    page.keyboard.press("Control+z")
    wait_until(lambda: is_near(stored_marks(reading, place[1])[0]["geometry"], 40, 30, 80, 60))
    open_case(page, reading, place)
    shown = page.get_by_role("group", name="Marks on this case").get_by_role("button", name=re.compile("effusion"))
    expect(shown).to_be_visible()
    page.keyboard.press("Control+y")
    wait_until(lambda: is_near(stored_marks(reading, place[1])[0]["geometry"], 45, 40, 80, 60))
    for _ in range(4):
        page.keyboard.press("Control+z")
    wait_until(lambda: stored_marks(reading, place[1]) == [])
    expect(page.get_by_role("group", name="Marks on this case")).to_be_hidden()
    expect(page.locator(".state")).to_have_text(re.compile(r"^Saved \d"))
    assert rows_of(reading, place[1]) == 10  # four acts, one taken back and done again, four taken back: all are kept


def test_a_polygon_is_drawn_by_clicks_and_deleted_by_a_key(
    page: Page, reading: Reading, cases: dict[str, tuple[int, int]]
) -> None:
    place = cases["Findings"]
    open_case(page, reading, place)
    page.keyboard.press("KeyP")
    for point in ((30, 30), (90, 30), (90, 80), (150, 110)):
        page.mouse.click(*on_screen(page, *point, 1))
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")  # closes it, and does not go on to the next case
    wait_until(lambda: [len(one["geometry"]["points"]) for one in stored_marks(reading, place[1])] == [3])
    page.keyboard.press("Delete")
    wait_until(lambda: stored_marks(reading, place[1]) == [])


def test_a_known_length_is_measured_within_half_a_pixel_and_becomes_the_number(
    page: Page, reading: Reading, cases: dict[str, tuple[int, int]]
) -> None:
    place = cases["Lengths"]
    open_case(page, reading, place)
    tall = SPACING[0] / SPACING[1]
    field = page.get_by_role("textbox", name="diameter in mm")
    for ends, known in (
        (((40, 60), (140, 60)), 100 * SPACING[1]),  # the bar
        (((70, 10), (70, 110)), 100 * SPACING[0]),  # as many pixels down are twice as long
        (((20, 15), (170, 105)), math.hypot(150 * SPACING[1], 90 * SPACING[0])),
    ):
        page.keyboard.press("KeyL")
        drag(page, *ends, tall=tall)
        wait_until(lambda: len(stored_marks(reading, place[1])) == 1)
        (mark,) = stored_marks(reading, place[1])
        for drawn, meant in zip(mark["geometry"]["points"], ends, strict=True):
            assert math.dist(drawn, meant) <= 0.5
        assert abs(float(field.input_value()) - known) <= 0.5 * SPACING[1]
        page.keyboard.press("Delete")
        wait_until(lambda: stored_marks(reading, place[1]) == [])
        page.keyboard.press("Escape")
    expect(field).to_have_value("")  # the number came from a line that is there no more
    page.keyboard.press("KeyL")
    drag(page, (40, 60), (140, 60), tall=tall)
    wait_until(lambda: len(stored_marks(reading, place[1])) == 1)
    page.keyboard.press("Enter")
    wait_until(lambda: any(case == place[1] for case, _ in reading.current_answers()))
    answer = next(value for (case, _), value in reading.current_answers().items() if case == place[1])
    assert abs(json.loads(answer or "{}")["value"] - 100 * SPACING[1]) <= 0.5 * SPACING[1]


def test_what_draws_has_a_name_and_a_key_and_can_be_used_without_a_mouse(
    page: Page, reading: Reading, cases: dict[str, tuple[int, int]]
) -> None:
    place = cases["Findings"]
    open_case(page, reading, place)
    tools = page.get_by_role("toolbar", name="Drawing")
    for name, key in KINDS.items():
        made = tools.get_by_role("button", name=name, exact=True)
        expect(made).to_have_attribute("aria-keyshortcuts", key)
        expect(made).to_have_attribute("aria-pressed", "false")
        page.keyboard.press("+".join(["Shift"] * key.startswith("Shift") + [f"Key{key[-1]}"]))
        expect(made).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("KeyX")
    drag(page, (40, 30), (100, 80))
    page.get_by_role("combobox", name="Class of the chosen mark").select_option("nodule")
    row = page.get_by_role("group", name="Marks on this case").get_by_role("button", name=re.compile("^nodule"))
    expect(row).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(row).to_have_attribute("aria-pressed", "false")
    row.focus()
    page.keyboard.press("Enter")
    expect(row).to_have_attribute("aria-pressed", "true")
    expect(row).to_be_focused()
    expect(page.get_by_role("button", name="Hide all marks")).to_have_attribute("aria-pressed", "false")
    page.get_by_role("button", name="Delete box 1").click()
    wait_until(lambda: stored_marks(reading, place[1]) == [])
