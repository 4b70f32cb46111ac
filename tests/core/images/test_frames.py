"""One frame out of a stored file."""

import sqlite3
from collections.abc import Callable

import numpy as np
import pytest

from core.errors import CoreError, InvalidInput, NotFound
from core.images.frames import frame_bytes, read_frame, read_picture, refuse_volumes
from core.images.records import Case
from core.store.files import Files, array_bytes

VOLUME = np.random.default_rng(0).integers(0, 4000, (9, 6, 7)).astype(np.uint16)
MakeCase = Callable[..., Case]


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.float32])
def test_each_frame_is_the_one_at_its_place(kind: type[np.generic], files: Files) -> None:
    volume = VOLUME.astype(kind)
    path = files.path("pixels", files.put_array("pixels", volume))
    for at, frame in enumerate(volume):
        np.testing.assert_array_equal(read_frame(path, 9, at), frame)
        assert frame_bytes(path, 9, at) == array_bytes(frame)


def test_the_only_frame_of_an_image_is_the_image(files: Files) -> None:
    for image in (VOLUME[0], VOLUME[..., :3].astype(np.uint8)):
        path = files.path("pixels", files.put_array("pixels", image))
        np.testing.assert_array_equal(read_frame(path, 1, 0), image)


def test_a_frame_beyond_the_last_is_not_found(files: Files) -> None:
    path = files.path("pixels", files.put_array("pixels", VOLUME))
    for frame in (-1, 9):
        with pytest.raises(NotFound, match=f"There is no frame {frame}"):
            read_frame(path, 9, frame)


def test_a_file_that_is_none_of_its_case_is_a_fault_of_the_store(files: Files) -> None:
    path = files.path("pixels", files.put_array("pixels", VOLUME))
    content = path.read_bytes()
    for wrong in (content[:-500], b"no array", content.replace(b"(9, 6, 7)", b"(8, 6, 7)")):
        path.write_bytes(wrong)
        with pytest.raises(CoreError, match="restore it from a backup"):
            read_frame(path, 9, 8)


def test_a_volumes_picture_is_its_middle_frame(files: Files, make_case: MakeCase) -> None:
    case = make_case("a.nii", pixels=VOLUME, frames=9)
    np.testing.assert_array_equal(read_picture(files, case), VOLUME[4])
    image = make_case("a.png")
    np.testing.assert_array_equal(read_picture(files, image), files.read_array("pixels", image.pixel_hash))


def test_volumes_among_many_cases_are_found(connection: sqlite3.Connection, make_case: MakeCase) -> None:
    cases = [make_case("a.png"), make_case("v.nii", pixels=VOLUME, frames=9)]
    refuse_volumes(connection, [cases[0].id], "train on")
    with pytest.raises(
        InvalidInput, match=r"cannot train on volumes with a network.*Received: 9 frames \(case 2, v.nii\)"
    ):
        refuse_volumes(connection, [case.id for case in cases], "train on")
