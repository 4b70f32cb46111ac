"""Files and folders are forced to disk: each by itself, or many by one call for all that their file system has to
write.

The one call is syncfs(2), of which Linux tells all errors from 5.17 on. It is made only for file systems known to hold
what it says: on network shares and in user space it may come back before anything lies on a disk.
"""

import errno
import os
import re
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

MANY = 8  # for 200 small files one call takes 5 ms on a quiet disk, and 200 calls take 50
SURE = frozenset({"ext4", "xfs"})
TELLS_ERRORS = (5, 17)
NOT_ALLOWED = (errno.ENOSYS, errno.EPERM)  # as in a sandbox


class WholeDisk:
    """The file system of a home, opened before anything is written: what cannot be written from then on is told here,
    also where another program was told of it first."""

    def __init__(self, home: Path, syncfs: Callable[[int], None]) -> None:
        self._syncfs = syncfs
        self._handle = os.open(home, os.O_RDONLY | os.O_CLOEXEC)

    def force(self) -> bool:
        """All that was written is on disk, also after a power cut; False where the system does not allow the call.

        Raises:
            OSError: something could not be written.
        """
        try:
            self._syncfs(self._handle)
        except OSError as error:
            if error.errno in NOT_ALLOWED:
                return False
            raise
        return True

    def close(self) -> None:
        os.close(self._handle)


def open_whole(home: Path) -> WholeDisk | None:
    """The disk of a home; None where one call does not force all of it: it lies on several, or on one that is not known
    to do so."""
    syncfs = find_syncfs()
    if syncfs is None:
        return None
    devices = {folder.stat().st_dev for folder in (home, *home.iterdir()) if folder.is_dir()}
    return WholeDisk(home, syncfs) if len(devices) == 1 and kind_of_disk(devices.pop()) in SURE else None


def force_each(paths: Iterable[Path], flags: int) -> None:
    """Each of these is on disk when this returns.

    Args:
        flags: how it is opened; some network shares force only what is open for writing.

    Raises:
        OSError: the disk is full or gone.
    """
    for path in paths:
        handle = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def kind_of_disk(device: int) -> str:
    """The file system of a device number as the kernel lists it (proc_pid_mountinfo(5)); empty where it does not."""
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        listed = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(" - ")[2].split()[0] for line in listed if line.split()[2] == number), "")


@lru_cache(maxsize=1)
def find_syncfs() -> Callable[[int], None] | None:
    """What forces the whole file system of an open file to disk; None where the system has no such call."""
    release = re.match(r"(\d+)\.(\d+)", os.uname().release) if sys.platform == "linux" else None
    if release is None or (int(release[1]), int(release[2])) < TELLS_ERRORS:
        return None
    import ctypes  # only here: a Python may have been built without it

    of_the_system = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if of_the_system is None:
        return None

    def syncfs(handle: int) -> None:
        if of_the_system(handle):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    return syncfs
