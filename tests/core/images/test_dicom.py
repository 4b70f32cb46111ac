"""One DICOM object: what comes through, what stays out, what is refused."""

import io
import warnings
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

from core.errors import InvalidInput
from core.images.decoded import DecodedImage, whole_numbers
from core.images.decoding import decode
from core.images.dicom_pixels import _rescaled_as_whole, codestream_size
from core.images.pseudonyms import pseudonym
from core.projects.deidentification import Deidentification
from core.settings import Settings

SECRET = b"s" * 32
CT, DX, CAPTURE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.7"
DEFAULT = (np.arange(6 * 8, dtype=np.uint16) * 80).reshape(6, 8)


def made(
    pixels: np.ndarray = DEFAULT, *, sop_class: str = CT, syntax: str = ExplicitVRLittleEndian, **tags: Any
) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = generate_uid()
    dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY"]
    dataset.PatientID, dataset.PatientName = "4711", "Doe^Jane"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = pixels.dtype.itemsize * 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some values are wrong on purpose
        for tag, value in tags.items():
            if value is None:
                delattr(dataset, tag)
            else:
                setattr(dataset, tag, value)
        dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def read(settings: Settings, pixels: np.ndarray = DEFAULT, **tags: Any) -> DecodedImage:
    return decode(made(pixels, **tags), settings, SECRET)


def refusal(content: bytes, settings: Settings) -> str:
    with pytest.raises(InvalidInput) as caught:
        decode(content, settings, SECRET)
    assert "Received: " in str(caught.value)
    assert "Doe" not in str(caught.value)
    assert "4711" not in str(caught.value)
    return str(caught.value)


@given(st.sampled_from([np.uint8, np.uint16, np.int16]).flatmap(lambda kind: hnp.arrays(kind, (4, 6))))
def test_what_was_written_is_read(pixels: np.ndarray) -> None:
    image = decode(made(pixels), Settings(home=Path()), SECRET)
    assert image.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(image.pixels, pixels)


def test_values_are_after_the_rescale(settings: Settings) -> None:
    image = read(settings, RescaleSlope="2", RescaleIntercept="-1024")
    assert image.pixels.dtype == np.int16
    np.testing.assert_array_equal(image.pixels, DEFAULT.astype(int) * 2 - 1024)
    fine = read(settings, RescaleSlope="0.03", RescaleIntercept="0")
    assert fine.pixels.dtype == np.float32
    np.testing.assert_allclose(fine.pixels, DEFAULT * 0.03, rtol=1e-6)


@given(
    st.sampled_from([np.uint8, np.uint16, np.int16]).flatmap(lambda kind: hnp.arrays(kind, (4, 6))),
    st.integers(-70_000, 70_000),
    st.integers(-70_000, 70_000),
)
def test_a_whole_rescale_gives_what_pydicom_gives(pixels: np.ndarray, slope: int, inter: int) -> None:
    dataset = Dataset()
    dataset.RescaleSlope, dataset.RescaleIntercept = str(slope), str(inter)
    whole = _rescaled_as_whole(pixels, slope, inter)
    real = apply_modality_lut(pixels, dataset)
    if whole is not None:
        expected = pixels if np.array_equal(real, pixels) else whole_numbers(real)
        assert whole.dtype == expected.dtype
        np.testing.assert_array_equal(whole, expected)


def test_a_usual_rescale_is_done_in_whole_numbers() -> None:
    whole = _rescaled_as_whole(np.array([[0, 4095]], np.uint16), 1, -1024)
    assert whole is not None
    assert whole.dtype == np.int16
    assert whole.tolist() == [[-1024, 3071]]


