"""Who lies in the beam: the measures of one simulated chest, and where its organs are on the detector.

Coordinates: x from -1 (screen left, the patient's right) to 1, y from 0 (top) to 2.2 (bottom). One unit
is half the field's width, 175 mm at the detector. Thicknesses are in millimetres along the beam.
"""

from dataclasses import dataclass

import numpy as np

UNIT_MM = 175.0
CENTRE = 1.1  # y about which a longer distance shrinks the image


@dataclass(frozen=True)
class Site:
    """A hospital with its scanner: how the same chest looks there."""

    name: str
    scanner: str
    photons: float  # per pixel in the open beam; fewer give a grainier image
    scatter: float  # share of scattered light behind the patient; a good grid keeps it low
    sharpness: float  # blur in pixels at 512
    contrast: float  # exponent of the display curve
    zoom: float  # a longer distance shows more around the chest
    marker: str  # the lead letter and where it lies


SITES = (
    Site("North clinic (simulated)", "Phantom DX-1", 26000, 0.55, 0.7, 1.00, 1.00, "R"),
    Site("South clinic (simulated)", "Phantom DX-2", 13000, 0.75, 0.95, 0.92, 1.06, "L"),
    Site("Mobile unit (simulated)", "Phantom M-4", 7000, 1.05, 1.15, 0.86, 0.97, ""),
)


@dataclass(frozen=True)
class Chest:
    """One patient's measures; every image of the patient shows the same chest in another pose."""

    patient: str
    sex: str
    age: int
    site: Site
    width: float  # half width of the trunk
    depth_mm: float  # thickness of the trunk at its middle
    apex: float  # y of the lung tops
    base: float  # y of the right diaphragm's dome
    lung_width: float  # x of the widest lateral lung edge
    heart: float  # half width of the heart
    aorta: float  # how far the aortic knob stands out
    spine: float  # sideways bend
    shoulders: float  # how steeply they fall away
    left_dome: float  # how much lower the left diaphragm stands than the right
    rib_tilt: float
    rib_density: float
    breast_mm: float
    vessel_seed: int


@dataclass(frozen=True)
class Pose:
    """How the chest stands in one image."""

    shift_x: float
    shift_y: float
    turn: float  # rotation about the long axis: organs in front move sideways
    breath: float  # 0 shallow to 1 deep: the diaphragm's height
    near: float  # a patient further from the detector, or a smaller one, fills more or less of the field
    shutters: tuple[float, float, float, float]  # share of the field that is collimated: left, right, top, bottom
    seed: int


def make_chest(number: int, seed: int) -> Chest:
    """The `number`-th patient of a seed; the same numbers always give the same chest."""
    draw = np.random.default_rng((seed, number))
    sex = str(draw.choice(["F", "M"]))
    age = int(np.clip(draw.normal(58, 16), 19, 92))
    site = SITES[int(draw.choice(len(SITES), p=[0.45, 0.35, 0.2]))]
    man, old = float(sex == "M"), (age - 55) / 40
    width = 0.87 + 0.05 * man + float(np.clip(draw.normal(0, 0.05), -0.10, 0.12))
    return Chest(
        patient=f"PHANTOM-{number:04d}",
        sex=sex,
        age=age,
        site=site,
        width=width,
        depth_mm=205 + 18 * man + float(np.clip(draw.normal(0, 26), -50, 60)),
        apex=0.185 + float(np.clip(draw.normal(0, 0.03), -0.06, 0.07)),
        base=1.37 + 0.03 * man + float(np.clip(draw.normal(0, 0.08), -0.16, 0.16)),
        lung_width=width * (0.81 + float(np.clip(draw.normal(0, 0.03), -0.06, 0.06))),
        heart=0.335 + 0.05 * old + float(np.clip(draw.normal(0, 0.045), -0.08, 0.12)),
        aorta=0.055 + 0.035 * max(old, -0.5) + abs(draw.normal(0, 0.012)),
        spine=draw.normal(0, 0.02),
        shoulders=float(np.clip(draw.normal(0.25, 0.07), 0.10, 0.42)),
        left_dome=float(np.clip(draw.normal(0.055, 0.04), -0.04, 0.15)),
        rib_tilt=0.215 + draw.normal(0, 0.03),
        rib_density=1.0 - 0.25 * max(old, 0) - 0.12 * (1 - man) + draw.normal(0, 0.06),
        breast_mm=0.0 if man else float(np.clip(draw.normal(26, 12), 5, 55)),
        vessel_seed=int(draw.integers(2**31)),
    )


