"""Thickness of lung and soft tissue along the beam, in mm, as maps over the detector.

Each function takes the chest, the pose and the detector's coordinates `x (1, columns)`, `y (rows, 1)`.
"""

import numpy as np

from core.demo.anatomy import Chest, Pose, diaphragm, lung_base, lung_edges

AIR = 0.74  # share of an inflated lung that is air
CARINA = 0.80  # y where the windpipe divides


def step(distance: np.ndarray, soft: float) -> np.ndarray:
    """0 below, 1 above, smooth over about `soft` to either side."""
    t = np.clip(distance / (2 * soft) + 0.5, 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def dome(inside: np.ndarray, power: float) -> np.ndarray:
    """A rounded thickness from an implicit shape that is 1 at its middle and 0 at its edge."""
    return np.asarray(np.clip(inside, 0, None) ** power)


def front_to_back(chest: Chest, y: np.ndarray) -> np.ndarray:
    """Thickness of the trunk in mm at each height: shallow at the lung tops, deepest at the heart."""
    return np.asarray(chest.depth_mm * (0.46 + 0.46 * step(y - 0.55, 0.50) + 0.10 * np.clip(y - 1.35, 0, 1)))


def lung_thickness(chest: Chest, pose: Pose, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Full in the middle of each lung, thin at the edges, thinning out behind the diaphragm."""
    total = np.zeros((len(y), x.shape[1]), np.float32)
    for side in (-1, 1):
        medial, lateral = lung_edges(chest, pose, y, side)
        across = (side * x - medial) / (lateral - medial)
        depth = dome(4 * across * (1 - across), 0.36)
        above = diaphragm(chest, pose, np.clip(across, 0, 1), side) - y
        # The back of the lung reaches below the dome: a little lung is seen through the liver.
        seen = np.maximum(step(above, 0.007), 0.13 * step(above + 0.10, 0.10))
        top = step(y - chest.apex, 0.035)
        total += depth * seen * top
    return np.asarray(total * (0.74 * front_to_back(chest, y)))


def trunk_thickness(chest: Chest, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The body without its organs: neck, shoulders, chest wall and breasts."""
    out = np.abs(x)
    shoulder = -0.02 + chest.shoulders * np.clip((out - 0.26) / 0.74, 0, 1) ** 1.6
    half = chest.width + 0.24 * step(0.66 - y, 0.42) + 0.03 * np.clip(y - 1.5, 0, 1)
    body = dome(1 - (out / half) ** 2, 0.33) * front_to_back(chest, y) * step(y - shoulder, 0.06)
    neck = 105 * dome(1 - (out / 0.29) ** 2, 0.5) * step(0.35 - y, 0.25)
    muscle = 20 * np.exp(-(((out - 0.80) / 0.18) ** 2)) * np.exp(-(((y - 0.62) / 0.34) ** 2)) * np.clip(body / 40, 0, 1)
    return np.asarray(np.maximum(body, neck) + muscle + _breasts(chest, x, y))


def _breasts(chest: Chest, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    total = np.zeros((len(y), x.shape[1]))
    if chest.breast_mm:
        for side in (-1, 1):
            inside = 1 - ((side * x - 0.52) / 0.35) ** 2 - ((y - 1.20) / 0.34) ** 2
            total += chest.breast_mm * dome(inside, 0.6) * (0.35 + 0.65 * step(y - 1.18, 0.22))
    return total


def heart_share(chest: Chest, pose: Pose, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How much of the lung in the beam is replaced by heart and great vessels, 0 to 1."""
    low = lung_base(chest, pose, 1)
    across, down = x - 0.125 - 1.3 * pose.turn, y - low + 0.235
    along, beside = across * 0.87 + down * 0.49, -across * 0.49 + down * 0.87
    # The upper border is cut off smoothly, or the chamber would look like a ball.
    left = 1 - (along / (chest.heart + 0.075)) ** 2 - (beside / (chest.heart * 0.88)) ** 2
    right = 1 - ((x + 0.05 - pose.turn) / 0.185) ** 2 - ((y - low + 0.21) / 0.27) ** 2
    cava = (1 - ((x + 0.075 - pose.turn) / 0.078) ** 2) * step(y - 0.42, 0.12) * step(1.15 - y, 0.10)
    knob = 1 - ((x - 0.065 - chest.aorta - pose.turn) / 0.10) ** 2 - ((y - 0.64) / 0.11) ** 2
    trunk = 1 - ((x - 0.115 - pose.turn) / 0.115) ** 2 - ((y - 0.85) / 0.17) ** 2
    aorta = np.exp(-(((x - 0.115 - chest.aorta * 0.5) / 0.05) ** 2)) * step(y - 0.62, 0.05)
    hila = sum(
        0.38 * np.exp(-(((side * x - 0.185) / 0.06) ** 2) - ((y - at) / 0.10) ** 2)
        for side, at in ((-1, 0.94), (1, 0.90))
    )
    shares = (0.98 * dome(left, 0.30), 0.90 * dome(right, 0.32), 0.45 * dome(cava, 0.45), 0.72 * dome(knob, 0.36),
              0.55 * dome(trunk, 0.42), 0.30 * aorta)  # fmt: skip
    share = np.zeros((len(y), x.shape[1]))
    for part in (*shares, hila):
        share = np.maximum(share, part)
    return np.minimum(share, 1.0)


def airway_thickness(chest: Chest, pose: Pose, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The air of the windpipe, pushed aside by an old aorta, and of its two branches."""
    pushed = 0.004 + 0.35 * max(chest.aorta - 0.05, 0) * np.exp(-(((y - 0.62) / 0.16) ** 2))
    pipe = dome(1 - ((x + pushed - pose.turn) / 0.05) ** 2, 0.5) * step(CARINA - y, 0.02)
    branches = np.zeros_like(pipe)
    for side, slope in ((-1, 0.62), (1, 0.95)):
        inside = 1 - ((side * x - (y - CARINA) * slope - 0.012) / 0.032) ** 2
        branches = np.maximum(branches, dome(inside, 0.5) * step(y - CARINA, 0.02) * step(CARINA + 0.17 - y, 0.07))
    return np.asarray(17 * pipe + 11 * branches)


def belly_thickness(chest: Chest, pose: Pose, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Liver and spleen, less the gas of the stomach under the left dome."""
    top = lung_base(chest, pose, 1)
    draw = np.random.default_rng(pose.seed + 1)
    centre, wide, high = draw.uniform(0.32, 0.48), draw.uniform(0.10, 0.19), draw.uniform(0.04, 0.09)
    gas = dome(1 - ((x - centre) / wide) ** 2 - ((y - top - 0.06 - high) / high) ** 2, 0.5)
    return 24 * step(y - top - 0.02, 0.16) - draw.uniform(15, 70) * gas