def test_a_rescale_without_values_is_none(settings: Settings) -> None:
    np.testing.assert_array_equal(read(settings, RescaleSlope="", RescaleIntercept="").pixels, DEFAULT)


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        ({"RescaleSlope": "0", "RescaleIntercept": "-1024"}, "slope 0, intercept -1024"),
        ({"RescaleSlope": "2"}, "slope 2, intercept nothing"),
        ({"RescaleSlope": ["1", "2"], "RescaleIntercept": "0"}, "slope no number, intercept 0"),
        ({"RescaleSlope": "", "RescaleIntercept": "-1024"}, "slope nothing, intercept -1024"),
    ],
)
def test_half_a_rescale_is_refused(tags: dict[str, Any], told: str, settings: Settings) -> None:
    """Hounsfield units that are off by 1024 look like an image all the same."""
    said = refusal(made(DEFAULT, **tags), settings)
    assert (
        said == f"The header does not say what the pixel values mean; export the file again. Received: rescale {told}"
    )


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        ({"BitsStored": None}, "Received: no BitsStored"),
        ({"PhotometricInterpretation": None}, "Received: no PhotometricInterpretation"),
        ({"PixelRepresentation": None, "SamplesPerPixel": None}, "Received: no SamplesPerPixel, PixelRepresentation"),
        ({"BitsStored": 0}, "Received: 0 bits stored of 16"),
        ({"BitsStored": 17}, "Received: 17 bits stored of 16"),
    ],
)
def test_a_header_that_lacks_what_pixels_need_is_refused_by_name(
    tags: dict[str, Any], told: str, settings: Settings
) -> None:
    assert refusal(made(DEFAULT.astype(np.uint16), **tags), settings).endswith(told)


@pytest.mark.parametrize("kind", [np.uint16, np.int16])
def test_values_lie_where_the_high_bit_says(kind: type[np.generic], settings: Settings) -> None:
    """Older writers put 12 bits to the top of 16; others only say so."""
    low = -2048 if kind is np.int16 else 0
    values = np.arange(low, low + 4096, 7).astype(kind)[:576].reshape(24, 24)
    values[0, 0] = low + 4095
    tags = {"BitsStored": 12, "HighBit": 15}
    np.testing.assert_array_equal(read(settings, values << 4, **tags).pixels, values)
    np.testing.assert_array_equal(read(settings, values, **tags).pixels, values)
    both = (values << 4) | 3
    assert refusal(made(both, **tags), settings).endswith("Received: 12 bits stored, the highest of them bit 15")


def test_more_frames_than_announced_are_no_colours(settings: Settings) -> None:
    """Two frames of one image have three axes too, and are no picture in colour."""
    frame = imagecodecs.jpeg8_encode(np.arange(256, dtype=np.uint8).reshape(16, 16))
    dataset = pydicom.dcmread(io.BytesIO(made(np.zeros((16, 16), np.uint8), syntax=ExplicitVRLittleEndian)))
    dataset.file_meta.TransferSyntaxUID, dataset.PixelData = JPEGBaseline8Bit, encapsulate([frame, frame])
    dataset["PixelData"].is_undefined_length = True
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    assert "not those that the header announces" in refusal(buffer.getvalue(), settings)


def test_values_are_after_the_modality_table(settings: Settings) -> None:
    table = Dataset()
    table.LUTDescriptor = [4, 0, 16]
    table.ModalityLUTType = "US"
    table.LUTData = np.array([10, 20, 40, 80], np.uint16).tobytes()
    image = read(settings, np.array([[0, 1], [2, 3]], np.uint16), ModalityLUTSequence=[table])
    np.testing.assert_array_equal(image.pixels, [[10, 20], [40, 80]])


def test_bits_above_the_stored_ones_do_not_count(settings: Settings) -> None:
    overlaid = DEFAULT | np.uint16(0x8000)
    np.testing.assert_array_equal(read(settings, overlaid, BitsStored=12, HighBit=11).pixels, DEFAULT)


def test_monochrome1_stays_and_is_named(settings: Settings) -> None:
    image = read(settings, PhotometricInterpretation="MONOCHROME1")
    assert image.photometric == "MONOCHROME1"
    np.testing.assert_array_equal(image.pixels, DEFAULT)


def test_colour_is_read_where_it_is_expected(settings: Settings) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    image = read(settings, colour, Modality="OP")
    assert image.photometric == "RGB"
    np.testing.assert_array_equal(image.pixels, colour)


def test_only_the_allow_list_comes_through(settings: Settings) -> None:
    image = read(
        settings,
        PatientID="MRN-4711",  # with letters: the digits alone stand by chance in what replaces a UID
        PatientBirthDate="19700101",
        PatientSex="F",
        PatientAge="042Y",
        InstitutionName="Secret Hospital",
        ReferringPhysicianName="House^Gregory",
        StudyDescription="Doe Jane chest",
        Manufacturer="ACME",
        ManufacturerModelName="Ray 5",
        BodyPartExamined="CHEST",
        ViewPosition="AP",
        ImageComments="call Jane",
    )
    assert image.attributes == {
        "sex": "F",
        "age": "42",
        "manufacturer": "ACME",
        "scanner": "Ray 5",
        "body_part": "CHEST",
    }
    assert (image.modality, image.view) == ("CT", "AP")
    assert image.patient == pseudonym(SECRET, "patient /MRN-4711")
    for hidden in ("Doe", "MRN-4711", "19700101", "Secret", "House", "Jane"):
        assert hidden not in repr(image)


