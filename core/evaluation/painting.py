"""What a model paints: on cases, where it is kept and measured, and on files that were never imported.

A mask lies on the image's own pixels: the network's probabilities are brought back from its square, or from the
spacing at which it sees volumes, and only then
compared with the threshold of each structure.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.datasets.records import SnapshotCase
from core.evaluation.predictor import Predictor, open_predictor
from core.evaluation.records import find_predicted_masks, store_painted
from core.evaluation.sliding import slide
from core.images.decoded import DecodedImage
from core.images.frames import case_pixels, refuse_unscaled
from core.images.grids import is_uneven
from core.images.records import Case, get_case, get_cases
from core.images.render import InputSpec, from_square
from core.images.volume_input import PatchSpec, back_onto_grid, resampled_frames, resampled_grid, spacing_of
from core.images.volumes import frame_sight, with_neighbours
from core.labels.mask_files import encode_label_map, oriented_as
from core.labels.mask_store import keep_mask, read_kept_mask
from core.labels.masks import volume_ml
from core.measures.segmentation import TOLERANCE, Compared, Unit, compare_masks
from core.progress import Portion, Progress, stop_if_asked
from core.projects.schema import Segmentation
from core.store.files import Files, array_bytes, write_whole
from core.store.scratch import make_room
from core.tasks.segmentation import thresholds_of
from core.training.records import Model

FRAMES_AT_ONCE = 16
Watch = Callable[[int, np.ndarray, np.ndarray], None]  # frame, probabilities and claimed (structures, rows, columns)


@dataclass(frozen=True)
class Painted:
    """`masks` by structure, uint8 `(frames, rows, columns)`, large ones on disk; `scores` are the mean probabilities of
    what is painted."""

    masks: dict[str, np.ndarray]
    scores: tuple[float, ...]


def paint(
    predictor: Predictor,
    pixels: np.ndarray,
    of: Case | DecodedImage,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> Painted:
    """Paint every frame of an image or a volume: frame by frame, or from windows in 3-D.

    Where structures never lay over each other in what the model learnt from, a pixel that several of them claim goes
    to the most probable one.

    What is held does not grow with the frames: pixels may be a memory map, and what is large is laid down in the
    predictor's `room`.

    Args:
        watch: is told of each frame what is not kept of it.
    """
    schema = predictor.schema
    assert isinstance(schema, Segmentation)
    thresholds = thresholds_of(schema, predictor.calibration)
    rows, columns = pixels.shape[:2] if of.frames == 1 else pixels.shape[1:3]
    masks = {name: make_room((of.frames, rows, columns), np.uint8, predictor.room) for name in schema.names}
    sums, counts = np.zeros(len(masks)), np.zeros(len(masks), np.int64)
    for frame, probable in enumerate(probable_frames(predictor, pixels, of, progress)):
        claimed = probable >= thresholds[:, None, None]
        if predictor.calibration.get("exclusive"):
            claimed &= np.where(claimed, probable, -1).argmax(axis=0) == np.arange(len(masks))[:, None, None]
        for at, name in enumerate(masks):
            masks[name][frame] = claimed[at]
            sums[at] += float(probable[at][claimed[at]].sum())
            counts[at] += np.count_nonzero(claimed[at])
        if watch:
            watch(frame, probable, claimed)
    scores = np.divide(sums, counts, out=np.zeros(len(masks)), where=counts > 0)
    return Painted(masks, tuple(float(score) for score in scores))


def probable_frames(
    predictor: Predictor, pixels: np.ndarray, of: Case | DecodedImage, progress: Progress | None = None
) -> Iterator[np.ndarray]:
    """Probabilities of each frame in order, float32 (structures, rows, columns) on the image's own pixels."""
    plane = pixels.shape[:2] if of.frames == 1 else pixels.shape[1:3]
    if isinstance(predictor.spec, PatchSpec):
        return _maps_of_volume(predictor, predictor.spec, pixels, of, plane, progress)
    return _maps_of_frames(predictor, pixels, of, plane)


