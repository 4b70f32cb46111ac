"""Masks as files: the pixels that were painted, bit for bit, in the right place of the patient."""

import csv
import gzip
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from core.errors import InvalidInput, NotAllowed
from core.images.nifti import read_nifti
from core.images.records import Case
from core.labels.mask_files import encode_label_map, export_masks
from core.labels.mask_import import import_masks, list_mask_files
from core.labels.masks import compose_mask, put_mask
from core.labels.records import NewLabel, add_label, new_event
from core.people.accounts import ensure_user
from core.progress import Silent
from core.projects.records import Project, add_project
from core.projects.schema import Segmentation, make_segmentation
from core.settings import Settings
from core.store.audit import Actor


def paint(connection: sqlite3.Connection, case: Case, structure: str, seed: int, actor: Actor) -> np.ndarray:
    mask = np.random.default_rng(seed).integers(0, 2, (case.frames, case.rows, case.columns), np.uint8)
    put_mask(connection, case, structure, mask, actor, event=new_event())
    return mask


def table(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "masks.csv").read_text("utf-8").splitlines()))


def test_an_image_and_a_volume_come_out_as_label_maps_bit_for_bit(
    connection: sqlite3.Connection, painted: Project, image: Case, volume: Case, actor: Actor, tmp_path: Path
) -> None:
    flat, deep = paint(connection, image, "lesion", 1, actor), paint(connection, volume, "liver", 2, actor)
    done = export_masks(connection, painted, tmp_path / "out", actor=actor)
    assert (done.files, done.cases, done.notes) == (2, 2, ())
    picture = Image.open(tmp_path / "out" / "anna" / "a.png")
    assert (np.asarray(picture) == flat[0] * 2).all()  # the second structure of the project
    assert picture.getpalette()[6:9] == [0xE6, 0x9F, 0x00]
    scan = nibabel.load(tmp_path / "out" / "anna" / "scans" / "b.nii.gz")
    assert (np.asarray(scan.dataobj).transpose(2, 1, 0) == deep).all()
    told = table(tmp_path / "out")
    assert [(row["case"], row["structure"], row["value"], row["file"]) for row in told] == [
        (str(image.id), "lesion", "2", "anna/a.png"),
        (str(volume.id), "liver", "1", "anna/scans/b.nii.gz"),
    ]
    assert float(told[1]["volume_ml"]) == pytest.approx(deep.sum() * 0.8 * 0.7 * 2.5 / 1000, abs=1e-4)
    assert told[0]["volume_ml"] == ""
    assert connection.execute("SELECT count(*) FROM audit WHERE what = 'export masks'").fetchone()[0] == 1


EXPORTED = [
    (["liver", "lesion (old)", "T2/FLAIR"], ["a.png"]),
    (["liver", "lesion"], ["a.png", "a_liver.png"]),  # the second is called as a mask of the first
    (["liver"], ["1.2.840.4", "1.2.840.5", "s/1.2.3", "t/1.2.3"]),  # instances by their UIDs
    (["liver"], ["IM1", "s/IM1", "t/IM1", "s/IM2.DCM", "t/IM2.DCM"]),
    (["liver"], ["a.png", "a.jpg", "b (1).png", "b [1].png", "b&1.png"]),
    (["liver", "lesion"], ["Case 1 - left.png", "Case 1 - right.png", "a  b.png", "Straße.png"]),
]


@pytest.mark.parametrize("file_format", ["auto", "npy"])
@pytest.mark.parametrize(("structures", "sources"), EXPORTED)
def test_whatever_images_and_structures_are_called_no_mask_is_lost_and_each_comes_back(
    connection: sqlite3.Connection, make_case: Callable[..., Case], actor: Actor, settings: Settings, tmp_path: Path,
    structures: list[str], sources: list[str], file_format: str,
) -> None:  # fmt: skip
    """Structures lie over each other, so that each has a file of its own, or, of one structure, the image's name."""
    schema, chance = make_segmentation(structures), np.random.default_rng(1)
    first, second = (
        add_project(connection, name=name, task="segmentation", schema=schema, actor=actor) for name in ("1", "2")
    )
    painted, goals = {}, {}
    for source in sources:
        pixels = chance.integers(0, 255, (16, 16), np.uint8)
        case, goals[source] = (make_case(source, into=into, pixels=pixels) for into in (first, second))
        for structure in structures:
            painted[source, structure] = paint(connection, case, structure, len(painted), actor)
    done = export_masks(connection, first, tmp_path / "out", actor=actor, file_format=file_format)
    assert done.files == len(painted) == len({path for path in (tmp_path / "out").rglob("*.*") if path.is_file()}) - 1
    if file_format == "npy":
        assert all((np.load(tmp_path / "out" / row["file"]) == painted[row["path"], row["structure"]]).all()
                   for row in table(tmp_path / "out"))  # fmt: skip
        return
    (tmp_path / "out" / "masks.csv").unlink()
    masks = list_mask_files(second, tmp_path / "out", [], settings)
    brought = import_masks(
        connection, settings, second, masks, job=1, actor=actor, progress=Silent(), reader=actor.name
    )
    assert (brought.added, brought.failed) == (len(painted), 0)
    for (source, structure), mask in painted.items():
        assert (compose_mask(connection, goals[source], actor.name, structure) == mask).all(), (source, structure)