def test_a_name_typed_into_a_technical_field_stays_out(settings: Settings) -> None:
    image = read(settings, ViewPosition="Doe^Jane", BodyPartExamined="knee of jane", PatientSex="Jane")
    assert image.view is None
    assert image.attributes == {}


@pytest.mark.parametrize(
    ("said", "years"),
    [("042Y", "42"), ("006M", "0.5"), ("026W", "0.5"), ("010D", "0.03"), ("097Y", "90"), ("old", None)],
)
def test_ages_are_years_and_never_above_90(said: str, years: str | None, settings: Settings) -> None:
    assert read(settings, PatientAge=said).attributes.get("age") == years


def test_the_pseudonym_tells_issuers_apart_and_falls_back_on_the_study(settings: Settings) -> None:
    plain = read(settings).patient
    assert read(settings, PatientID=" 4711 ").patient == plain
    assert read(settings, IssuerOfPatientID="B").patient != plain
    study = {"PatientID": "", "StudyInstanceUID": "1.2.3"}
    assert read(settings, **study).patient == read(settings, **study).patient != plain
    assert read(settings, PatientID="").patient is None


def test_how_the_image_lies_in_the_patient_is_told_only_where_the_tags_make_sense(settings: Settings) -> None:
    tags: dict[str, Any] = {
        "PixelSpacing": [0.5, 0.25],
        "ImageOrientationPatient": [0, 1, 0, 0, 0, -1],  # columns to the back, rows to the feet: sagittal
        "ImagePositionPatient": [10, -20, 30],
    }
    affine = decode(made(**tags), settings, SECRET).affine
    assert affine is not None
    column, row = 3, 5
    assert (np.array(affine) @ [column, row, 0, 1]).tolist() == [10, -20 + 3 * 0.25, 30 - 5 * 0.5, 1]
    assert np.array(affine)[:3, 2].tolist() == [-1, 0, 0]
    odd: list[dict[str, Any]] = [
        {"PixelSpacing": [1, 0]},
        {"ImageOrientationPatient": [1, 0, 0]},
        {"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]},
        {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
        {"ImagePositionPatient": [0, 0]},
    ]
    for changed in odd:
        assert decode(made(**{**tags, **changed}), settings, SECRET).affine is None, changed


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (["L", "F"], "L\\F"),
        (["R", "F"], "R\\F"),
        (["AL", "FR"], "AL\\FR"),
        (["P", "L"], "P\\L"),
        (["L"], None),
        (["L", "F", "P"], None),
        (["L", "R"], None),  # one axis for both
        (["LR", "F"], None),
        (["LL", "F"], None),
        (["l", "f"], None),
        (["DOE", "JANE"], None),
        (["RT", "V"], None),
        ("", None),
    ],
)
def test_where_rows_and_columns_of_a_projection_lead_is_kept(said: Any, kept: str | None, settings: Settings) -> None:
    image = read(settings, sop_class=DX, Modality="DX", PatientOrientation=said)
    assert image.attributes.get("patient_orientation") == kept


def test_letters_are_left_out_where_the_affine_tells_more_or_they_mean_something_else(settings: Settings) -> None:
    lies = {"PixelSpacing": [1, 1], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "ImagePositionPatient": [0, 0, 0]}
    for tags in (lies, {"AnatomicalOrientationType": "QUADRUPED"}):
        assert read(settings, PatientOrientation=["L", "P"], **tags).attributes == {}


