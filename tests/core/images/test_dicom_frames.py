"""Objects of several frames: volumes where the geometry of the frames says so, else frames as they are stored."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.processing import apply_voi, apply_windowing
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid

from core.errors import InvalidInput
from core.images.decoded import DecodedImage, Window
from core.images.decoding import decode
from core.images.dicom_stacks import chosen_stack, stacks_of, stored_places
from core.images.render import to_uint8
from core.settings import Settings

ENHANCED_CT, ULTRASOUND = "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.3.1"
FRAMES = (np.arange(5 * 4 * 6, dtype=np.uint16) * 3).reshape(5, 4, 6)


def item(**tags: Any) -> Dataset:
    made = Dataset()
    for tag, value in tags.items():
        setattr(made, tag, value)
    return made


def groups_of(places: Sequence[float], **more: Any) -> dict[str, Any]:
    """Functional groups of axial frames at these places."""
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.7], SliceThickness=9)],
    )
    each = [item(PlanePositionSequence=[item(ImagePositionPatient=[-4, -3, z])]) for z in places]
    return {"SharedFunctionalGroupsSequence": [shared], "PerFrameFunctionalGroupsSequence": each, **more}


def made(pixels: np.ndarray = FRAMES, *, packed: bool = False, **tags: Any) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = ENHANCED_CT, generate_uid()
    dataset.Modality, dataset.PatientID, dataset.PatientName = "CT", "4711", "Doe^Jane"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pixels.shape[:3]
    dataset.SamplesPerPixel = 1 if pixels.ndim == 3 else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 3 else "RGB"
    if pixels.ndim == 4:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = pixels.dtype.itemsize * 8
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    for tag, value in tags.items():
        setattr(dataset, tag, value)
    if packed:
        dataset.compress(RLELossless, generate_instance_uid=False)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def read(settings: Settings, pixels: np.ndarray = FRAMES, **tags: Any) -> DecodedImage:
    return decode(made(pixels, **tags), settings, b"s" * 32)


def frame_order(dataset: Dataset, part: int | None = None) -> list[int]:
    """Which stored frame each frame of the case is, told from a header alone."""
    frames = int(dataset.NumberOfFrames)
    return list(chosen_stack(stacks_of(stored_places(dataset, frames)), frames, part).frames)


@pytest.mark.parametrize("packed", [False, True])
def test_an_enhanced_object_is_a_volume_in_the_order_of_places(packed: bool, settings: Settings) -> None:
    places = [4.0, 0.0, 8.0, 2.0, 6.0]
    image = read(settings, packed=packed, **groups_of(places))
    assert (image.frames, image.spacing_mm, image.spacing_at, image.slice_spacing_mm) == (5, (0.5, 0.7), "patient", 2)
    np.testing.assert_array_equal(image.pixels, FRAMES[np.argsort(places)])
    assert image.affine is not None
    np.testing.assert_allclose(image.affine, [[0.7, 0, 0, -4], [0, 0.5, 0, -3], [0, 0, 2, 0], [0, 0, 0, 1]])
    assert image.oddities == ()
    assert image.to_check is None
    (header,) = image.headers
    assert b"Doe" not in header.content
    # what an export needs: which stored frame is which frame of the case, told by the header that is kept
    assert frame_order(pydicom.dcmread(io.BytesIO(header.content))) == list(np.argsort(places))


def test_an_enhanced_object_of_a_single_frame_has_its_place(settings: Settings) -> None:
    image = read(settings, FRAMES[:1], **groups_of([3]))
    assert (image.frames, image.spacing_mm, image.spacing_at) == (1, (0.5, 0.7), "patient")
    assert image.affine is not None
    np.testing.assert_allclose(image.affine, [[0.7, 0, 0, -4], [0, 0.5, 0, -3], [0, 0, 1, 3], [0, 0, 0, 1]])


def test_a_direction_that_makes_no_sense_places_nothing(settings: Settings) -> None:
    groups = groups_of([3])
    groups["SharedFunctionalGroupsSequence"][0].PlaneOrientationSequence[0].ImageOrientationPatient = [0] * 6
    assert read(settings, FRAMES[:1], **groups).affine is None


def test_each_frame_has_its_own_rescale(settings: Settings) -> None:
    groups = groups_of(range(5))
    for number, frame in enumerate(groups["PerFrameFunctionalGroupsSequence"]):
        frame.PixelValueTransformationSequence = [item(RescaleSlope=number + 1, RescaleIntercept=-1000)]
    image = read(settings, **groups)
    assert image.pixels.dtype == np.int16
    np.testing.assert_array_equal(image.pixels, FRAMES * np.arange(1, 6)[:, None, None] - 1000)


def test_an_empty_rescale_of_a_frame_stands_before_that_of_all(settings: Settings) -> None:
    groups = groups_of(range(5))
    groups["SharedFunctionalGroupsSequence"][0].PixelValueTransformationSequence = [
        item(RescaleSlope=2, RescaleIntercept=-5)
    ]
    groups["PerFrameFunctionalGroupsSequence"][3].PixelValueTransformationSequence = [Dataset()]
    expected = FRAMES.astype(int) * 2 - 5
    expected[3] = FRAMES[3]
    np.testing.assert_array_equal(read(settings, **groups).pixels, expected)


def test_a_missing_frame_is_told(settings: Settings) -> None:
    image = read(settings, **groups_of([0, 1, 2, 4, 5]))
    assert image.oddities[0] == "Slice 4 is missing between z = 2 and 4 mm."
    assert image.slice_spacing_mm is None


def two_echoes() -> dict[str, Any]:
    """Two slices at two echo times, stored from the top of each."""
    groups = groups_of([1, 0, 1, 0])
    for number, frame in enumerate(groups["PerFrameFunctionalGroupsSequence"]):
        frame.MREchoSequence = [item(EffectiveEchoTime=10.0 if number < 2 else 80.0)]
    return groups


@pytest.mark.parametrize("packed", [False, True])
def test_each_stack_of_an_object_can_be_read_as_a_volume(packed: bool, settings: Settings) -> None:
    content = made(FRAMES[:4], packed=packed, **two_echoes())
    for part, order, echo in ((1, [1, 0], 10), (2, [3, 2], 80)):
        image = decode(content, settings, b"s" * 32, name=f"x.dcm#{part}")
        np.testing.assert_array_equal(image.pixels, FRAMES[order])
        assert (image.frames, image.slice_spacing_mm, image.spacing_mm) == (2, 1.0, (0.5, 0.7))
        assert image.affine is not None
        np.testing.assert_allclose(image.affine, [[0.7, 0, 0, -4], [0, 0.5, 0, -3], [0, 0, 1, 0], [0, 0, 0, 1]])
        assert image.attributes["stack"] == f"{part} of 2"
        assert image.attributes["part"] == f"echo {echo} ms"
        assert image.oddities == (f"The object holds 4 frames in several parts; this is echo {echo} ms.",)
        kept = pydicom.dcmread(io.BytesIO(image.headers[0].content))
        assert frame_order(kept, part) == order
    with pytest.raises(InvalidInput, match="Received: stack 3"):
        decode(content, settings, b"s" * 32, name="x.dcm#3")


@pytest.mark.parametrize(
    ("group", "word", "values"),
    [
        ("MREchoSequence", "EffectiveEchoTime", (10.0, 80.0)),
        ("MRDiffusionSequence", "DiffusionBValue", (0.0, 1000.0)),
        ("MRTimingAndRelatedParametersSequence", "FlipAngle", (3.0, 20.0)),
        ("FrameContentSequence", "TemporalPositionIndex", (1, 2)),
        ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase", (0.0, 40.0)),
    ],
)
def test_the_kept_header_tells_the_same_frames_apart(
    group: str, word: str, values: tuple[float, float], settings: Settings
) -> None:
    groups = groups_of([1, 0, 1, 0, 2])
    for frame, value in zip(
        groups["PerFrameFunctionalGroupsSequence"], [values[at] for at in (1, 0, 0, 1, 1)], strict=True
    ):
        setattr(frame, group, [item(**{word: value})])
    content = made(**groups)
    for part, order in ((1, [3, 0, 4]), (2, [1, 2])):
        image = decode(content, settings, b"s" * 32, name=f"x.dcm#{part}")
        np.testing.assert_array_equal(image.pixels, FRAMES[order])
        assert frame_order(pydicom.dcmread(io.BytesIO(image.headers[0].content)), part) == order


def test_without_a_choice_the_frames_of_two_stacks_stay_as_they_are_stored(settings: Settings) -> None:
    image = read(settings, FRAMES[:4], **two_echoes())
    assert (image.frames, image.affine, image.slice_spacing_mm) == (4, None, None)
    np.testing.assert_array_equal(image.pixels, FRAMES[:4])
    assert "4 frames form 2 stacks (echo 10 ms; echo 80 ms)" in image.oddities[0]
    assert image.spacing_mm == (0.5, 0.7)


def test_frames_in_one_place_are_a_cine(settings: Settings) -> None:
    image = read(settings, **groups_of([3] * 5))
    assert (image.frames, image.affine, image.oddities) == (5, None, ())
    np.testing.assert_array_equal(image.pixels, FRAMES)


def test_a_frame_across_the_others_is_an_image_with_its_place(settings: Settings) -> None:
    groups = groups_of([0, 1, 2, 3])
    groups["PerFrameFunctionalGroupsSequence"][1].PlaneOrientationSequence = [
        item(ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    ]
    image = decode(made(FRAMES[:4], **groups), settings, b"s" * 32, name="x.dcm#2")
    assert image.frames == 1
    np.testing.assert_array_equal(image.pixels, FRAMES[1])
    assert image.affine is not None
    np.testing.assert_allclose(image.affine, [[0, 0, -1, -4], [0.7, 0, 0, -3], [0, -0.5, 0, 1], [0, 0, 0, 1]])


def test_a_window_of_all_frames_is_kept(settings: Settings) -> None:
    groups = groups_of(range(5))
    groups["SharedFunctionalGroupsSequence"][0].FrameVOILUTSequence = [item(WindowCenter=40, WindowWidth=400)]
    (window,) = read(settings, **groups).windows
    assert (window.centre, window.width) == (40, 400)


def test_windows_of_the_frames_are_taken_where_all_agree(settings: Settings) -> None:
    groups = groups_of([4, 0, 3, 1, 2])
    for frame in groups["PerFrameFunctionalGroupsSequence"]:
        frame.FrameVOILUTSequence = [item(WindowCenter=[40, 300], WindowWidth=[400, 1500])]
    image = read(settings, **groups)
    assert [(window.centre, window.width) for window in image.windows] == [(40, 400), (300, 1500)]
    assert image.oddities == ()


def test_where_windows_of_the_frames_differ_the_middle_one_counts(settings: Settings) -> None:
    places = [4, 0, 3, 1, 2]
    groups = groups_of(places)
    for place, frame in zip(places, groups["PerFrameFunctionalGroupsSequence"], strict=True):
        frame.FrameVOILUTSequence = [item(WindowCenter=place * 10, WindowWidth=400)]
    groups["SharedFunctionalGroupsSequence"][0].FrameVOILUTSequence = [item(WindowCenter=7, WindowWidth=7)]
    image = read(settings, **groups)
    assert [(window.centre, window.width) for window in image.windows] == [(20, 400)]  # the frame at 2 mm
    assert image.oddities == ("Its frames have windows of their own; that of the middle one is taken for all.",)


def test_a_sigmoid_of_the_frames_is_applied_as_pydicom_does(settings: Settings) -> None:
    groups = groups_of(range(5))
    how = item(WindowCenter=150, WindowWidth=100, VOILUTFunction="SIGMOID")
    for frame in groups["PerFrameFunctionalGroupsSequence"]:
        frame.FrameVOILUTSequence = [how]
    image = read(settings, **groups)
    assert (image.windows, image.oddities) == ((Window("Window 1", 150, 100, "sigmoid"),), ())
    how.PhotometricInterpretation, how.PixelRepresentation, how.BitsStored = "MONOCHROME2", 0, 16
    expected = apply_windowing(FRAMES, how) / 65535 * 255
    for frame, wanted in zip(image.pixels, expected, strict=True):
        assert np.abs(to_uint8(frame, image.photometric, image.windows) - wanted).max() <= 1


@pytest.mark.parametrize("shared", [True, False])
def test_tables_of_the_frames_are_applied_as_pydicom_does(shared: bool, settings: Settings) -> None:
    groups = groups_of(range(5))
    heights = (np.sqrt(np.linspace(0, 1, 300)) * 65535).astype("<u2")
    table = item(LUTDescriptor=[300, 10, 16], LUTExplanation="NORMAL")
    table.add_new("LUTData", "OW", heights.tobytes())
    how = item(VOILUTSequence=[table], WindowCenter=150, WindowWidth=100)
    whose = groups["SharedFunctionalGroupsSequence" if shared else "PerFrameFunctionalGroupsSequence"]
    for frame in whose:
        frame.FrameVOILUTSequence = [how]
    image = read(settings, **groups)
    assert [window.name for window in image.windows] == ["NORMAL", "Window 1"]
    assert image.oddities == ()
    how.file_meta = FileMetaDataset()
    how.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    expected = apply_voi(FRAMES, how) / 257.0
    for frame, wanted in zip(image.pixels, expected, strict=True):
        assert np.abs(to_uint8(frame, image.photometric, image.windows) - wanted).max() <= 1


def test_a_colour_cine_is_frames_with_their_time(settings: Settings) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3), np.uint8)
    image = read(settings, colour, SOPClassUID=ULTRASOUND, Modality="US", FrameTime="33.3")
    assert (image.frames, image.photometric, image.windows) == (3, "RGB", ())
    np.testing.assert_array_equal(image.pixels, colour)
    np.testing.assert_array_equal(image.picture, colour[1])
    assert image.attributes["frame_ms"] == "33.3"
    assert "modality US" in str(image.to_check)


def test_a_cine_without_places_is_frames(settings: Settings) -> None:
    image = read(settings, CineRate="25", Modality="XA", PixelSpacing=[0.3, 0.3])
    assert (image.frames, image.affine, image.oddities) == (5, None, ())
    assert image.attributes["frame_ms"] == "40"
    assert (image.spacing_mm, image.spacing_at) == ((0.3, 0.3), "detector")  # a projection
    assert len(image.windows) == 1


def test_one_frame_in_functional_groups_is_an_image(settings: Settings) -> None:
    groups = groups_of([7])
    groups["SharedFunctionalGroupsSequence"][0].PixelValueTransformationSequence = [
        item(RescaleSlope=2, RescaleIntercept=-5)
    ]
    image = read(settings, FRAMES[:1], **groups)
    assert image.frames == 1
    np.testing.assert_array_equal(image.pixels, FRAMES[0].astype(int) * 2 - 5)
    assert (image.spacing_mm, image.spacing_at) == ((0.5, 0.7), "patient")


def test_frames_that_are_not_there_are_missed(settings: Settings) -> None:
    for content in (made(NumberOfFrames=9), made(packed=True, **{"NumberOfFrames": 5})[:-200]):
        with pytest.raises(InvalidInput, match="Received: "):
            decode(content, settings, b"s" * 32)


@pytest.mark.parametrize(
    "name", ["emri_small_RLE.dcm", "emri_small_jpeg_2k_lossless.dcm", "emri_small_jpeg_ls_lossless.dcm",
             "emri_small_big_endian.dcm"],
)  # fmt: skip
def test_frames_are_the_same_however_they_are_packed(name: str, settings: Settings, test_data: Path) -> None:
    plain, packed = (
        decode(test_data / "dicom_misc_pydicom" / one, settings, b"s" * 32) for one in ("emri_small.dcm", name)
    )
    assert plain.frames == 10
    np.testing.assert_array_equal(packed.pixels, plain.pixels)
