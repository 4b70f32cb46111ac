"""What augmentation does to a snapshot's images, as a picture to look at before a training is asked for."""

import hashlib
import io
import json
import sqlite3
from dataclasses import replace

import numpy as np
from PIL import Image

from core.datasets.loading import prepare_images, prepare_masks
from core.datasets.records import Snapshot, demand_whole
from core.errors import InvalidInput
from core.images.render import InputSpec
from core.progress import Portion, Progress, stop_if_asked
from core.projects.schema import Segmentation
from core.store.files import Files, array_bytes
from core.tasks import task_module
from core.training.auto import NOT_MIRRORED
from core.training.handful import choose_handful, middle_rows
from core.training.networks import input_of
from core.training.recipe import Recipe
from core.training.request import training_cases
from core.training.settling import settle_input

DRAWING = 1  # raise it when the picture changes, so that old ones are not taken for new ones
READ = (
    *("input_size", "channels", "resize", "pixel_mm", "window", "window_values"),
    *("seed", "flip", "rotation", "zoom", "shift", "contrast", "noise"),
)
CASES, TIMES = 4, 5  # so many training images, each so often augmented
LEAST_TILE_PX = 128  # smaller inputs are enlarged, or nobody would see what changed
GAP_PX, GROUND = 4, 40


def samples_key(snapshot: Snapshot, recipe: Recipe, fold: int | None) -> str:
    """The name of the picture: the same snapshot, fold, input and augmentation give the same."""
    read = {key: getattr(recipe, key) for key in READ}
    return hashlib.sha256(json.dumps([DRAWING, snapshot.hash, fold, read], sort_keys=True).encode()).hexdigest()


def why_mirrored(recipe: Recipe) -> str:
    """Why images are, or are not, mirrored left-right."""
    if recipe.flip in ("none", "up-down"):
        return NOT_MIRRORED
    return (
        "Half of them are mirrored left-right, as this recipe asks: right where both sides mean the same, and false "
        "teaching where they do not, as in a chest, whose heart would lie on the wrong side."
    )


def sees_images(recipe: Recipe) -> bool:
    """Whether a network sees single images, so that what it sees can be laid out in a picture."""
    return isinstance(input_of(recipe), InputSpec)


def make_samples(
    connection: sqlite3.Connection,
    files: Files,
    snapshot: Snapshot,
    recipe: Recipe,
    fold: int | None,
    progress: Progress,
) -> str:
    """Draw some training images as they enter the network and, beside each, several times as a step would see it.

    Masks are outlined and move with their images. The picture is kept under `samples_key`, which is the answer.

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
    if not sees_images(recipe):
        raise InvalidInput(f"Augmented images are shown of networks that see single ones. Received: {recipe.network}")
    spec = input_of(settle_input(connection, files, recipe, train, Portion(progress, 0.0, 0.1)))
    assert isinstance(spec, InputSpec)
    spec = replace(spec, neighbours=0)
    prepared = prepare_images(connection, files, chosen, spec, Portion(progress, 0.1, 0.5), frames=task.PAINTS)
    masks = None
    rows = middle_rows(prepared.case_ids)
    if task.PAINTS:
        painted = prepare_masks(connection, files, chosen, spec, Portion(progress, 0.5, 0.7))
        rows = _fullest_rows(prepared.case_ids, painted.read(range(len(painted.case_ids))))
        masks = painted.read(rows)
    stop_if_asked(progress)
    progress.report(0.8, "Augmenting")
    colours = [one.colour for one in snapshot.schema.structures] if isinstance(snapshot.schema, Segmentation) else []
    picture = draw_samples(prepared.read(rows), masks, recipe, colours)
    files.put_under("prepared", key, array_bytes(picture))
    progress.report(1.0, f"{len(rows)} training images, each {TIMES} times augmented")
    return key


def draw_samples(images: np.ndarray, masks: np.ndarray | None, recipe: Recipe, colours: list[str]) -> np.ndarray:
    """A grid with a row an image: as it is, then `TIMES` augmented, uint8 `(height, width, 3)`.

    Args:
        images: uint8 `(n, size, size, channels)`.
        masks: uint8 `(n, size, size, structures)` on them, drawn as outlines in `colours` ("#rrggbb").
    """
    import tensorflow as tf

    from core.training.augmentation import augment, augment_masks

    columns = [_tiles(images, masks, colours)]
    for time in range(TIMES):
        seed = tf.constant([recipe.seed, time], tf.int32)
        moved = None if masks is None else augment_masks(tf.constant(masks), seed, recipe).numpy()
        columns.append(_tiles(augment(tf.constant(images), seed, recipe).numpy(), moved, colours))
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


def _fullest_rows(case_ids: tuple[int, ...], masks: np.ndarray) -> list[int]:
    """Of each case the row of the frame with most painted; the middle one where nothing is."""
    painted = masks.reshape(len(masks), -1).sum(axis=1, dtype=np.int64)
    best = dict(zip(dict.fromkeys(case_ids), middle_rows(case_ids), strict=True))
    for row, case in enumerate(case_ids):
        if painted[row] > painted[best[case]]:
            best[case] = row
    return list(best.values())


def _tiles(images: np.ndarray, masks: np.ndarray | None, colours: list[str]) -> list[np.ndarray]:
    """Each image in colour, enlarged as needed, outlined, with a gap around it."""
    scale = max(1, -(-LEAST_TILE_PX // images.shape[1]))
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
