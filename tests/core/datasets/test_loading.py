"""Pixels for the network: prepared once, the same as everywhere else, read by the batch."""

import os
import sqlite3
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from core.datasets.loading import AT_ONCE, images_key, key_of, prepare_images, remove_unused_images
from core.datasets.volumes import volume_key
from core.errors import InvalidInput, NotFound, Stopped
from core.images.records import Case, Window, get_cases
from core.images.render import InputSpec, model_input
from core.images.volume_input import PatchSpec
from core.progress import Silent
from core.store.files import Files


class Asked:
    """What `prepare_images` needs of a case of a snapshot."""

    def __init__(self, case: Case) -> None:
        self.case_id = case.id


@pytest.fixture
def cases(make_case: Callable[..., Case]) -> list[Asked]:
    return [Asked(make_case(f"{at}.png")) for at in range(6)]


def test_each_row_is_what_the_network_sees_of_that_case(
    connection: sqlite3.Connection, files: Files, cases: list[Asked]
) -> None:
    spec = InputSpec(12, 3, "pad")
    prepared = prepare_images(connection, files, cases[::-1], spec, Silent())
    assert prepared.case_ids == tuple(case.case_id for case in cases[::-1])
    assert (prepared.images.shape, prepared.images.dtype) == ((6, 12, 12, 3), np.uint8)
    for row, case in enumerate(get_cases(connection, prepared.case_ids)):
        seen = model_input(files.read_array("pixels", case.pixel_hash), case.photometric, case.windows, spec)
        assert np.array_equal(prepared.images[row], seen)
    assert np.array_equal(prepared.read([4, 0, 4]), prepared.images[[4, 0, 4]])
    with pytest.raises(IndexError):
        prepared.read([6])


def test_it_is_made_once_for_the_same_pixels_and_input(
    connection: sqlite3.Connection, files: Files, cases: list[Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare_images(connection, files, cases, InputSpec(8), Silent())
    assert prepare_images(connection, files, cases[:3], InputSpec(8), Silent()).path != first.path
    assert prepare_images(connection, files, cases, InputSpec(9), Silent()).path != first.path
    monkeypatch.setattr("core.datasets.loading.frame_sight", None)
    assert prepare_images(connection, files, cases, InputSpec(8), Silent()).path == first.path


def test_another_window_is_another_picture(connection: sqlite3.Connection, files: Files, cases: list[Asked]) -> None:
    first = prepare_images(connection, files, cases, InputSpec(8), Silent())
    connection.execute("""UPDATE cases SET windows = '[["w", 100, 10]]' WHERE id = ?""", (cases[0].case_id,))
    second = prepare_images(connection, files, cases, InputSpec(8), Silent())
    assert not np.array_equal(first.images[0], second.images[0])


def test_a_curve_is_another_picture_and_a_straight_line_has_the_key_of_before_there_were_curves(
    connection: sqlite3.Connection, files: Files, make_case: Callable[..., Case]
) -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    windows = [
        Window("lung", -600.0, 1500.0),
        Window("lung", -600.0, 1500.0, "sigmoid"),
        Window("lung", -600.0, 1500.0, ((700, 0), (800, 255))),
    ]
    made = [Asked(make_case(f"{at}.dcm", pixels=pixels, windows=(one,))) for at, one in enumerate(windows)]
    keys = [images_key(connection, [one], InputSpec(8))[0] for one in made]
    assert len(set(keys)) == 3
    told = {"name": "lung", "centre": -600.0, "width": 1500.0}
    case = get_cases(connection, [made[0].case_id])[0]
    assert keys[0] == key_of(["images", InputSpec(8).to_json()], [[case.pixel_hash, "MONOCHROME2", told]])
    patches = [
        volume_key(one, PatchSpec((8, 8, 8), (1.0, 1.0, 1.0)))[0]
        for one in get_cases(connection, [one.case_id for one in made])
    ]
    assert len(set(patches)) == 3
    known = "59c603b10ba1933b9ce6379b26b10d4262af57a01f7152296e9b205f1982086b"  # of the code of before
    assert key_of(["images", {"size": 32}], [["hash", "MONOCHROME2", windows[0].to_json()]]) == known
    seen = [prepare_images(connection, files, [one], InputSpec(8), Silent()).images[0] for one in made]
    assert not np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], seen[2])


def test_what_is_used_is_kept_and_what_is_not_is_removed_and_made_again(
    connection: sqlite3.Connection, files: Files, cases: list[Asked]
) -> None:
    now = datetime.now(UTC)
    used, unused = (prepare_images(connection, files, cases, InputSpec(size), Silent()) for size in (8, 9))
    half_made = used.path.with_name("left by a kill.part")
    half_made.touch()
    month_ago = (now - timedelta(days=30)).timestamp()
    for path in (used.path, unused.path, half_made):
        os.utime(path, (month_ago, month_ago))
    prepare_images(connection, files, cases, InputSpec(8), Silent())
    assert remove_unused_images(files, now=now, keep_days=14) == 2
    assert [path for path in (files.root / "prepared").rglob("*") if path.is_file()] == [used.path]
    assert np.array_equal(unused.read([0]), unused.images[:1]), "whoever has it open reads on"
    again = prepare_images(connection, files, cases, InputSpec(9), Silent())
    assert np.array_equal(again.images, unused.images)
    assert remove_unused_images(files, now=now, keep_days=1e9) == 0


def test_a_home_without_prepared_images_has_none_to_remove(files: Files) -> None:
    assert remove_unused_images(files, now=datetime.now(UTC), keep_days=14) == 0


def test_stopping_leaves_no_half_a_file(connection: sqlite3.Connection, files: Files, cases: list[Asked]) -> None:
    class Impatient(Silent):
        def should_stop(self) -> bool:
            return True

    with pytest.raises(Stopped):
        prepare_images(connection, files, cases, InputSpec(8), Impatient())
    assert [path for path in (files.root / "prepared").rglob("*") if path.is_file()] == []


def test_no_cases_and_lost_pixels_are_told(connection: sqlite3.Connection, files: Files, cases: list[Asked]) -> None:
    with pytest.raises(InvalidInput, match="0 cases"):
        prepare_images(connection, files, [], InputSpec(8), Silent())
    lost = get_cases(connection, [cases[0].case_id])[0]
    files.path("pixels", lost.pixel_hash).unlink()
    with pytest.raises(NotFound):
        prepare_images(connection, files, cases, InputSpec(8), Silent())


def test_a_volume_among_the_cases_is_refused(
    connection: sqlite3.Connection, files: Files, cases: list[Asked], make_case: Callable[..., Case]
) -> None:
    volume = make_case("scan.nii.gz", pixels=np.zeros((3, 8, 3), np.uint8), frames=3)  # of the shape of a colour image
    with pytest.raises(
        InvalidInput, match=r"cannot train on or evaluate volumes with a network.*case 7, scan\.nii\.gz"
    ):
        prepare_images(connection, files, [*cases, Asked(volume)], InputSpec(8), Silent())


def test_memory_does_not_grow_with_the_data(
    connection: sqlite3.Connection, files: Files, make_case: Callable[..., Case]
) -> None:
    """Four times the images take the memory of one batch, though the prepared file is four times as large."""
    one = Asked(make_case("one.png"))
    spec = InputSpec(128)
    peaks = []
    for batches in (2, 8):
        tracemalloc.start()
        prepared = prepare_images(connection, files, [one] * (batches * AT_ONCE), spec, Silent())
        prepared.read(range(AT_ONCE))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.3
    assert prepared.path.stat().st_size > 2 * peaks[1]
