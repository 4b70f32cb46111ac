"""The table of cases."""

import json
import sqlite3
from dataclasses import replace

import pytest

from core.errors import InvalidInput, NotFound
from core.images.decoded import Window
from core.images.records import (
    NewCase,
    count_cases,
    find_case,
    find_same_pixels,
    find_volume,
    get_case,
    get_cases,
    insert_case,
    list_cases,
    list_import_files,
    list_same_patient,
    record_import_file,
    set_flag,
)
from core.projects.records import Project
from core.store.audit import Actor
from core.store.database import writing


@pytest.fixture
def new(project: Project) -> NewCase:
    return NewCase(
        project=project.id,
        source="in/a.png",
        patient="p1",
        patient_from="table",
        pixel_hash="a" * 64,
        file_hash="b" * 64,
        perceptual_hash="0123456789abcdef",
        rows=3,
        columns=4,
        channels=1,
        dtype="int16",
        photometric="MONOCHROME1",
        imported_by="anna",
        modality="CT",
        view="AP",
        spacing_mm=(0.5, 0.25),
        spacing_at="patient",
        windows=(Window("lung", -600.0, 1500.0), Window("bone", 480.0, 2500.0)),
        attributes={"sex": "F", "Größe": "176"},
        given_split="test",
    )


def test_a_case_is_read_back_as_it_was_given(connection: sqlite3.Connection, new: NewCase) -> None:
    case = insert_case(connection, new)
    assert replace(case, id=0, imported_at="", flagged=False) == type(case)(**vars(new))
    assert get_case(connection, case.id) == case
    assert case.imported_at.endswith("Z")


def test_windows_are_read_back_with_their_curves_and_those_of_before_without(
    connection: sqlite3.Connection, new: NewCase
) -> None:
    windows = (Window("soft", 40.0, 400.0), Window("s", 1.0, 2.5, "sigmoid"), Window("t", 2.0, 4.0, ((3, 0), (1, 255))))
    case = insert_case(connection, replace(new, windows=windows))
    assert get_case(connection, case.id).windows == windows
    (told,) = connection.execute("SELECT windows FROM cases WHERE id = ?", (case.id,)).fetchone()
    assert json.loads(told)[0] == ["soft", 40.0, 400.0]
    for odd in (["steps"], [[0, 3]], [[5, 256]], [[-1, 0]], [[70000, 1]], []):
        with pytest.raises(ValueError, match=r"table|unpack|literal"):
            Window.told("t", 2.0, 4.0, odd)


def test_a_case_that_is_not_there_is_named(connection: sqlite3.Connection) -> None:
    with pytest.raises(NotFound, match=r"There is no case 9\."):
        get_case(connection, 9)


def test_many_cases_come_in_the_order_asked_for(connection: sqlite3.Connection, new: NewCase) -> None:
    with writing(connection):
        ids = [insert_case(connection, replace(new, source=f"{n}.png")).id for n in range(2100)]
    assert [case.id for case in list_cases(connection, new.project)] == ids
    assert [case.id for case in get_cases(connection, ids[::-1])] == ids[::-1]
    assert count_cases(connection, new.project) == 2100
    assert get_cases(connection, []) == []
    with pytest.raises(NotFound):
        get_cases(connection, [*ids, 9999])


def test_a_case_is_found_by_id_source_name_and_stem(connection: sqlite3.Connection, new: NewCase) -> None:
    case = insert_case(connection, new)
    insert_case(connection, replace(new, source="other/b_1.png"))
    for name in (case.id, str(case.id), "in/a.png", "a.png", "a"):
        assert find_case(connection, new.project, name) == case
    for name in ("b%1", "b_", "", "in", "x/a.png", "999", "png"):
        assert find_case(connection, new.project, name) is None
    assert find_case(connection, new.project + 1, "a.png") is None


def test_a_volume_is_read_back_with_its_geometry_and_found_by_its_stem(
    connection: sqlite3.Connection, new: NewCase
) -> None:
    affine = ((0.1, 0.0, 0.0, 1 / 3), (0.0, 0.25, 0.0, -7.0), (0.0, 0.0, 2.5, 1e-9), (0.0, 0.0, 0.0, 1.0))
    given = replace(new, source="in/scan.nii.gz", frames=12, slice_spacing_mm=2.5, affine=affine)
    case = insert_case(connection, given)
    assert (case.frames, case.slice_spacing_mm, case.affine) == (12, 2.5, affine)
    assert find_case(connection, new.project, "scan") == case
    assert find_case(connection, new.project, "scan.nii") is None
    image = insert_case(connection, new)
    assert (image.frames, image.slice_spacing_mm, image.affine) == (1, None, None)
    assert find_volume(connection, [image.id, case.id]) == case
    assert find_volume(connection, [image.id]) is None


def test_a_name_of_several_cases_is_refused_with_their_ids(connection: sqlite3.Connection, new: NewCase) -> None:
    one = insert_case(connection, new)
    two = insert_case(connection, replace(new, source="out/a.png"))
    with pytest.raises(InvalidInput, match=f"{one.id} .*{two.id} .*Received: a.png"):
        find_case(connection, new.project, "a.png")
    assert find_case(connection, new.project, "out/a.png") == two


def test_same_pixels_are_found_in_the_same_project_only(connection: sqlite3.Connection, new: NewCase) -> None:
    one, two = (insert_case(connection, replace(new, source=source)) for source in ("a", "b"))
    insert_case(connection, replace(new, pixel_hash="c" * 64))
    assert find_same_pixels(connection, new.project, new.pixel_hash) == [one, two]
    assert find_same_pixels(connection, new.project + 1, new.pixel_hash) == []


def test_other_cases_of_a_patient_are_listed_the_earlier_ones_first(
    connection: sqlite3.Connection, new: NewCase
) -> None:
    cases = [insert_case(connection, replace(new, source=f"{n}.png")) for n in range(4)]
    other = insert_case(connection, replace(new, source="other.png", patient="p2"))
    ids = [case.id for case in cases]
    assert list_same_patient(connection, cases[2]) == [ids[1], ids[0], ids[3]]
    assert list_same_patient(connection, cases[2], most=1) == [ids[1]]
    assert list_same_patient(connection, other) == []


def test_the_same_source_and_pixels_cannot_be_stored_twice(connection: sqlite3.Connection, new: NewCase) -> None:
    insert_case(connection, new)
    with pytest.raises(sqlite3.IntegrityError):
        insert_case(connection, new)


def test_a_flag_is_set_taken_away_and_audited(connection: sqlite3.Connection, new: NewCase, actor: Actor) -> None:
    case = insert_case(connection, new)
    assert set_flag(connection, case.id, True, actor).flagged
    assert not set_flag(connection, case.id, False, actor).flagged
    said = [row["what"] for row in connection.execute("SELECT what FROM audit WHERE subject = ?", (f"case {case.id}",))]
    assert said == ["flag case", "unflag case"]
    with pytest.raises(NotFound):
        set_flag(connection, 999, True, actor)


def test_what_became_of_files_is_kept_by_job(connection: sqlite3.Connection) -> None:
    first = record_import_file(connection, 1, "a.png", "imported", 3, "")
    record_import_file(connection, 2, "a.png", "failed", None, "empty")
    assert list_import_files(connection, 1) == [first]
