"""A large file is checked once, and again when it is no longer the same."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.errors import CoreError, NotFound
from core.store.checked import CheckedFiles
from core.store.files import Files


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that were checked."""
    made: list[str] = []
    check: Callable[..., Path] = Files.check

    def counted(self: Files, shelf: str, content_hash: str) -> Path:
        made.append(content_hash)
        return check(self, shelf, content_hash)

    monkeypatch.setattr(Files, "check", counted)
    return made


def test_a_file_is_checked_once(files: Files, checks: list[str]) -> None:
    name = files.put_array("pixels", np.arange(10))
    checked = CheckedFiles(files)
    assert checked.path("pixels", name) == checked.path("pixels", name) == files.path("pixels", name)
    assert checks == [name]
    CheckedFiles(files).path("pixels", name)
    assert checks == [name, name]


def test_an_altered_file_is_found_out_later_too(files: Files) -> None:
    name = files.put_array("pixels", np.arange(10))
    checked, path = CheckedFiles(files), files.path("pixels", name)
    checked.path("pixels", name)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    os.utime(path, ns=(1, 1))
    for _ in range(2):
        with pytest.raises(CoreError, match="altered on disk"):
            checked.path("pixels", name)


def test_what_is_not_there_or_no_longer_is_not_found(files: Files) -> None:
    name = files.put_array("pixels", np.arange(10))
    checked = CheckedFiles(files)
    with pytest.raises(NotFound):
        checked.path("pixels", "0" * 64)
    checked.path("pixels", name)
    files.path("pixels", name).unlink()
    with pytest.raises(NotFound):
        checked.path("pixels", name)


def test_those_who_ask_at_once_share_one_check(files: Files, checks: list[str]) -> None:
    name = files.put_array("pixels", np.zeros(4 << 20, np.uint8))
    checked = CheckedFiles(files)
    threads = [threading.Thread(target=checked.path, args=("pixels", name)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert checks == [name]
