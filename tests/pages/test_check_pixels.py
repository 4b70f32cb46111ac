"""The page Check pixels, without a browser: empty, one image at a time, blackout, release, templates."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.images.ingest import import_paths
from core.images.pixel_checks import Box, count_held, find_template, get_check, release, save_template
from core.images.records import Case, get_case, list_cases
from core.people.accounts import User
from core.progress import Silent
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from dashboard.check_pixels_view import box_around, seen_key
from tests.core.images.hostile import hostile_file
from tests.pages.conftest import OpenPage, said


@pytest.fixture
def held(
    connection: sqlite3.Connection, files: Files, settings: Settings, project: Project, anna: User, actor: Actor,
    tmp_path: Path,
) -> list[Case]:  # fmt: skip
    """Two ultrasound images of one device."""
    return [*bring_in(connection, files, settings, project, actor, tmp_path / "us", range(2))]


def bring_in(
    connection: sqlite3.Connection, files: Files, settings: Settings, project: Project, actor: Actor, folder: Path,
    numbers: range,
) -> Iterator[Case]:  # fmt: skip
    folder.mkdir()
    for number in numbers:
        pixels = np.random.default_rng(number).integers(1, 4000, (20, 20), np.uint16)
        (folder / f"{number}.dcm").write_bytes(hostile_file(pixels, Modality="US"))
    import_paths(connection, files, settings, project, [folder], table=None, patient_from=None, job=1, actor=actor,
                 on_case=lambda *_: None, progress=Silent())  # fmt: skip
    return list_cases(connection, project.id)


def add_box(app: AppTest, case: Case, **numbers: int) -> None:
    """By numbers, as whoever uses no pointer does."""
    for name, number in numbers.items():
        app.number_input(key=f"check_{name}_{case.id}").set_value(number)
    next(button for button in app.button if button.label == "Add this box").click().run()
    assert not app.exception


def press_seen(app: AppTest, name: str, case: Case) -> None:
    """As somebody does before whom the viewer has shown the image."""
    app.session_state[seen_key(case.id)] = True
    app.run()
    app.button(key=f"check_{name}_{case.id}").click().run()


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


def test_the_page_of_a_held_case_says_so_and_asks_for_no_label(
    open_page: OpenPage, connection: sqlite3.Connection, held: list[Case], actor: Actor
) -> None:
    app = open_page("case", case=held[0].id)
    assert not app.exception
    assert [one.value for one in app.warning] == ["Held for a check of its pixels: readers do not see it."]
    assert "Label it" not in said(app)
    release(connection, held[0].id, actor)
    app = open_page("case", case=held[0].id)
    assert "Held for a check" not in said(app)
    assert "Label it" in said(app)


def test_a_drawn_box_covers_every_pixel_that_it_touches_and_no_other(held: list[Case]) -> None:
    drawn = {"x": 1.5, "y": 2.0, "width": 4.0, "height": 3.2}
    assert box_around(drawn, held[0]) == Box(1, 2, 5, 4)
    assert box_around({"x": 0, "y": 0, "width": 99, "height": 99}, held[0]) == Box(0, 0, 20, 20)


def test_boxes_are_blacked_out_and_kept_for_the_device(
    open_page: OpenPage, connection: sqlite3.Connection, files: Files, project: Project, held: list[Case]
) -> None:
    case = held[0]
    app = open_page("check_pixels", project=project.id)
    assert "0 boxes</b> to be painted black" in said(app)
    add_box(app, case, left=1, top=2, width=5, height=4)
    assert "1 box</b> to be painted black" in said(app)
    app.checkbox(key=f"check_keep_{case.id}").check()
    press_seen(app, "black", case)
    assert not app.exception
    pixels = files.read_array("pixels", get_case(connection, case.id).pixel_hash)
    assert len(np.unique(pixels[2:6, 1:6])) == 1
    assert len(np.unique(pixels[6:])) > 50
    assert not files.has("pixels", case.pixel_hash)
    device = get_check(connection, case.id).device
    assert find_template(connection, project.id, device) is not None
    assert f"Case {held[1].id}" in said(app)
    assert "Boxes of the template for US" in said(app)
    assert "1 box</b> to be painted black" in said(app)


def test_what_is_drawn_is_there_when_the_page_is_opened_anew(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, held: list[Case]
) -> None:
    add_box(open_page("check_pixels", project=project.id), held[0], left=1, top=2, width=5, height=4)
    assert get_check(connection, held[0].id).boxes == (Box(1, 2, 5, 4),)
    app = open_page("check_pixels", project=project.id)
    assert "1 box</b> to be painted black" in said(app)
    press_seen(app, "release", held[0])
    assert get_check(connection, held[0].id).boxes == ()


def test_without_a_box_nothing_is_blacked_out(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, held: list[Case]
) -> None:
    app = open_page("check_pixels", project=project.id)
    press_seen(app, "black", held[0])
    assert "Draw a box" in said(app)
    assert count_held(connection, project.id) == 2


def test_what_names_nobody_is_released(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, held: list[Case]
) -> None:
    app = open_page("check_pixels", project=project.id)
    press_seen(app, "release", held[0])
    assert get_check(connection, held[0].id).state == "cleared"
    assert count_held(connection, project.id) == 1


def test_an_image_that_was_not_seen_is_not_released(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, held: list[Case], actor: Actor
) -> None:
    save_template(connection, held[0], [Box(0, 0, 20, 4)], actor)
    app = open_page("check_pixels", project=project.id)
    assert all(app.button(key=f"check_{name}_{held[0].id}").disabled for name in ("black", "release", "all"))
    press_seen(app, "release", held[0])
    assert app.button(key=f"check_release_{held[1].id}").disabled  # the second of two presses would meet it


def test_after_a_release_the_next_image_follows_and_behind_the_last_what_was_passed_over(
    open_page: OpenPage, connection: sqlite3.Connection, files: Files, settings: Settings, project: Project,
    held: list[Case], actor: Actor, tmp_path: Path,
) -> None:  # fmt: skip
    first, second, third = bring_in(connection, files, settings, project, actor, tmp_path / "more", range(2, 3))
    app = open_page("check_pixels", project=project.id, case=second.id)
    press_seen(app, "release", second)
    assert app.subheader[0].value == f"Case {third.id}"
    press_seen(app, "release", third)
    assert app.subheader[0].value == f"Case {first.id}"


def test_a_template_is_applied_to_all_of_its_device(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, held: list[Case], actor: Actor
) -> None:
    save_template(connection, held[0], [Box(0, 0, 20, 4)], actor)
    app = open_page("check_pixels", project=project.id)
    press_seen(app, "all", held[0])
    assert not app.exception
    assert count_held(connection, project.id) == 0
    assert {get_check(connection, case.id).state for case in held} == {"blacked"}


def test_a_template_is_forgotten_and_the_next_image_comes_without_boxes(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, held: list[Case], actor: Actor
) -> None:
    save_template(connection, held[0], [Box(0, 0, 20, 4)], actor)
    app = open_page("check_pixels", project=project.id)
    app.button(key=f"check_forget_{held[0].id}").click().run()
    assert not app.exception
    assert find_template(connection, project.id, get_check(connection, held[0].id).device) is None
    assert "0 boxes</b> to be painted black" in said(app)
    assert count_held(connection, project.id) == 2
