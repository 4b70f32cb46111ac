"""A map laid over its image, as a picture for a file or a report; the viewer draws its own."""

import io

import numpy as np
from PIL import Image

from core.explain.maps import resize_map
from core.images.render import InputSpec, place_in_square

# Black, purple, red, orange, pale yellow: brightness rises with the value, so it also reads without colour.
RAMP = np.array([[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]], float)
MOST_OPAQUE = 0.6


def crop_borders(values: np.ndarray, rows: int, columns: int, spec: InputSpec) -> np.ndarray:
    """The part of a map that lies on the image itself, without the borders that padding added.

    Args:
        values: the map of the square input, any resolution.
        rows, columns: of the image.
    """
    if spec.resize == "stretch":
        return values
    place = place_in_square(rows, columns, spec)
    return resize_map(values, spec.size, spec.size)[place.rows, place.columns]


def draw_overlay(seen: np.ndarray, values: np.ndarray) -> bytes:
    """A PNG of the image's own size; where the map is 0 the image is untouched.

    Args:
        seen: uint8 `(rows, columns)` or `(rows, columns, 3)`, as `core.images.render.to_uint8` gives it.
        values: the map on the image, 0 to 1, any resolution.
    """
    colour = np.repeat(seen[..., None], 3, axis=2) if seen.ndim == 2 else seen
    map_values = np.clip(resize_map(values, *seen.shape[:2]), 0.0, 1.0)
    stops = np.linspace(0, 1, len(RAMP))
    heat = np.stack([np.interp(map_values, stops, RAMP[:, channel]) for channel in range(3)], axis=-1)
    opacity = map_values[..., None] * MOST_OPAQUE
    mixed = np.rint(colour * (1 - opacity) + heat * opacity).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(mixed).save(buffer, "PNG")
    return buffer.getvalue()