def test_masks_of_a_volume_with_a_gap_are_arrays_since_a_nifti_would_misplace_them(
    connection: sqlite3.Connection, painted: Project, make_case: Callable[..., Case], volume: Case, actor: Actor,
    tmp_path: Path,
) -> None:  # fmt: skip
    pixels = np.ones((5, 6, 7), np.uint8)
    known = {"frames": 5, "spacing_mm": (0.8, 0.7), "slice_spacing_mm": None, "affine": volume.affine}
    gappy = make_case("scans/gap/1.dcm", into=painted, pixels=pixels, **known)
    mask = paint(connection, gappy, "lesion", 3, actor)
    done = export_masks(connection, painted, tmp_path / "out", actor=actor)
    (row,) = table(tmp_path / "out")
    assert (row["file"], row["value"], row["volume_ml"]) == ("anna/scans/gap/1_lesion.npy", "1", "")
    np.testing.assert_array_equal(np.load(tmp_path / "out" / row["file"]), mask)
    assert "a NIfTI would put them in wrong places" in done.notes[0]
    with pytest.raises(InvalidInput, match="would put its mask in wrong places"):
        encode_label_map(gappy, mask, painted.schema)


def test_a_voxel_lies_where_the_affine_says_in_the_axes_of_nifti(
    connection: sqlite3.Connection, painted: Project, volume: Case, actor: Actor, tmp_path: Path
) -> None:
    paint(connection, volume, "liver", 2, actor)
    export_masks(connection, painted, tmp_path / "out", actor=actor)
    scan = nibabel.load(tmp_path / "out" / "anna" / "scans" / "b.nii.gz")
    column, row, frame = 3, 4, 2
    left, back, head, _ = np.array(volume.affine) @ [column, row, frame, 1]  # LPS
    assert np.allclose(scan.affine @ [column, row, frame, 1], [-left, -back, head, 1], atol=1e-4)
    assert np.allclose(scan.header.get_zooms(), (0.7, 0.8, 2.5))
    assert (scan.header["sform_code"], scan.header["qform_code"]) == (1, 1)
    assert np.allclose(scan.get_qform(), scan.get_sform(), atol=1e-4)
    assert scan.header.get_intent()[0] == "label"
    assert scan.header["descrip"].tobytes().strip(b"\0") == b""


def test_without_a_known_place_there_is_none_in_the_file(volume: Case, painted: Project) -> None:
    assert isinstance(painted.schema, Segmentation)
    content = encode_label_map(replace(volume, affine=None), np.zeros((5, 6, 7), np.uint8), painted.schema)
    scan = nibabel.Nifti1Image.from_bytes(gzip.decompress(content))
    assert (scan.header["sform_code"], scan.header["qform_code"]) == (0, 0)
    assert np.allclose(scan.header.get_zooms(), (0.7, 0.8, 2.5))


def test_our_own_reader_finds_the_exported_voxels_in_the_same_place(
    volume: Case, painted: Project, settings: Settings, tmp_path: Path
) -> None:
    """The way round: what the import would read of a volume written like this is the volume itself."""
    assert isinstance(painted.schema, Segmentation)
    values = np.random.default_rng(5).integers(0, 3, (5, 6, 7), np.uint8)
    content = encode_label_map(volume, values, painted.schema)
    scan = nibabel.Nifti1Image.from_bytes(gzip.decompress(content))
    scan.header.set_intent("none")
    read = read_nifti(scan.to_bytes(), settings)
    assert (read.pixels == values).all()
    assert read.affine is not None
    assert np.allclose(read.affine, volume.affine, atol=1e-4)


