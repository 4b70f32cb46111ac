"""A map laid over its image, as a picture for a file or a report; the viewer draws its own."""

import io

import numpy as np
from PIL import Image

from core.explain.maps import resize_map
from core.images.render import InputSpec, off_square

# Black, purple, red, orange, pale yellow: brightness rises with the value, so it also reads without colour.
RAMP = np.array([[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]], float)
VIRIDIS = np.array([[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]], float)
MOST_OPAQUE = 0.6


def crop_borders(
    values: np.ndarray, rows: int, columns: int, spec: InputSpec, spacing_mm: tuple[float, float] | None = None
) -> np.ndarray:
    """The part of a map that lies on the image itself, without the borders that padding added, and with 0 where the
    image was cut: of what a network did not see nothing is told.

    Args:
        values: the map of the square input, any resolution.
        rows, columns, spacing_mm: of the image.
    """
    if spec.resize == "stretch":
        return values
    return off_square(resize_map(values, spec.size, spec.size), rows, columns, spec, spacing_mm)


def draw_overlay(seen: np.ndarray, values: np.ndarray, *, ramp: np.ndarray = RAMP) -> bytes:
    """A PNG of the image's own size; where the map is 0 the image is untouched.

    Args:
        seen: uint8 `(rows, columns)` or `(rows, columns, 3)`, as `core.images.render.to_uint8` gives it.
        values: the map on the image, 0 to 1, any resolution.
    """
    return encode_png(lay_over(seen, values, ramp=ramp))


def lay_over(seen: np.ndarray, values: np.ndarray, *, ramp: np.ndarray = RAMP) -> np.ndarray:
    """The same as colours `(rows, columns, 3)`, 0 to 255."""
    colour = np.repeat(seen[..., None], 3, axis=2) if seen.ndim == 2 else seen
    map_values = np.clip(resize_map(values, *seen.shape[:2]), 0.0, 1.0)
    heat = colour_values(map_values, ramp)
    opacity = map_values[..., None] * MOST_OPAQUE
    return np.asarray(colour * (1 - opacity) + heat * opacity)


def draw_map(values: np.ndarray, *, side_px: int = 128, ramp: np.ndarray = VIRIDIS) -> bytes:
    """A PNG of a map alone, 0 to 1."""
    return encode_png(colour_values(np.clip(resize_map(values, side_px, side_px), 0.0, 1.0), ramp))


def colour_values(values: np.ndarray, ramp: np.ndarray) -> np.ndarray:
    """Values of 0 to 1 `(r, c)` as colours `(r, c, 3)`, 0 to 255."""
    stops = np.linspace(0, 1, len(ramp))
    return np.stack([np.interp(values, stops, ramp[:, channel]) for channel in range(3)], axis=-1)


def encode_png(colours: np.ndarray) -> bytes:
    """Colours `(rows, columns, 3)`, 0 to 255, as a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(np.rint(colours).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
