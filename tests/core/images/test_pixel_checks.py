"""Held images: who sees them, what blacking out leaves, and what becomes of the pixels of before."""

import io
import json
import sqlite3
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pydicom
import pytest

from core.datasets.records import list_candidates
from core.erasing.erase import finish_erasing
from core.errors import Conflict, InvalidInput, NotAllowed, NotFound
from core.images.headers import list_headers
from core.images.ingest import import_paths
from core.images.pixel_checks import (
    Box,
    black_out,
    blacken,
    count_held,
    demand_released,
    find_template,
    get_check,
    list_held,
    list_held_of_device,
    release,
    remove_template,
    save_template,
)
from core.images.pseudonyms import load_secret
from core.images.reading_children import ReadingChildren
from core.images.records import Case, Window, get_case, list_cases
from core.images.render import to_uint8
from core.labels.records import NewLabel, add_label, new_event
from core.labels.sight import sight_of
from core.labels.worklist import Worklist, label_progress, list_case_ids
from core.people.accounts import ensure_user
from core.people.members import set_member
from core.progress import Silent
from core.projects.deidentification import Deidentification
from core.projects.records import Project, set_deidentification
from core.reviews.case_search import CaseFilter, search_case_ids
from core.settings import Settings
from core.store.audit import Actor, list_audit
from core.store.files import Files
from tests.core.images.hostile import hostile_file

PIXELS = (np.arange(400, dtype=np.uint16) * 100 + 7).reshape(20, 20)


