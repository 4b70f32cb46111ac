"""Radiograph-like images of computed chests, with nodules whose place is known.

The beam is followed as physics has it: thickness of each tissue, attenuation, scattered light, photon
noise, then the display curve of a scanner. Nothing in them was taken from a patient.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from core.demo.anatomy import Chest, Field, Pose, make_chest, make_pose
from core.demo.bones import bone_thickness
from core.demo.exposure import close_shutters, develop, expose, scatter_contrast, stamp_marker
from core.demo.nodules import Nodule, nodule_thickness, place_nodules, visibility
from core.demo.tissues import AIR, airway_thickness, belly_thickness, heart_share, lung_thickness, trunk_thickness
from core.demo.vessels import lung_texture, vessel_thickness

# Attenuation per mm at about 80 keV (NIST XCOM): water 0.0184, cortical bone about twice that.
MU_SOFT, MU_BONE = 0.0184, 0.036
NODULES, SHARE = (0, 1, 2, 3), (0.5, 0.28, 0.15, 0.07)  # how many nodules an image has, and how often


@dataclass(frozen=True)
class Phantom:
    """One image, and what is known about it."""

    chest: Chest
    image: int  # 1, 2, ... of this patient
    pixels: np.ndarray  # uint16 (rows, columns), MONOCHROME2, 12 bits
    spacing_mm: float  # at the detector
    nodules: tuple[Nodule, ...]
    masks: tuple[np.ndarray, ...]  # bool (rows, columns), one per nodule
    visibility: tuple[float, ...]  # one per nodule, see `core.demo.nodules.visibility`


def make_phantoms(patients: int, *, seed: int) -> Iterator[Phantom]:
    """One to three images of each patient; the same seed always gives the same pixels."""
    for number in range(1, patients + 1):
        chest = make_chest(number, seed)
        draw = np.random.default_rng((seed, number, 1))
        # Most patients keep their state from one image to the next, as in life.
        ill = draw.random() < 0.5
        for image in range(1, int(draw.choice([1, 2, 3], p=[0.62, 0.26, 0.12])) + 1):
            state = ill if draw.random() < 0.9 else not ill
            how_many = int(draw.choice(NODULES[1:], p=np.array(SHARE[1:]) / sum(SHARE[1:]))) if state else 0
            yield make_phantom(chest, image, how_many, seed=seed)


def make_phantom(chest: Chest, image: int, how_many: int, *, seed: int) -> Phantom:
    """One radiograph of a chest with up to `how_many` nodules."""
    pose = make_pose(chest, image, seed)
    field = Field(chest.site, pose)
    draw = np.random.default_rng(pose.seed)
    nodules = place_nodules(chest, pose, field, how_many, draw)
    balls = [MU_SOFT * n.density * nodule_thickness(n, field, draw) for n in nodules]
    clean = attenuate(chest, pose, field)
    attenuation = clean + sum(balls) if balls else clean
    seen = expose(chest.site, attenuation, field, draw)
    left = scatter_contrast(chest.site, clean, field)
    plain = seen - left * (attenuation - clean)
    return Phantom(
        chest=chest,
        image=image,
        pixels=stamp_marker(chest.site, close_shutters(pose, develop(chest.site, seen)), field),
        spacing_mm=field.spacing_mm,
        nodules=nodules,
        masks=tuple(ball > 0 for ball in balls),
        visibility=tuple(visibility(n, left * b, plain, field) for n, b in zip(nodules, balls, strict=True)),
    )


def attenuate(chest: Chest, pose: Pose, field: Field) -> np.ndarray:
    """The attenuation of a chest without nodules along each ray, `(rows, columns)`."""
    soft, aired = _organs(chest, pose, field)
    markings = vessel_thickness(chest, pose, field) + lung_texture(pose, field)
    soft = soft + markings * np.minimum(aired / 70, 1)
    body = np.clip(soft / 20, 0, 1)  # no bone outside the body
    return np.asarray(MU_SOFT * soft + MU_BONE * bone_thickness(chest, pose, field) * body)


def _organs(chest: Chest, pose: Pose, field: Field) -> tuple[np.ndarray, np.ndarray]:
    """Soft tissue and aired lung in mm, drawn on every second pixel: they hold no finer detail."""
    coarse = replace(field, rows=field.rows // 2, columns=field.columns // 2)
    x, y = coarse.x, coarse.y
    aired = lung_thickness(chest, pose, x, y) * (1 - heart_share(chest, pose, x, y))
    soft = trunk_thickness(chest, x, y) + belly_thickness(chest, pose, x, y) - airway_thickness(chest, pose, x, y)
    soft = np.maximum(soft - AIR * aired, 0)
    size = (field.columns, field.rows)
    full, air = (Image.fromarray(m.astype(np.float32)).resize(size, Image.Resampling.BILINEAR) for m in (soft, aired))
    return np.asarray(full), np.asarray(air)
