import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis.extra import numpy as npst

from core.errors import CoreError, NotFound
from core.store.files import Files, array_bytes, begin_part, clear_parts, write_whole

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
    handle, mine = begin_part(folder)
    os.close(handle)
    dead = folder / f"{int(child.stdout)}-x.part"
    dead.touch()
    assert clear_parts(files.root) == 1
    assert list(folder.iterdir()) == [Path(mine)]
