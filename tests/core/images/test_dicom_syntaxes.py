"""One image in every transfer syntax and encoding: the same values come in."""

import io
import zipfile
import zlib
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
from pydicom.pixels import pixel_array
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    HTJ2K,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from core.errors import InvalidInput
from core.images.archives import OpenArchives
from core.images.attempts import Attempts
from core.images.decoding import decode, kind_of
from core.images.dicom_decoders import DEFLATED_FRAMES, ENCAPSULATED_UNCOMPRESSED, JPEG_XL, SYNTAXES, decoder_findings
from core.images.dicom_unwrap import unwrap
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
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
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
    assert {HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL} <= set(SYNTAXES)


def test_htj2k_in_the_order_of_resolutions(settings: Settings, test_data: Path) -> None:
    """The sample's codestream under the name of RPCL, which only says in which order its packets come."""
    path = test_data / "dicom_misc_pydicom" / "HTJ2KLossless_08_RGB.dcm"
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = HTJ2KLosslessRPCL
    np.testing.assert_array_equal(
        decode(written(dataset), settings, SECRET).pixels, decode(path, settings, SECRET).pixels
    )
    assert (HTJ2KLosslessRPCL.name, True) in [(name, there) for name, there, _ in decoder_findings()]


def deflated(frame: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(frame) + packer.flush()


def jpeg_xl(pixels: np.ndarray) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(pixels.view(f"u{pixels.dtype.itemsize}"), lossless=True))


def wrapped(pixels: np.ndarray, syntax: str, frames: int = 1, **tags: Any) -> tuple[bytes, np.ndarray]:
    """A file of some frames in a syntax that pydicom does not write, and what has to come in."""
    stack = [np.roll(pixels, at, axis=1) for at in range(frames)]
    dataset = dataset_of(pixels, NumberOfFrames=str(frames))
    as_bytes = {ENCAPSULATED_UNCOMPRESSED: np.ndarray.tobytes, DEFLATED_FRAMES: lambda one: deflated(one.tobytes())}
    dataset.PixelData = encapsulate([as_bytes.get(syntax, jpeg_xl)(one) for one in stack])
    dataset["PixelData"].VR = "OB"
    for tag, value in tags.items():
        setattr(dataset, tag, value)
    known = {21: JPEGBaseline8Bit, 22: ENCAPSULATED_UNCOMPRESSED, 23: HTJ2KLossless}[len(syntax)]  # of its length
    dataset.file_meta.TransferSyntaxUID = known
    content = written(dataset).replace(known.encode(), syntax.encode().ljust(len(known), b"\0"), 1)
    return content, stack[0] if frames == 1 else np.stack(stack)


@pytest.mark.parametrize("pixels", [GREY, SIGNED, COLOUR, COLOUR[:5, :7]], ids=["unsigned", "signed", "colour", "odd"])
@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("syntax", [ENCAPSULATED_UNCOMPRESSED, DEFLATED_FRAMES, *JPEG_XL])
def test_what_pydicom_has_no_word_for(pixels: np.ndarray, frames: int, syntax: str, settings: Settings) -> None:
    content, expected = wrapped(pixels, syntax, frames)
    image = decode(content, settings, SECRET)
    np.testing.assert_array_equal(image.pixels, expected)
    assert image.photometric == ("RGB" if pixels.ndim == 3 else "MONOCHROME2")


@pytest.mark.parametrize("syntax", [DEFLATED_FRAMES, JPEG_XL[0]])
@pytest.mark.parametrize("rows", [32, 128])
def test_frames_that_unpack_to_another_size_are_refused(syntax: str, rows: int, settings: Settings) -> None:
    content, _ = wrapped(GREY, syntax, Rows=rows)
    with pytest.raises(InvalidInput, match=f"differ in size.* Received: 72 x {rows} pixels"):
        decode(content, settings, SECRET)


def test_a_decoder_of_jpeg_xl_that_is_not_there_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagecodecs.JPEGXL, "available", False)
    with pytest.raises(InvalidInput, match=r"install one of: imagecodecs\. Received: JPEG XL Lossless"):
        decode(wrapped(GREY, JPEG_XL[0])[0], settings, SECRET)


def test_encapsulated_bits_begin_anew_with_each_frame() -> None:
    masks = np.random.default_rng(2).integers(0, 2, (3, 3, 7), np.uint8)
    dataset = dataset_of(masks[0], NumberOfFrames="3", BitsAllocated=1, BitsStored=1, HighBit=0)
    dataset.PixelData = encapsulate([np.packbits(mask, bitorder="little").tobytes() for mask in masks])
    dataset.file_meta.TransferSyntaxUID = ENCAPSULATED_UNCOMPRESSED
    unwrap(dataset)
    np.testing.assert_array_equal(dataset.pixel_array, masks)


