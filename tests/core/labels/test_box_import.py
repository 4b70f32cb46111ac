"""Boxes become marks, once, on the right image; what cannot be one is named."""

import json
import shutil
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from core.images.import_files import list_named_files
from core.images.ingest import import_paths
from core.images.records import find_case
from core.labels.box_import import PREFIX, READER_OF_BOXES, BoxImport, import_boxes, list_box_files
from core.labels.marks import Mark, NewMark, add_mark, list_marks
from core.progress import Silent
from core.projects.records import Project, add_project
from core.projects.schema import make_classification
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files

JOB = Actor("anna", "job")
CLASSES = ("RBC", "WBC", "Platelets")
WITHOUT_A_SIZE = ("BloodImage_00338.xml", "BloodImage_00343.xml")  # one box each


@pytest.fixture
def project(connection: sqlite3.Connection, actor: Actor) -> Project:
    schema = make_classification(list(CLASSES), multi_label=True)
    return add_project(connection, name="Blood", task="classification", schema=schema, actor=actor)


class Importer:
    """Images and boxes into a project, each import a job of its own."""

    def __init__(self, connection: sqlite3.Connection, files: Files, settings: Settings, project: Project) -> None:
        self.connection, self.files, self.settings, self.project = connection, files, settings, project
        self.job = 0

    def images(self, folder: Path) -> None:
        self.job += 1
        import_paths(
            self.connection, self.files, self.settings, self.project, [folder], table=None, patient_from=None,
            job=self.job, actor=JOB, on_case=lambda *_: None, progress=Silent(),
        )  # fmt: skip

    def boxes(self, given: Path, **told: Any) -> BoxImport:
        self.job += 1
        sources = list_box_files(given, self.settings)
        return import_boxes(
            self.connection, self.settings, self.project, sources, job=self.job, actor=JOB, progress=Silent(), **told
        )

    def reasons(self) -> dict[str, str]:
        rows = list_named_files(self.connection, self.settings, self.job)
        return {row.path.removeprefix(PREFIX): row.reason for row in rows}

    def marks(self, name: str) -> list[Mark]:
        case = find_case(self.connection, self.project.id, name)
        assert case is not None
        return list_marks(self.connection, case.id)


@pytest.fixture
def importer(connection: sqlite3.Connection, files: Files, settings: Settings, project: Project) -> Importer:
    return Importer(connection, files, settings, project)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in "xy":
        Image.fromarray(np.full((48, 64), ord(name), np.uint8)).save(folder / f"{name}.png")
    return folder


def coco(path: Path, *boxes: tuple[int, str, list[float]], size: tuple[int, int] = (64, 48)) -> Path:
    """A COCO file of the images x and y, with boxes of (image, category, bbox)."""
    document = {
        "images": [
            {"id": at, "file_name": f"{name}.png", "width": size[0], "height": size[1]} for at, name in enumerate("xy")
        ],
        "categories": [{"id": name, "name": name} for name in {name for _, name, _ in boxes}],
        "annotations": [{"image_id": image, "category_id": name, "bbox": box} for image, name, box in boxes],
    }
    path.write_text(json.dumps(document))
    return path


def test_boxes_become_marks_of_a_class(importer: Importer, images: Path, tmp_path: Path) -> None:
    importer.images(images)
    given = coco(tmp_path / "boxes.json", (0, "rbc", [1, 2, 10, 20.5]), (1, "WBC", [0, 0, 64, 48]))
    assert importer.boxes(given) == BoxImport(added=2, unchanged=0, refused=0, failed=0, cases=2)
    (mark,) = importer.marks("x.png")
    assert (mark.kind, mark.label, mark.reader) == ("box", "RBC", READER_OF_BOXES)
    assert mark.geometry == {"x": 1, "y": 2, "width": 10, "height": 20.5}


def test_the_same_boxes_again_add_nothing(importer: Importer, images: Path, tmp_path: Path) -> None:
    importer.images(images)
    twice = (0, "RBC", [1.0, 2.0, 10.0, 20.0])
    given = coco(tmp_path / "boxes.json", twice, twice)
    assert importer.boxes(given).added == 2
    assert importer.boxes(given) == BoxImport(added=0, unchanged=2, refused=0, failed=0, cases=2)
    assert len(importer.marks("x.png")) == 2
    assert importer.boxes(given, reader="ben").added == 2


