"""What augmentation does to a snapshot's images, as a picture to look at before a training is asked for."""

import hashlib
import io
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from core.datasets.loading import prepare_images, prepare_masks
from core.datasets.records import Snapshot, SnapshotCase, demand_whole
from core.datasets.volumes import prepare_volume_masks, prepare_volumes
from core.images.render import InputSpec
from core.images.volume_input import PatchSpec, VolumeSpec
from core.progress import Portion, Progress, stop_if_asked
from core.projects.schema import Segmentation
from core.store.files import Files, array_bytes
from core.tasks import task_module
from core.training.auto import NOT_MIRRORED
from core.training.handful import choose_handful, middle_rows
from core.training.networks import input_of
from core.training.recipe import Recipe
from core.training.request import training_cases
from core.training.settling import measure_proportions, settle_input

DRAWING = 2  # raise it when the picture changes, so that old ones are not taken for new ones
READ = (
    *("input_size", "channels", "resize", "pixel_mm", "window", "window_values"),
    *("input_depth", "patch_size", "spacing_mm"),
    *("seed", "flip", "rotation", "zoom", "shift", "contrast", "noise", "mixup"),
)
CASES, TIMES = 4, 5  # so many training images, each so often augmented
LEAST_TILE_PX = 128  # smaller inputs are enlarged, or nobody would see what changed
GAP_PX, GROUND = 4, 40


def samples_key(snapshot: Snapshot, recipe: Recipe, fold: int | None) -> str:
    """The name of the picture: the same snapshot, fold, input and augmentation give the same."""
    read = {key: getattr(recipe, key) for key in READ}
    told = [DRAWING, type(input_of(recipe)).__name__, snapshot.hash, fold, read]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def why_mirrored(recipe: Recipe) -> str:
    """Why images are, or are not, mirrored left-right."""
    if recipe.flip in ("none", "up-down"):
        return NOT_MIRRORED
    other = (
        " In volumes whose frames are not axial the left and the right of a frame are other sides: of a sagittal one, "
        "front and back."
    )
    return (
        "Half of them are mirrored left-right, as this recipe asks: right where both sides mean the same, and false "
        "teaching where they do not, as in a chest, whose heart would lie on the wrong side."
        f"{other if sees_volumes(recipe) else ''}"
    )


def describe_samples(recipe: Recipe) -> str:
    """What to know of the picture: why images are or are not mirrored, and what they are blended with."""
    if not recipe.mixup:
        return why_mirrored(recipe)
    return (
        f"{why_mirrored(recipe)} Mixup blends each with another one of these, as it does with one of the batch in "
        f"training, and the answers of both count."
    )


def sees_volumes(recipe: Recipe) -> bool:
    """Whether a network sees volumes or patches of them, of which a picture shows one frame."""
    return not isinstance(input_of(recipe), InputSpec)


