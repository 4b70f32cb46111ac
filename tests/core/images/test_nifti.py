"""NIfTI as it comes, good and bad; values and places are those that nibabel and SimpleITK read."""

import gzip
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from nibabel.affines import apply_affine
from nibabel.quaternions import quat2mat

from core.errors import InvalidInput
from core.images.decoded import DecodedImage
from core.images.decoding import decode, kind_of
from core.images.mask_reading import read_label_map
from core.images.nifti import nifti_version, read_nifti
from core.labels.masks import volume_ml
from core.settings import Settings

VALUES = np.random.default_rng(0).integers(-1000, 3000, (5, 6, 7)).astype(np.int16)
RAS = np.array([[1.5, 0, 0, -10], [0, 1.25, 0, -20], [0, 0, 2.0, 30], [0, 0, 0, 1]])
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def nifti(
    values: np.ndarray, affine: np.ndarray | None = RAS, *, version: int = 1, order: str = "<", **header: Any
) -> bytes:
    """A file as nibabel writes it, with these header fields set."""
    made = {1: nibabel.Nifti1Header, 2: nibabel.Nifti2Header}[version](endianness=order)
    made.set_data_dtype(values.dtype)
    kind = {1: nibabel.Nifti1Image, 2: nibabel.Nifti2Image}[version]
    image = kind(values, affine, made)
    slope, inter = header.pop("slope", None), header.pop("inter", None)
    for key, value in header.items():
        image.header[key] = value
    content = bytearray(image.to_bytes())
    if slope is not None:  # nibabel would divide the values by it
        at = {1: (112, "f"), 2: (176, "d")}[version]
        struct.pack_into(order + 2 * at[1], content, at[0], slope, inter)
    return bytes(content)


def field(content: bytes, at: int, kind: str, *values: Any) -> bytes:
    """The file with one field of its NIfTI-1 header overwritten."""
    changed = bytearray(content)
    struct.pack_into("<" + kind, changed, at, *values)
    return bytes(changed)


def refusal(content: bytes, settings: Settings, name: str = "x.nii") -> str:
    with pytest.raises(InvalidInput) as caught:
        decode(content, settings, b"", name=name)
    assert "Received: " in str(caught.value)
    return str(caught.value)


def assert_as_nibabel_reads(image: DecodedImage, content: bytes) -> None:
    """Each stored voxel has the value that nibabel finds at the same place in the patient."""
    given = nibabel.Nifti1Image if nifti_version(content) == 1 else nibabel.Nifti2Image
    theirs = given.from_bytes(gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content)
    expected = np.asanyarray(theirs.dataobj)
    expected = expected.reshape((*expected.shape, 1)[:3])
    assert image.affine is not None
    volume = image.pixels.reshape(image.frames, *image.picture.shape)
    some = np.random.default_rng(0).permutation(volume.size)[:20_000]
    at = np.stack(np.unravel_index(some, volume.shape), -1)
    millimetres = apply_affine(TO_LPS @ np.array(image.affine), at[:, ::-1])  # LPS to RAS
    where = apply_affine(np.linalg.inv(theirs.affine), millimetres)
    assert np.abs(where - np.rint(where)).max() < 1e-3
    i, j, k = np.rint(where).astype(int).T
    np.testing.assert_array_equal(volume.ravel()[some], expected[i, j, k].astype(volume.dtype))
    assert volume.size == expected.size


def assert_as_simpleitk_reads(image: DecodedImage, path: Path) -> None:
    """Each stored voxel has the value that SimpleITK, which speaks LPS, finds at the same place in the patient."""
    theirs = SimpleITK.ReadImage(str(path))
    expected = SimpleITK.GetArrayFromImage(theirs)  # (k, j, i)
    steps = np.array(theirs.GetDirection()).reshape(3, 3) @ np.diag(theirs.GetSpacing())
    assert image.affine is not None
    volume = image.pixels.reshape(image.frames, *image.picture.shape)
    some = np.random.default_rng(0).permutation(volume.size)[:20_000]
    at = np.stack(np.unravel_index(some, volume.shape), -1)
    millimetres = apply_affine(np.array(image.affine), at[:, ::-1])
    where = np.linalg.solve(steps, (millimetres - theirs.GetOrigin()).T)
    assert np.abs(where - np.rint(where)).max() < 2e-3
    i, j, k = np.rint(where).astype(int)
    np.testing.assert_array_equal(volume.ravel()[some], expected[k, j, i].astype(volume.dtype))
    assert volume.size == expected.size