def test_spacing_says_where_it_holds(settings: Settings) -> None:
    tags: list[tuple[dict[str, Any], Any]] = [
        ({"PixelSpacing": [0.5, 0.6]}, ((0.5, 0.6), "patient")),
        ({"ImagerPixelSpacing": [0.2, 0.2]}, ((0.2, 0.2), "detector")),
        ({"Modality": "DX", "PixelSpacing": [0.2, 0.2], "ImagerPixelSpacing": [0.2, 0.2]}, ((0.2, 0.2), "detector")),
        ({"Modality": "DX", "PixelSpacing": [0.1, 0.1], "ImagerPixelSpacing": [0.2, 0.2]}, ((0.1, 0.1), "patient")),
        ({"Modality": "DX", "PixelSpacing": [0.1, 0.1]}, ((0.1, 0.1), "detector")),
        (
            {"Modality": "DX", "PixelSpacing": [0.1, 0.1], "PixelSpacingCalibrationType": "FIDUCIAL"},
            ((0.1, 0.1), "patient"),
        ),
        ({"PixelSpacing": [0, 0]}, (None, None)),
        ({}, (None, None)),
    ]
    for given_tags, expected in tags:
        image = read(settings, **given_tags)
        assert (image.spacing_mm, image.spacing_at) == expected, given_tags


def test_windows_keep_their_order_and_names(settings: Settings) -> None:
    image = read(
        settings,
        WindowCenter=[40, -600, 7],
        WindowWidth=[400, 1500, 0],
        WindowCenterWidthExplanation=["SOFT", "Doe^J", ""],
    )
    assert [(window.name, window.centre, window.width) for window in image.windows] == [
        ("SOFT", 40, 400),
        ("Window 2", -600, 1500),
    ]


@pytest.mark.parametrize("modality", ["US", "SC", "XC", "OT", "ES"])
def test_kinds_that_often_carry_names_are_held(modality: str, settings: Settings) -> None:
    assert "often carry the patient's name" in str(read(settings, Modality=modality).to_check)


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"sop_class": CAPTURE}, "secondary capture"),
        ({"sop_class": CAPTURE + ".2"}, "secondary capture"),
        ({"ConversionType": "WSD"}, "secondary capture"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "screen capture"),
        ({"BurnedInAnnotation": "YES"}, "says that text is burned in"),
        ({"BurnedInAnnotation": "NO", "Modality": "US"}, "modality US"),
        ({"Modality": ""}, "does not say what made"),
        ({"Modality": "JANE"}, "does not say what made"),
        ({"Modality": "XA"}, "modality XA"),
        ({"ImageType": ["DERIVED", "PRIMARY"]}, "derived CT"),
        ({"ImageType": ["ORIGINAL", "SECONDARY"]}, "derived CT"),
        ({"ImageType": None}, "neither that this CT image is an original one"),
        ({"ImageType": ""}, "neither that this CT image is an original one"),
        ({"ImageType": "ORIGINAL"}, "neither that this CT image is an original one"),
        ({"ImageType": ["MIXED", "PRIMARY"]}, "neither that this CT image is an original one"),
    ],
)
def test_captures_and_burned_in_text_are_held(tags: dict[str, Any], said: str, settings: Settings) -> None:
    assert said in str(decode(made(**tags), settings, SECRET).to_check)


@pytest.mark.parametrize("modality", ["CT", "MR", "CR", "DX", "MG"])
def test_an_original_without_the_tag_passes_unless_the_project_is_strict(modality: str, settings: Settings) -> None:
    content = made(Modality=modality, ImageType=["ORIGINAL", "PRIMARY"])
    assert decode(content, settings, SECRET).to_check is None
    strict = Deidentification(strict_pixels=True)
    assert "strict" in str(decode(content, settings, SECRET, options=strict).to_check)
    said_no = made(Modality=modality, ImageType=None, BurnedInAnnotation="NO")
    assert decode(said_no, settings, SECRET, options=strict).to_check is None


def test_colour_from_a_grey_modality_is_held(settings: Settings) -> None:
    assert "CT in colour" in str(read(settings, np.zeros((4, 4, 3), np.uint8)).to_check)


def test_a_header_comes_with_the_pixels(settings: Settings) -> None:
    image = read(settings, PatientName="Doe^Jane")
    (header,) = image.headers
    assert header.sop_uid.startswith("2.25.")
    assert header.content[128:132] == b"DICM"
    assert b"Doe" not in header.content
    assert any(change.name == "Patient's Name" and change.done == "replaced" for change in header.changes)


