"""How well painted masks agree: overlap, surfaces and volumes of each structure, with intervals over patients.

What is counted where nothing is painted:

- A case whose reference is empty has no overlap and no surface to compare. It is left out of Dice, IoU, HD95 and
  surface Dice, and counted apart: how many such cases there are, and in how many the model painted nothing either.
- A case with a reference on which the model painted nothing is missed: Dice, IoU and surface Dice are 0. No distance
  leads to nothing, so it is left out of HD95, and counted.
- Volumes are compared on all cases; relative errors only where the reference is not empty.

Surfaces are the outermost voxels of a mask (those with a neighbour outside, by faces), distances those between voxel
centres. HD95 is the larger of the two directed 95th percentiles (Taha and Hanbury 2015,
doi:10.1186/s12880-015-0068-x); surface Dice is the share of both surfaces that lies within a tolerance of the other
(Nikolov et al. 2021, doi:10.2196/26151), here of voxels, not of areas.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np

from core.errors import InvalidInput
from core.measures.estimates import Estimate, estimate_of, estimates_json
from core.measures.intervals import LEVEL, RESAMPLES, patient_bootstrap
from core.measures.metrics import ratio

TOLERANCE = 1.0  # of surface Dice, in mm, or in pixels where no distance is known
HAUSDORFF_PERCENT = 95
Unit = Literal["mm", "px"]
METRICS = ("dice", "iou", "hd95_mm", "hd95_px", "surface_dice", "volume_bias_ml", "volume_error_percent")
NO_DISTANCE = "The distance between pixels is not known."
NO_VOLUME = "Volumes are of images with several slices at known distances."
NOTHING_PAINTED = "No reference has anything painted."
NOTHING_FOUND = "Nothing was painted on any case whose reference has something, so no distance leads anywhere."


@dataclass(frozen=True)
class Compared:
    """One structure on one case; NaN where a number is not defined. Volumes are NaN where they are not known."""

    dice: float
    iou: float
    hd95: float  # in the unit of the spacing
    surface_dice: float
    reference_pixels: int
    predicted_pixels: int
    reference_ml: float = np.nan
    predicted_ml: float = np.nan

    def without_distances(self) -> "Compared":
        """The same where the distance between pixels is not known, or is in another unit than that of other cases."""
        return replace(self, hd95=np.nan, surface_dice=np.nan)


@dataclass(frozen=True)
class SegmentationMeasures:
    """What one set of cases says about one model: the mean over structures, and each structure by itself.

    `counts` holds for each structure `painted` and `empty` references, `left_empty` (of the empty ones, rightly) and
    `missed` (of the painted ones).
    """

    n_cases: int
    n_patients: int
    metrics: dict[str, Estimate]
    per_structure: dict[str, dict[str, Estimate]]
    counts: dict[str, dict[str, int]]
    unit: Unit
    tolerance: float
    level: float
    resamples: int
    seed: int

    def to_json(self) -> dict[str, object]:
        """JSON values only; the names are those of `evaluate --json`."""
        told = {name: estimates_json(found) for name, found in self.per_structure.items()}
        return asdict(self) | {"metrics": estimates_json(self.metrics), "per_structure": told}


def compare_masks(
    reference: np.ndarray,
    predicted: np.ndarray,
    spacing: Sequence[float],
    *,
    tolerance: float = TOLERANCE,
    voxel_ml: float | None = None,
) -> Compared:
    """Two masks of one structure on one case.

    Args:
        reference, predicted: of one shape; what is not 0 is painted.
        spacing: the distance between voxels along each axis, in mm or in pixels.
        voxel_ml: the volume of a voxel, where it is known.

    Raises:
        InvalidInput: the shapes differ, or a distance is not above 0.
    """
    reference, predicted = np.asarray(reference) != 0, np.asarray(predicted) != 0
    if reference.shape != predicted.shape or reference.ndim != len(spacing) or not min(spacing, default=0) > 0:
        raise InvalidInput(
            f"Two masks are compared on one grid with a distance along each axis. "
            f"Received: {reference.shape}, {predicted.shape}, spacing {tuple(spacing)}"
        )
    n_reference, n_predicted = int(reference.sum()), int(predicted.sum())
    volumes = (np.nan, np.nan) if voxel_ml is None else (n_reference * voxel_ml, n_predicted * voxel_ml)
    if not n_reference:
        return Compared(np.nan, np.nan, np.nan, np.nan, 0, n_predicted, *volumes)
    if not n_predicted:
        return Compared(0.0, 0.0, np.nan, 0.0, n_reference, 0, *volumes)
    both = int((reference & predicted).sum())
    there, back = surface_distances(reference, predicted, spacing)
    near = int((there <= tolerance).sum()) + int((back <= tolerance).sum())
    return Compared(
        dice=2 * both / (n_reference + n_predicted),
        iou=both / (n_reference + n_predicted - both),
        hd95=float(max(np.percentile(there, HAUSDORFF_PERCENT), np.percentile(back, HAUSDORFF_PERCENT))),
        surface_dice=near / (len(there) + len(back)),
        reference_pixels=n_reference,
        predicted_pixels=n_predicted,
        reference_ml=volumes[0],
        predicted_ml=volumes[1],
    )


def surface_distances(one: np.ndarray, other: np.ndarray, spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """From each surface voxel of a mask to the nearest one of the other mask, and back; neither mask is empty."""
    from scipy.ndimage import binary_erosion  # imported where it computes, as in `calibration`
    from scipy.spatial import cKDTree

    around = _box_of(one | other)
    points = []
    for mask in (one[around], other[around]):
        # Beyond the end of the image there is nothing: what touches it has its surface there.
        points.append(np.argwhere(mask & ~binary_erosion(mask, border_value=0)) * np.asarray(spacing, float))
    # A tree of the surface takes memory by the surface; a map of distances would take it by the volume around it.
    there, back = (cKDTree(points[at]).query(points[1 - at])[0] for at in (1, 0))
    return there, back


def measure_segmentation(
    compared: Sequence[Sequence[Compared]],
    patients: Sequence[str],
    *,
    structures: Sequence[str],
    unit: Unit,
    tolerance: float = TOLERANCE,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> SegmentationMeasures:
    """Means over cases, of each structure and of all structures together, which count the same.

    Args:
        compared: for each case one `Compared` for each structure.
        patients: one key per case.
        unit: of distances and of the tolerance.

    Raises:
        InvalidInput: no cases, or not one comparison for each case and structure.
    """
    if not len(compared):
        raise InvalidInput("Evaluation needs at least one case with a reference mask. Received: none")
    if len(compared) != len(patients) or any(len(row) != len(structures) for row in compared):
        raise InvalidInput(
            f"Each of {len(patients)} cases needs a comparison of {', '.join(structures)}. "
            f"Received: {len(compared)} cases"
        )
    values = _values(compared, unit)

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        return _means(values, structures, weights)

    found = measure(np.ones((1, len(patients))))
    intervals = patient_bootstrap(measure, patients, resamples=resamples, level=level, seed=seed)
    by_structure = {one: [row[at] for row in compared] for at, one in enumerate(structures)}
    every = [one for row in compared for one in row]

    def estimated(name: str) -> Estimate:
        structure, _, metric = name.rpartition("|")
        why = _why_undefined(metric, by_structure.get(structure, every), unit)
        return estimate_of(float(found[name][0]), intervals[name], undefined=why)

    estimates = {name: estimated(name) for name in found}
    shown = [name for name in METRICS if name != ("hd95_px" if unit == "mm" else "")]
    return SegmentationMeasures(
        n_cases=len(patients),
        n_patients=len(set(patients)),
        metrics={name: estimates[name] for name in shown},
        per_structure={one: {name: estimates[f"{one}|{name}"] for name in shown} for one in structures},
        counts={one: _count(cases) for one, cases in by_structure.items()},
        unit=unit,
        tolerance=tolerance,
        level=level,
        resamples=resamples,
        seed=seed,
    )


def _box_of(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box around what is painted: distances between what lies in it do not need the rest."""
    box = []
    for axis in range(mask.ndim):
        along = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        box.append(slice(int(along[0]), int(along[-1]) + 1))
    return tuple(box)


