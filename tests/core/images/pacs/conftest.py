"""One Orthanc for each file of tests, with a few studies in it."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from tests.core.images.drawn_dicom import write_series
from tests.orthanc import Orthanc, running_orthanc

DEPTHS = [0.0, 1.0, 2.0, 3.0, 4.0]
SMALL = ("CT_small.dcm", "MR_small_RLE.dcm", "reportsi.dcm")


@dataclass(frozen=True)
class Ward:
    """A PACS and what was pushed into it: a CT series of five slices, a CT and an MR image, and a report."""

    orthanc: Orthanc
    slices: list[Dataset]
    images: list[Dataset]


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("ward")
    with running_orthanc(folder / "orthanc") as orthanc, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        slices = write_series(folder / "series", DEPTHS)
        for one, file in zip(slices, sorted((folder / "series").iterdir()), strict=True):
            one.StudyDescription = "CT Thorax nativ"
            one.save_as(file, enforce_file_format=True)
        small = [Path(str(get_testdata_file(name))) for name in SMALL]
        orthanc.push(*sorted((folder / "series").iterdir()), *small)
        assert orthanc.count() == len(DEPTHS) + len(SMALL)
        yield Ward(orthanc, slices, [dcmread(path) for path in small[:2]])
