"""One image in every transfer syntax and encoding: the same values come in."""

import io
import zipfile
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from core.images.archives import OpenArchives
from core.images.attempts import Attempts
from core.images.decoding import decode, kind_of
from core.images.dicom_decoders import SYNTAXES, decoder_findings
from core.images.sources import list_sources
from core.images.units import find_units
from core.progress import Silent
from core.projects.deidentification import Deidentification
from core.settings import Settings

SECRET = b"s" * 32
GREY = np.random.default_rng(0).integers(0, 4096, (64, 72)).astype(np.uint16)
SIGNED = (GREY.astype(np.int32) - 2048).astype(np.int16)
COLOUR = np.random.default_rng(1).integers(0, 256, (64, 72, 3), np.uint8)


def dataset_of(pixels: np.ndarray, **tags: Any) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2", "1.2.3"
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [1, 1]
    dataset.Modality, dataset.PatientID = "CT", "4711"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored = 12 if pixels.dtype.itemsize == 2 else 8
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    for tag, value in tags.items():
        setattr(dataset, tag, value)
    return dataset


def written(dataset: Dataset, **how: Any) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, **{"enforce_file_format": True, **how})
    return buffer.getvalue()


def in_syntax(pixels: np.ndarray, syntax: str) -> bytes:
    dataset = dataset_of(pixels)
    if syntax == JPEGLosslessSV1:
        dataset.PixelData = encapsulate([imagecodecs.ljpeg_encode(pixels)])
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = syntax
    elif syntax == ExplicitVRBigEndian:
        dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
    elif pydicom.uid.UID(syntax).is_encapsulated:
        dataset.compress(syntax, generate_instance_uid=False)
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
    return written(dataset)


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEGLSLossless,
     JPEG2000Lossless, JPEGLosslessSV1],
    ids=lambda syntax: syntax.name,
)  # fmt: skip
@pytest.mark.parametrize("pixels", [GREY, SIGNED, COLOUR], ids=["unsigned", "signed", "colour"])
def test_values_are_the_same_in_every_syntax(pixels: np.ndarray, syntax: str, settings: Settings) -> None:
    if syntax == JPEGLosslessSV1 and (pixels.ndim == 3 or pixels.dtype.kind == "i"):
        pytest.skip("the encoder at hand takes unsigned grey")
    if syntax == JPEGLSLossless and pixels.dtype.kind == "i":
        pytest.skip("JPEG-LS of signed values is not written by pydicom")
    np.testing.assert_array_equal(decode(in_syntax(pixels, syntax), settings, SECRET).pixels, pixels)


def test_the_standards_own_sample_in_htj2k(settings: Settings, test_data: Path) -> None:
    lossless, lossy = (
        decode(test_data / "dicom_misc_pydicom" / name, settings, SECRET).pixels.astype(int)
        for name in ("HTJ2KLossless_08_RGB.dcm", "HTJ2K_08_RGB.dcm")
    )
    assert np.abs(lossless - lossy).mean() < 5
    assert {HTJ2K, HTJ2KLossless} <= set(SYNTAXES)


def test_jpeg_of_12_bits(settings: Settings) -> None:
    dataset = pydicom.dcmread(str(get_testdata_file("JPEG-lossy.dcm")))
    assert dataset.file_meta.TransferSyntaxUID == JPEGExtended12Bit
    image = decode(Path(str(get_testdata_file("JPEG-lossy.dcm"))), settings, SECRET)
    assert image.pixels.shape == (dataset.Rows, dataset.Columns)
    assert image.pixels.max() > 255


def test_every_syntax_has_a_decoder_here() -> None:
    lacking = [name for name, there, _ in decoder_findings() if not there]
    assert lacking in ([], [JPEGExtended12Bit.name])  # that one goes by imagecodecs


@pytest.mark.parametrize(("implicit", "little"), [(True, True), (False, True), (False, False)])
@pytest.mark.parametrize("first", ["SpecificCharacterSet", "SOPInstanceUID", "StudyDate", "Modality"])
def test_without_preamble_and_meta(first: str, implicit: bool, little: bool, settings: Settings) -> None:
    pixels = GREY if little else GREY.astype(">u2")
    dataset = dataset_of(pixels, SpecificCharacterSet="ISO_IR 100", StudyDate="20200101")
    del dataset.file_meta
    for tag in [tag for tag in dataset.keys() if tag < tag_for_keyword(first)]:  # noqa: SIM118
        del dataset[tag]
    content = written(dataset, enforce_file_format=False, implicit_vr=implicit, little_endian=little)
    assert kind_of(content) == "DICOM"
    np.testing.assert_array_equal(decode(content, settings, SECRET).pixels, GREY)


def test_a_wrong_extension_does_not_matter(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(written(dataset_of(GREY)))
    np.testing.assert_array_equal(decode(path, settings, SECRET).pixels, GREY)


@pytest.mark.parametrize("enabled", [True, False])
def test_an_overlay_is_kept_apart_from_the_pixels_and_told(enabled: bool, settings: Settings) -> None:
    dataset = dataset_of(GREY | np.uint16(0x8000))  # an older one lies in a bit above the stored 12
    dataset.add_new(0x60000010, "US", 64)
    dataset.add_new(0x60000011, "US", 72)
    dataset.add_new(0x60003000, "OW", b"\xff" * 576)
    image = decode(written(dataset), settings, SECRET, options=Deidentification(enabled=enabled))
    np.testing.assert_array_equal(image.pixels, GREY)
    assert (b"\xff" * 576 in image.headers[0].content) != enabled  # it may hold text
    assert any("overlay" in said and ("left out" in said) == enabled for said in image.oddities)


def test_a_table_of_values_to_show_is_a_window_of_what_it_spreads(settings: Settings) -> None:
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [1000, 200, 16], np.arange(1000, dtype=np.uint16).tobytes()
    (window,) = decode(written(dataset_of(GREY, VOILUTSequence=[table])), settings, SECRET).windows
    assert (window.name, window.centre, window.width) == ("VOI table", 700, 1000)


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("packed", [True, False])
def test_series_are_found_in_every_encoding_of_the_header(
    syntax: str, packed: bool, settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for z in range(3):
        dataset = dataset_of(GREY, ImagePositionPatient=[0, 0, z * 5])
        dataset.file_meta.TransferSyntaxUID = syntax
        (folder / f"{z}").write_bytes(written(dataset))
    given = folder
    if packed:
        given = tmp_path / "in.zip"
        with zipfile.ZipFile(given, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, path.name)
    with OpenArchives(settings) as archives:
        sources = list_sources([given], settings)
        (unit,) = find_units(sources, archives, settings, Attempts(tmp_path / "note"), Silent(), {})
    assert unit.group is not None
    assert unit.group.kind == "volume"
    assert [file.source for file in unit.files] == ["0", "1", "2"]
