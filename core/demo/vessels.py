"""The branching vessels of both lungs, as thickness of blood in mm."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from core.demo.anatomy import UNIT_MM, Chest, Field, Pose, lung_base

GENERATIONS = 5
LEVELS_PER_MM = 14.0
FULLNESS = 1.7  # several vessels lie behind one another where one is drawn
HILA = {-1: (0.17, 0.93), 1: (0.17, 0.89)}  # x and y of the root of each lung
# Direction of each main branch in degrees below the horizontal, its length, and its half width.
MAIN = ((-78, 0.22, 0.014), (-55, 0.24, 0.014), (-25, 0.22, 0.011), (5, 0.22, 0.011), (32, 0.26, 0.015),
        (54, 0.30, 0.018), (72, 0.30, 0.018), (86, 0.26, 0.014))  # fmt: skip


@dataclass(frozen=True)
class _Front:
    """The growing ends of all vessels of one generation."""

    x: np.ndarray
    y: np.ndarray
    side: np.ndarray
    direction: np.ndarray  # radians below the horizontal, away from the midline
    length: np.ndarray
    half: np.ndarray


def vessel_thickness(chest: Chest, pose: Pose, field: Field) -> np.ndarray:
    """All vessels of a chest, `(rows, columns)`; the same patient always has the same tree."""
    image = Image.new("L", (field.columns, field.rows))
    pen = ImageDraw.Draw(image)
    draw = np.random.default_rng(chest.vessel_seed)
    pieces = list(_grow(_roots(chest, pose, draw), draw))
    starts = field.pixels(*(np.concatenate([getattr(begin, name) for begin, _ in pieces]) for name in ("x", "y")))
    ends = field.pixels(*(np.concatenate([getattr(end, name) for _, end in pieces]) for name in ("x", "y")))
    halves = np.concatenate([begin.half for begin, _ in pieces])
    # The thick ones last, so that they lie over the thin ones.
    for at in np.argsort(halves).tolist():
        level = min(255, round(2 * halves[at] * UNIT_MM * LEVELS_PER_MM))
        pen.line((*starts[at], *ends[at]), fill=level, width=max(1, round(halves[at] * field.columns)))
    return np.asarray(gaussian_filter(np.asarray(image, np.float32), 0.85) * (FULLNESS / LEVELS_PER_MM))


def lung_texture(pose: Pose, field: Field) -> np.ndarray:
    """The fine structure below what is drawn one by one, in mm, of mean zero."""
    draw = np.random.default_rng(pose.seed + 2)
    texture = np.zeros((field.rows, field.columns), np.float32)
    for shrink, mm in ((2, 2.0), (6, 1.0)):
        grains = draw.standard_normal((field.rows // shrink + 1, field.columns // shrink + 1), dtype=np.float32)
        soft = Image.fromarray(gaussian_filter(grains, 0.9) * (3.2 * mm))
        texture += np.asarray(soft.resize((field.columns, field.rows), Image.Resampling.BICUBIC))
    return texture


def _roots(chest: Chest, pose: Pose, draw: np.random.Generator) -> _Front:
    angles, lengths, halves = (np.tile(column, 2) for column in np.array(MAIN).T)
    side = np.repeat([-1.0, 1.0], len(MAIN))
    x, y = (np.where(side < 0, HILA[-1][axis], HILA[1][axis]) for axis in (0, 1))
    # A deep breath spreads the tree.
    stretch = np.where(side < 0, *[(lung_base(chest, pose, s) - chest.apex) / 1.28 for s in (-1, 1)])
    direction = np.radians(angles + draw.normal(0, 7, len(angles)))
    return _Front(side * x + pose.turn * 0.5, y, side, direction, lengths * stretch, halves)


def _grow(front: _Front, draw: np.random.Generator) -> Iterator[tuple[_Front, _Front]]:
    """The pieces of all vessels: each generation in two slightly bent pieces, then two branches from each end."""
    for _ in range(GENERATIONS + 1):
        n = len(front.x)
        for _ in range(2):
            direction = front.direction + draw.normal(0, 0.13, n)
            end = replace(
                front,
                x=front.x + front.side * np.cos(direction) * front.length / 2,
                y=front.y + np.sin(direction) * front.length / 2,
                direction=direction,
                half=front.half * 0.93,
            )
            yield front, end
            front = end
        bend = draw.choice([-1.0, 1.0], n)
        turn = np.concatenate([bend * draw.uniform(0.15, 0.40, n), -bend * draw.uniform(0.35, 0.75, n)])
        twice = {name: np.tile(getattr(front, name), 2) for name in ("x", "y", "side", "direction", "length", "half")}
        twice["direction"] = twice["direction"] + turn
        twice["length"] = twice["length"] * draw.uniform(0.62, 0.82, 2 * n)
        twice["half"] = twice["half"] * np.repeat([0.84, 0.66], n)
        front = _Front(**twice)