def test_without_de_identification_all_but_the_pixels_stays(settings: Settings) -> None:
    image = decode(made(), settings, SECRET, options=Deidentification(enabled=False))
    assert image.patient == "4711"
    assert b"Doe^Jane" in image.headers[0].content
    assert DEFAULT.tobytes() not in image.headers[0].content


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"PixelData": None}, "without pixels"),
        ({"Rows": None}, "not an image"),
        ({"Rows": 0}, "no pixels"),
        ({"NumberOfFrames": 3}, "ends before its pixels do"),
        ({"NumberOfFrames": 30000, "Rows": 600, "Columns": 600}, "decompression bombs"),
        ({"Rows": 600}, "ends before its pixels do"),
        ({"Rows": 60000, "Columns": 60000}, "decompression bombs"),
        ({"Modality": "SEG"}, "SEG"),
        ({"PhotometricInterpretation": "HSV", "Modality": "OP"}, "HSV"),
    ],
)
def test_what_is_no_single_image_is_refused(tags: dict[str, Any], said: str, settings: Settings) -> None:
    assert said in refusal(made(**tags), settings)


@pytest.mark.parametrize(
    "tags",
    [{"RescaleSlope": "nan"}, {"RescaleIntercept": "nan"}, {"RescaleSlope": "inf"}, {"RescaleSlope": "1e308"}],
    ids=lambda tags: "-".join(*tags.items()),
)
def test_a_rescale_to_what_is_no_number_is_refused(tags: dict[str, Any], settings: Settings) -> None:
    refused = refusal(made(**{"RescaleSlope": "1", "RescaleIntercept": "0", **tags}), settings)
    assert "not numbers" in refused or "beyond 1e+30" in refused


