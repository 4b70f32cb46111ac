"""Ribs, clavicles, shoulder blades and spine as thickness of bone in mm, drawn as outlines with a denser rim."""

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from core.demo.anatomy import Chest, Field, Pose, lung_edges

LEVELS_PER_MM = 8.0  # grey levels of the drawing per mm of bone


def bone_thickness(chest: Chest, pose: Pose, field: Field) -> np.ndarray:
    """All bones of a chest, `(rows, columns)`."""
    back, front, girdle = (Image.new("L", (field.columns, field.rows)) for _ in range(3))
    for side in (-1, 1):
        for number in range(10):
            _draw_rib(back, front, chest, pose, field, side, number)
        _draw_blade(girdle, chest, field, side)
        _draw_clavicle(girdle, chest, pose, field, side)
    _draw_spine(girdle, chest, field)
    drawn = sum(np.asarray(image, np.float32) for image in (back, front, girdle))
    return np.asarray(gaussian_filter(drawn, 0.9) * (chest.rib_density / LEVELS_PER_MM))


def _draw_rib(
    back: Image.Image, front: Image.Image, chest: Chest, pose: Pose, field: Field, side: int, number: int
) -> None:
    """One rib is half an ellipse: from the spine outwards behind, and forwards and down in front."""
    own = np.random.default_rng((chest.vessel_seed, number, side + 1))
    start = chest.apex - 0.075 + 0.126 * number + own.normal(0, 0.005)
    height = chest.rib_tilt * (0.62 + 0.075 * number) + own.normal(0, 0.006)
    wall = lung_edges(chest, pose, np.array([start + height]), side)[1][0] + 0.012
    angle = np.linspace(0.03, 2.55, 46)
    x = side * (0.07 + (wall - 0.07) * np.sin(angle) ** 0.92)
    y = start + height * (1 - np.cos(angle)) - 0.018 * np.sin(2 * angle) + 0.05 * np.clip(angle - 1.6, 0, None) ** 2
    behind = angle <= 1.62
    width = 0.024 + 0.0025 * min(number, 5)
    _draw_band(back, field, x[behind], y[behind], width, rim_mm=5.6, core_mm=3.5)
    # Towards the breastbone the rib turns into cartilage, which is hardly seen.
    fading = np.flatnonzero(~behind)
    for part in np.array_split(fading, 6):
        faded = 1 - max(0.0, (float(angle[part].mean()) - 2.0) / 0.62)
        joined = np.r_[part[0] - 1, part]
        _draw_band(front, field, x[joined], y[joined], width * 1.2, rim_mm=4.6 * faded, core_mm=3.1 * faded)


def _draw_clavicle(image: Image.Image, chest: Chest, pose: Pose, field: Field, side: int) -> None:
    along = np.linspace(0, 1, 24)
    x = side * (0.065 + 0.72 * along) + pose.turn
    y = chest.apex + 0.205 - 0.215 * along**0.75 - 0.035 * np.sin(2 * np.pi * along) + side * pose.turn * 0.8
    width = 0.034 + 0.016 * np.abs(along - 0.45)
    _draw_band(image, field, x, y, width, rim_mm=9.0, core_mm=6.0)


def _draw_blade(image: Image.Image, chest: Chest, field: Field, side: int) -> None:
    """The shoulder blade, turned out of the lungs as far as the patient could, and the head of the arm."""
    edge = chest.lung_width
    corners = ((edge - 0.16, 0.30), (edge - 0.09, 0.62), (edge - 0.01, 0.94), (edge + 0.04, 0.97), (edge + 0.09, 0.62),
               (edge + 0.10, 0.42), (edge - 0.02, 0.28))  # fmt: skip
    outline = _smooth(np.array(corners))
    points = field.pixels(side * outline[:, 0], outline[:, 1])
    pen = ImageDraw.Draw(image)
    pen.polygon(points, fill=_level(1.0), outline=_level(2.8))
    _draw_band(
        image, field, side * np.linspace(edge - 0.14, edge + 0.14, 9), np.linspace(0.40, 0.30, 9), 0.022, 2.6, 2.0
    )
    centre, radius = field.pixels(np.array([side * (edge + 0.20)]), np.array([0.40]))[0], 0.115 * field.columns / 2
    box = (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
    pen.ellipse(box, fill=_level(6), outline=_level(9))


def _draw_spine(image: Image.Image, chest: Chest, field: Field) -> None:
    """Vertebral bodies with their end plates, pedicles and spinous processes."""
    pen = ImageDraw.Draw(image)
    for number in range(-2, 18):
        y = chest.apex - 0.03 + 0.126 * number + 0.0025 * max(number, 0) ** 1.5
        height, half = 0.048 + 0.0012 * max(number, 0), 0.078 + 0.0016 * max(number, 0)
        middle = chest.spine * np.sin((y - 0.2) * 1.9)
        across = middle + half * np.array([-1, -0.88, -1, 1, 0.88, 1])
        down = y + height * np.array([-1, 0, 1, 1, 0, -1])
        outline = field.pixels(across, down)
        pen.polygon(outline, fill=_level(4.6))
        pen.line([*outline, outline[0]], fill=_level(8.0), width=2, joint="curve")
        for side in (-1, 1):
            _ring(pen, field, middle + side * 0.045, y - 0.012, 0.013, 0.018, 8.0, 5.2)
        _ring(pen, field, middle, y + 0.035, 0.009, 0.020, 8.6, 7.4)


def _ring(
    pen: ImageDraw.ImageDraw, field: Field, x: float, y: float, wide: float, high: float, rim_mm: float, core_mm: float
) -> None:
    (left, top), (right, bottom) = field.pixels(np.array([x - wide, x + wide]), np.array([y - high, y + high]))
    pen.ellipse((left, top, right, bottom), fill=_level(core_mm), outline=_level(rim_mm))


def _draw_band(
    image: Image.Image,
    field: Field,
    x: np.ndarray,
    y: np.ndarray,
    half_width: np.ndarray | float,
    rim_mm: float,
    core_mm: float,
) -> None:
    """A tube along a line: dense at its rim, where the beam runs along the cortex."""
    half = np.broadcast_to(half_width, x.shape)
    tangent_x, tangent_y = np.gradient(x), np.gradient(y)
    length = np.hypot(tangent_x, tangent_y)
    normal_x, normal_y = -tangent_y / length, tangent_x / length
    pen = ImageDraw.Draw(image)
    for share, level in ((1.0, rim_mm), (0.66, core_mm)):
        upper = field.pixels(x + share * half * normal_x, y + share * half * normal_y)
        lower = field.pixels(x - share * half * normal_x, y - share * half * normal_y)
        pen.polygon([*upper, *lower[::-1]], fill=_level(level))


def _smooth(corners: np.ndarray, points: int = 40) -> np.ndarray:
    """A closed line through rounded corners."""
    at = np.linspace(0, len(corners), points, endpoint=False)
    nearest = np.floor(at).astype(int)
    share = (at - nearest)[:, None]
    rounded = share * share * (3 - 2 * share)
    line = corners[nearest % len(corners)] * (1 - rounded) + corners[(nearest + 1) % len(corners)] * rounded
    return np.asarray(
        (np.roll(line, 2, 0) + np.roll(line, 1, 0) + line + np.roll(line, -1, 0) + np.roll(line, -2, 0)) / 5
    )


def _level(mm: float) -> int:
    return min(255, max(0, round(mm * LEVELS_PER_MM)))