def bring(
    connection: sqlite3.Connection, files: Files, settings: Settings, project: Project, actor: Actor, folder: Path,
    **tags: object,
) -> list[Case]:  # fmt: skip
    """Import one ultrasound image."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "us.dcm").write_bytes(hostile_file(PIXELS, **{"Modality": "US", **tags}))
    import_paths(connection, files, settings, project, [folder], table=None, patient_from=None, job=1, actor=actor,
                 on_case=lambda *_: None, progress=Silent())  # fmt: skip
    return list(list_cases(connection, project.id))


@pytest.fixture
def held(
    connection: sqlite3.Connection, files: Files, settings: Settings, project: Project, actor: Actor, tmp_path: Path
) -> Case:
    (case,) = bring(connection, files, settings, project, actor, tmp_path / "us")
    return case


def test_an_ultrasound_is_held_with_its_reason(connection: sqlite3.Connection, project: Project, held: Case) -> None:
    (check,) = list_held(connection, project.id)
    assert held.held
    assert check == get_check(connection, held.id)
    assert "US" in check.reason
    assert check.device.startswith("D")
    assert count_held(connection, project.id) == 1
    assert list_held_of_device(connection, project.id, check.device) == [held.id]


def test_readers_do_not_see_a_held_image_and_importers_do(
    connection: sqlite3.Connection, project: Project, held: Case, actor: Actor
) -> None:
    reader, scientist = ensure_user(connection, "rita"), ensure_user(connection, "sam")
    set_member(connection, project.id, "rita", "reader", actor=actor)
    set_member(connection, project.id, "sam", "scientist", actor=actor)
    with pytest.raises(NotAllowed, match="look at the pixels"):
        demand_released(connection, reader, held)
    demand_released(connection, scientist, held)
    for user, seen in ((reader, []), (scientist, [held.id])):
        found = search_case_ids(connection, project, CaseFilter(), sight=sight_of(connection, user, project))
        assert found == seen
        assert list_case_ids(connection, project, Worklist("all"), user.name) == []
    assert label_progress(connection, project, "rita").total == 0


def test_a_held_image_is_not_frozen_into_a_snapshot(
    connection: sqlite3.Connection, project: Project, held: Case, actor: Actor
) -> None:
    ensure_user(connection, "anna", role="admin")
    add_label(connection, NewLabel(new_event(), held.id, "anna", {"classes": [project.schema.names[0]]}), actor)
    assert list_candidates(connection, project.id) == []
    release(connection, held.id, actor)
    assert len(list_candidates(connection, project.id)) == 1


def test_what_is_released_is_seen_and_decided_once(
    connection: sqlite3.Connection, project: Project, held: Case, actor: Actor
) -> None:
    check = release(connection, held.id, actor)
    assert (check.state, check.by, check.boxes) == ("cleared", actor.name, ())
    assert not get_case(connection, held.id).held
    assert count_held(connection, project.id) == 0
    with pytest.raises(Conflict, match="decided"):
        release(connection, held.id, actor)
    assert list_audit(connection, what="release pixels")


def test_blacking_out_replaces_the_pixels_and_erases_those_of_before(
    connection: sqlite3.Connection, files: Files, held: Case, actor: Actor
) -> None:
    old_header = list_headers(connection, held.id)[0].header_hash
    check = black_out(connection, files, held.id, [Box(2, 3, 5, 4), Box(15, 15, 50, 50)], actor)
    case = get_case(connection, held.id)
    assert case.pixel_hash != held.pixel_hash
    assert not case.held
    pixels = files.read_array("pixels", case.pixel_hash)
    expected = PIXELS.copy()
    expected[3:7, 2:7] = expected[15:, 15:] = PIXELS.min()
    np.testing.assert_array_equal(pixels, expected)
    assert (check.state, check.before_hash) == ("blacked", held.pixel_hash)
    assert check.boxes == (Box(2, 3, 5, 4), Box(15, 15, 5, 5))
    assert finish_erasing(files)
    assert not files.has("pixels", held.pixel_hash)
    assert not files.has("thumbnails", held.pixel_hash)
    assert files.has("thumbnails", case.pixel_hash)
    (header,) = list_headers(connection, held.id)
    assert header.header_hash != old_header
    dataset = pydicom.dcmread(io.BytesIO(files.read_bytes("headers", header.header_hash)))
    assert dataset.BurnedInAnnotation == "NO"
    assert dataset.DeidentificationMethodCodeSequence[-1].CodeValue == "113101"
    (row,) = list_audit(connection, what="black out pixels")
    assert json.dumps(row.detail).count("left") == 2


def test_every_frame_of_a_cine_is_blacked_out(
    connection: sqlite3.Connection, files: Files, held: Case, actor: Actor
) -> None:
    cine = np.stack([PIXELS, PIXELS + 1, PIXELS + 2])
    new_hash = files.put_array("pixels", cine)
    with connection:
        connection.execute("UPDATE cases SET frames = 3, pixel_hash = ? WHERE id = ?", (new_hash, held.id))
    black_out(connection, files, held.id, [Box(0, 0, 20, 2)], actor)
    pixels = files.read_array("pixels", get_case(connection, held.id).pixel_hash)
    assert (pixels[:, :2] == PIXELS.min()).all()
    np.testing.assert_array_equal(pixels[:, 2:], cine[:, 2:])


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("levels", [(0, 255), (255, 0)])
def test_boxes_are_black_however_the_values_are_shown(make_case, photometric: str, levels: tuple[int, int]) -> None:
    window = Window("VOI table", 20000, 40000, ((20000, levels[0]), (20000, levels[1])))
    case = make_case("a.dcm", pixels=PIXELS, photometric=photometric, windows=(window,))
    blacked = blacken(PIXELS, [Box(2, 3, 5, 4)], case)
    assert (to_uint8(blacked, photometric, case.windows)[3:7, 2:7] == 0).all()


@pytest.mark.parametrize("boxes", [[], [Box(20, 0, 5, 5)], [Box(0, 0, 0, 5)], [Box(-9, 0, 5, 5)]])
def test_a_box_that_covers_nothing_is_refused(
    connection: sqlite3.Connection, files: Files, held: Case, actor: Actor, boxes: list[Box]
) -> None:
    with pytest.raises(InvalidInput, match="Received"):
        black_out(connection, files, held.id, boxes, actor)
    assert get_case(connection, held.id).held


def test_who_may_not_import_decides_nothing(
    connection: sqlite3.Connection, files: Files, project: Project, held: Case, actor: Actor
) -> None:
    ensure_user(connection, "rita")
    set_member(connection, project.id, "rita", "reader", actor=actor)
    rita = Actor("rita", "screen")
    with pytest.raises(NotAllowed):
        release(connection, held.id, rita)
    with pytest.raises(NotAllowed):
        black_out(connection, files, held.id, [Box(0, 0, 5, 5)], rita)
    with pytest.raises(NotAllowed):
        save_template(connection, held, [Box(0, 0, 5, 5)], rita)


def test_the_same_file_again_is_known_after_a_blackout(
    connection: sqlite3.Connection, files: Files, settings: Settings, project: Project, held: Case, actor: Actor,
    tmp_path: Path,
) -> None:  # fmt: skip
    black_out(connection, files, held.id, [Box(0, 0, 5, 5)], actor)
    finish_erasing(files)
    folder = tmp_path / "us"
    report = import_paths(connection, files, settings, project, [folder], table=None, patient_from=None, job=2,
                          actor=actor, on_case=lambda *_: None, progress=Silent())  # fmt: skip
    assert (report.imported, report.skipped) == (0, 1)


def test_a_template_is_found_for_the_next_image_of_the_device(
    connection: sqlite3.Connection, files: Files, project: Project, held: Case, actor: Actor
) -> None:
    device = get_check(connection, held.id).device
    save_template(connection, held, [Box(0, 0, 20, 3)], actor)
    template = find_template(connection, project.id, device)
    assert template is not None
    assert (template.name, template.boxes) == ("US, 20 x 20", (Box(0, 0, 20, 3),))
    remove_template(connection, project.id, device, actor)
    assert find_template(connection, project.id, device) is None
    with pytest.raises(NotFound):
        remove_template(connection, project.id, device, actor)


@pytest.mark.parametrize("side_by_side", [False, True])
def test_a_template_is_applied_by_itself_where_the_project_says_so(
    connection: sqlite3.Connection, files: Files, settings: Settings, project: Project, held: Case, actor: Actor,
    tmp_path: Path, side_by_side: bool,
) -> None:  # fmt: skip
    save_template(connection, held, [Box(0, 0, 20, 3)], actor)
    project = set_deidentification(connection, project, Deidentification(apply_templates=True), actor)
    folder = tmp_path / "next"
    folder.mkdir()
    (folder / "next.dcm").write_bytes(hostile_file(PIXELS + np.uint16(5), Modality="US"))
    children = ReadingChildren(settings, load_secret(settings), project.deidentification) if side_by_side else None
    with children or nullcontext():
        import_paths(connection, files, settings, project, [folder], table=None, patient_from=None, job=2, actor=actor,
                     on_case=lambda *_: None, progress=Silent(), reader=children)  # fmt: skip
    assert not list(files.root.rglob("*.part"))
    case = max(list_cases(connection, project.id), key=lambda case: case.id)
    assert not case.held
    assert get_check(connection, case.id).state == "blacked"
    pixels = files.read_array("pixels", case.pixel_hash)
    assert (pixels[:3] == PIXELS.min() + 5).all()
    assert list_headers(connection, case.id)


def test_only_an_administrator_of_this_readroom_turns_de_identification_off(
    connection: sqlite3.Connection, project: Project, actor: Actor
) -> None:
    ensure_user(connection, "paul")
    ensure_user(connection, "ada", role="admin")
    set_member(connection, project.id, "paul", "admin", actor=actor)
    off = Deidentification(enabled=False)
    with pytest.raises(NotAllowed):
        set_deidentification(connection, project, off, Actor("paul", "screen"))
    assert set_deidentification(connection, project, Deidentification(retain_device=True), Actor("paul", "screen"))
    assert not set_deidentification(connection, project, off, Actor("ada", "screen")).deidentification.enabled
    assert list_audit(connection, what="turn off de-identification")
