import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis.extra import numpy as npst

from core.errors import CoreError, NotFound, Unavailable
from core.store.files import Files, array_bytes, begin_part, clear_parts, write_array, write_whole
from core.store.forcing import MANY, WholeDisk, find_syncfs, kind_of_disk, open_whole
from core.store.together import Together

ARRAYS = npst.arrays(
    dtype=npst.unsigned_integer_dtypes(endianness="<") | npst.floating_dtypes(endianness="<", sizes=(32,)),
    shape=npst.array_shapes(max_dims=3, max_side=6),
)


@given(array=ARRAYS)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_array_comes_back_bit_for_bit(files: Files, array: np.ndarray) -> None:
    back = files.read_array("pixels", files.put_array("pixels", array))
    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes()


@given(array=ARRAYS)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_a_mapped_array_is_the_one_that_was_stored_and_cannot_be_written(files: Files, array: np.ndarray) -> None:
    mapped = files.map_array("pixels", files.put_array("pixels", array))
    assert (mapped.tobytes(), mapped.dtype, mapped.shape) == (array.tobytes(), array.dtype, array.shape)
    assert not mapped.flags.writeable


def test_equal_content_is_stored_once(files: Files) -> None:
    fortran = np.asfortranarray(np.arange(12, dtype=np.int16).reshape(3, 4))
    assert files.put_array("pixels", fortran) == files.put_array("pixels", np.ascontiguousarray(fortran))
    assert len(list((files.root / "pixels").rglob("*.npy"))) == 1


def test_an_altered_file_is_named(files: Files) -> None:
    content_hash = files.put_bytes("models", b"weights")
    files.path("models", content_hash).write_bytes(b"changed")
    with pytest.raises(CoreError, match=f"altered on disk.*{content_hash}"):
        files.read_bytes("models", content_hash)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63])
def test_a_name_that_is_no_hash_is_not_looked_for(files: Files, name: str) -> None:
    with pytest.raises(NotFound):
        files.path("pixels", name)


def test_an_absent_file_is_not_found(files: Files) -> None:
    with pytest.raises(NotFound):
        files.read_bytes("pixels", "0" * 64)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "inside").touch()
    with pytest.raises(OSError):
        write_whole(target, array_bytes(np.zeros(3)))
    assert list(tmp_path.iterdir()) == [target]


def test_a_half_written_file_is_deleted_once_its_process_is_gone(files: Files) -> None:
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    folder = files.root / "pixels" / "ab"
    handle, mine = begin_part(folder / "x.npy")
    os.close(handle)
    dead = folder / f"{int(child.stdout)}-x.part"
    dead.touch()
    assert clear_parts(files.root) == 1
    assert list(folder.iterdir()) == [mine]


def test_what_is_put_together_has_its_name_once_all_of_it_is_kept(files: Files) -> None:
    together = replace(files, together=Together())
    hashes = [together.put_bytes("headers", content) for content in (b"one", b"two", b"one")]
    assert not any(files.has("headers", one) for one in hashes)
    together.keep()
    assert [files.read_bytes("headers", one) for one in hashes] == [b"one", b"two", b"one"]
    assert not list(files.root.rglob("*.part"))


def test_of_files_put_together_none_is_named_before_each_is_on_disk(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = replace(files, together=Together())
    for content in (b"one", b"two", b"three"):
        together.put_bytes("headers", content)
    seen: list[tuple[int, int]] = []  # of what is there at each turn: files with a name, and without

    def watched(handle: int) -> None:
        seen.append((len(list(files.root.rglob("*.dcm"))), len(list(files.root.rglob("*.part")))))

    monkeypatch.setattr("core.store.forcing.os.fsync", watched)
    together.keep()
    assert seen == [(0, 3)] * 3 + [(3, 0)] * (len(seen) - 3)
    assert len(seen) > 3, "the folders that hold the names are forced to disk too"
    seen.clear()
    for number in range(40):
        together.put_bytes("headers", bytes([number]))
    monkeypatch.setattr("core.store.forcing.find_syncfs", lambda: watched)
    monkeypatch.setattr("core.store.forcing.kind_of_disk", lambda device: "ext4")
    together.keep()
    assert len(seen) > 42, "on what kind of disk they lie was settled before they were written"
    seen.clear()
    at_once = replace(files, together=Together(files.root))
    for number in range(40):
        at_once.put_bytes("masks", bytes([number]))
    at_once.keep()
    assert seen == [(43, 40), (43, 0)], "of many files all at once, and then all names"
    assert len(list(files.root.rglob("*.runs"))) == 40


def test_what_a_full_disk_does_not_take_together_is_removed_and_named(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = replace(files, together=Together())
    together.put_bytes("headers", b"one")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("core.store.forcing.os.fsync", full)
    with pytest.raises(Unavailable, match="The disk that holds Readroom's home is full"):
        together.keep()
    monkeypatch.setattr("core.store.forcing.find_syncfs", lambda: full)
    monkeypatch.setattr("core.store.forcing.kind_of_disk", lambda device: "ext4")
    at_once = replace(files, together=Together(files.root))
    for number in range(MANY):
        at_once.put_bytes("headers", bytes([number]))
    with pytest.raises(Unavailable, match="The disk that holds Readroom's home is full"):
        at_once.keep()
    assert not [path for path in (files.root / "headers").rglob("*") if path.is_file()]


def test_the_call_for_a_whole_disk_says_what_fails(tmp_path: Path) -> None:
    syncfs = find_syncfs()
    if syncfs is None:
        pytest.skip("this system has no call that forces a whole file system to disk")
    disk = WholeDisk(tmp_path, syncfs)
    assert disk.force()
    disk.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        disk.force()


def test_where_the_call_for_a_whole_disk_is_not_allowed_each_file_is_forced(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(handle: int) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    forced: list[int] = []
    monkeypatch.setattr("core.store.forcing.find_syncfs", lambda: refused)
    monkeypatch.setattr("core.store.forcing.kind_of_disk", lambda device: "ext4")
    monkeypatch.setattr("core.store.forcing.os.fsync", forced.append)
    together = replace(files, together=Together(files.root))
    for number in range(MANY):
        together.put_bytes("headers", bytes([number]))
    together.keep()
    assert len(forced) > MANY


def test_a_disk_that_is_not_known_to_hold_what_the_call_says_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.store.forcing.find_syncfs", lambda: lambda handle: None)
    for kind in ("fuse", "cifs", "nfs4", ""):
        monkeypatch.setattr("core.store.forcing.kind_of_disk", lambda device, kind=kind: kind)
        assert open_whole(tmp_path) is None


def test_the_kernel_names_the_disk_of_a_folder(tmp_path: Path) -> None:
    if not Path("/proc/self/mountinfo").exists():
        pytest.skip("this system lists no file systems in /proc")
    assert kind_of_disk(tmp_path.stat().st_dev)
    assert kind_of_disk(0xFFF0FF) == ""


def test_a_part_that_is_not_adopted_goes(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(shelf: str, name: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    part = files.name_part("pixels")
    content_hash = write_array(part, np.zeros((2, 2), np.uint8))
    with pytest.raises(Unavailable, match="full"):
        replace(files, on_new=full).adopt("pixels", content_hash, part)
    assert not part.exists()


def test_a_part_of_a_process_whose_number_another_has_by_now_is_cleared(files: Files) -> None:
    part = files.name_part("pixels")
    write_array(part, np.zeros((2, 2), np.uint8))
    assert clear_parts(files.root) == 0
    before = psutil.Process().create_time() - 60
    os.utime(part, (before, before))
    assert clear_parts(files.root) == 1
    assert not part.exists()
