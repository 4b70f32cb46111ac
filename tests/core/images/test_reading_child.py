"""The process that reads files: the same images come out, and its death costs one file."""

import hashlib
import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from core.errors import InvalidInput, Unavailable
from core.images.decoding import decode
from core.images.dicom_instances import USUAL_HEADER, survey
from core.images.reading_child import ReaderEnded, ReadingChild, _written
from core.images.reading_children import FILES_A_START, ReadingChildren
from core.images.series import Instance
from core.images.shown import shown_of
from core.projects.deidentification import Deidentification
from core.settings import Settings
from core.store.files import Files, write_array
from tests.core.images.test_dicom_syntaxes import GREY, dataset_of, written
from tests.core.images.test_dicom_windows import bent, table_of

SECRET = b"s" * 32


@pytest.fixture
def reader(settings: Settings) -> Iterator[ReadingChild]:
    with ReadingChild(settings, SECRET, Deidentification()) as child:
        yield child


def process_of(reader: ReadingChild) -> int:
    return reader._started()[0].pid


@pytest.mark.parametrize("name", ["693_J2KR.dcm", "emri_small.dcm", "US1_J2KI.dcm"])
def test_the_child_reads_what_the_parent_would(
    name: str, reader: ReadingChild, settings: Settings, test_data: Path
) -> None:
    content = (test_data / "dicom_misc_pydicom" / name).read_bytes()
    here, there = decode(content, settings, SECRET), reader(content, name)
    np.testing.assert_array_equal(there.pixels, here.pixels)
    assert there.pixels.dtype == here.pixels.dtype
    for field in fields(here):
        if field.name != "pixels":
            assert getattr(there, field.name) == getattr(here, field.name), field.name


def test_windows_with_curves_come_out_of_the_child(reader: ReadingChild, settings: Settings) -> None:
    table = table_of(bent(4096, 12), 0, 12)
    how = {"WindowCenter": 40, "WindowWidth": 400, "VOILUTFunction": "SIGMOID"}
    content = written(dataset_of(GREY, VOILUTSequence=[table], **how))
    here, there = decode(content, settings, SECRET), reader(content, "x.dcm")
    assert there.windows == here.windows
    assert [window.curve == "sigmoid" for window in here.windows] == [False, True]


def test_a_file_that_the_child_opens_itself_reads_the_same(reader: ReadingChild, test_data: Path) -> None:
    path = test_data / "dicom_misc_pydicom" / "693_J2KR.dcm"
    sent, look = reader.read(path.read_bytes(), path.name, shown=True)
    read = reader.read_file(path, path.name, shown=True)
    np.testing.assert_array_equal(read.image.pixels, sent.pixels)
    assert (read.image.headers, read.shown, read.pixel_hash) == (sent.headers, look, "")
    assert read.file_hash == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["693_J2KR.dcm", "emri_small.dcm", "SC_rgb.dcm"])
def test_pixels_that_the_child_writes_are_adopted_as_they_would_have_been_stored(
    name: str, reader: ReadingChild, test_data: Path, tmp_path: Path
) -> None:
    path, files = test_data / "dicom_misc_pydicom" / name, Files(tmp_path / "home")
    part = files.name_part("pixels")
    read = reader.read_file(path, path.name, shown=True, into=part)
    sent, look = reader.read(path.read_bytes(), path.name, shown=True)
    np.testing.assert_array_equal(read.image.pixels, sent.pixels)
    assert (read.image.pixels.dtype, read.shown) == (sent.pixels.dtype, look)
    files.adopt("pixels", read.pixel_hash, part)
    assert not part.exists()
    np.testing.assert_array_equal(files.read_array("pixels", read.pixel_hash), sent.pixels)
    assert files.put_array("pixels", sent.pixels) == read.pixel_hash
    assert files.path("pixels", read.pixel_hash).stat().st_mode & 0o777 == 0o600


