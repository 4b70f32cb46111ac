"""File names as people mean them: a packed volume's extension has two parts."""

from pathlib import PurePosixPath

PACKED = ".nii.gz"


def name_parts(path: str) -> tuple[str, str]:
    """A file's name before its extension, and the extension: `scan` and `.nii.gz`, `film.old` and `.png`."""
    name = PurePosixPath(path).name
    if name.lower().endswith(PACKED) and len(name) > len(PACKED):
        return name[: -len(PACKED)], name[-len(PACKED) :]
    parts = PurePosixPath(name)
    return parts.stem, parts.suffix


def is_nifti_name(path: str) -> bool:
    return name_parts(path)[1].lower() in (".nii", PACKED)
