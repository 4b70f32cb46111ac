"""File names as people mean them: a packed volume's extension has two parts."""

PACKED = ".nii.gz"


def name_parts(path: str) -> tuple[str, str]:
    """A file's name before its extension, and the extension: `scan` and `.nii.gz`, `film.old` and `.png`."""
    name = path.rstrip("/").rpartition("/")[2]  # as text: each file of an import is asked several times
    if name.lower().endswith(PACKED) and len(name) > len(PACKED):
        return name[: -len(PACKED)], name[-len(PACKED) :]
    dot = name.rfind(".")
    return (name[:dot], name[dot:]) if 0 < dot < len(name) - 1 else (name, "")


def is_nifti_name(path: str) -> bool:
    return name_parts(path)[1].lower() in (".nii", PACKED)