@pytest.mark.parametrize("kind", ["FloatPixelData", "DoubleFloatPixelData"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_floating_pixels_are_read_and_refused_where_one_is_no_number(kind: str, bad: float, settings: Settings) -> None:
    real = DEFAULT.astype(np.float32 if kind == "FloatPixelData" else np.float64) / 7

    def of(pixels: np.ndarray) -> bytes:
        bits = {"BitsAllocated": pixels.dtype.itemsize * 8, "BitsStored": None, "HighBit": None}
        return made(**{kind: pixels.tobytes(), "PixelData": None, "PixelRepresentation": None, **bits})

    np.testing.assert_allclose(decode(of(real), settings, SECRET).pixels, real, rtol=1e-6)
    real[2, 3] = bad
    assert "1 pixels of NaN or infinity" in refusal(of(real), settings)


def test_any_cut_leaves_a_refusal(settings: Settings) -> None:
    content = made()
    for end in range(0, len(content) - 1, 7):
        refusal(content[:end], settings)


@given(st.data())
def test_a_damaged_file_is_read_or_refused(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small.dcm"]))
    content = bytearray(Path(str(get_testdata_file(name))).read_bytes())
    for at in data.draw(st.lists(st.integers(132, len(content) - 1), min_size=1, max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    with suppress(InvalidInput):
        assert decode(bytes(content), Settings(home=Path()), SECRET).pixels.ndim in (2, 3)


def test_a_deflated_bomb_is_refused(settings: Settings) -> None:
    content = made(syntax=DeflatedExplicitVRLittleEndian)
    np.testing.assert_array_equal(decode(content, settings, SECRET).pixels, DEFAULT)
    start = 144 + int.from_bytes(content[140:144], "little")
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = content[:start] + packer.compress(bytes(4 << 20)) + packer.flush()
    assert "unpacks to more" in refusal(bomb, Settings(home=settings.home, max_image_pixels=1000))


def test_a_refusal_and_the_log_never_quote_the_header(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    content = made(PatientAge="Doe", RescaleSlope="1", RescaleIntercept="0").replace(b"DS\x02\x001 ", b"DS\x02\x00Jn")
    assert "Jn" not in refusal(content, settings)
    assert "Doe" not in caplog.text
    assert "Jn" not in caplog.text


def test_a_refusal_quotes_no_header_whatever_quotes_that_holds(settings: Settings) -> None:
    content = made(PixelSpacing=["1.5", "1.5"])
    assert content.count(b"1.5\\1.5 ") == 1
    said = refusal(content.replace(b"1.5\\1.5 ", b"O'B\"Jane"), settings)
    assert "Jane" not in said
    assert said.startswith("This DICOM")


def test_a_dicom_preamble_like_a_tiff_is_still_dicom(settings: Settings) -> None:
    np.testing.assert_array_equal(decode(b"II*\x00" + made()[4:], settings, SECRET).pixels, DEFAULT)


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [
        ("MR_small_RLE.dcm", 64, 64),
        ("MR_small_jp2klossless.dcm", 64, 64),
        ("MR_small_jpeg_ls_lossless.dcm", 64, 64),
        ("MR_small_bigendian.dcm", 64, 64),
    ],
)
def test_every_lossless_compression_gives_the_same_pixels(
    name: str, rows: int, columns: int, settings: Settings
) -> None:
    plain, packed = (decode(Path(str(get_testdata_file(file))), settings, SECRET) for file in ("MR_small.dcm", name))
    assert packed.pixels.shape == (rows, columns)
    np.testing.assert_array_equal(packed.pixels, plain.pixels)


def test_a_codestream_larger_than_its_header_is_refused(settings: Settings) -> None:
    content = bytearray(Path(str(get_testdata_file("MR_small_jp2klossless.dcm"))).read_bytes())
    start = content.index(b"\xff\x4f\xff\x51")
    assert codestream_size(bytes(content[start:])) == (64, 64)
    content[start + 8 : start + 16] = (60000).to_bytes(4, "big") * 2
    assert "60000 x 60000" in refusal(bytes(content), settings)


def test_jpeg_announces_its_size() -> None:
    start = b"\xff\xd8\xff\xe0\x00\x04ab"
    assert codestream_size(start + b"\xff\xc0\x00\x0b\x08\x00\x20\x00\x40\x01") == (32, 64)
    assert codestream_size(start + b"\xff\xf7\x00\x0b\x08\x00\x20\x00\x40\x01") == (32, 64)
    assert codestream_size(b"RLE") is None


# ---- files as they are found in the world

# What happens to each (`in`, `held` for a look at its pixels, or words of the refusal), and why.
BROKEN: dict[str, tuple[str, str]] = {
    "ExplVR_BigEndNoMeta.dcm": ("RTPLAN", "a plan, not an image; read without preamble and meta all the same"),
    "ExplVR_LitEndNoMeta.dcm": ("RTPLAN", "a plan, not an image; read without preamble and meta all the same"),
    "JLSL_RGB_ILV0.dcm": ("held", "a secondary capture; no preamble stops nobody"),
    "JPEG2000-embedded-sequence-delimiter.dcm": ("differ in size", "the codestream is broken behind its marker"),
    "MR_small_padded.dcm": ("held", "derived, and silent on text in its pixels; padding behind the pixels is no harm"),
    "MR_truncated.dcm": (
        "ends before its pixels do; copy or export it again. Received: 8,130 of 8,192 bytes",
        "62 bytes of pixels are missing, and none are made up",
    ),
    "OT-PAL-8-face.dcm": ("held", "modality OT; no preamble stops nobody, the palette becomes its colours"),
    "UN_sequence.dcm": ("holds no image", "a header without pixels"),
    "badVR.dcm": ("RTDOSE", "a dose, not an image"),
    "bad_sequence.dcm": ("in", "an original CT; a sequence that ends wrongly is not needed for the image"),
    "csa_slice_norm.dcm": ("without pixels", "a header without pixels"),
    "decimal_rescale.dcm": ("in", "an original; slope and intercept written as decimals are applied"),
    "empty_charset_LEI.dcm": ("holds no image", "a header without pixels"),
    "emri_small_jpeg_2k_lossless_too_short.dcm": ("holds no image", "cut off before its pixels"),
    "explicit_VR-UN.dcm": ("held", "a secondary capture; attributes of unknown representation are no harm"),
    "image_dfl.dcm": ("held", "modality OT; deflated, and inflated within limits"),
    "meta_missing_tsyntax.dcm": ("not an image", "a header without pixels and without an object's class"),
    "nested_priv_SQ.dcm": ("not an image", "a header without pixels and without an object's class"),
    "no_meta.dcm": ("content does not fit", "its first byte is missing, so nothing tells that it is DICOM"),
    "no_meta_group_length.dcm": ("holds no image", "a header without pixels"),
    "philips_nonimage_DICOMDIR": ("Media Storage Directory", "an index of other files"),
    "priv_SQ.dcm": ("holds no image", "a header without pixels"),
    "rtplan_truncated.dcm": ("RTPLAN", "a plan, not an image"),
    "rtstruct.dump": ("a text file", "a printout of a header, not the header"),
    "slicethickness_empty_string.dcm": ("held", "derived, and silent on text; an empty thickness is not needed"),
    "zipMR.gz": ("Unpack it first", "packed; unpacked it is an image"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_break_readers(name: str, settings: Settings, test_data: Path) -> None:
    path, (expected, why) = test_data / "dicom_broken" / "real" / name, BROKEN[name]
    if expected not in ("in", "held"):
        assert expected in refusal_of(path, settings), why
        return
    image = decode(path, settings, SECRET)
    assert ("held" if image.to_check else "in") == expected, why
    np.testing.assert_array_equal(image.pixels, by_pydicom(path).astype(image.pixels.dtype))


def refusal_of(path: Path, settings: Settings) -> str:
    with pytest.raises(InvalidInput) as caught:
        decode(path, settings, SECRET)
    return str(caught.value)


def test_the_table_of_broken_files_is_complete(test_data: Path) -> None:
    assert {path.name for path in (test_data / "dicom_broken" / "real").iterdir()} == set(BROKEN)


# What becomes of each, and why: the shape of its pixels and their type, then why somebody has to look at them first,
# or `in` for an original of a trusted modality, which passes by its header. Words alone are why a file is refused.
MISC: dict[str, tuple[tuple[int, ...], str, str] | str] = {
    "693_J2KR.dcm": ((512, 512), "int16", "in"),
    "HTJ2KLossless_08_RGB.dcm": ((480, 640, 3), "uint8", "secondary capture"),
    "HTJ2K_08_RGB.dcm": ((480, 640, 3), "uint8", "secondary capture"),
    "JLSL_08_07_0_1F.dcm": ((128, 128), "uint8", "secondary capture"),
    "JLSL_16_15_1_1F.dcm": ((128, 128), "int16", "secondary capture"),
    "JLSL_RGB_ILV0.dcm": ((256, 256, 3), "uint8", "secondary capture"),
    "JLSL_RGB_ILV1.dcm": ((256, 256, 3), "uint8", "secondary capture"),
    "JLSL_RGB_ILV2.dcm": ((256, 256, 3), "uint8", "secondary capture"),
    "JLSN_RGB_ILV0.dcm": ((256, 256, 3), "uint8", "secondary capture"),
    "JPEG-LL.dcm": ((1024, 256), "int16", "secondary capture"),
    "JPGLosslessP14SV1_1s_1f_8b.dcm": ((768, 1024), "uint8", "modality US"),
    "MR2_J2KI.dcm": ((1024, 1024), "float32", "derived MR"),
    "OBXXXX1A_rle.dcm": ((600, 800, 3), "uint16", "modality US"),
    "OBXXXX1A_rle_2frame.dcm": ((2, 600, 800, 3), "uint16", "modality US"),
    "OT-PAL-8-face.dcm": ((480, 640, 3), "uint16", "modality OT"),
    "RG3_J2KI.dcm": ((1760, 1760), "uint16", "derived CR"),
    "SC_rgb.dcm": ((100, 100, 3), "uint8", "modality OT"),
    "SC_rgb_16bit.dcm": ((100, 100, 3), "uint16", "modality OT"),
    "SC_rgb_16bit_2frame.dcm": ((2, 100, 100, 3), "uint16", "modality OT"),
    "SC_rgb_2frame.dcm": ((2, 100, 100, 3), "uint8", "modality OT"),
    "SC_rgb_32bit.dcm": "8 or 16 bits a channel",
    "SC_rgb_32bit_2frame.dcm": "8 or 16 bits a channel",
    "SC_rgb_dcmtk_ebcr_dcmd.dcm": ((100, 100, 3), "uint8", "modality OT"),
    "SC_rgb_dcmtk_ebcyn1_dcmd.dcm": ((100, 100, 3), "uint8", "modality OT"),
    "SC_rgb_dcmtk_ebcyn2_dcmd.dcm": ((100, 100, 3), "uint8", "modality OT"),
    "SC_rgb_dcmtk_ebcynp_dcmd.dcm": ((100, 100, 3), "uint8", "modality OT"),
    "SC_rgb_dcmtk_ebcys2_dcmd.dcm": ((100, 100, 3), "uint8", "modality OT"),
    "SC_rgb_dcmtk_ebcys4_dcmd.dcm": ((100, 100, 3), "uint8", "modality OT"),
    "SC_rgb_expb.dcm": ((100, 100, 3), "uint8", "modality OT"),
    "SC_rgb_expb_16bit.dcm": ((100, 100, 3), "uint16", "modality OT"),
    "SC_rgb_expb_16bit_2frame.dcm": ((2, 100, 100, 3), "uint16", "modality OT"),
    "SC_rgb_expb_2frame.dcm": ((2, 100, 100, 3), "uint8", "modality OT"),
    "SC_rgb_expb_32bit.dcm": "8 or 16 bits a channel",
    "SC_rgb_expb_32bit_2frame.dcm": "8 or 16 bits a channel",
    "SC_rgb_gdcm2k_uncompressed.dcm": ((100, 100, 3), "uint8", "modality OT"),
    "SC_ybr_full_uncompressed.dcm": ((100, 100, 3), "uint8", "modality OT"),
    "US1_J2KI.dcm": ((480, 640, 3), "uint8", "modality US"),
    "US1_J2KR.dcm": ((480, 640, 3), "uint8", "modality US"),
    "bad_sequence.dcm": ((512, 512), "int16", "in"),
    "color-pl.dcm": ((120, 256, 3), "uint8", "modality US"),
    "color-px.dcm": ((120, 256, 3), "uint8", "modality US"),
    "emri_small.dcm": ((10, 64, 64), "uint16", "in"),
    "emri_small_RLE.dcm": ((10, 64, 64), "uint16", "in"),
    "emri_small_big_endian.dcm": ((10, 64, 64), "uint16", "in"),
    "emri_small_jpeg_2k_lossless.dcm": ((10, 64, 64), "uint16", "in"),
    "emri_small_jpeg_2k_lossless_too_short.dcm": "holds no image",
    "emri_small_jpeg_ls_lossless.dcm": ((10, 64, 64), "uint16", "in"),
    "explicit_VR-UN.dcm": ((512, 512), "int16", "secondary capture"),
    "vlut_04.dcm": ((512, 512), "uint8", "modality OT"),
}


@pytest.mark.parametrize("name", MISC)
def test_what_becomes_of_odd_files(name: str, settings: Settings, test_data: Path) -> None:
    path, expected = test_data / "dicom_misc_pydicom" / name, MISC[name]
    if isinstance(expected, str):
        assert expected in refusal_of(path, settings)
        return
    image = decode(path, settings, SECRET)
    shape, kind, why = expected
    assert (image.pixels.shape, str(image.pixels.dtype)) == (shape, kind)
    assert image.to_check is None if why == "in" else why in str(image.to_check)
    assert image.frames == (image.pixels.shape[0] if "2frame" in name or "emri" in name else 1)
    np.testing.assert_array_equal(image.pixels, by_pydicom(path).astype(image.pixels.dtype))


def by_pydicom(path: Path) -> np.ndarray:
    """The same by pydicom alone, by GDCM where that can, with what the standard says is done to stored values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path, force=True)
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
        is_grey = int(dataset.SamplesPerPixel) == 1
        # colour and 7 bits of JPEG-LS are what pydicom does not ask GDCM for
        by_gdcm = is_grey and "gdcm" in decoder.available_plugins and dataset.BitsStored > 7
        pixels = pixel_array(dataset, decoding_plugin="gdcm" if by_gdcm else "")
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            return np.asarray(apply_color_lut(pixels, dataset))
        return np.asarray(apply_modality_lut(pixels, dataset) if is_grey else pixels)


def test_the_table_of_odd_files_is_complete(test_data: Path) -> None:
    assert {path.name for path in (test_data / "dicom_misc_pydicom").glob("*.dcm")} == set(MISC)


@pytest.mark.parametrize("name", ["ctbrain1.dcm", "GREYSCALE_IMAGE.dcm", "RGB_IMAGE.dcm"])
def test_burned_in_names_are_held(name: str, settings: Settings, test_data: Path, tmp_path: Path) -> None:
    folder = test_data / "dicom_phi_burned_in" / "deid_data"
    with zipfile.ZipFile(folder / "us_burned_in.zip") as archive:
        archive.extractall(tmp_path)
    path = next(path for path in (folder / name, *tmp_path.rglob(name)) if path.exists())
    image = decode(path, settings, SECRET)
    assert image.to_check
    np.testing.assert_array_equal(image.pixels, by_pydicom(path))