def test_what_a_child_refuses_or_cannot_write_leaves_no_file(
    reader: ReadingChild, test_data: Path, tmp_path: Path
) -> None:
    first, files = process_of(reader), Files(tmp_path / "home")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nxx")
    part = files.name_part("pixels")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"left by a process of the same number")
    with pytest.raises(InvalidInput, match="no pixels"):
        reader.read_file(tmp_path / "a.png", "a.png", into=part)
    assert not part.exists()
    image = test_data / "dicom_misc_pydicom" / "SC_rgb.dcm"
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    part.symlink_to("/dev/full")
    with pytest.raises(Unavailable, match="full"):
        reader.read_file(image, "a", into=part)
    assert not part.is_symlink()
    assert process_of(reader) == first


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((100, 100, 3), "uint8"),
        ((100, 100, 3), "int16"),  # as many bytes
        ((3, 100, 100), "uint16"),
        ((50, 100, 3), "uint16"),
        ((-1, 100, 3), "uint16"),
        ((float("inf"), 100, 3), "uint16"),
        ((100, 100, 3), "i4,("),
    ],
)
def test_a_child_that_says_otherwise_than_it_wrote_is_ended(shape: tuple[int, ...], kind: str, tmp_path: Path) -> None:
    part = tmp_path / "1.part"
    write_array(part, np.zeros((100, 100, 3), np.uint16))
    assert _written(part, (100, 100, 3), "uint16").sum() == 0
    with pytest.raises(ValueError, match="of"):
        _written(part, shape, kind)


