"""Folders of files that go once they are in, of which some may have to stay."""

from collections.abc import Callable
from pathlib import Path


def keep_only(folder: Path, is_needed: Callable[[Path], bool]) -> None:
    """Take away what is not needed of the files in a folder, and each folder in it that is empty then."""
    for path in sorted(folder.rglob("*"), reverse=True):  # what is in a folder before the folder
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        elif not path.is_dir() and not is_needed(path):
            path.unlink()