def make_pose(chest: Chest, image: int, seed: int) -> Pose:
    """How the patient stands for their `image`-th radiograph."""
    draw = np.random.default_rng((seed, chest.vessel_seed, image))
    return Pose(
        shift_x=draw.normal(0, 0.035),
        shift_y=draw.normal(0, 0.04),
        turn=draw.normal(0, 0.018),
        breath=float(draw.beta(3, 1.6)),
        near=float(np.clip(draw.normal(1.0, 0.045), 0.9, 1.12)),
        shutters=tuple(float(s) for s in np.clip(draw.normal(-0.01, 0.03, 4), 0, 0.07)),  # type: ignore[arg-type]
        seed=int(draw.integers(2**31)),
    )


ROWS, COLUMNS = 512, 464


@dataclass(frozen=True)
class Field:
    """The detector: where its pixels lie in the chest's coordinates, and back."""

    site: Site
    pose: Pose
    rows: int = ROWS
    columns: int = COLUMNS

    @property
    def zoom(self) -> float:
        """How much of the chest's coordinates one half of the field's width covers."""
        return self.site.zoom * self.pose.near

    @property
    def spacing_mm(self) -> float:
        return 2 * UNIT_MM * self.zoom / self.columns

    @property
    def x(self) -> np.ndarray:
        """`(1, columns)`"""
        across = (np.arange(self.columns, dtype=np.float32) + 0.5) / self.columns * 2 - 1
        return np.asarray(across[None] * self.zoom - self.pose.shift_x)

    @property
    def y(self) -> np.ndarray:
        """`(rows, 1)`"""
        down = (np.arange(self.rows, dtype=np.float32) + 0.5) / self.columns * 2
        return np.asarray((down[:, None] - CENTRE) * self.zoom + CENTRE - self.pose.shift_y)

    def pixels(self, x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
        """Points as (column, row), ready to be drawn: `x` and `y` backwards."""
        across = (x + self.pose.shift_x) / self.zoom
        down = (y + self.pose.shift_y - CENTRE) / self.zoom + CENTRE
        columns, rows = (across + 1) * self.columns / 2 - 0.5, down * self.columns / 2 - 0.5
        return list(zip(columns.tolist(), rows.tolist(), strict=True))


def lung_edges(chest: Chest, pose: Pose, y: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Medial and lateral x of a lung at each height, both positive; side -1 is the right lung (screen left)."""
    down = np.clip((y - chest.apex) / (lung_base(chest, pose, side) + 0.10 - chest.apex), 0, 1.25)
    lateral = np.interp(down, *_curve(LATERAL)) * chest.lung_width
    medial = np.interp(down, *_curve(MEDIAL_RIGHT if side < 0 else MEDIAL_LEFT))
    return medial - side * pose.turn * 0.4, lateral + side * pose.turn * 0.25


def lung_base(chest: Chest, pose: Pose, side: int) -> float:
    """y of the top of the diaphragm; the liver holds the right one higher."""
    return chest.base + 0.14 * pose.breath + (chest.left_dome if side > 0 else 0.0)


def diaphragm(chest: Chest, pose: Pose, across: np.ndarray, side: int) -> np.ndarray:
    """y of the diaphragm at `across`, 0 at the lung's medial and 1 at its lateral edge: a dome, deep at the side."""
    dome = 0.42 if side < 0 else 0.46
    away = np.where(across < dome, (dome - across) / dome * 0.62, (across - dome) / (1 - dome))
    return lung_base(chest, pose, side) + 0.215 * np.abs(away) ** 2.3


# Fractions of the way from the apex to the deepest angle, and how far out the edge lies there.
LATERAL = ((0, 0.33), (0.008, 0.405), (0.025, 0.475), (0.06, 0.565), (0.11, 0.66), (0.18, 0.75), (0.28, 0.84),
           (0.40, 0.905), (0.55, 0.955), (0.75, 0.99), (0.95, 1.0), (1.25, 0.98))  # fmt: skip
MEDIAL_RIGHT = ((0, 0.31), (0.008, 0.235), (0.025, 0.19), (0.06, 0.15), (0.16, 0.115), (0.30, 0.115), (0.50, 0.12),
                (0.75, 0.125), (1.25, 0.13))  # fmt: skip
MEDIAL_LEFT = ((0, 0.31), (0.008, 0.235), (0.025, 0.19), (0.06, 0.15), (0.16, 0.12), (0.30, 0.12), (0.50, 0.13),
               (0.75, 0.14), (1.25, 0.15))  # fmt: skip


def _curve(points: tuple[tuple[float, float], ...]) -> tuple[np.ndarray, np.ndarray]:
    at, value = np.array(points).T
    return at, value