def test_what_lies_where_a_child_should_have_written_is_no_file_to_wait_for(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe")
    for name in ("gone", "pipe", "link"):
        with pytest.raises(ValueError, match=r".+"):
            _written(tmp_path / name, (2, 2), "uint8")


def test_a_file_that_cannot_be_opened_is_the_machines_fault(reader: ReadingChild, tmp_path: Path) -> None:
    first = process_of(reader)
    with pytest.raises(ReaderEnded, match="cannot be read"):
        reader.read_file(tmp_path / "gone.dcm", "a")
    with pytest.raises(ReaderEnded, match="cannot be read"):
        reader.read_file(tmp_path, "a")
    assert process_of(reader) == first


def test_refusals_come_back_as_sentences_and_the_child_goes_on(reader: ReadingChild, test_data: Path) -> None:
    first = process_of(reader)
    for content, said in ((b"", "empty"), (b"hello", "a text file"), (b"\x89PNG\r\n\x1a\nxx", "no pixels")):
        with pytest.raises(InvalidInput, match=said):
            reader(content, "a.png")
    assert process_of(reader) == first


def test_a_child_that_dies_costs_one_file(reader: ReadingChild, test_data: Path) -> None:
    content = (test_data / "dicom_misc_pydicom" / "SC_rgb.dcm").read_bytes()
    reader(content, "a")
    first = process_of(reader)
    os.kill(first, signal.SIGSTOP)  # so that it dies while it has the file
    threading.Timer(1.0, os.kill, (first, signal.SIGKILL)).start()
    with pytest.raises(InvalidInput, match="ended its reader"):
        reader(content, "a")
    assert reader(content, "a").pixels.shape == (100, 100, 3)
    assert process_of(reader) != first


def test_a_child_that_hangs_is_ended(settings: Settings, test_data: Path) -> None:
    content = (test_data / "dicom_misc_pydicom" / "SC_rgb.dcm").read_bytes()
    with ReadingChild(settings, SECRET, Deidentification(), seconds=30) as reader:
        reader(content, "a")
        reader._seconds = 0.5
        os.kill(process_of(reader), signal.SIGSTOP)
        begun = time.monotonic()
        with pytest.raises(InvalidInput, match=r"longer than 0\.5 seconds"):
            reader(content, "a")
        assert time.monotonic() - begun < 25


def test_an_answer_in_the_last_moment_does_not_cost_the_next_file(
    settings: Settings, test_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time ran out just as the answer came: whoever is killed then must not be given another file."""
    monkeypatch.setattr("core.images.reading_watch.SECONDS_BETWEEN_LOOKS", 0.001)
    content = (test_data / "dicom_misc_pydicom" / "SC_rgb.dcm").read_bytes()
    with ReadingChild(settings, SECRET, Deidentification(), seconds=30) as reader:
        reader(content, "a")
        reader._seconds = 0.03
        outcomes = []
        for _ in range(40):
            reader._seconds *= 0.93
            try:
                outcomes.append(str(reader(content, "a").pixels.shape))
            except InvalidInput as refusal:
                outcomes.append(str(refusal))
        assert not any("ended its reader" in said for said in outcomes), outcomes


def test_what_is_no_answer_costs_one_file(settings: Settings, test_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that took its reader over may say anything."""
    content = (test_data / "dicom_misc_pydicom" / "SC_rgb.dcm").read_bytes()
    with ReadingChild(settings, SECRET, Deidentification()) as reader:
        whole = reader._ask
        for told, values in (('{"a": 1}', b""), ("nonsense", b""), ("[]", b""), ('{"headers": []}', b"\x93NUMPY")):
            said = bytearray(told.encode()), bytearray(values), bytearray()
            monkeypatch.setattr(reader, "_ask", lambda *_, said=said: said)
            with pytest.raises(InvalidInput, match="ended its reader"):
                reader(content, "a")
        monkeypatch.setattr(reader, "_ask", whole)
        assert reader(content, "a").pixels.shape == (100, 100, 3)


def test_headers_are_looked_at_as_the_parent_would(reader: ReadingChild, test_data: Path) -> None:
    paths = sorted((test_data / "dicom_misc_pydicom").glob("*.dcm"))[:12]
    here = [survey(io.BytesIO(path.read_bytes()), "") for path in paths]
    assert reader.survey(paths) == here
    assert [reader.survey_start(path.read_bytes()) for path in paths] == here
    assert any(isinstance(one, Instance) for one in here)


def test_a_header_longer_than_the_first_look_says_the_same(tmp_path: Path) -> None:
    short, long, cut = a_header({}), a_header({"LongCodeValue": "x" * USUAL_HEADER}), a_header({"LongCodeValue": "y"})
    assert len(long) > USUAL_HEADER > len(short)
    found = survey(io.BytesIO(short), "")
    assert isinstance(found, Instance)
    assert survey(io.BytesIO(long), "") == found
    assert survey(io.BytesIO(short[: len(short) // 2]), "") == "other"
    assert survey(io.BytesIO(cut + bytes(USUAL_HEADER)), "") == found
    # a value of undefined length that crosses the first look: the parser stops there and says nothing of it
    (series,) = (at for at in range(len(short)) if short.startswith(b"\x20\x00\x0d\x00UI", at))
    private = b"\x19\x00\x01\x10OB\x00\x00" + b"\xff" * 4
    item = b"\xfe\xff\x00\xe0" + (2 * USUAL_HEADER).to_bytes(4, "little") + bytes(2 * USUAL_HEADER)
    crossing = short[:series] + private + item + b"\xfe\xff\xdd\xe0" + bytes(4) + short[series:]
    assert survey(io.BytesIO(crossing), "") == found


def a_header(more: dict[str, str]) -> bytes:
    """A file with its geometry behind whatever else it says, and a few pixels."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.9", "CT"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2", "1.2.3"
    dataset.Rows, dataset.Columns, dataset.PhotometricInterpretation = 2, 2, "MONOCHROME2"
    dataset.SamplesPerPixel, dataset.BitsAllocated, dataset.PixelRepresentation = 1, 16, 0
    dataset.PixelData = bytes(8)
    for word, said in more.items():
        setattr(dataset, word, said)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_children_side_by_side_read_the_same_and_are_replaced_when_they_died(
    settings: Settings, test_data: Path
) -> None:
    contents = [path.read_bytes() for path in sorted((test_data / "dicom_misc_pydicom").glob("SC_rgb_dcmtk*.dcm"))]
    with ReadingChildren(settings, SECRET, Deidentification(), count=2) as readers, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda content: readers.read(content, "a", shown=True), contents))
        for content, (image, look) in zip(contents, found, strict=True):
            whole = decode(content, settings, SECRET)
            np.testing.assert_array_equal(image.pixels, whole.pixels)
            assert look == shown_of(whole)
        for child in readers._all:
            process, _ = child._started()
            process.kill()
            process.wait()
        assert [image.pixels.shape for image, _ in pool.map(lambda one: readers.read(one, "a"), contents)]


def test_a_few_files_start_one_child_and_many_start_another(settings: Settings) -> None:
    drawn = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(drawn, "PNG")
    with ReadingChildren(settings, SECRET, Deidentification(), count=2) as readers:
        started = []
        for _ in range(FILES_A_START):
            readers(drawn.getvalue(), "a.png")
            started.append(sum(child._process is not None for child in readers._all))
    assert started == [1] * (FILES_A_START - 1) + [2]


def test_nothing_is_left_running(settings: Settings) -> None:
    with ReadingChild(settings, SECRET, Deidentification()) as reader:
        process, _ = reader._started()
    assert process.poll() is not None
