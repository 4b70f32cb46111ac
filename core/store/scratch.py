"""Room for arrays that may be larger than memory: files without a name, gone as soon as nobody holds the array, also
after a kill.
"""

import math
import os
import tempfile
from pathlib import Path

import numpy as np

from core.store.troubles import troubles_named

HELD = 64 << 20  # bytes; what is smaller stays in memory


def make_room(shape: tuple[int, ...], kind: type[np.generic], folder: Path | None) -> np.ndarray:
    """An array of zeros to be filled: in memory where it is small, else in a file of the folder.

    Args:
        folder: on a disk that has room; the system's folder for temporary files where none is named.

    Raises:
        Unavailable: the disk is full, read-only or gone.
    """
    size = math.prod(shape) * np.dtype(kind).itemsize
    if size <= HELD:
        return np.zeros(shape, kind)
    with troubles_named(folder or tempfile.gettempdir()), tempfile.TemporaryFile(dir=folder) as file:
        # All of it now: a full disk would end the process when a page is written later.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        return np.memmap(file, kind, "r+", shape=shape)
