"""The page Check pixels, without a browser: empty, one image at a time, blackout, release, templates."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from core.images.ingest import import_paths
from core.images.pixel_checks import Box, count_held, find_template, get_check, save_template
from core.images.records import Case, get_case, list_cases
from core.labels.marks import NewMark, add_mark, list_marks
from core.labels.records import new_event
from core.people.accounts import User
from core.progress import Silent
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from tests.core.images.hostile import hostile_file
from tests.pages.conftest import OpenPage, said


@pytest.fixture
def held(
    connection: sqlite3.Connection, files: Files, settings: Settings, project: Project, anna: User, actor: Actor,
    tmp_path: Path,
) -> list[Case]:  # fmt: skip
    """Two ultrasound images of one device."""
    folder = tmp_path / "us"
    folder.mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(1, 4000, (20, 20), np.uint16)
        (folder / f"{number}.dcm").write_bytes(hostile_file(pixels, Modality="US"))
    import_paths(connection, files, settings, project, [folder], table=None, patient_from=None, job=1, actor=actor,
                 on_case=lambda *_: None, progress=Silent())  # fmt: skip
    return list(list_cases(connection, project.id))


def draw_box(connection: sqlite3.Connection, case: Case) -> None:
    geometry = {"x": 1.5, "y": 2.0, "width": 4.0, "height": 3.2}
    add_mark(connection, NewMark(new_event(), case.id, "anna", "m1", "box", geometry), Actor("anna", "screen"))


def test_an_empty_list_says_what_waits_here(open_page: OpenPage, project: Project, cases: list[Case]) -> None:
    app = open_page("check_pixels", project=project.id)
    assert not app.exception
    assert "No image waits" in said(app)


def test_one_image_at_a_time_with_its_reason(open_page: OpenPage, project: Project, held: list[Case]) -> None:
    app = open_page("check_pixels", project=project.id)
    assert not app.exception
    text = said(app)
    assert f"Case {held[0].id}" in text
    assert "often carry the patient's name" in text.replace("&#x27;", "'")
    assert "2 images held" in text
    assert f"Case {held[1].id}" in said(open_page("check_pixels", project=project.id, case=held[1].id))


def test_drawn_boxes_are_blacked_out_and_taken_off_the_answers(
    open_page: OpenPage, connection: sqlite3.Connection, files: Files, project: Project, held: list[Case]
) -> None:
    case = held[0]
    draw_box(connection, case)
    app = open_page("check_pixels", project=project.id)
    assert "1 box</b> to be painted black" in said(app)
    app.checkbox(key=f"check_keep_{case.id}").check()
    app.button(key=f"check_black_{case.id}").click().run()
    assert not app.exception
    pixels = files.read_array("pixels", get_case(connection, case.id).pixel_hash)
    assert len(np.unique(pixels[2:6, 1:6])) == 1
    assert not files.has("pixels", case.pixel_hash)
    assert list_marks(connection, case.id) == []
    device = get_check(connection, case.id).device
    assert find_template(connection, project.id, device) is not None
    assert f"Case {held[1].id}" in said(app)
    assert "From the template for US" in said(app)


def test_boxes_are_set_by_sliders_and_seen_before(
    open_page: OpenPage, connection: sqlite3.Connection, files: Files, project: Project, held: list[Case]
) -> None:
    case = held[0]
    app = open_page("check_pixels", project=project.id)
    app.slider(key=f"check_across_{case.id}").set_range(0, 10)
    app.slider(key=f"check_down_{case.id}").set_range(5, 9).run()
    app.button(key=f"check_add_{case.id}").click().run()
    app.button(key=f"check_add_{case.id}").click().run()
    app.button(key=f"check_undo_{case.id}").click().run()
    text = said(app)
    assert "1 box</b> to be painted black" in text
    assert "left:0.000%;top:25.000%;width:50.000%;height:20.000%;background:#000" in text
    app.button(key=f"check_black_{case.id}").click().run()
    assert not app.exception
    pixels = files.read_array("pixels", get_case(connection, case.id).pixel_hash)
    assert len(np.unique(pixels[5:9, :10])) == 1
    assert len(np.unique(pixels[10:])) > 50


def test_without_a_box_nothing_is_blacked_out(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, held: list[Case]
) -> None:
    app = open_page("check_pixels", project=project.id)
    app.button(key=f"check_black_{held[0].id}").click().run()
    assert "Draw a box" in said(app)
    assert count_held(connection, project.id) == 2


def test_what_names_nobody_is_released(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, held: list[Case]
) -> None:
    app = open_page("check_pixels", project=project.id)
    app.button(key=f"check_release_{held[0].id}").click().run()
    assert get_check(connection, held[0].id).state == "cleared"
    assert count_held(connection, project.id) == 1


def test_a_template_is_applied_to_all_of_its_device(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, held: list[Case], actor: Actor
) -> None:
    save_template(connection, held[0], [Box(0, 0, 20, 4)], actor)
    app = open_page("check_pixels", project=project.id)
    app.button(key=f"check_all_{held[0].id}").click().run()
    assert not app.exception
    assert count_held(connection, project.id) == 0
    assert {get_check(connection, case.id).state for case in held} == {"blacked"}
