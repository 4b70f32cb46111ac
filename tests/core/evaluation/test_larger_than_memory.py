"""Volumes that are larger than memory: painted and prepared frame by frame, bit for bit as they would be whole.

NumPy tells tracemalloc of every array that it holds, and of no page of a file that is mapped.
"""

import gc
import sqlite3
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.datasets.loading import prepare_images, prepare_masks
from core.datasets.records import SnapshotCase
from core.datasets.volumes import prepare_volume_masks, prepare_volumes
from core.errors import CoreError
from core.evaluation.painting import paint
from core.evaluation.predictor import Predictor
from core.images.frames import case_pixels
from core.images.records import Case
from core.images.render import InputSpec, model_mask
from core.images.volume_input import PatchSpec, Spec, nearest_frames, resampled_frames
from core.images.volumes import model_frames, with_neighbours
from core.labels.mask_store import code_mask, keep_mask, read_kept_mask
from core.people.accounts import ensure_user
from core.progress import Silent
from core.projects.records import add_project
from core.projects.schema import make_segmentation
from core.store import scratch
from core.store.audit import Actor
from core.store.files import Files
from core.training.patches import _spots

FRAMES, SIDE = 96, 224
STORED = FRAMES * SIDE * SIDE * 2  # bytes of int16
SCHEMA = make_segmentation(["bright", "dim"])
PATCHES, SLICES = PatchSpec((4, 112, 112), (2.0, 1.0, 1.0)), InputSpec(SIDE, 1, "pad", neighbours=1)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Its bright ball and its dim shell move from frame to frame."""
    z, y, x = np.ogrid[:FRAMES, :SIDE, :SIDE]
    away = np.sqrt((y - 90.0 - z / 3) ** 2 + (x - 110.0) ** 2 + (2.0 * (z - FRAMES / 2)) ** 2)
    return (1000 - 12 * away).astype(np.int16)


@pytest.fixture
def large(connection: sqlite3.Connection, actor: Actor, make_case: Any, pixels: np.ndarray, monkeypatch: Any) -> Case:
    monkeypatch.setattr(scratch, "HELD", 1 << 20)
    ensure_user(connection, actor.name)
    made = add_project(connection, name="Large", task="segmentation", schema=SCHEMA, actor=actor)
    return make_case("large.nii", pixels=pixels, into=made, frames=FRAMES, spacing_mm=(1.0, 1.0), slice_spacing_mm=1.0)


@pytest.fixture
def cases(files: Files, large: Case, pixels: np.ndarray) -> list[SnapshotCase]:
    """The one case with its masks, as a snapshot has it."""
    masks = [keep_mask(files, name, pixels > low) for name, low in (("bright", 400), ("dim", -100))]
    value = {"structures": list(SCHEMA.names)}
    return [SnapshotCase(0, large.id, "p", "train", None, value, (), large.pixel_hash, 0, tuple(masks))]


def painter(spec: Spec, room: Path | None = None) -> Predictor:
    def answer(seen: np.ndarray) -> np.ndarray:
        shown = seen.mean(axis=-1, keepdims=True, dtype=np.float32) / np.float32(255)
        return np.concatenate([shown, 1 - shown], axis=-1)

    return Predictor(SCHEMA, {"exclusive": True}, spec, "by hand", answer, room)


@contextmanager
def at_most(size: int) -> Iterator[None]:
    gc.collect()
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < size, f"{peak:,} bytes were held at once"


@pytest.mark.parametrize("spec", [PATCHES, SLICES])
def test_a_stored_volume_is_painted_and_kept_without_ever_being_held(
    files: Files, large: Case, pixels: np.ndarray, spec: Spec, monkeypatch: Any
) -> None:
    monkeypatch.setattr("core.evaluation.painting.FRAMES_AT_ONCE", 4)
    with at_most(STORED * 9 // 10):  # each mask would be half of it
        painted = paint(painter(spec, files.root), case_pixels(files, large), large)
        kept = [keep_mask(files, name, mask) for name, mask in painted.masks.items()]
    assert not list(files.root.glob("tmp*")), "what it was laid down in has no name"
    monkeypatch.setattr(scratch, "HELD", 1 << 40)
    whole = paint(painter(spec), pixels, large)
    assert painted.scores == whole.scores
    assert kept == [code_mask(name, mask)[0] for name, mask in whole.masks.items()]
    for one, mask in zip(kept, whole.masks.values(), strict=True):
        assert one.pixels == mask.sum() > 0
        assert np.array_equal(read_kept_mask(files, one.mask_hash, large), mask)


def test_volumes_are_prepared_for_3_d_without_ever_being_held(
    connection: sqlite3.Connection, files: Files, large: Case, cases: list[SnapshotCase], pixels: np.ndarray
) -> None:
    with at_most(STORED * 2 // 3):
        volumes = prepare_volumes(connection, files, cases, PATCHES, Silent())
        masks = prepare_volume_masks(connection, files, cases, PATCHES, Silent())
        spots = _spots(masks.volumes[0])
    grid = volumes.volumes[0].shape[:3]
    assert grid == (FRAMES // 2, SIDE, SIDE)
    assert np.array_equal(volumes.volumes[0], np.stack(list(resampled_frames(pixels, large, grid, PATCHES))))
    painted = [read_kept_mask(files, mask.mask_hash, large) for mask in cases[0].masks]
    wanted = np.stack([np.stack(list(nearest_frames(mask, grid))) for mask in painted], axis=-1)
    assert np.array_equal(masks.volumes[0], wanted)
    for structure, found in enumerate(spots):
        whole = np.flatnonzero(wanted[..., structure])
        drawn = whole if len(whole) <= 10_000 else None
        assert wanted[(*found.T, structure)].all()
        assert drawn is None or np.array_equal(np.ravel_multi_index(found.T, grid), drawn)


def test_slices_are_prepared_without_a_volume_ever_being_held(
    connection: sqlite3.Connection, files: Files, large: Case, cases: list[SnapshotCase], pixels: np.ndarray
) -> None:
    spec = InputSpec(SIDE - 32, 1, "pad")
    with at_most(STORED // 2):
        images = prepare_images(connection, files, cases, spec, Silent(), frames=True)
        masks = prepare_masks(connection, files, cases, spec, Silent())
    assert np.array_equal(images.images, model_frames(pixels, large, spec))
    for at, mask in enumerate(cases[0].masks):
        whole = read_kept_mask(files, mask.mask_hash, large)
        wanted = np.stack([model_mask(frame, spec, large.spacing_mm) for frame in whole])
        assert np.array_equal(masks.images[..., at], wanted)


def test_spots_are_drawn_frame_by_frame_as_from_the_whole_mask(monkeypatch: Any) -> None:
    monkeypatch.setattr("core.training.patches.MOST_SPOTS", 20)
    mask = np.random.default_rng(3).integers(0, 2, (5, 6, 7, 2), np.uint8)
    random = np.random.default_rng(0)
    for structure, found in enumerate(_spots(mask)):
        drawn = random.choice(np.flatnonzero(mask[..., structure]), 20, replace=False)
        assert np.array_equal(np.ravel_multi_index(found.T, mask.shape[:3]), drawn)


def test_slices_with_neighbours_are_those_of_the_whole_volume(large: Case, pixels: np.ndarray, tmp_path: Path) -> None:
    seen: list[np.ndarray] = []
    asked = painter(SLICES)

    def answer(images: np.ndarray) -> np.ndarray:
        seen.append(images.copy())
        return asked.answer(images)

    paint(Predictor(SCHEMA, {}, SLICES, "by hand", answer, tmp_path), pixels, large)
    assert np.array_equal(np.concatenate(seen), with_neighbours(model_frames(pixels, large, SLICES), 1))


def test_a_volume_that_was_altered_on_disk_is_not_mapped(files: Files, large: Case) -> None:
    path = files.path("pixels", large.pixel_hash)
    path.chmod(0o600)
    with path.open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\x7f")
    with pytest.raises(CoreError, match="altered on disk"):
        case_pixels(files, large)