def _values(compared: Sequence[Sequence[Compared]], unit: Unit) -> dict[str, np.ndarray]:
    """Each metric as `(cases, structures)`, NaN where it is not defined."""

    def table(name: str) -> np.ndarray:
        return np.array([[float(getattr(one, name)) for one in row] for row in compared])

    reference, predicted = table("reference_ml"), table("predicted_ml")
    nowhere = np.full(reference.shape, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(reference > 0, 100 * np.abs(predicted - reference) / reference, np.nan)
    return {
        "dice": table("dice"),
        "iou": table("iou"),
        "hd95_mm": table("hd95") if unit == "mm" else nowhere,
        "hd95_px": table("hd95") if unit == "px" else nowhere,
        "surface_dice": table("surface_dice"),
        "volume_bias_ml": predicted - reference,
        "volume_error_percent": relative,
    }


def _means(values: Mapping[str, np.ndarray], structures: Sequence[str], weights: np.ndarray) -> dict[str, np.ndarray]:
    """Each metric `(resamples,)` under case weights `(resamples, cases)`, by name and by `structure|name`.

    The mean is over the structures that have the metric on some case, so that a resample that has lost one of them is
    undefined instead of a mean over something else.
    """
    told = {}
    for name, table in values.items():
        known = ~np.isnan(table)
        each = ratio(weights @ np.nan_to_num(table), weights @ known)  # (resamples, structures)
        kept = known.any(axis=0)
        told[name] = each[:, kept].mean(axis=1) if kept.any() else np.full(len(weights), np.nan)
        told |= {f"{one}|{name}": each[:, at] for at, one in enumerate(structures)}
    return told


def _why_undefined(metric: str, compared: Sequence[Compared], unit: Unit) -> str:
    """Why a metric has no number on any of these, where it has none."""
    painted = [one for one in compared if one.reference_pixels]
    if metric.startswith("volume_") and all(np.isnan(one.reference_ml) for one in compared):
        return NO_VOLUME
    if metric == "hd95_mm" and unit == "px":
        return NO_DISTANCE
    if painted and metric in ("hd95_mm", "hd95_px", "surface_dice"):
        # A mask that was missed has a surface Dice, of 0, wherever distances are known.
        return NO_DISTANCE if all(np.isnan(one.surface_dice) for one in painted) else NOTHING_FOUND
    return NOTHING_PAINTED


def _count(compared: Sequence[Compared]) -> dict[str, int]:
    painted = [one for one in compared if one.reference_pixels]
    return {
        "painted": len(painted),
        "missed": sum(not one.predicted_pixels for one in painted),
        "empty": len(compared) - len(painted),
        "left_empty": sum(not (one.reference_pixels or one.predicted_pixels) for one in compared),
    }
