"""Masks come in bit for bit, once, on the right case, or are refused with a reason."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from core.images.import_files import list_named_files
from core.images.ingest import import_paths
from core.images.records import Case, find_case, list_cases
from core.labels.mask_files import export_masks
from core.labels.mask_import import PREFIX, READER_OF_MASKS, MaskImport, import_masks, list_mask_files
from core.labels.masks import compose_mask, list_painted, put_mask
from core.labels.records import NewLabel, add_label, find_current_label, list_labels, new_event
from core.labels.schema import SchemaChange, change_schema
from core.progress import Silent
from core.projects.records import Project, add_project
from core.projects.schema import make_segmentation
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files

JOB = Actor("anna", "job")
STRUCTURES = ("anterior", "posterior")


@pytest.fixture
def project(connection: sqlite3.Connection, actor: Actor) -> Project:
    return add_project(
        connection, name="Hip", task="segmentation", schema=make_segmentation(list(STRUCTURES)), actor=actor
    )


class Importer:
    """Images and masks into a project, each import a job of its own."""

    def __init__(self, connection: sqlite3.Connection, files: Files, settings: Settings, project: Project) -> None:
        self.connection, self.files, self.settings, self.project = connection, files, settings, project
        self.job = 0

    def images(self, folder: Path, *, apart: frozenset[Path] = frozenset()) -> None:
        self.job += 1
        report = import_paths(
            self.connection, self.files, self.settings, self.project, [folder], table=None, patient_from=None,
            job=self.job, actor=JOB, on_case=lambda *_: None, progress=Silent(), apart=apart,
        )  # fmt: skip
        assert not report.failed

    def masks(self, folder: Path, images: tuple[Path, ...] = (), *, job: int | None = None, **told: Any) -> MaskImport:
        self.job += job is None
        sources = list_mask_files(self.project, folder, images, self.settings)
        return import_masks(
            self.connection, self.settings, self.project, sources, job=job or self.job, actor=JOB,
            progress=Silent(), **told,
        )  # fmt: skip

    def reasons(self) -> dict[str, str]:
        rows = list_named_files(self.connection, self.settings, self.job)
        return {row.path.removeprefix(PREFIX): row.reason for row in rows}

    def case(self, name: str) -> Case:
        found = find_case(self.connection, self.project.id, name)
        assert found is not None
        return found

    def mask(self, name: str, structure: str, reader: str = READER_OF_MASKS) -> np.ndarray:
        return compose_mask(self.connection, self.case(name), reader, structure)


@pytest.fixture
def importer(connection: sqlite3.Connection, files: Files, settings: Settings, project: Project) -> Importer:
    return Importer(connection, files, settings, project)


def draw(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for at in range(3):
        draw(folder / f"{at}.png", np.random.default_rng(at).integers(0, 255, (10, 12), np.uint8))
    return folder


def numbers(at: int) -> np.ndarray:
    return np.random.default_rng(100 + at).integers(0, 3, (10, 12), np.uint8)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    folder = tmp_path / "labels"
    for at in range(3):
        draw(folder / f"{at}.png", numbers(at))
    return folder


def test_label_maps_become_masks_and_a_finished_answer(importer: Importer, pictures: Path, labels: Path) -> None:
    importer.images(pictures)
    assert importer.masks(labels) == MaskImport(added=6, unchanged=0, failed=0, cases=3)
    for at in range(3):
        np.testing.assert_array_equal(importer.mask(f"{at}.png", "anterior")[0], numbers(at) == 1)
        np.testing.assert_array_equal(importer.mask(f"{at}.png", "posterior")[0], numbers(at) == 2)
        label = find_current_label(importer.connection, importer.case(f"{at}.png").id, READER_OF_MASKS)
        assert label is not None
        assert label.value == {"structures": list(STRUCTURES)}
    assert importer.reasons()["0.png"].startswith("Mask of case ")


def test_the_same_masks_again_change_nothing(importer: Importer, pictures: Path, labels: Path) -> None:
    importer.images(pictures)
    importer.masks(labels)
    assert importer.masks(labels) == MaskImport(added=0, unchanged=6, failed=0, cases=3)
    assert len(list_labels(importer.connection, importer.case("0.png").id)) == 1


def test_killed_and_resumed_an_import_goes_on(importer: Importer, pictures: Path, labels: Path) -> None:
    importer.images(pictures)
    importer.masks(labels)
    assert importer.masks(labels, job=importer.job) == MaskImport(added=0, unchanged=0, failed=0, cases=3)


def test_a_mask_that_changed_takes_the_place_of_the_one_before(
    importer: Importer, pictures: Path, labels: Path
) -> None:
    importer.images(pictures)
    importer.masks(labels)
    draw(labels / "0.png", np.ones((10, 12), np.uint8))
    assert importer.masks(labels).added == 2  # posterior is gone
    assert importer.mask("0.png", "anterior").all()
    assert not importer.mask("0.png", "posterior").any()
    label = find_current_label(importer.connection, importer.case("0.png").id, READER_OF_MASKS)
    assert label is not None
    assert label.value == {"structures": ["anterior"]}


def test_what_somebody_painted_since_stays(importer: Importer, pictures: Path, labels: Path) -> None:
    importer.images(pictures)
    importer.masks(labels, reader="ben")
    case, mine = importer.case("0.png"), np.eye(10, 12, dtype=np.uint8)
    put_mask(importer.connection, case, "anterior", mine, JOB, event=new_event(), reader="ben", made_in="label page")
    assert importer.masks(labels, reader="ben").added == 0
    np.testing.assert_array_equal(importer.mask("0.png", "anterior", "ben")[0], mine)
    assert "ben has painted anterior since, and that stays." in importer.reasons()["0.png"]


def test_an_import_that_began_before_a_structure_was_renamed_goes_on_under_its_new_name(
    importer: Importer, pictures: Path, labels: Path, actor: Actor
) -> None:
    importer.images(pictures)
    importer.masks(labels, reader="ben")
    case, mine = importer.case("0.png"), np.eye(10, 12, dtype=np.uint8)
    put_mask(importer.connection, case, "anterior", mine, JOB, event=new_event(), reader="ben", made_in="label page")
    change_schema(importer.connection, importer.project, SchemaChange("rename", "anterior", "front"), actor)
    draw(labels / "1.png", np.ones((10, 12), np.uint8))
    importer.masks(labels, reader="ben")  # with the project as it was when the import began
    np.testing.assert_array_equal(importer.mask("0.png", "front", "ben")[0], mine)
    assert "ben has painted front since, and that stays." in importer.reasons()["0.png"]
    assert importer.mask("1.png", "front", "ben").all()
    said = [find_current_label(importer.connection, importer.case(f"{at}.png").id, "ben") for at in range(3)]
    assert [label.value if label else None for label in said] == [
        {"structures": ["front", "posterior"]},
        {"structures": ["front"]},
        {"structures": ["front", "posterior"]},
    ]


def test_masks_come_in_the_name_of_a_reader(importer: Importer, pictures: Path, labels: Path) -> None:
    importer.images(pictures)
    importer.masks(labels, reader="ben")
    assert {one.reader for one in list_painted(importer.connection, importer.case("1.png").id)} == {"ben"}


@pytest.mark.parametrize(
    "name", ["posterior/0.png", "0_posterior.png", "0/posterior.png", "segmentations/0/posterior.png"]
)
def test_a_file_for_each_structure(importer: Importer, pictures: Path, tmp_path: Path, name: str) -> None:
    importer.images(pictures)
    draw(tmp_path / "masks" / name, (numbers(0) == 2).astype(np.uint8) * 255)
    assert importer.masks(tmp_path / "masks").added == 1
    np.testing.assert_array_equal(importer.mask("0.png", "posterior")[0], numbers(0) == 2)


def test_several_files_make_one_answer(importer: Importer, pictures: Path, tmp_path: Path) -> None:
    importer.images(pictures)
    for at, name in enumerate(STRUCTURES, 1):
        draw(tmp_path / "masks" / name / "0.png", (numbers(0) == at).astype(np.uint8))
    importer.masks(tmp_path / "masks")
    (label,) = list_labels(importer.connection, importer.case("0.png").id)
    assert label.value == {"structures": list(STRUCTURES)}


def test_an_empty_mask_says_that_nothing_is_there(importer: Importer, pictures: Path, tmp_path: Path) -> None:
    importer.images(pictures)
    draw(tmp_path / "masks" / "0.png", np.zeros((10, 12), np.uint8))
    assert importer.masks(tmp_path / "masks") == MaskImport(added=0, unchanged=0, failed=0, cases=1)
    label = find_current_label(importer.connection, importer.case("0.png").id, READER_OF_MASKS)
    assert label is not None
    assert label.value == {"structures": []}


def test_numbers_are_told_by_a_mapping(importer: Importer, pictures: Path, labels: Path) -> None:
    importer.images(pictures)
    importer.masks(labels, values={"1": "posterior", "2": ""})
    np.testing.assert_array_equal(importer.mask("0.png", "posterior")[0], numbers(0) == 1)
    assert not importer.mask("0.png", "anterior").any()


def test_refusals_say_why_and_the_rest_comes_in(importer: Importer, pictures: Path, labels: Path) -> None:
    importer.images(pictures)
    draw(labels / "stranger.png", numbers(0))
    draw(labels / "1.png", numbers(0)[:5])
    draw(labels / "2.png", numbers(0) + 5)
    (labels / "notes.txt").write_text("no mask")
    report = importer.masks(labels)
    assert (report.added, report.failed, report.cases) == (2, 4, 1)
    reasons = importer.reasons()
    assert reasons["stranger.png"].startswith("No image of this name is in the project")
    assert "a mask of 12 x 5 pixels and an image of 12 x 10 pixels" in reasons["1.png"]
    assert "numbers that mean no structure" in reasons["2.png"]
    assert "Masks come as" in reasons["notes.txt"]


def test_of_images_of_one_name_folders_tell_which(importer: Importer, tmp_path: Path) -> None:
    for folder in "ab":
        draw(tmp_path / "images" / folder / "0.png", np.full((10, 12), ord(folder), np.uint8))
        draw(tmp_path / "masks" / folder / "0.png", numbers(ord(folder)))
    draw(tmp_path / "masks" / "0.png", numbers(0))
    importer.images(tmp_path / "images")
    report = importer.masks(tmp_path / "masks")
    assert (report.added, report.failed) == (4, 1)
    np.testing.assert_array_equal(importer.mask("b/0.png", "anterior")[0], numbers(ord("b")) == 1)
    assert importer.reasons()["0.png"].startswith("Several images go by this name")


def lay(path: Path, seed: int, *, step: float = 1.0, most: int = 200) -> np.ndarray:
    """A NIfTI volume of whole numbers whose grid `step` tells."""
    values = np.random.default_rng(seed).integers(0, most, (6, 5, 4)).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([step, step, 2.0, 1.0])), path)
    return values


def test_a_mask_of_another_name_belongs_to_the_only_case_of_its_grid(importer: Importer, tmp_path: Path) -> None:
    for at, step in enumerate((1.0, 1.5)):
        lay(tmp_path / "images" / f"{at}.nii.gz", at, step=step)
    importer.images(tmp_path / "images")
    lay(tmp_path / "masks" / "annotation-of-monday.nii.gz", 7, step=1.5, most=3)
    assert importer.masks(tmp_path / "masks") == MaskImport(added=2, unchanged=0, failed=0, cases=1)
    case = importer.case("1.nii.gz")
    (reason,) = importer.reasons().values()
    assert reason.endswith(f"No image is called as this mask; case {case.id} is the only one that has its grid.")
    assert importer.mask("1.nii.gz", "anterior").any()
    # The same again changes nothing, and another one does not take its place.
    assert importer.masks(tmp_path / "masks").unchanged == 2
    lay(tmp_path / "masks" / "annotation-of-monday.nii.gz", 8, step=1.5, most=3)
    assert importer.masks(tmp_path / "masks").failed == 1
    assert "has another mask of anterior" in next(iter(importer.reasons().values()))


def test_a_refused_mask_of_another_name_leaves_nothing_of_its_other_structures(
    importer: Importer, tmp_path: Path
) -> None:
    lay(tmp_path / "images" / "0.nii.gz", 0)
    importer.images(tmp_path / "images")
    lay(tmp_path / "masks" / "monday_posterior.nii.gz", 7, most=2)
    assert importer.masks(tmp_path / "masks") == MaskImport(added=1, unchanged=0, failed=0, cases=1)
    before = importer.mask("0.nii.gz", "posterior")
    lay(tmp_path / "tuesday" / "tuesday.nii.gz", 8, most=3)
    assert importer.masks(tmp_path / "tuesday") == MaskImport(added=0, unchanged=0, failed=1, cases=0)
    assert "has another mask of posterior" in next(iter(importer.reasons().values()))
    lay(tmp_path / "blank" / "blank_posterior.nii.gz", 9, most=1)
    assert importer.masks(tmp_path / "blank") == MaskImport(added=0, unchanged=0, failed=1, cases=0)
    assert not importer.mask("0.nii.gz", "anterior").any()
    np.testing.assert_array_equal(importer.mask("0.nii.gz", "posterior"), before)


def test_a_mask_of_another_name_is_refused_where_several_cases_or_none_have_its_grid(
    importer: Importer, tmp_path: Path
) -> None:
    for at in range(2):
        lay(tmp_path / "images" / f"{at}.nii.gz", at)
    importer.images(tmp_path / "images")
    lay(tmp_path / "masks" / "stranger.nii.gz", 7, most=3)
    lay(tmp_path / "masks" / "other.nii.gz", 7, step=3.0, most=3)
    assert importer.masks(tmp_path / "masks").failed == 2
    reasons, ids = importer.reasons(), [importer.case(f"{at}.nii.gz").id for at in range(2)]
    assert reasons["stranger.nii.gz"].endswith(f"Received: cases {ids[0]}, {ids[1]}")
    assert "none that has the grid of this mask" in reasons["other.nii.gz"]


def test_two_masks_for_the_only_case_of_their_grid_are_both_refused_unless_each_is_of_a_structure(
    importer: Importer, tmp_path: Path
) -> None:
    lay(tmp_path / "images" / "0.nii.gz", 0)
    importer.images(tmp_path / "images")
    for name in ("patient-a", "patient-b"):
        lay(tmp_path / "masks" / f"{name}.nii.gz", 7, most=3)
    assert importer.masks(tmp_path / "masks") == MaskImport(added=0, unchanged=0, failed=2, cases=0)
    assert all("2 masks lie on the grid of case" in reason for reason in importer.reasons().values())
    for at, name in enumerate(STRUCTURES):
        lay(tmp_path / "parts" / f"scan_{name}.nii.gz", at, most=2)
    assert importer.masks(tmp_path / "parts") == MaskImport(added=2, unchanged=0, failed=0, cases=1)


def test_a_picture_of_another_name_is_taken_only_where_one_case_has_its_size(
    importer: Importer, pictures: Path, tmp_path: Path
) -> None:
    draw(pictures / "large.png", np.random.default_rng(9).integers(0, 255, (20, 12), np.uint8))
    importer.images(pictures)
    draw(tmp_path / "masks" / "m1.png", np.random.default_rng(1).integers(0, 3, (20, 12), np.uint8))
    draw(tmp_path / "masks" / "m2.png", numbers(0))
    report = importer.masks(tmp_path / "masks")
    assert (report.added, report.failed) == (2, 1)
    assert importer.mask("large.png", "anterior").any()
    assert "several have the size of this mask" in importer.reasons()["m2.png"]


def test_masks_among_images_are_not_images(importer: Importer, pictures: Path) -> None:
    for at in range(3):
        draw(pictures / f"{at}_mask.png", numbers(at))
    sources = list_mask_files(importer.project, pictures, (pictures,), importer.settings)
    assert sorted(file.source for file in sources) == ["0_mask.png", "1_mask.png", "2_mask.png"]
    importer.images(pictures, apart=frozenset(file.location for file in sources))
    assert len(list(list_cases(importer.connection, importer.project.id))) == 3
    assert importer.masks(pictures, (pictures,)) == MaskImport(added=6, unchanged=0, failed=0, cases=3)


def test_masks_come_back_from_their_own_export(importer: Importer, pictures: Path, labels: Path, actor: Actor,
                                               tmp_path: Path) -> None:  # fmt: skip
    importer.images(pictures)
    importer.masks(labels)
    export_masks(importer.connection, importer.project, tmp_path / "out", actor=actor)
    (tmp_path / "out" / "masks.csv").unlink()
    assert importer.masks(tmp_path / "out", reader="ben") == MaskImport(added=6, unchanged=0, failed=0, cases=3)
    for at in range(3):
        np.testing.assert_array_equal(importer.mask(f"{at}.png", "anterior", "ben")[0], numbers(at) == 1)


def test_names_of_files_are_not_in_the_database(importer: Importer, tmp_path: Path, settings: Settings) -> None:
    draw(tmp_path / "images" / "Meier_Anna.png", numbers(7))
    draw(tmp_path / "masks" / "Meier_Anna.png", numbers(0))
    draw(tmp_path / "masks" / "Meier_Berta.png", numbers(0))
    importer.images(tmp_path / "images")
    assert importer.masks(tmp_path / "masks").added == 2
    assert set(importer.reasons()) >= {"Meier_Anna.png", "Meier_Berta.png"}
    importer.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for path in settings.home.rglob("*"):
        if path.is_file():
            assert b"Meier" not in path.read_bytes(), path


# ---- real volumes and real pictures


def test_sixty_volumes_come_in_as_nibabel_reads_them(importer: Importer, test_data: Path) -> None:
    folder = test_data / "hippocampus_msd"
    importer.images(folder / "images")
    assert importer.masks(folder / "labels") == MaskImport(added=120, unchanged=0, failed=0, cases=60)
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    for path in sorted((folder / "labels").iterdir()):
        theirs = nibabel.load(path)
        case = importer.case(path.name)
        way = np.linalg.inv(to_lps @ theirs.affine) @ np.array(case.affine)
        frame, row, column = np.indices((case.frames, case.rows, case.columns)).reshape(3, -1)
        there = np.rint(way @ np.stack([column, row, frame, np.ones_like(frame)]))[:3].astype(int)
        expected = np.asarray(theirs.dataobj)[tuple(there)].reshape(case.frames, case.rows, case.columns)
        for at, structure in enumerate(STRUCTURES, 1):
            np.testing.assert_array_equal(importer.mask(path.name, structure), expected == at)


def test_a_mask_of_another_geometry_is_refused_in_words(importer: Importer, test_data: Path, tmp_path: Path) -> None:
    folder = test_data / "hippocampus_msd"
    name = "hippocampus_001.nii.gz"
    (tmp_path / "images").mkdir()
    shutil.copy(folder / "images" / name, tmp_path / "images")
    importer.images(tmp_path / "images")
    (tmp_path / "masks").mkdir()
    theirs: Any = nibabel.load(folder / "labels" / name)
    nibabel.save(theirs.slicer[:, :, 2:], tmp_path / "masks" / name)
    assert importer.masks(tmp_path / "masks").failed == 1
    case = importer.case(name)
    voxels = f"{case.columns} x {case.rows} x {case.frames} voxels of 1.0 mm"
    reason = importer.reasons()[name]
    assert f"the image {voxels}" in reason
    assert f"the mask has {case.columns} x {case.rows} x {case.frames - 2} voxels of 1.0 mm" in reason


def test_a_mask_turned_to_another_orientation_comes_in_all_the_same(
    importer: Importer, test_data: Path, tmp_path: Path
) -> None:
    folder = test_data / "hippocampus_msd"
    name = "hippocampus_004.nii.gz"
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    shutil.copy(folder / "images" / name, tmp_path / "images")
    importer.images(tmp_path / "images")
    theirs: Any = nibabel.load(folder / "labels" / name)
    importer.masks(folder / "labels")
    straight = importer.mask(name, "anterior")
    turned = theirs.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
    nibabel.save(turned, tmp_path / "masks" / name)
    assert importer.masks(tmp_path / "masks", reader="ben").added == 2
    np.testing.assert_array_equal(importer.mask(name, "anterior", "ben"), straight)


def test_instance_maps_come_in_as_one_structure(
    connection: sqlite3.Connection, files: Files, settings: Settings, actor: Actor, test_data: Path
) -> None:
    nuclei = add_project(
        connection, name="Nuclei", task="segmentation", schema=make_segmentation(["nucleus"]), actor=actor
    )
    importer = Importer(connection, files, settings, nuclei)
    folder = test_data / "dsb2018_nuclei"
    importer.images(folder / "images")
    assert importer.masks(folder / "labels") == MaskImport(added=130, unchanged=0, failed=0, cases=130)
    for path in sorted((folder / "labels").iterdir())[::10]:
        np.testing.assert_array_equal(importer.mask(path.name, "nucleus")[0], np.asarray(Image.open(path)) != 0)


def test_a_case_that_the_reader_called_unusable_stays_so(
    importer: Importer, pictures: Path, labels: Path, actor: Actor
) -> None:
    importer.images(pictures)
    case = importer.case("0.png")
    add_label(importer.connection, NewLabel(new_event(), case.id, "anna", None, unusable=True, note="blurred"), actor)
    assert importer.masks(labels, reader="anna").added == 6
    label = find_current_label(importer.connection, case.id, "anna")
    assert label is not None
    assert (label.unusable, label.note, len(list_labels(importer.connection, case.id))) == (True, "blurred", 1)
    assert importer.mask("0.png", "anterior", "anna").any()
