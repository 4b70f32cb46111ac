"""Lung nodules: balls of known place, size and density, and how visible each one is."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter

from core.demo.anatomy import Chest, Field, Pose, diaphragm, lung_base, lung_edges

SMALLEST_MM, USUAL_MM, LARGEST_MM = 8.0, 15.5, 21.0  # radius: what some two hundred images can teach a network


@dataclass(frozen=True)
class Nodule:
    """Centre (row, column) and radius in pixels, and its density against soft tissue."""

    row: float
    column: float
    radius_px: float
    density: float


def place_nodules(
    chest: Chest, pose: Pose, field: Field, how_many: int, draw: np.random.Generator
) -> tuple[Nodule, ...]:
    """Nodules of 16 to 42 mm inside the lungs, apart from each other; fewer than asked where they do not fit."""
    placed: list[Nodule] = []
    for _ in range(80):
        if len(placed) == how_many:
            break
        side, across = int(draw.choice([-1, 1])), draw.uniform(0.22, 0.86)
        y = draw.uniform(chest.apex + 0.20, lung_base(chest, pose, side))
        if y > diaphragm(chest, pose, np.array([across]), side)[0] - 0.10:
            continue
        medial, lateral = (edge[0] for edge in lung_edges(chest, pose, np.array([y]), side))
        [(column, row)] = field.pixels(np.array([side * (medial + across * (lateral - medial))]), np.array([y]))
        radius = float(np.clip(draw.lognormal(np.log(USUAL_MM), 0.25), SMALLEST_MM, LARGEST_MM)) / field.spacing_mm
        if all(np.hypot(row - n.row, column - n.column) > 1.5 * (radius + n.radius_px) for n in placed):
            placed.append(Nodule(row, column, radius, float(draw.uniform(1.05, 1.4))))
    return tuple(placed)


def nodule_thickness(nodule: Nodule, field: Field, draw: np.random.Generator) -> np.ndarray:
    """Thickness in mm of a slightly lobulated ball, `(rows, columns)`; zero outside it."""
    thickness = np.zeros((field.rows, field.columns), np.float32)
    reach = int(nodule.radius_px * 1.4) + 2
    top, left = max(int(nodule.row) - reach, 0), max(int(nodule.column) - reach, 0)
    rows, columns = np.mgrid[
        top : min(int(nodule.row) + reach, field.rows), left : min(int(nodule.column) + reach, field.columns)
    ]
    down, right = rows - nodule.row, columns - nodule.column
    angle = np.arctan2(down, right)
    edge = np.ones_like(angle)
    for lobes in (2, 3, 5):
        edge += draw.normal(0, 0.035) * np.cos(lobes * angle + draw.uniform(0, 2 * np.pi))
    inside = 1 - (down**2 + right**2) / (nodule.radius_px * edge) ** 2
    thickness[rows, columns] = 2 * nodule.radius_px * field.spacing_mm * np.maximum(inside, 0) ** 0.5
    return thickness


def visibility(nodule: Nodule, shadow: np.ndarray, seen: np.ndarray, field: Field) -> float:
    """Contrast of a nodule over the unrest of its surroundings, times the root of its area in square mm.

    This is Rose's signal-to-noise ratio (J Opt Soc Am 1948) with anatomy as the noise, which in chest images
    hides nodules far more than photons do (Samei et al., Radiology 1999).

    Args:
        shadow: what the nodule adds to `seen`, `(rows, columns)`.
        seen: the image without the nodule.
    """
    reach = int(nodule.radius_px * 2.5)
    row, column = int(nodule.row), int(nodule.column)
    around = np.s_[max(row - reach, 0) : row + reach, max(column - reach, 0) : column + reach]
    inside = shadow[around] > 0
    # Unrest at the nodule's own scale: how much means over areas of its size differ from place to place.
    smooth = uniform_filter(seen[around], max(3, int(nodule.radius_px)))
    slope = np.polyfit(np.arange(smooth.size) % smooth.shape[1], smooth.ravel(), 1)
    unrest = float(np.std(smooth.ravel() - np.polyval(slope, np.arange(smooth.size) % smooth.shape[1])))
    area = inside.sum() * field.spacing_mm**2
    return float(shadow[around][inside].mean() / (unrest + 0.01) * np.sqrt(area))
