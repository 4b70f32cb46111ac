"""NRRD as it comes; values and places are those that SimpleITK reads."""

import bz2
import gzip
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from core.errors import InvalidInput
from core.images.decoded import DecodedImage
from core.images.decoding import decode, kind_of
from core.images.mask_reading import read_label_map
from core.settings import Settings

VALUES = np.random.default_rng(0).integers(-1000, 3000, (7, 6, 5)).astype(np.int16)  # frames, rows, columns


def written(path: Path, *, turn: tuple[float, float, float] = (0, 0, 0), packed: bool = False,
            kind: type[np.generic] = np.int16) -> bytes:  # fmt: skip
    image = SimpleITK.GetImageFromArray(VALUES.astype(kind))
    image.SetSpacing((0.5, 0.8, 2.0))
    image.SetOrigin((-10.5, 20.25, 30.0))
    image.SetDirection(SimpleITK.Euler3DTransform((0, 0, 0), *turn).GetMatrix())
    SimpleITK.WriteImage(image, str(path), useCompression=packed)
    return path.read_bytes()


def by_hand(values: np.ndarray, *lines: str, data: bytes | None = None, encoding: str = "raw") -> bytes:
    """A file with these lines in its header; the first axis runs fastest."""
    sizes = " ".join(str(size) for size in reversed(values.shape))
    head = ["NRRD0004", "type: short", f"dimension: {values.ndim}", f"sizes: {sizes}", "endian: little",
            f"encoding: {encoding}", *lines]  # fmt: skip
    return ("\n".join(head) + "\n\n").encode() + (values.astype("<i2").tobytes() if data is None else data)


SPACE = ("space: left-posterior-superior", "space directions: (0.5,0,0) (0,0.8,0) (0,0,2)", "space origin: (1,2,3)")


def assert_as_sitk_reads(image: DecodedImage, path: Path) -> None:
    """Each stored voxel has the value that SimpleITK finds at the same place in the patient."""
    theirs = SimpleITK.ReadImage(str(path))
    assert image.affine is not None
    affine = np.array(image.affine)
    for frame, row, column in np.random.default_rng(1).integers(0, image.pixels.shape, (100, 3)):
        place = affine @ [column, row, frame, 1]
        index = theirs.TransformPhysicalPointToIndex([float(number) for number in place[:3]])
        assert image.pixels[frame, row, column] == pytest.approx(theirs.GetPixel(*index))
        back = theirs.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(back, place[:3], atol=1e-6)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("turn", [(0, 0, 0), (0.1, -0.2, 0.3), (np.pi / 2, 0, 0), (0, np.pi, 0.4)])
def test_values_lie_where_simpleitk_finds_them(
    settings: Settings, tmp_path: Path, turn: tuple[float, float, float], packed: bool
) -> None:
    content = written(tmp_path / "x.nrrd", turn=turn, packed=packed)
    assert kind_of(content) == "NRRD"
    assert_as_sitk_reads(decode(content, settings, b""), tmp_path / "x.nrrd")


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int32, np.float32, np.float64])
def test_every_type_keeps_its_values(settings: Settings, tmp_path: Path, kind: type[np.generic]) -> None:
    image = decode(written(tmp_path / "x.nrrd", kind=kind), settings, b"")
    assert_as_sitk_reads(image, tmp_path / "x.nrrd")


@pytest.mark.parametrize(
    ("space", "directions", "origin"),
    [
        ("right-anterior-superior", "(-0.5,0,0) (0,-0.8,0) (0,0,2)", "(-1,-2,3)"),
        ("RAS", "(-0.5,0,0) (0,-0.8,0) (0,0,2)", "(-1,-2,3)"),
        ("LAS", "(0.5,0,0) (0,-0.8,0) (0,0,2)", "(1,-2,3)"),
        ("LPS", "(0.5, 0, 0) (0, 0.8, 0) (0, 0, 2)", "(1, 2, 3)"),
    ],
)
def test_every_space_becomes_lps(settings: Settings, space: str, directions: str, origin: str) -> None:
    plain = decode(by_hand(VALUES, *SPACE), settings, b"")
    other = decode(
        by_hand(VALUES, f"space: {space}", f"space directions: {directions}", f"space origin: {origin}"), settings, b""
    )
    np.testing.assert_array_equal(other.pixels, plain.pixels)
    np.testing.assert_allclose(other.affine, plain.affine)


def test_packed_and_plain_voxels_are_the_same(settings: Settings) -> None:
    plain = decode(by_hand(VALUES, *SPACE), settings, b"")
    raw = VALUES.astype("<i2").tobytes()
    for encoding, data in (("gzip", gzip.compress(raw)), ("bzip2", bz2.compress(raw))):
        other = decode(by_hand(VALUES, *SPACE, data=data, encoding=encoding), settings, b"")
        np.testing.assert_array_equal(other.pixels, plain.pixels)


def test_without_a_space_of_the_patient_only_the_spacing_is_known(settings: Settings) -> None:
    image = decode(by_hand(VALUES, "spacings: 0.5 0.8 2"), settings, b"")
    assert (image.affine, image.spacing_mm, image.slice_spacing_mm) == (None, (0.8, 0.5), 2)
    np.testing.assert_array_equal(image.pixels, VALUES)
    scanner = decode(by_hand(VALUES, "space: scanner-xyz", *SPACE[1:]), settings, b"")
    assert scanner.affine is None
    assert decode(by_hand(VALUES), settings, b"").spacing_mm is None


def test_a_label_map_keeps_its_numbers(settings: Settings) -> None:
    label_map = read_label_map(by_hand(VALUES % 3, *SPACE), settings)
    np.testing.assert_array_equal(label_map.values, (VALUES % 3).T)
    np.testing.assert_array_equal(label_map.grid.affine[:3, 3], [1, 2, 3])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (by_hand(np.zeros((4, 4, 4, 3))), "three dimensions and one value a voxel"),
        (by_hand(np.zeros((4, 4, 3)), "kinds: RGB-color domain domain"), "save the channel"),
        (by_hand(VALUES, "data file: other.raw"), "one file"),
        (by_hand(VALUES, data=b"1234"), "cut off"),
        (by_hand(VALUES, data=b"1234", encoding="gzip"), "damaged"),
        (by_hand(VALUES, encoding="hex"), "Received: hex"),
        (by_hand(VALUES).replace(b"short", b"block"), "Received: type block"),
        (by_hand(VALUES).replace(b"sizes: 5", b"sizes: 5000000000"), "limit"),
        (by_hand(VALUES, "space directions: (1,0,0)"), "one space direction"),
        (b"NRRD0004\ntype: short\n", "does not end"),
        (by_hand(VALUES).replace(b"sizes: 5", b"sizes: x"), "damaged"),
    ],
)
def test_what_cannot_be_read_is_told(settings: Settings, content: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match="Received: ") as caught:
        decode(content, settings, b"", name="x.nrrd")
    assert said in str(caught.value)
