"""Room for arrays beyond memory: what is small is held, what is large lies in a file that nobody sees."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from core.errors import Unavailable
from core.store import scratch
from core.store.scratch import make_room


def test_what_is_small_is_held_and_what_is_large_lies_on_disk_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not isinstance(make_room((10, 10), np.uint8, tmp_path), np.memmap)
    monkeypatch.setattr(scratch, "HELD", 1000)
    room = make_room((11, 100), np.float32, tmp_path)
    assert isinstance(room, np.memmap)
    assert not room.any()
    room[5] = 7
    assert room.sum() == 700
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot keep room")
def test_a_full_disk_is_named_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(scratch, "HELD", 1000)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(Unavailable, match="full; make room"):
        make_room((11, 100), np.uint8, tmp_path)
