"""An array file that grows is the file that the whole array would have become."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import Unavailable
from core.store.files import Files, begin_part
from core.store.growing import GrowingArray
from core.store.together import Together

FRAMES = np.arange(5 * 3 * 4, dtype=np.int16).reshape(5, 3, 4)


def _stored(files: Files) -> list[Path]:
    return [path for path in (files.root / "pixels").rglob("*") if path.is_file()]


def _grow(files: Files, frames: np.ndarray) -> str:
    with GrowingArray(files, "pixels", len(frames)) as growing:
        for frame in frames:
            growing.add(frame)
        return growing.put()


def test_frame_by_frame_is_as_all_at_once(files: Files) -> None:
    with GrowingArray(files, "pixels", len(FRAMES)) as growing:
        for frame in FRAMES:
            growing.add(np.asfortranarray(frame))
        seen = growing.frames()
        grown = growing.put()
    assert grown == files.put_array("pixels", FRAMES)
    np.testing.assert_array_equal(files.read_array("pixels", grown), FRAMES)
    np.testing.assert_array_equal(seen, FRAMES)  # also once the file has another name
    assert not list(files.root.rglob("*.part"))


def test_fewer_frames_than_announced_are_what_is_there(files: Files) -> None:
    with GrowingArray(files, "pixels", 9) as growing:
        for frame in FRAMES[:2]:
            growing.add(frame)
        grown = growing.put()
    np.testing.assert_array_equal(files.read_array("pixels", grown), FRAMES[:2])
    assert not list(files.root.rglob("*.part"))


def test_what_is_there_already_is_not_stored_twice(files: Files) -> None:
    there = files.put_array("pixels", FRAMES)
    with GrowingArray(files, "pixels", len(FRAMES)) as growing:
        for frame in FRAMES:
            growing.add(frame)
        assert growing.put() == there
    assert len(_stored(files)) == 1


def test_what_is_not_put_is_removed(files: Files) -> None:
    with GrowingArray(files, "pixels", 5) as growing:
        growing.add(FRAMES[0])
    assert not _stored(files)


def test_it_waits_for_what_is_kept_together_and_is_told_of(files: Files) -> None:
    told: list[tuple[str, str]] = []
    waiting = replace(files, together=Together(), on_new=lambda shelf, name: told.append((shelf, name)))
    with GrowingArray(waiting, "pixels", len(FRAMES)) as growing:
        for frame in FRAMES:
            growing.add(frame)
        grown = growing.put()
    assert told == [("pixels", grown)]
    assert not waiting.has("pixels", grown)
    waiting.keep()
    assert waiting.has("pixels", grown)


def test_a_full_disk_is_told_and_leaves_nothing(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    def on_a_full_disk(target: Path) -> tuple[int, Path]:
        handle, part = begin_part(target)
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, handle)
        os.close(full)
        return handle, part

    monkeypatch.setattr("core.store.growing.begin_part", on_a_full_disk)
    for side in (2, 512):  # smaller and larger than what is gathered before it is written
        with pytest.raises(Unavailable, match="full"):
            _grow(files, np.zeros((1, side, side), np.int16))
        assert not _stored(files)
