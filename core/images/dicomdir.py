"""A DICOMDIR that is given by itself: the files that it refers to (DICOM PS3.3 section F.3.2.2, PS3.10 section 8)."""

import warnings
from pathlib import Path

import pydicom

from core.images.dicom_instances import many

LARGEST_INDEX = 64 << 20  # bytes


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


def _stays_below(parts: list[str]) -> bool:
    return not any(part in ("", ".", "..") or "/" in part or "\\" in part or ":" in part for part in parts)
