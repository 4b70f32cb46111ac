"""Masks and boxes from the command line: with their images, after them, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import InvalidInput
from tests.core.cli.conftest import Run


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two images in `images`, and their label maps in `images/labels`."""
    random = np.random.default_rng(0)
    for part, most in (("images", 255), ("images/labels", 3)):
        (tmp_path / part).mkdir()
        for at in range(2):
            drawn = random.integers(0, most, (10, 12), np.uint8)
            Image.fromarray(drawn).save(tmp_path / part / f"{at}.png")
    return tmp_path / "images"


def test_masks_come_in_with_their_images(run: Run, images: Path) -> None:
    run("project", "create", "Hip", "--task", "segmentation", "--structures", "front,back")
    told = run("import", "Hip", str(images), "--masks", str(images / "labels"))
    assert (told["imported"], told["failed"], len(told["files"])) == (2, 0, 2)
    masks = told["masks"]
    assert (masks["added"], masks["unchanged"], masks["failed"], masks["cases"]) == (4, 0, 0, 2)
    assert [(row["path"], row["status"]) for row in masks["files"]] == [("0.png", "imported"), ("1.png", "imported")]
    again = run("import", "Hip", "--masks", str(images / "labels"))
    assert (again["files"], again["masks"]["added"], again["masks"]["unchanged"]) == ([], 0, 4)


def test_masks_come_in_under_a_name_and_a_mapping(run: Run, images: Path) -> None:
    run("project", "create", "Hip", "--task", "segmentation", "--structures", "front,back")
    told = run("import", "Hip", str(images), "--masks", str(images / "labels"), "--reader", "ben",
               "--mask-values", "1=back,2=")  # fmt: skip
    assert (told["imported"], told["masks"]["added"]) == (2, 2)


def test_what_makes_no_sense_is_said_before_anything_runs(run: Run, images: Path) -> None:
    run("project", "create", "Chest", "--classes", "normal,pneumonia")
    refused = run("import", "Chest", str(images), "--masks", str(images / "labels"), code=1)
    assert isinstance(refused.exception, InvalidInput)
    run("import", "Chest", str(images), "--mask-values", "1=front", code=2)


def test_boxes_come_in_with_their_images(run: Run, images: Path, tmp_path: Path) -> None:
    run("project", "create", "Chest", "--classes", "nodule,mass")
    document = {
        "images": [{"id": 1, "file_name": "0.png"}],
        "categories": [{"id": 1, "name": "nodule"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(document))
    told = run("import", "Chest", str(images / "0.png"), "--boxes", str(tmp_path / "boxes.json"))
    assert (told["imported"], told["boxes"]["added"], told["boxes"]["cases"]) == (1, 1, 1)
    assert told["boxes"]["files"][0]["path"] == "boxes.json"