def test_structures_that_overlap_get_a_file_each(
    connection: sqlite3.Connection, painted: Project, image: Case, actor: Actor, tmp_path: Path
) -> None:
    masks = {name: paint(connection, image, name, seed, actor) for seed, name in enumerate(("liver", "lesion"))}
    done = export_masks(connection, painted, tmp_path / "out", actor=actor)
    assert done.files == 2
    assert "over each other" in done.notes[0]
    for name, mask in masks.items():
        assert (np.asarray(Image.open(tmp_path / "out" / "anna" / f"a_{name}.png")) == mask[0]).all()
    assert [row["value"] for row in table(tmp_path / "out")] == ["1", "1"]


def test_arrays_come_out_as_they_are_stored(
    connection: sqlite3.Connection, painted: Project, volume: Case, actor: Actor, tmp_path: Path
) -> None:
    mask = paint(connection, volume, "liver", 3, actor)
    export_masks(connection, painted, tmp_path / "out", actor=actor, file_format="npy")
    array = np.load(tmp_path / "out" / "anna" / "scans" / "b_liver.npy")
    assert (array.dtype, array.tobytes()) == (np.uint8, mask.tobytes())
    assert array.tobytes() == compose_mask(connection, volume, "anna", "liver").tobytes()


def test_a_case_without_findings_gets_an_empty_map(
    connection: sqlite3.Connection, painted: Project, image: Case, actor: Actor, tmp_path: Path
) -> None:
    add_label(connection, NewLabel(new_event(), image.id, "anna", {"structures": []}), actor)
    export_masks(connection, painted, tmp_path / "out", actor=actor)
    assert not np.asarray(Image.open(tmp_path / "out" / "anna" / "a.png")).any()
    (row,) = table(tmp_path / "out")
    assert (row["finished"], row["structure"], row["pixels"]) == ("1", "", "0")


def test_each_reader_has_a_folder_and_one_can_be_asked_for(
    connection: sqlite3.Connection, painted: Project, image: Case, actor: Actor, tmp_path: Path
) -> None:
    ensure_user(connection, "../ben", role="admin")
    paint(connection, image, "liver", 1, actor)
    paint(connection, image, "liver", 2, Actor("../ben", "command line"))
    export_masks(connection, painted, tmp_path / "both", actor=actor)
    inside = sorted(path.relative_to(tmp_path / "both").as_posix() for path in (tmp_path / "both").rglob("*.png"))
    assert inside == ["_ben/a.png", "anna/a.png"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "home") == ["both"]
    export_masks(connection, painted, tmp_path / "one", actor=actor, reader="anna")
    assert [path.parent.name for path in (tmp_path / "one").rglob("*.png")] == ["anna"]


@pytest.mark.parametrize("source", ["/etc/passwd.png", "../../x.png", "C:\\scans\\x.png", "..", ".png"])
def test_no_name_of_a_file_leads_out_of_the_folder(
    connection: sqlite3.Connection,
    painted: Project,
    make_case: Callable[..., Case],
    actor: Actor,
    tmp_path: Path,
    source: str,
) -> None:
    case = make_case(source, into=painted)
    paint(connection, case, "liver", 1, actor)
    export_masks(connection, painted, tmp_path / "out" / "deep", actor=actor)
    (row,) = table(tmp_path / "out" / "deep")
    assert (tmp_path / "out" / "deep" / row["file"]).resolve().is_relative_to(tmp_path / "out" / "deep")
    assert (tmp_path / "out" / "deep" / row["file"]).is_file()


def test_files_of_one_name_do_not_meet(
    connection: sqlite3.Connection, painted: Project, make_case: Callable[..., Case], actor: Actor, tmp_path: Path
) -> None:
    for source in ("x.png", "X.tif", "x.jpg"):
        paint(connection, make_case(source, into=painted), "liver", 1, actor)
    assert export_masks(connection, painted, tmp_path / "out", actor=actor).files == 3
    assert len({row["file"].casefold() for row in table(tmp_path / "out")}) == 3


def test_what_cannot_be_exported_is_refused_in_words(
    connection: sqlite3.Connection, painted: Project, project: Project, actor: Actor, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("")
    with pytest.raises(InvalidInput, match="an empty folder"):
        export_masks(connection, painted, tmp_path / "full", actor=actor)
    with pytest.raises(InvalidInput, match="Only segmentation"):
        export_masks(connection, project, tmp_path / "out", actor=actor)
    with pytest.raises(InvalidInput, match="auto, npy"):
        export_masks(connection, painted, tmp_path / "out", actor=actor, file_format="dcm")
    ensure_user(connection, "ben")
    with pytest.raises(NotAllowed):
        export_masks(connection, painted, tmp_path / "out", actor=Actor("ben", "screen"))