def test_a_box_that_somebody_took_away_does_not_come_back(importer: Importer, images: Path, tmp_path: Path) -> None:
    importer.images(images)
    given = coco(tmp_path / "boxes.json", (0, "RBC", [1, 2, 10, 20]))
    importer.boxes(given, reader="ben")
    (mark,) = importer.marks("x.png")
    gone = NewMark("gone", mark.case_id, "ben", mark.mark, "box", mark.geometry, deleted=True)
    add_mark(importer.connection, gone, JOB)
    assert importer.boxes(given, reader="ben").added == 0
    assert importer.marks("x.png") == []


def test_what_cannot_be_a_box_is_named_and_the_rest_comes_in(importer: Importer, images: Path, tmp_path: Path) -> None:
    importer.images(images)
    given = coco(
        tmp_path / "boxes.json", (0, "RBC", [1, 2, 10, 20]), (0, "RBC", [5, 5, 0, 0]), (0, "WBC", [60, 40, 10, 20]),
        (1, "Blast", [1, 2, 3, 4]),
    )  # fmt: skip
    assert importer.boxes(given) == BoxImport(added=1, unchanged=0, refused=3, failed=0, cases=2)
    reason = importer.reasons()["boxes.json"]
    assert "Blast (1); it has RBC, WBC, Platelets" in reason
    stored = importer.connection.execute("SELECT group_concat(reason) FROM import_files").fetchone()[0]
    assert "Blast" not in stored  # a class may be called as somebody is
    assert "Received: 0.0 x 0.0" in reason
    assert "A box lies inside the image, which has 64 columns and 48 rows. Received: (70, 60)" in reason


def test_boxes_of_an_image_of_another_size_are_refused(importer: Importer, images: Path, tmp_path: Path) -> None:
    importer.images(images)
    given = coco(tmp_path / "boxes.json", (0, "RBC", [1, 2, 10, 20]), size=(48, 64))
    assert importer.boxes(given).failed == 1
    assert "drawn on an image of 48 x 64 pixels, and it has 64 x 48" in importer.reasons()["boxes.json"]


def test_boxes_of_images_that_are_not_there_are_counted(importer: Importer, tmp_path: Path) -> None:
    given = coco(tmp_path / "boxes.json", (0, "RBC", [1, 2, 10, 20]))
    assert importer.boxes(given).failed == 1
    assert "2 of 2 images are not in the project" in importer.reasons()["boxes.json"]


def test_real_voc_boxes_come_in_but_for_the_two_without_a_size(
    importer: Importer, test_data: Path, tmp_path: Path
) -> None:
    """Three quarters of the other images are left out to save time."""
    kept = [
        path for at, path in enumerate(sorted((test_data / "bccd_blood_cells" / "Annotations").iterdir()))
        if at % 4 == 0 or path.name in WITHOUT_A_SIZE
    ]  # fmt: skip
    images, annotations = tmp_path / "JPEGImages", tmp_path / "Annotations"
    images.mkdir()
    annotations.mkdir()
    for path in kept:
        shutil.copy(path, annotations)
        shutil.copy(path.parents[1] / "JPEGImages" / f"{path.stem}.jpg", images)
    objects = {path: list(ElementTree.parse(path).getroot().iter("object")) for path in kept}
    n = sum(len(places) for places in objects.values())
    assert n > 1000
    importer.images(images)
    report = importer.boxes(annotations)
    assert (report.added, report.refused, report.failed, report.cases) == (n - 2, 2, 0, len(kept))
    reasons = importer.reasons()
    for name in WITHOUT_A_SIZE:
        assert "1 refused" in reasons[name]
        assert "A box has a width and a height" in reasons[name]
    for path, places in objects.items():
        expected = [
            [float(place.findtext(f"bndbox/{edge}") or 0) for edge in ("xmin", "ymin", "xmax", "ymax")]
            for place in places
        ]
        marks = importer.marks(path.stem)
        theirs = [(one["x"], one["y"], one["x"] + one["width"], one["y"] + one["height"])
                  for one in (mark.geometry for mark in marks)]  # fmt: skip
        assert theirs == [tuple(box) for box in expected if box[2] > box[0]]
        assert Counter(mark.label for mark in marks) == Counter(
            place.findtext("name") for place, box in zip(places, expected, strict=True) if box[2] > box[0]
        )
    assert importer.boxes(annotations).added == 0
