"""What `auto` sees of volumes, and when it learns structures in 3-D instead of slice by slice."""

import math
from dataclasses import asdict, dataclass
from typing import Any

FEWEST_FRAMES = 8
THICKEST = 3.0  # times as far apart as pixels; beyond it nnU-Net too gives up isotropic patches
LARGE_VOLUME = {"cpu": 8_000_000, "gpu": 200_000_000}  # voxels of which patches show but a small part
SMALL_SHARE = 0.02  # of a volume; what is smaller is well seen in patches centred on it
PATCH_VOXELS = {"cpu": 100_000, "gpu": 2_000_000}
PATCH_STEP = 8  # three halvings
LONGEST_SIDE = 512  # of a patch: no recipe has longer ones
PATCHES = (2, 8)  # of a volume in an epoch
LARGEST_WHOLE = {"cpu": (32, 64), "gpu": (96, 160)}  # frames and side of what is seen whole
MARGIN = 1.1  # around the median volume, for larger ones
WHOLE_BATCH = 4
STEPS_WANTED = {"cpu": 1600, "gpu": 12_000}
BATCH = 2
RATE = 0.004  # a step has hundreds of thousands of answers, so it may be long although its batch is small


@dataclass(frozen=True)
class Volumes:
    """Where all cases are volumes: the median training volume at the median spacing between frames, rows and columns,
    whether that is known, and how much of the training volumes is painted, of the structure that has most."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    spacing_known: bool
    painted_share: float

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "shape": list(self.shape), "spacing_mm": list(self.spacing_mm)}

    def told_shape(self) -> str:
        return " x ".join(map(str, self.shape))

    def told(self) -> str:
        voxels = self.told_shape()
        if not self.spacing_known:
            return f"about {voxels} voxels each, whose spacing no file tells"
        return f"about {voxels} voxels each at {' x '.join(f'{side:g}' for side in self.spacing_mm)} mm"


def choose_whole(volumes: Volumes, device: str, *, keeps_size: bool) -> tuple[dict[str, Any], str]:
    """The input of a network that sees volumes whole; where the answer may hang on size, at one spacing."""
    frames, side = volumes.shape[0], max(volumes.shape[1:])
    depth, size = (
        min(max(PATCH_STEP, math.ceil(length / PATCH_STEP) * PATCH_STEP), most)
        for length, most in zip((frames, side), LARGEST_WHOLE[device], strict=True)
    )
    size = max(16, size)
    values: dict[str, Any] = {"input_depth": depth, "input_size": size, "resize": "stretch"}
    shape = f"Input of {depth} x {size} x {size} voxels"
    if not (keeps_size and volumes.spacing_known):
        return values, f"{shape}: each volume is fitted into it whole; the median one is {volumes.told_shape()}."
    in_plane = max(volumes.spacing_mm[1:]) * max(1.0, side / size) * MARGIN
    along = volumes.spacing_mm[0] * max(1.0, frames / depth) * MARGIN
    values["spacing_mm"] = (round(along, 3), round(in_plane, 3), round(in_plane, 3))
    return values, (
        f"{shape} at {' x '.join(f'{side:g}' for side in values['spacing_mm'])} mm, in which the median volume has its "
        f"place: all at one spacing, because the number may hang on size."
    )


def why_not_in_3d(volumes: Volumes | None, device: str) -> str | None:
    """The reason to learn slice by slice; None where structures are better learnt in 3-D."""
    if volumes is None:
        return "not all cases are volumes"
    frames, spacing = volumes.shape[0], volumes.spacing_mm
    if frames < FEWEST_FRAMES:
        return f"{frames} frames (median) are too few to look along"
    thick = spacing[0] / math.sqrt(spacing[1] * spacing[2])
    if thick > THICKEST:
        return f"frames lie {thick:.1f} times as far apart as pixels (median), so that neighbours have little in common"
    voxels = math.prod(volumes.shape)
    if voxels > LARGE_VOLUME[device] and volumes.painted_share > SMALL_SHARE:
        return (
            f"structures that fill {volumes.painted_share:.0%} of {voxels / 1e6:.0f} million voxels would be seen only "
            f"in small parts on a {device.upper()}"
        )
    return None


def choose_patches(volumes: Volumes, device: str) -> tuple[dict[str, Any], str]:
    """Patches as large as the median volume, or with its proportions as large as a step can take."""
    sides = [max(FEWEST_FRAMES, math.ceil(side / PATCH_STEP) * PATCH_STEP) for side in volumes.shape]
    whole = math.prod(sides) <= PATCH_VOXELS[device] and max(sides) <= LONGEST_SIDE
    while max(sides) > LONGEST_SIDE or (math.prod(sides) > PATCH_VOXELS[device] and max(sides) > PATCH_STEP):
        sides[sides.index(max(sides))] -= PATCH_STEP
    few, many = PATCHES
    patches = min(max(few, round(math.prod(volumes.shape) / math.prod(sides))), many)
    values = {
        "patch_size": tuple(sides),
        "patches": patches,
        "painted_share": 0.5,
        "spacing_mm": volumes.spacing_mm,
    }
    why = "which hold a volume whole" if whole else f"as large as a step can take on a {device.upper()}"
    where = f"at {' x '.join(f'{side:g}' for side in volumes.spacing_mm)} mm, the median of the training volumes"
    if not volumes.spacing_known:
        where = "voxels as they are, because no file tells their spacing"
    return values, (
        f"Patches of {' x '.join(map(str, sides))} voxels, {why}, {where}; {patches} of each volume in an epoch, half "
        f"of them centred on what is painted."
    )