def _maps_of_frames(
    predictor: Predictor, pixels: np.ndarray, of: Case | DecodedImage, plane: tuple[int, int]
) -> Iterator[np.ndarray]:
    """Probabilities of each frame by itself, float32 (k, rows, columns) on its own pixels."""
    spec = predictor.spec
    assert isinstance(spec, InputSpec)
    refuse_unscaled(of, spec)
    see, beside = frame_sight(pixels, of, spec), spec.neighbours
    for start in range(0, of.frames, FRAMES_AT_ONCE):
        first, last = max(0, start - beside), min(of.frames, start + FRAMES_AT_ONCE + beside)
        seen = with_neighbours(np.stack([see(frame) for frame in range(first, last)]), beside)
        for square in predictor.answer(seen[start - first :][:FRAMES_AT_ONCE]):
            maps = np.moveaxis(square, -1, 0)
            yield np.stack([from_square(one, *plane, spec, of.spacing_mm) for one in maps])


def _maps_of_volume(
    predictor: Predictor,
    spec: PatchSpec,
    pixels: np.ndarray,
    of: Case | DecodedImage,
    plane: tuple[int, int],
    progress: Progress | None,
) -> Iterator[np.ndarray]:
    """The same of a volume that is seen in 3-D at the model's spacing; only a few frames of them are held at once."""
    own = (of.frames, *plane)
    whose = f" (case {of.id}, {of.source})" if isinstance(of, Case) else ""
    grid = resampled_grid(own, spacing_of(of), spec.spacing_mm, whose)
    volume = make_room((*grid, spec.channels), np.uint8, predictor.room)
    for at, frame in enumerate(resampled_frames(pixels, of, grid, spec)):
        volume[at] = frame
    said = slide(predictor.answer, volume, spec.patch_size, spec.overlap, progress)
    return back_onto_grid(said, grid[0], own)


def paint_cases(
    connection: sqlite3.Connection, files: Files, model: Model, case_ids: Sequence[int], progress: Progress
) -> None:
    """Let a model paint those of the cases that it has not painted yet, and keep each as soon as it is there.

    Raises:
        Stopped: somebody asked to stop; what was painted until then is kept.
    """
    missing = [case_id for case_id in case_ids if not find_predicted_masks(connection, model.id, case_id)]
    if not missing:
        return
    predictor = open_predictor(files, model)
    for at, case_id in enumerate(missing):
        stop_if_asked(progress)
        case = get_case(connection, case_id)
        part = Portion(progress, at / len(missing), (at + 1) / len(missing))
        paint_case(connection, files, model, predictor, case, part)
        progress.report((at + 1) / len(missing), f"{at + 1} of {len(missing)} cases painted")


def paint_case(
    connection: sqlite3.Connection,
    files: Files,
    model: Model,
    predictor: Predictor,
    case: Case,
    progress: Progress,
    watch: Watch | None = None,
) -> None:
    """Paint one case by a model that is open, and keep the masks; a second time changes nothing."""
    painted = paint(predictor, case_pixels(files, case), case, progress, watch)
    kept = [keep_mask(files, name, mask) for name, mask in painted.masks.items()]
    store_painted(connection, model, predictor.schema, case.id, kept, painted.scores)


def compare_cases(
    connection: sqlite3.Connection, files: Files, model: Model, cases: Sequence[SnapshotCase], progress: Progress
) -> tuple[Unit, list[list[Compared]]]:
    """The frozen masks of cases against those that a model has painted: for each case one `Compared` a structure.

    Distances are in mm as soon as they are known for one case; cases of which they are not have none then.
    """
    known = [get_case(connection, case.case_id) for case in cases]
    unit: Unit = "mm" if any(_spacing_mm(case) for case in known) else "px"
    compared = []
    for at, (case, frozen) in enumerate(zip(known, cases, strict=True)):
        stop_if_asked(progress)
        painted = {mask.structure: mask for mask in find_predicted_masks(connection, model.id, case.id)}
        row = []
        for reference in frozen.masks:
            one, other = (
                read_kept_mask(files, mask.mask_hash, case) for mask in (reference, painted[reference.structure])
            )
            row.append(_compare(case, one, other, unit))
        compared.append(row)
        progress.report((at + 1) / len(cases), f"{at + 1} of {len(cases)} cases compared")
    return unit, compared


