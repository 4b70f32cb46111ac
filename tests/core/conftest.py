"""Cases and answers by the handful, and a small project with something to learn: a planted bright square."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot
from core.images.perceptual import perceptual_hash
from core.images.records import Case, NewCase, insert_case
from core.images.render import to_uint8
from core.labels.masks import put_mask
from core.labels.records import Label, NewLabel, add_label, new_event
from core.people.accounts import ensure_user
from core.progress import Silent
from core.projects.records import Project, add_project
from core.projects.schema import make_generation, make_segmentation
from core.store.audit import Actor
from core.store.files import Files

SIDE = 16
SQUARE = 5


@dataclass(frozen=True)
class Planted:
    """A project, its snapshot, and where the squares are: `masks` by case id (all False where there is none)."""

    project: Project
    snapshot: Snapshot
    masks: dict[int, np.ndarray]


def draw_planted(n: int, *, side: int = SIDE, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise images uint8 `(n, side, side, 1)`, every second one with a square, and the squares' masks."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 120, (n, side, side, 1), np.uint8)
    masks = np.zeros((n, side, side), bool)
    for at in range(1, n, 2):
        row, column = random.integers(0, side - SQUARE, 2)
        masks[at, row : row + SQUARE, column : column + SQUARE] = True
        images[at][masks[at]] = random.integers(200, 256, (SQUARE * SQUARE, 1), np.uint8)
    return images, masks


@pytest.fixture
def planted_images() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    return draw_planted


@pytest.fixture
def planted(connection: sqlite3.Connection, files: Files, project: Project, actor: Actor) -> Planted:
    """40 cases of 40 patients, normal or pneumonia, frozen with 2 folds as "first"."""
    ensure_user(connection, actor.name)
    images, masks = draw_planted(40)
    by_case = {}
    for at, image in enumerate(images):
        case = insert_case(
            connection,
            NewCase(
                project=project.id, source=f"{at}.png", patient=f"p{at}", patient_from="table",
                pixel_hash=files.put_array("pixels", image[..., 0]), file_hash=f"{at:064x}", perceptual_hash=None,
                rows=SIDE, columns=SIDE, channels=1, dtype="uint8", photometric="MONOCHROME2", imported_by=actor.name,
            ),
        )  # fmt: skip
        by_case[case.id] = masks[at]
        answer = {"classes": ["pneumonia" if at % 2 else "normal"]}
        add_label(connection, NewLabel(f"event-{at}", case.id, actor.name, answer), actor)
    snapshot = freeze_snapshot(
        connection, files, project, "first", ratios=(0.6, 0.3, 0.1), folds=2, actor=actor, progress=Silent()
    )
    return Planted(project, snapshot, by_case)


@pytest.fixture
def make_case(connection: sqlite3.Connection, files: Files, project: Project) -> Callable[..., Case]:
    """`make_case("a.png", patient="p1")` stores an image; without `pixels` each has its own noise."""

    def make(source: str, *, pixels: np.ndarray | None = None, into: Project = project, **fields: object) -> Case:
        if pixels is None:
            seed = np.frombuffer(source.encode(), np.uint8)
            pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE), np.uint8)
        picture = pixels if fields.get("frames", 1) == 1 else pixels[len(pixels) // 2]
        known = {
            "project": into.id, "source": source, "patient": source, "patient_from": "table",
            "pixel_hash": files.put_array("pixels", pixels), "file_hash": "0" * 64,
            "perceptual_hash": perceptual_hash(
                picture if picture.dtype == np.uint8 else to_uint8(picture, "MONOCHROME2")
            ),
            "rows": picture.shape[0], "columns": picture.shape[1],
            "channels": 1, "dtype": str(pixels.dtype), "photometric": "MONOCHROME2", "imported_by": "anna",
        }  # fmt: skip
        return insert_case(connection, NewCase(**{**known, **fields}))

    return make


@pytest.fixture
def answer(connection: sqlite3.Connection) -> Callable[..., Label]:
    """`answer(case, "normal", reader="ben")` stores a label; without a class it withdraws."""

    def say(case: Case, *classes: str, reader: str = "anna", **fields: object) -> Label:
        ensure_user(connection, reader)
        value = {"classes": list(classes)} if classes else None
        known = {"event": new_event(), "case_id": case.id, "reader": reader, "value": value}
        return add_label(connection, NewLabel(**{**known, **fields}), Actor(reader, "command line"))

    return say


@dataclass(frozen=True)
class PaintedSquares:
    """A project of painted squares: `masks` by case id, bool `(frames, rows, columns)`."""

    project: Project
    cases: list[Case]
    masks: dict[int, np.ndarray]


@pytest.fixture
def painted_squares(
    connection: sqlite3.Connection, project: Project, actor: Actor, make_case: Callable[..., Case]
) -> PaintedSquares:
    """16 images of 16 patients and 2 volumes of 4 frames, finished by Anna; every second image has a bright square.

    The structures are `square` and `ghost`, which is nowhere.
    """
    ensure_user(connection, actor.name)
    schema = make_segmentation(["square", "ghost"])
    cells = add_project(connection, name="Squares", task="segmentation", schema=schema, actor=actor)
    images, masks = draw_planted(24, seed=3)
    made, painted = [], {}
    known = {"frames": 4, "spacing_mm": (0.5, 0.5), "slice_spacing_mm": 2.0}
    for at in range(18):
        frames = [at] if at < 16 else range(16 + 4 * (at - 16), 20 + 4 * (at - 16))
        pixels, mask = images[frames, ..., 0], masks[frames]
        case = (
            make_case(f"{at}.png", pixels=pixels[0], into=cells)
            if at < 16
            else make_case(f"{at}.nii", pixels=pixels, into=cells, **known)
        )
        put_mask(connection, case, "square", mask, actor, event=new_event())
        value = {"structures": ["square"] if mask.any() else []}
        add_label(connection, NewLabel(new_event(), case.id, actor.name, value), actor)
        made.append(case)
        painted[case.id] = mask
    return PaintedSquares(cells, made, painted)


@pytest.fixture
def sides(connection: sqlite3.Connection, files: Files, actor: Actor) -> tuple[Project, Snapshot]:
    """A generation of images that are bright on the left or on the right, those of women, frozen as "first"."""
    ensure_user(connection, actor.name)
    schema = make_generation(["left", "right"])
    project = add_project(connection, name="Sides", task="generation", schema=schema, actor=actor)
    random = np.random.default_rng(0)
    for at in range(40):
        image = random.integers(0, 60, (SIDE, SIDE), np.uint8)
        image[:, slice(SIDE // 2, None) if at % 2 else slice(SIDE // 2)] += 190
        case = insert_case(
            connection,
            NewCase(
                project=project.id, source=f"{at}.png", patient=f"p{at}", patient_from="table",
                pixel_hash=files.put_array("pixels", image), file_hash=f"{at:064x}", perceptual_hash=None,
                rows=SIDE, columns=SIDE, channels=1, dtype="uint8", photometric="MONOCHROME2", imported_by=actor.name,
                attributes={"sex": "F", "age": str(20 + at)} if at % 2 else {},
            ),
        )  # fmt: skip
        answer = {"classes": ["right" if at % 2 else "left"]}
        add_label(connection, NewLabel(f"side-{at}", case.id, actor.name, answer), actor)
    frozen = freeze_snapshot(
        connection, files, project, "first", ratios=(0.6, 0.3, 0.1), actor=actor, progress=Silent()
    )
    return project, frozen
