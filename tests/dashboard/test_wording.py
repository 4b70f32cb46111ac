"""Words on screen that several pages share."""

import pytest

from core.images.pseudonyms import path_token
from dashboard.wording import file_of


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("left/scan_12.png", "scan_12.png"),
        ("scan.dcm", "scan.dcm"),
        (path_token(b"s" * 32, "Miller Agnes/1.dcm"), "case 7"),
        (path_token(b"s" * 32, "series.zip/a/b.nii.gz"), "case 7"),
    ],
)
def test_a_case_is_called_by_its_file_or_where_that_is_a_token_by_its_number(source: str, said: str) -> None:
    assert file_of(7, source) == said
