"""What was cleaned before gives the same header, the same changes and the same pseudonyms as cleaning it anew."""

import io
import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from core.images import deidentify_alike
from core.images.deidentify import Deidentified, deidentify, header_bytes
from core.images.deidentify_alike import Alike
from core.projects.deidentification import Deidentification
from tests.core.images.hostile import hostile_file

SECRET = b"s" * 32
CHOICES = [Deidentification(), Deidentification(shift_dates=False, retain_patient=False, clean_descriptors=False)]

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom speaks of odd values, which are odd on purpose


def parsed(content: bytes) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(io.BytesIO(content), force=True)


def made(content: bytes, options: Deidentification, alike: Alike | None) -> tuple[Deidentified, bytes] | str:
    try:
        clean = deidentify(parsed(content), options, SECRET, alike)
        return clean, header_bytes(clean.dataset, alike)
    except Exception as error:  # noqa: BLE001 (damaged files raise anything, and are to raise the same)
        return repr(error)


def a_slice(number: int, **more: str) -> bytes:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, f"1.2.3.{number}"
    dataset.PatientID, dataset.StudyInstanceUID, dataset.StudyDate = "4711", "1.2.3", "20240131"
    dataset.Modality, dataset.KVP, dataset.InstanceNumber = "CT", "120", str(number)
    for word, value in more.items():
        setattr(dataset, word, value)
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.parametrize("lacking", ["SOPInstanceUID", "SOPClassUID"])
def test_a_header_without_its_uid_is_refused_alike(lacking: str) -> None:
    for alike in (None, Alike()):
        clean = deidentify(parsed(a_slice(1)), CHOICES[0], SECRET, alike).dataset
        setattr(clean, lacking, "")
        setattr(clean.file_meta, f"MediaStorage{lacking}", "")
        with pytest.raises(AttributeError, match="empty value"):
            header_bytes(clean, alike)


@pytest.mark.parametrize("options", CHOICES, ids=["usual", "strict"])
def test_every_file_has_the_same_header_as_without_those_before_it(options: Deidentification, test_data: Path) -> None:
    files = [
        path for folder in sorted(test_data.glob("dicom*")) for path in sorted(folder.rglob("*")) if path.is_file()
    ]
    contents = [*(path.read_bytes() for path in files), hostile_file()]
    alike, headers = Alike(), 0
    for content in [*contents, *reversed(contents)]:
        apart, together = made(content, options, None), made(content, options, alike)
        if isinstance(apart, str) or isinstance(together, str):
            assert apart == together
            continue
        headers += 1
        assert together[1] == apart[1]
        assert together[0].changes == apart[0].changes
        assert together[0].patient == apart[0].patient
    assert headers > 100


def test_the_same_date_of_two_patients_moves_by_days_of_their_own() -> None:
    alike = Alike()
    one, other = (
        deidentify(parsed(a_slice(1, PatientID=who)), CHOICES[0], SECRET, alike).dataset for who in ("4711", "4712")
    )
    assert one.StudyDate != other.StudyDate
    assert one.PatientID != other.PatientID


def test_under_other_options_or_another_secret_nothing_of_before_is_used() -> None:
    alike, content = Alike(), a_slice(1, PatientSex="F")
    for options, secret in [(CHOICES[0], SECRET), (CHOICES[1], SECRET), (CHOICES[0], b"t" * 32)]:
        together = deidentify(parsed(content), options, secret, alike).dataset
        assert header_bytes(together, alike) == header_bytes(deidentify(parsed(content), options, secret).dataset)


def test_no_file_changes_the_header_of_one_before_it() -> None:
    alike = Alike()
    first = deidentify(parsed(a_slice(1)), CHOICES[0], SECRET, alike).dataset
    before = header_bytes(first)
    deidentify(parsed(a_slice(2, PatientID="4712", PatientName="Doe^Jane")), CHOICES[0], SECRET, alike)
    assert header_bytes(first) == before


def test_what_is_remembered_does_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deidentify_alike, "MOST_VALUES", 50)
    alike, most = Alike(), 0
    for number in range(200):
        clean = deidentify(parsed(a_slice(number)), CHOICES[0], SECRET, alike).dataset
        header_bytes(clean, alike)
        most = max(most, len(alike.written))
    assert 50 < most < 100
