"""A DICOMDIR: the files that it refers to (DICOM PS3.3 section F.3.2.2, PS3.10 section 8), and which are not there.

It stands for them where it is given by itself; in a folder they are there with it.
"""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pydicom

from core.images.dicom_instances import many
from core.images.sources import SourceFile, folder_of, is_index_name

LARGEST_INDEX = 64 << 20  # bytes
MISSING = "The index (DICOMDIR) names this file and it is not there; copy it again from where the others came."


def referenced_files(index: Path) -> list[Path]:
    """The files of an index below its folder, whether they are there or not; none where it is no index."""
    try:
        if index.stat().st_size > LARGEST_INDEX:
            return []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            records = pydicom.dcmread(index).get("DirectoryRecordSequence") or []
            named = [[str(part) for part in many(record.get("ReferencedFileID"))] for record in records]
    except Exception:  # noqa: BLE001 (hostile bytes raise anything; the file itself is then reported)
        return []
    folder = index.parent
    return list(dict.fromkeys(folder.joinpath(*parts) for parts in named if parts and _stays_below(parts)))


def list_missing(files: Sequence[SourceFile]) -> list[SourceFile]:
    """What the indexes among these files name and what is not there, each as a file with its refusal.

    A copy may have written names in lower case, or with an ending, which those on a medium do not have.
    """
    indexes = [file for file in files if file.member is None and not file.refusal and is_index_name(file.name)]
    there = {file.place.casefold() for file in files} if indexes else set[str]()
    found: dict[str, SourceFile] = {}
    for index in indexes:
        for path in referenced_files(index.location):
            if there.isdisjoint((str(path).casefold(), f"{path}.dcm".casefold())) and not os.path.lexists(path):
                below = path.relative_to(index.location.parent).as_posix()
                shown, source = (str(PurePosixPath(said).parent / below) for said in (index.path, index.source))
                found.setdefault(shown, SourceFile(shown, source, folder_of(path), path.name, None, MISSING))
    return list(found.values())


def _stays_below(parts: list[str]) -> bool:
    return not any(part in ("", ".", "..") or "/" in part or "\\" in part or ":" in part for part in parts)