def test_it_works(settings: Settings) -> None:
    content = nifti(VALUES)
    assert kind_of(content) == "NIfTI"
    image = decode(content, settings, b"")
    assert (image.pixels.shape, image.pixels.dtype, image.frames) == ((7, 6, 5), np.int16, 7)
    # turned: to the patient's left, to the back, to the head
    np.testing.assert_array_equal(image.pixels, VALUES[::-1, ::-1].transpose(2, 1, 0))
    assert (image.spacing_mm, image.spacing_at, image.slice_spacing_mm) == ((1.25, 1.5), "patient", 2.0)
    assert image.affine == ((1.5, 0, 0, 4), (0, 1.25, 0, 13.75), (0, 0, 2, 30), (0, 0, 0, 1))
    assert_as_nibabel_reads(image, content)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [False, True])
def test_both_versions_both_byte_orders_packed_or_not(
    version: int, order: str, packed: bool, settings: Settings
) -> None:
    content = nifti(VALUES, version=version, order=order)
    content = gzip.compress(content) if packed else content
    image = decode(content, settings, b"")
    assert image.pixels.dtype == np.dtype("int16")
    assert image.pixels.flags.c_contiguous
    assert_as_nibabel_reads(image, content)


@pytest.mark.parametrize(
    ("kind", "stored"),
    [("u1", "uint8"), ("i1", "int16"), ("u2", "uint16"), ("i4", "int16"), ("u4", "int16"), ("i8", "int16"),
     ("f4", "float32"), ("f8", "float32")],
)  # fmt: skip
def test_every_kind_of_number_has_its_stored_type(kind: str, stored: str, settings: Settings) -> None:
    values = np.arange(5 * 6 * 7).reshape(5, 6, 7) % 120
    image = decode(nifti(values.astype(kind)), settings, b"")
    assert image.pixels.dtype == stored
    np.testing.assert_array_equal(image.pixels, values[::-1, ::-1].transpose(2, 1, 0))


def test_whole_numbers_stay_whole_where_slope_and_intercept_are(settings: Settings) -> None:
    packed = (VALUES + 1024).astype(np.uint16)
    image = decode(nifti(packed, slope=1.0, inter=-1024.0), settings, b"")
    assert image.pixels.dtype == np.int16
    np.testing.assert_array_equal(image.pixels, VALUES[::-1, ::-1].transpose(2, 1, 0))
    assert decode(nifti(packed, slope=2.0, inter=0.0), settings, b"").pixels.dtype == np.int16
    content = nifti(packed, slope=0.5, inter=3.0)
    image = decode(content, settings, b"")
    assert image.pixels.dtype == np.float32
    assert_as_nibabel_reads(image, content)


@pytest.mark.parametrize("slope", [0.0, float("nan"), float("inf")])
def test_a_slope_that_means_none_changes_nothing(slope: float, settings: Settings) -> None:
    np.testing.assert_array_equal(
        decode(nifti(VALUES, slope=slope, inter=7.0), settings, b"").pixels, decode(nifti(VALUES), settings, b"").pixels
    )


def test_one_slice_is_an_image(settings: Settings) -> None:
    for values in (VALUES[:, :, :1], VALUES[:, :, 0]):
        image = decode(nifti(values), settings, b"")
        assert (image.pixels.shape, image.frames, image.slice_spacing_mm) == ((6, 5), 1, None)
        assert image.windows == ()
        assert_as_nibabel_reads(image, nifti(values))


def test_a_single_time_point_is_a_volume(settings: Settings) -> None:
    assert decode(nifti(VALUES[..., None]), settings, b"").frames == 7


def test_units_are_millimetres_in_the_end(settings: Settings) -> None:
    for units, scale in ((1, 1000.0), (3, 0.001), (0, 1.0)):
        affine = np.diag([0.1, 0.1, 0.1, 1.0]) if units == 1 else RAS
        image = decode(nifti(VALUES, affine, xyzt_units=units), settings, b"")
        assert image.affine is not None
        assert image.slice_spacing_mm == pytest.approx(affine[2, 2] * scale)
        assert image.affine[2][3] == pytest.approx(affine[2, 3] * scale)


def test_without_codes_the_spacing_is_pixdim_and_the_orientation_unknown(settings: Settings) -> None:
    content = field(field(nifti(VALUES), 252, "hh", 0, 0), 76, "4f", 1, 0.5, 0.75, 3)
    image = decode(content, settings, b"")
    assert (image.affine, image.spacing_mm, image.slice_spacing_mm) == (None, (0.75, 0.5), 3.0)
    np.testing.assert_array_equal(image.pixels, VALUES.transpose(2, 1, 0))
    nothing = decode(field(content, 76, "4f", 1, 0, 0, 0), settings, b"")
    assert (nothing.spacing_mm, nothing.spacing_at, nothing.slice_spacing_mm) == (None, None, None)