@pytest.mark.parametrize(
    "syntax",
    ["1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.107", "1.2.840.10008.1.2.4.94",
     "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205", "1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.92"],
    ids=lambda syntax: pydicom.uid.UID(syntax).name,
)  # fmt: skip
def test_what_nothing_decodes_is_named_and_the_way_out_told(syntax: str, settings: Settings) -> None:
    dataset = dataset_of(GREY)
    if "JPIP" in pydicom.uid.UID(syntax).name:
        del dataset.PixelData  # it lies on a server, of which the header tells the address
    else:
        dataset.PixelData = encapsulate([b"\0\0\1\xba" * 10])
        dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    with pytest.raises(InvalidInput) as caught:
        decode(written(dataset), settings, SECRET)
    assert pydicom.uid.UID(syntax).name in str(caught.value)
    assert "export it uncompressed, or as JPEG 2000 or RLE" in str(caught.value)
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize(
    ("syntax", "said"),
    [("1.2.840.10008.1.2.8.99", "Received: 1.2.840.10008.1.2.8.99"), ("1.2.840.113619.5.47110", "not of the standard")],
)
@pytest.mark.parametrize("starts", [0, 132], ids=["with a preamble", "without"])
def test_a_syntax_without_a_name_is_told_as_far_as_it_names_nobody(
    syntax: str, said: str, starts: int, settings: Settings
) -> None:
    dataset = dataset_of(GREY)
    dataset.PixelData = encapsulate([GREY.tobytes()])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    content = written(dataset).replace(JPEGBaseline8Bit.encode(), syntax.encode())[starts:]
    with pytest.raises(InvalidInput, match="does not decode") as caught:
        decode(content, settings, SECRET)
    assert said in str(caught.value)
    assert "4711" not in str(caught.value)


def test_a_decoder_that_is_not_installed_is_told_from_a_syntax_that_has_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(get_decoder(RLELossless), "_available", {})
    with pytest.raises(InvalidInput, match=r"is not installed; install one of: .*RLE Lossless"):
        decode(in_syntax(GREY, RLELossless), settings, SECRET)


def jpeg_of(pixels: np.ndarray, syntax: str, frame: bytes, **tags: Any) -> Dataset:
    dataset = dataset_of(pixels, **tags)
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def by_gdcm(content: bytes) -> np.ndarray:
    return pixel_array(pydicom.dcmread(io.BytesIO(content)), decoding_plugin="gdcm")


def test_grey_jpeg_baseline_is_what_gdcm_makes_of_it(settings: Settings) -> None:
    grey = (GREY >> 4).astype(np.uint8)
    content = written(jpeg_of(grey, JPEGBaseline8Bit, imagecodecs.jpeg8_encode(grey, level=90)))
    pixels = decode(content, settings, SECRET).pixels
    np.testing.assert_array_equal(pixels, by_gdcm(content))
    assert np.abs(pixels.astype(int) - grey).mean() < 8


@pytest.mark.parametrize(
    ("subsampling", "said"), [("444", "YBR_FULL"), ("422", "YBR_FULL_422"), ("420", "YBR_FULL_422")]
)
def test_colour_jpeg_baseline_is_what_gdcm_makes_of_it(subsampling: str, said: str, settings: Settings) -> None:
    smooth = np.linspace(0, 250, 64 * 72 * 3).reshape(64, 72, 3).astype(np.uint8)
    frame = imagecodecs.jpeg8_encode(smooth, level=95, subsampling=subsampling)
    content = written(jpeg_of(smooth, JPEGBaseline8Bit, frame, PhotometricInterpretation=said))
    image = decode(content, settings, SECRET)
    assert image.photometric == "RGB"
    np.testing.assert_array_equal(image.pixels, by_gdcm(content))
    assert np.abs(image.pixels.astype(int) - smooth).mean() < 4


@pytest.mark.parametrize("name", ["SC_rgb_dcmtk_+eb+cy+np.dcm", "SC_rgb_dcmtk_+eb+cy+s2.dcm", "SC_rgb_jpeg_dcmtk.dcm"])
def test_real_files_of_jpeg_baseline_are_what_gdcm_makes_of_them(name: str, settings: Settings) -> None:
    path = Path(str(get_testdata_file(name)))
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    np.testing.assert_array_equal(decode(path, settings, SECRET).pixels, by_gdcm(path.read_bytes()))


@pytest.mark.parametrize("predictor", range(1, 8))
def test_lossless_jpeg_of_every_predictor(predictor: int, settings: Settings) -> None:
    frame = imagecodecs.jpeg8_encode(GREY, lossless=True, predictor=predictor, bitspersample=12)
    content = written(jpeg_of(GREY, JPEGLossless, frame))
    np.testing.assert_array_equal(decode(content, settings, SECRET).pixels, GREY)
    np.testing.assert_array_equal(by_gdcm(content), GREY)


def test_jpeg_of_12_bits(settings: Settings) -> None:
    dataset = pydicom.dcmread(str(get_testdata_file("JPEG-lossy.dcm")))
    assert dataset.file_meta.TransferSyntaxUID == JPEGExtended12Bit
    image = decode(Path(str(get_testdata_file("JPEG-lossy.dcm"))), settings, SECRET)
    assert image.pixels.shape == (dataset.Rows, dataset.Columns)
    assert image.pixels.max() > 255


def test_every_syntax_has_a_decoder_here() -> None:
    assert [name for name, there, _ in decoder_findings() if not there] == []
    assert ("JPEG XL Lossless", True, "imagecodecs") in decoder_findings()


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
