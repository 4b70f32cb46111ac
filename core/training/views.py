"""Images moved a little for test-time augmentation, and what is painted on them moved back."""

import math
from collections.abc import Sequence

import numpy as np

from core.training.ensemble import View
from core.training.stored import Answer


def answer_views(answer: Answer, views: Sequence[View], *, paints: bool) -> Answer:
    """The mean of what is answered of each view of an image; maps are moved back onto the image first."""

    def mean(images: np.ndarray) -> np.ndarray:
        total: np.ndarray | None = None
        for view in views:
            said = np.asarray(answer(move(images, view)), np.float32)
            said = move(said, view, back=True) if paints else said
            total = said if total is None else total + said
        assert total is not None  # there is always the image as it is
        return total / len(views)

    return mean


def move(images: np.ndarray, view: View, *, back: bool = False) -> np.ndarray:
    """Copies of `(n, rows, columns, channels)`, shifted, turned and mirrored about their centre, or back again; of
    volumes `(n, depth, rows, columns, channels)` every frame alike.

    Beyond its edge an image is mirrored, as in training.
    """
    if not any(view.values()):
        return images
    from scipy.ndimage import affine_transform  # the web process and the commands come by here and move nothing

    frames = images.reshape(-1, *images.shape[-3:])
    matrix, offset = _placed(view, frames.shape[1], frames.shape[2], back=back)
    moved = np.empty_like(frames)
    for at, image in enumerate(frames):
        for channel in range(images.shape[-1]):
            plane = image[..., channel].astype(np.float32)
            seen = affine_transform(plane, matrix, offset, order=1, mode="reflect")
            whole = np.rint(seen) if np.issubdtype(images.dtype, np.integer) else seen
            moved[at, ..., channel] = whole
    return moved.reshape(images.shape)


def _placed(view: View, rows: int, columns: int, *, back: bool) -> tuple[np.ndarray, np.ndarray]:
    """Where in the image each pixel of the moved one comes from: `matrix @ (row, column) + offset`."""
    angle = math.radians(view["turn"])
    sin, cos, proportions = math.sin(angle), math.cos(angle), view.get("proportions", 1.0)
    turn = np.array([[cos, -sin / proportions], [sin * proportions, cos]])  # in the image's own, as in training
    matrix = turn @ np.diag([-1.0 if view["inverted"] else 1.0, -1.0 if view["mirrored"] else 1.0])
    middle = np.array([(rows - 1) / 2, (columns - 1) / 2])
    offset = middle - matrix @ middle - np.array([view["down"] * rows, view["right"] * columns])
    if back:
        matrix = np.linalg.inv(matrix)
        offset = -matrix @ offset
    return matrix, offset