def warn_of_projections(connection: sqlite3.Connection, cases: Sequence[SnapshotCase]) -> list[str]:
    """What a reader of distances must know: the spacing of a projection is that at the detector, where all is larger
    than in the patient (DICOM PS3.3, C.8.11.2: Imager Pixel Spacing)."""
    known = get_cases(connection, [case.case_id for case in cases])
    n = sum(case.spacing_at == "detector" for case in known)
    if not n:
        return []
    return [
        f"{n} of these {len(cases)} cases are projections whose spacing is known at the detector alone: in the patient "
        f"their distances in mm are smaller."
    ]


def _compare(case: Case, reference: np.ndarray, painted: np.ndarray, unit: Unit) -> Compared:
    spacing = _spacing_mm(case)
    steps = (spacing or (1.0, 1.0, 1.0)) if case.frames > 1 else (spacing or (1.0, 1.0))[-2:]
    if case.frames == 1:
        reference, painted = reference[0], painted[0]
    found = compare_masks(reference, painted, steps, tolerance=TOLERANCE, voxel_ml=volume_ml(case, 1))
    return found.without_distances() if unit == "mm" and spacing is None else found


def _spacing_mm(case: Case) -> tuple[float, ...] | None:
    """Between frames where there are several, rows and columns; None where one of them is not known."""
    if case.spacing_mm is None or (case.frames > 1 and not case.slice_spacing_mm):
        return None
    return (case.slice_spacing_mm or 1.0, *case.spacing_mm)


def paint_file(
    predictor: Predictor, path: Path, image: DecodedImage, folder: Path, stem: str, progress: Progress
) -> dict[str, Any]:
    """Paint a file that was decoded, and write its masks into a folder; what `readroom predict` tells of it.

    A PNG for an image, a NIfTI on the grid of the file for a volume: one label map, numbered in the order of the
    structures, or one file for each where they lie over each other. Where the slices of a volume lie on no grid, an
    array `(frames, rows, columns)` for each.

    Raises:
        Stopped: somebody asked to stop; nothing of this file is written then.
    """
    schema = predictor.schema
    assert isinstance(schema, Segmentation)
    painted = paint(predictor, image.pixels, image, progress)
    if is_uneven(image):
        files = {name: f"{stem}_{at}.npy" for at, name in enumerate(schema.names, start=1)}
        for name, file in files.items():
            write_whole(folder / file, array_bytes(painted.masks[name]))
        return {"structures": _told(image, painted, files, alone=True), "files": sorted(files.values())}
    ending = ".nii.gz" if image.frames > 1 else ".png"
    together = np.zeros(next(iter(painted.masks.values())).shape, np.uint8)
    for number, mask in enumerate(painted.masks.values(), start=1):
        if together[mask == 1].any():
            files = {name: f"{stem}_{at}{ending}" for at, name in enumerate(schema.names, start=1)}
            for name, file in files.items():
                write_whole(folder / file, oriented_as(encode_label_map(image, painted.masks[name], schema), path))
            break
        together[mask == 1] = number
    else:
        files = dict.fromkeys(schema.names, f"{stem}{ending}")
        write_whole(folder / files[schema.names[0]], oriented_as(encode_label_map(image, together, schema), path))
    alone = len(set(files.values())) > 1
    return {"structures": _told(image, painted, files, alone=alone), "files": sorted(set(files.values()))}


def _told(image: DecodedImage, painted: Painted, files: Mapping[str, str], *, alone: bool) -> dict[str, dict[str, Any]]:
    told = {}
    for number, (name, mask) in enumerate(painted.masks.items(), start=1):
        pixels = int(mask.sum())
        told[name] = {
            "pixels": pixels,
            "volume_ml": volume_ml(image, pixels),
            "probability": painted.scores[number - 1],
            "file": files[name],
            "value": 1 if alone else number,
        }
    return told