def make_samples(
    connection: sqlite3.Connection,
    files: Files,
    snapshot: Snapshot,
    recipe: Recipe,
    fold: int | None,
    progress: Progress,
) -> str:
    """Draw some training images as they enter the network and, beside each, several times as a step would see it.

    Masks are outlined and move with their images; of images that mixup blends, those of both. Volumes and patches are
    moved as wholes, and one frame of each is shown: the middle one, of painted ones that with most painted. The picture
    is kept under `samples_key`, which is the answer.

    Raises:
        CoreError: cases were erased, the fold is not there, or nothing is to be trained on.
        Stopped: somebody asked to stop.
    """
    demand_whole(snapshot, "show augmented images")
    key = samples_key(snapshot, recipe, fold)
    if files.has("prepared", key):
        return key
    task = task_module(snapshot.task)
    train = training_cases(connection, snapshot, fold)[0]
    chosen = choose_handful(train, CASES, recipe.seed)
    settled = settle_input(connection, files, recipe, train, Portion(progress, 0.0, 0.1))
    spec, part = input_of(settled), Portion(progress, 0.1, 0.7)
    if isinstance(spec, PatchSpec):
        images, masks, frames = _patches(connection, files, chosen, spec, part)
    elif isinstance(spec, VolumeSpec):
        images, masks = prepare_images(connection, files, chosen, spec, part).read(range(len(chosen))), None
        frames = [spec.depth // 2] * len(chosen)
    else:
        images, masks = _images(connection, files, chosen, spec, part, painted=task.PAINTS)
        frames = []
    stop_if_asked(progress)
    progress.report(0.8, "Augmenting")
    colours = [one.colour for one in snapshot.schema.structures] if isinstance(snapshot.schema, Segmentation) else []
    proportions = measure_proportions(connection, train, spec)
    picture = draw_samples(images, masks, settled, colours, frames, proportions=proportions)
    files.put_under("prepared", key, array_bytes(picture))
    progress.report(1.0, f"{len(images)} training images, each {TIMES} times augmented")
    return key


def draw_samples(
    images: np.ndarray,
    masks: np.ndarray | None,
    recipe: Recipe,
    colours: list[str],
    frames: Sequence[int] = (),
    *,
    proportions: float = 1.0,
) -> np.ndarray:
    """A grid with a row an image: as it is, then `TIMES` augmented, uint8 `(height, width, 3)`.

    Args:
        images: uint8 `(n, size, size, channels)`, or volumes `(n, depth, rows, columns, channels)`.
        masks: uint8 `(n, size, size, structures)` on them, drawn as outlines in `colours` ("#rrggbb").
        frames: of volumes the one of each that is shown.
        proportions: in which images are turned (`core.training.augmentation`).
    """
    columns = [_tiles(images, masks, colours, frames)]
    for time in range(TIMES):
        moved, moved_masks = _augmented(images, masks, recipe, time, proportions)
        columns.append(_tiles(moved, moved_masks, colours, frames))
    rows = [np.concatenate(row, axis=1) for row in zip(*columns, strict=True)]
    return np.concatenate(rows, axis=0)


def read_samples(files: Files, key: str) -> bytes | None:
    """The picture as PNG; None where it was not drawn yet, or was cleared away since."""
    try:
        picture = np.load(files.path("prepared", key), allow_pickle=False)
    except FileNotFoundError:
        return None
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def _augmented(
    images: np.ndarray, masks: np.ndarray | None, recipe: Recipe, time: int, proportions: float
) -> tuple[np.ndarray, np.ndarray | None]:
    import tensorflow as tf

    from core.training.augmentation import augment, augment_masks
    from core.training.mixing import draw_mixture, mix_images

    # Images are moved as the batch of a step; of volumes one at a time is held, for they may be large.
    at_once = len(images) if images.ndim == 4 else 1
    moved, moved_masks = [], []
    for at in range(0, len(images), at_once):
        seed = tf.constant([recipe.seed, time + TIMES * at], tf.int32)
        moved.append(augment(tf.constant(images[at : at + at_once]), seed, recipe, proportions).numpy())
        if masks is not None:
            some = tf.constant(masks[at : at + at_once])
            moved_masks.append(augment_masks(some, seed, recipe, proportions).numpy())
    seen, painted = np.concatenate(moved), np.concatenate(moved_masks) if moved_masks else None
    if not recipe.mixup:
        return seen, painted
    share, partner = draw_mixture(tf.constant([recipe.seed, time], tf.int32), len(seen), recipe.mixup)
    pairs = list(enumerate(partner.numpy().tolist()))
    blended = [mix_images(tf.constant(seen[[at, other]]), share, [1, 0])[0].numpy() for at, other in pairs]
    if painted is not None:
        painted = np.stack([np.maximum(painted[at], painted[other]) for at, other in pairs])
    return np.stack(blended), painted


def _images(
    connection: sqlite3.Connection,
    files: Files,
    chosen: Sequence[SnapshotCase],
    spec: InputSpec,
    progress: Progress,
    *,
    painted: bool,
) -> tuple[np.ndarray, np.ndarray | None]:
    """An image of each case as it enters the network, and of painted ones the masks on it."""
    spec = replace(spec, neighbours=0)
    prepared = prepare_images(connection, files, chosen, spec, Portion(progress, 0.0, 0.7), frames=painted)
    if not painted:
        return prepared.read(middle_rows(prepared.case_ids)), None
    masks = prepare_masks(connection, files, chosen, spec, Portion(progress, 0.7, 1.0))
    rows = _fullest_rows(prepared.case_ids, masks.read(range(len(masks.case_ids))))
    return prepared.read(rows), masks.read(rows)


def _patches(
    connection: sqlite3.Connection,
    files: Files,
    chosen: Sequence[SnapshotCase],
    spec: PatchSpec,
    progress: Progress,
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """A patch of each case around what is painted on its fullest frame, the masks in it, and the place of that frame
    in the patch."""
    from core.training.patches import patch_on

    volumes = prepare_volumes(connection, files, chosen, spec, Portion(progress, 0.0, 0.7))
    painted = prepare_volume_masks(connection, files, chosen, spec, Portion(progress, 0.7, 1.0))
    images, masks, frames = [], [], []
    for at, mask in enumerate(painted.volumes):
        counts = [int(np.count_nonzero(frame)) for frame in mask]  # frame by frame: a volume may be large
        frame = int(np.argmax(counts)) if any(counts) else len(mask) // 2
        start = patch_on(mask, frame, spec.patch_size)
        images.append(volumes.cut(at, start, spec.patch_size))
        masks.append(painted.cut(at, start, spec.patch_size))
        frames.append(frame - start[0])
    return np.stack(images), np.stack(masks), frames


def _fullest_rows(case_ids: tuple[int, ...], masks: np.ndarray) -> list[int]:
    """Of each case the row of the frame with most painted; the middle one where nothing is."""
    painted = masks.reshape(len(masks), -1).sum(axis=1, dtype=np.int64)
    best = dict(zip(dict.fromkeys(case_ids), middle_rows(case_ids), strict=True))
    for row, case in enumerate(case_ids):
        if painted[row] > painted[best[case]]:
            best[case] = row
    return list(best.values())


def _tiles(images: np.ndarray, masks: np.ndarray | None, colours: list[str], frames: Sequence[int]) -> list[np.ndarray]:
    """Each image, or one frame of each volume, in colour, enlarged as needed, outlined, with a gap around it."""
    if images.ndim == 5:
        shown = np.arange(len(images)), list(frames)
        images, masks = images[shown], None if masks is None else masks[shown]
    scale = max(1, -(-LEAST_TILE_PX // max(images.shape[1:3])))
    found = []
    for at, image in enumerate(images):
        tile = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
        tile = _enlarged(tile, scale)
        for k, colour in enumerate(colours if masks is not None else ()):
            tile[_outline(_enlarged(masks[at, ..., k] != 0, scale))] = _rgb(colour)  # type: ignore[index]
        found.append(np.pad(tile, ((GAP_PX, 0), (GAP_PX, 0), (0, 0)), constant_values=GROUND))
    return found


def _enlarged(values: np.ndarray, scale: int) -> np.ndarray:
    return np.ascontiguousarray(values.repeat(scale, axis=0).repeat(scale, axis=1))


def _outline(mask: np.ndarray) -> np.ndarray:
    from scipy.ndimage import binary_erosion

    return np.asarray(mask & ~binary_erosion(mask))


def _rgb(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