def test_an_affine_that_folds_space_flat_is_not_believed(settings: Settings) -> None:
    flat = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    both = nifti(VALUES)
    for at, row in enumerate(flat[:3]):
        both = field(both, 280 + 16 * at, "4f", *row)
    # the quaternion, which says the same as the matrix did before, is left
    image = decode(field(both, 252, "hh", 1, 1), settings, b"")
    assert image.spacing_mm == (1.25, 1.5)
    assert decode(field(both, 252, "hh", 0, 1), settings, b"").affine is None


def test_the_window_of_the_file_is_taken_where_it_fits(settings: Settings) -> None:
    window = decode(nifti(VALUES, cal_min=-160, cal_max=240), settings, b"").windows[0]
    assert (window.name, window.centre, window.width) == ("of the file", 40, 400)
    for low, high in ((0, 0), (-1e6, 1e6), (240, -160), (float("nan"), 5)):
        window = decode(nifti(VALUES, cal_min=low, cal_max=high), settings, b"").windows[0]
        assert window.name == "0.1 % to 99.9 %"


def test_texts_of_the_header_go_nowhere(settings: Settings) -> None:
    content = nifti(VALUES, descrip=b"DOE^JANE 1971", aux_file=b"doe.nii", intent_name=b"Jane Doe", db_name=b"DOE")
    image = decode(content, settings, b"")
    assert image.patient is None
    assert image.attributes == {}
    assert "doe" not in repr(image).lower()


def test_extensions_before_the_voxels_are_stepped_over(settings: Settings) -> None:
    image = nibabel.Nifti1Image(VALUES, RAS)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"PatientName DOE^JANE"))
    content = image.to_bytes()
    assert_as_nibabel_reads(decode(content, settings, b""), content)


# ---- what is refused


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (nifti(np.zeros((4, 4, 4, 2), np.int16)), "volumes of three dimensions"),
        (nifti(np.zeros((4, 4, 4, 1, 3), np.float32), intent_code=1007), "volumes of three dimensions"),
        (nifti(np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])), "RGB colour"),
        (nifti(np.zeros((4, 4, 4), np.complex64)), "complex64"),
        (nifti(np.zeros((4, 4, 4), np.uint8), intent_code=1002), "label map"),
        (nifti(np.where(VALUES > 2900, np.nan, 1.0).astype(np.float32)), "voxels of NaN or infinity"),
        (nifti(np.full((4, 4, 4), np.inf)), "64 voxels of NaN or infinity"),
        (nifti(np.full((4, 4, 4), 1e38)), "beyond 1e+30"),
        (nifti(np.full((4, 4, 4), 1 << 30, np.int32)), "16,777,216"),
        (nifti(VALUES)[:-40], "cut off"),
        (nifti(VALUES)[:300], "file of an unknown kind"),
        (gzip.compress(nifti(VALUES))[:-30], "damaged or cut off"),
        (gzip.compress(nifti(VALUES))[:-8] + bytes(8), "damaged or cut off"),
        (field(nifti(VALUES), 344, "4s", b"ni1\0"), "a pair (.hdr and .img)"),
        (field(nifti(VALUES), 344, "4s", bytes(4)), "ANALYZE"),
        (field(nifti(VALUES), 40, "8h", 3, 5, 6, 0, 1, 1, 1, 1), "no voxels"),
        (field(nifti(VALUES), 40, "8h", 3, 5, -6, 7, 1, 1, 1, 1), "no voxels"),
        (field(nifti(VALUES), 40, "8h", 1, 5, 1, 1, 1, 1, 1, 1), "no image"),
        (field(nifti(VALUES), 40, "8h", 3, 32000, 32000, 32000, 1, 1, 1, 1), "decompression bombs"),
        (field(nifti(VALUES), 40, "8h", 3, 500, 500, 500, 1, 1, 1, 1), "cut off"),
        (field(nifti(VALUES), 70, "h", 999), "damaged"),
        (field(nifti(VALUES), 108, "f", 1e12), "no place for the voxels"),
        (field(nifti(VALUES), 108, "f", float("nan")), "damaged"),
        (nifti(VALUES, slope=1.0, inter=float("nan")), "damaged"),
    ],
)  # fmt: skip
def test_what_is_no_volume_is_refused_with_the_reason(content: bytes, words: str, settings: Settings) -> None:
    assert words in refusal(content, settings)


