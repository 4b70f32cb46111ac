"""Drawn images: from a stored model, always the same for the same seed, and marked as synthetic in the file itself.

Importing this does not import Keras.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from core.images.synthetic_mark import KEYWORD, SYNTHETIC
from core.training.networks import NETWORKS

AT_ONCE = 32
GAP_PX = 1
ROWS_TOLD = "rows"  # under which a grid keeps the classes of its rows


def draw_images(network: str, drawer: Any, conditions: np.ndarray, *, seed: int, first: int = 0) -> np.ndarray:
    """Images uint8 `(n, size, size, channels)`, one for each condition `(n, k)`.

    The image at a place hangs on the seed, the place and the condition, not on how many are drawn beside it.

    Args:
        network: the name of the network whose `drawer` this is.
        first: the place of the first condition.
    """
    parts = []
    for start in range(0, len(conditions), AT_ONCE):
        some = conditions[start : start + AT_ONCE]
        streams = [np.random.default_rng((seed, first + start + at)) for at in range(len(some))]
        parts.append(NETWORKS[network].draw(drawer, streams, some))
    return np.asarray(np.round(np.clip(np.concatenate(parts), 0, 1) * 255), np.uint8)


def png_of(image: np.ndarray, told: Mapping[str, str]) -> bytes:
    """One drawn image `(rows, columns, channels)` as PNG whose text says that it is synthetic, and `told`."""
    text = PngImagePlugin.PngInfo()
    for key, value in {KEYWORD: SYNTHETIC, "Software": "Readroom", **told}.items():
        text.add_itxt(key, value) if not value.isascii() else text.add_text(key, value)
    stream = io.BytesIO()
    Image.fromarray(picture_of(image)).save(stream, "PNG", pnginfo=text)
    return stream.getvalue()


def picture_of(image: np.ndarray) -> np.ndarray:
    """A drawn image `(rows, columns, channels)` as an import reads its file: grey ones `(rows, columns)`."""
    return image[..., 0] if image.shape[-1] == 1 else image


def grid_png(images: np.ndarray, columns: int, told: Mapping[str, str]) -> bytes:
    """Images side by side, `columns` in a row, as one marked PNG."""
    n, rows, width, channels = images.shape
    lines = -(-n // columns)
    sheet = np.zeros((lines * (rows + GAP_PX) - GAP_PX, columns * (width + GAP_PX) - GAP_PX, channels), np.uint8)
    for at, image in enumerate(images):
        line, column = divmod(at, columns)
        top, left = line * (rows + GAP_PX), column * (width + GAP_PX)
        sheet[top : top + rows, left : left + width] = image
    return png_of(sheet, told)


def sample_path(folder: Path, epoch: int) -> Path:
    """Where the grid of an epoch lies in a job's folder."""
    return folder / "samples" / f"{epoch:05}.png"


def list_samples(folder: Path) -> Sequence[Path]:
    """The grids of a run by epoch."""
    return sorted((folder / "samples").glob("*.png"))


def remove_samples(folder: Path, *, after: int) -> None:
    """Take back the grids of epochs that a kill has undone."""
    for path in list_samples(folder):
        if int(path.stem) > after:
            path.unlink()


def read_rows(grid: bytes) -> str:
    """The classes of a grid's rows from above, as `normal, pneumonia`; "" of one drawn before they were kept."""
    with Image.open(io.BytesIO(grid)) as opened:
        return str(opened.info.get(ROWS_TOLD, ""))
