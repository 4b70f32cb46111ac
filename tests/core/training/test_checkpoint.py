"""What a disk can do to a checkpoint."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.training.checkpoint import NAME, save_checkpoint


def test_on_a_full_disk_half_a_checkpoint_takes_no_room_and_the_one_before_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = SimpleNamespace(
        network=SimpleNamespace(variables=[np.zeros(9)]),
        optimizer=SimpleNamespace(variables=[np.ones(9)]),
        state=[np.ones(1)],
    )
    fit: Any = SimpleNamespace(
        epoch=1, best_epoch=1, best_value=0.5, cut_epoch=0, learner=learner, best_weights=[np.zeros(9)]
    )
    save_checkpoint(tmp_path, fit, "recipe")
    before = (tmp_path / NAME).read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tmp_path, fit, "recipe")
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert (tmp_path / NAME).read_bytes() == before
