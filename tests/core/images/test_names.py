"""What a file is called without its extension."""

import pytest

from core.images.names import is_nifti_name, name_parts


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("a/b/scan.nii.gz", ("scan", ".nii.gz")),
        ("Scan.NII.GZ", ("Scan", ".NII.GZ")),
        ("scan.nii", ("scan", ".nii")),
        ("film.old.png", ("film.old", ".png")),
        ("table.csv.gz", ("table.csv", ".gz")),
        (".nii.gz", (".nii", ".gz")),
        ("none", ("none", "")),
    ],
)
def test_a_packed_volumes_extension_has_two_parts(path: str, parts: tuple[str, str]) -> None:
    assert name_parts(path) == parts


def test_volumes_are_known_by_their_names() -> None:
    assert [is_nifti_name(path) for path in ("a/x.nii", "x.NII.GZ", "x.gz", "nii.png")] == [True, True, False, False]