def test_random_damage_is_a_refusal_or_a_volume_and_never_a_crash(settings: Settings) -> None:
    content, random = nifti(VALUES), np.random.default_rng(3)
    small = Settings(home=settings.home, max_image_pixels=1_000_000)
    for _ in range(400):
        damaged = bytearray(content)
        for at in random.integers(0, 352, 4):
            damaged[at] = random.integers(0, 256)
        for form in (bytes(damaged), gzip.compress(bytes(damaged), 1)):
            with suppress(InvalidInput):  # which says why; anything else fails the test
                image = decode(form, small, b"", name="x.nii.gz")
                assert image.picture.ndim == 2
                assert image.affine is None or np.isfinite(image.affine).all()


def test_no_more_is_unpacked_than_the_header_announces(settings: Settings) -> None:
    small = Settings(home=settings.home, max_image_pixels=1_000_000)
    head = field(nifti(VALUES), 40, "8h", 3, 512, 512, 140, 1, 1, 1, 1)
    assert "decompression bombs" in refusal(gzip.compress(head + bytes(70 << 20), 1), small, "x.nii.gz")
    longer = gzip.compress(nifti(VALUES) + bytes(3 << 20))
    assert "more than its header announces" in refusal(longer, settings, "x.nii.gz")


def test_an_organ_in_an_empty_volume_comes_in_however_well_it_is_packed(settings: Settings) -> None:
    organ = np.zeros((320, 512, 512), np.uint8)
    organ[100:200, 200:300, 150:350] = 1
    content = gzip.compress(nifti(organ), 6)
    assert organ.size > 500 * len(content)
    assert read_label_map(content, settings, name="liver.nii.gz").values.sum() == organ.sum()


def test_the_name_alone_makes_no_volume(settings: Settings) -> None:
    assert "ends in .nii.gz but the content does not fit" in refusal(gzip.compress(b"hello"), settings, "a/x.nii.gz")
    assert "Received: a gzip file" in refusal(b"\x1f\x8bnonsense", settings, "x.gz")


# ---- real files


def test_every_real_file_comes_in_or_is_refused_with_a_sentence(test_data: Path, settings: Settings) -> None:
    outcomes = {}
    for path in sorted((test_data / "nifti_misc").glob("*.nii*")):
        try:
            image = decode(path, settings, b"")
            assert_as_nibabel_reads(image, path.read_bytes())
            assert_as_simpleitk_reads(image, path)
            outcomes[path.name] = (image.pixels.shape, str(image.pixels.dtype))
        except InvalidInput as error:
            outcomes[path.name] = str(error).split("Received: ")[1]
    assert outcomes == {
        "MR_Gd.nii.gz": ((144, 188, 176), "float32"),
        "anatomical.nii": ((25, 41, 33), "int16"),
        "example4d.nii.gz": "128 x 96 x 24 x 2 voxels",
        "example_nifti2.nii.gz": "32 x 20 x 12 x 2 voxels",
    }


def test_the_real_hippocampi_are_read_as_nibabel_reads_them(test_data: Path, settings: Settings) -> None:
    paths = sorted((test_data / "hippocampus_msd" / "images").glob("*.nii.gz"))
    assert len(paths) == 60
    for path in paths:
        image = read_nifti(path, settings)
        assert image.spacing_mm == (1.0, 1.0)
        assert image.slice_spacing_mm == 1.0
        assert_as_nibabel_reads(image, path.read_bytes())
        assert_as_simpleitk_reads(image, path)


def test_an_oblique_volume_lies_where_simpleitk_finds_it(settings: Settings, tmp_path: Path) -> None:
    turn = quat2mat([0.8, 0.3, -0.4, 0.33])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn @ np.diag([1.5, 0.75, 3.0]), [-12.5, 40, 7]
    path = tmp_path / "oblique.nii"
    path.write_bytes(nifti(VALUES, affine))
    image = decode(path, settings, b"")
    assert_as_simpleitk_reads(image, path)
    assert_as_nibabel_reads(image, path.read_bytes())


@pytest.mark.parametrize("degrees", [-25, 0, 18])
def test_a_tilted_volume_has_the_volume_of_its_voxels_whatever_its_frames_are_shifted_by(
    degrees: float, settings: Settings
) -> None:
    """As a DICOM series of a tilted gantry has: between frames lies what is along their normal."""
    affine = RAS.copy()
    affine[1, 2] = affine[2, 2] * np.tan(np.radians(degrees))
    image = read_nifti(nifti(VALUES, affine), settings)
    assert image.slice_spacing_mm == pytest.approx(2.0)
    assert image.spacing_mm == pytest.approx((1.25, 1.5))
    millilitres = volume_ml(image, 1000)
    assert millilitres == pytest.approx(abs(np.linalg.det(affine[:3, :3])))
    assert_as_nibabel_reads(image, nifti(VALUES, affine))
