"""Agreement of masks against shapes whose numbers are known, and against every pair of surface voxels."""

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score

from core.errors import InvalidInput
from core.measures.segmentation import (
    NO_DISTANCE,
    NO_VOLUME,
    NOTHING_FOUND,
    NOTHING_PAINTED,
    Compared,
    Unit,
    compare_masks,
    measure_segmentation,
)


def cube(shape: tuple[int, ...], corner: tuple[int, ...], side: int) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(at, at + side) for at in corner)] = True
    return mask


def test_a_square_that_moved_by_one_pixel_has_the_numbers_it_should() -> None:
    reference, moved = cube((12, 12), (2, 2), 4), cube((12, 12), (2, 3), 4)
    found = compare_masks(reference, moved, (0.5, 2.0), tolerance=1.0)
    assert found.dice == pytest.approx(2 * 12 / 32)
    assert found.iou == pytest.approx(12 / 20)
    assert found.hd95 == pytest.approx(2.0)  # one column further, 2 mm
    assert (found.reference_pixels, found.predicted_pixels) == (16, 16)
    assert math.isnan(found.reference_ml)


def test_the_same_mask_agrees_wholly_also_at_the_edge_of_the_image() -> None:
    corner = cube((6, 6, 6), (0, 0, 0), 3)
    found = compare_masks(corner, corner, (1, 1, 1), voxel_ml=0.001)
    assert (found.dice, found.iou, found.hd95, found.surface_dice) == (1, 1, 0, 1)
    assert found.reference_ml == found.predicted_ml == pytest.approx(0.027)


def surface(mask: np.ndarray) -> np.ndarray:
    """Painted voxels with an unpainted neighbour by a face, looked at one by one."""
    padded, found = np.pad(mask, 1), []
    for at in np.argwhere(padded):
        steps = [step * np.eye(mask.ndim, dtype=int)[axis] for axis in range(mask.ndim) for step in (-1, 1)]
        if not all(padded[tuple(at + step)] for step in steps):
            found.append(at)
    return np.array(found)


@pytest.mark.parametrize("shape", [(11, 9), (7, 6, 8)])
def test_distances_are_those_of_every_pair_of_surface_voxels(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(len(shape))
    spacing = (2.5, 0.7, 0.9)[-len(shape) :]
    one, other = random.random(shape) > 0.6, random.random(shape) > 0.7
    ours = compare_masks(one, other, spacing, tolerance=0.8)
    apart = np.linalg.norm((surface(one)[:, None] - surface(other)[None]) * spacing, axis=-1)
    there, back = apart.min(axis=1), apart.min(axis=0)
    assert ours.hd95 == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), abs=1e-9)
    within = (there <= 0.8).sum() + (back <= 0.8).sum()
    assert ours.surface_dice == pytest.approx(within / (len(there) + len(back)), abs=1e-9)
    assert ours.dice == pytest.approx(f1_score(one.ravel(), other.ravel()), abs=1e-9)
    assert ours.iou == pytest.approx(jaccard_score(one.ravel(), other.ravel()), abs=1e-9)


def test_an_empty_reference_has_no_overlap_and_a_missed_one_has_none_of_it() -> None:
    nothing, painted = np.zeros((5, 5)), cube((5, 5), (1, 1), 2)
    empty = compare_masks(nothing, painted, (1, 1))
    assert math.isnan(empty.dice)
    assert math.isnan(empty.surface_dice)
    missed = compare_masks(painted, nothing, (1, 1))
    assert (missed.dice, missed.iou, missed.surface_dice) == (0, 0, 0)
    assert math.isnan(missed.hd95)


def test_masks_of_different_size_are_refused() -> None:
    with pytest.raises(InvalidInput, match="one grid"):
        compare_masks(np.zeros((4, 4)), np.zeros((4, 5)), (1, 1))
    with pytest.raises(InvalidInput, match="distance along each axis"):
        compare_masks(np.zeros((4, 4)), np.zeros((4, 4)), (1, 0))


def said(dice: float, reference: int = 10, predicted: int = 10, **told: float) -> Compared:
    return Compared(dice, dice / 2, 3.0 if dice > 0 else math.nan, dice, reference, predicted, **told)


def test_empty_references_are_counted_apart_and_structures_count_the_same() -> None:
    nan = math.nan
    compared = [
        [said(0.8, reference_ml=2.0, predicted_ml=3.0), said(0.5)],
        [said(0.6, reference_ml=4.0, predicted_ml=4.0), said(nan, 0, 0)],
        [said(0.0, 10, 0, reference_ml=1.0, predicted_ml=0.0), said(nan, 0, 7)],
    ]
    found = measure_segmentation(compared, ["a", "b", "c"], structures=["liver", "lesion"], unit="mm", resamples=200)
    liver, lesion = found.per_structure["liver"], found.per_structure["lesion"]
    assert liver["dice"].value == pytest.approx(1.4 / 3)
    assert lesion["dice"].value == pytest.approx(0.5)
    assert found.metrics["dice"].value == pytest.approx((1.4 / 3 + 0.5) / 2)
    assert liver["hd95_mm"].value == pytest.approx(3.0)  # of the two that were found
    assert liver["volume_bias_ml"].value == pytest.approx(0.0)
    assert liver["volume_error_percent"].value == pytest.approx(50.0)
    assert lesion["volume_bias_ml"].value is None
    assert found.counts["liver"] == {"painted": 3, "missed": 1, "empty": 0, "left_empty": 0}
    assert found.counts["lesion"] == {"painted": 1, "missed": 0, "empty": 2, "left_empty": 1}


def test_the_interval_is_that_of_patients_drawn_with_all_their_cases() -> None:
    """Two patients: a resample has the one, the other, or both, so the interval reaches from mean to mean."""
    compared = [[said(0.9)], [said(0.7)], [said(0.2)]]
    dice = measure_segmentation(compared, ["a", "a", "b"], structures=["cell"], unit="px").metrics["dice"]
    assert dice.value == pytest.approx(0.6)
    assert (dice.low, dice.high) == (pytest.approx(0.2), pytest.approx(0.8))


def test_a_resample_without_a_rare_structure_is_no_mean_over_the_others() -> None:
    """The lesion of one patient is in 63 % of the resamples; in the others the mean would be that of the liver."""
    compared = [[said(0.95), said(0.3) if at == 0 else said(math.nan, 0, 0)] for at in range(40)]
    dice = measure_segmentation(compared, list(map(str, range(40))), structures=["liver", "lesion"], unit="px").metrics[
        "dice"
    ]
    assert (dice.value, dice.low, dice.high) == pytest.approx((0.625, 0.625, 0.625))
    assert 0.3 < dice.undefined_resamples / 2000 < 0.43


def test_without_distances_surfaces_are_told_in_pixels() -> None:
    found = measure_segmentation([[said(0.9)], [said(0.7)]], ["a", "b"], structures=["cell"], unit="px").to_json()
    metrics = found["metrics"]
    assert metrics["hd95_px"]["value"] == pytest.approx(3.0)
    assert metrics["hd95_mm"]["value"] is None
    assert "not known" in metrics["hd95_mm"]["reason"]
    assert "hd95_px" not in measure_segmentation([[said(0.9)]], ["a"], structures=["cell"], unit="mm").metrics


def test_a_number_that_is_undefined_says_why_it_is() -> None:
    def why(*cases: Compared, unit: Unit = "mm") -> dict[str, str]:
        patients = [str(at) for at in range(len(cases))]
        rows = [[one] for one in cases]
        found = measure_segmentation(rows, patients, structures=["cell"], unit=unit, resamples=20)
        assert found.metrics["dice"].reason == found.per_structure["cell"]["dice"].reason
        return {name: one.reason for name, one in found.per_structure["cell"].items() if one.value is None}

    known, volume = {"reference_ml": 1.0, "predicted_ml": 0.0}, ("volume_bias_ml", "volume_error_percent")
    missed, empty = said(0.0, 10, 0), said(math.nan, 0, 3)
    unknown = missed.without_distances()
    assert why(missed, missed) == {"hd95_mm": NOTHING_FOUND, **dict.fromkeys(volume, NO_VOLUME)}
    assert why(missed, unknown, unit="px")["hd95_px"] == NOTHING_FOUND
    no_distance = dict.fromkeys(("hd95_mm", "surface_dice"), NO_DISTANCE)
    assert why(unknown) == {**no_distance, **dict.fromkeys(volume, NO_VOLUME)}
    overlaps = ("dice", "iou", "hd95_mm", "surface_dice")
    assert why(empty) == {**dict.fromkeys(overlaps, NOTHING_PAINTED), **dict.fromkeys(volume, NO_VOLUME)}
    in_ml = replace(empty, reference_ml=0.0, predicted_ml=1.0)
    assert why(in_ml) == dict.fromkeys((*overlaps, "volume_error_percent"), NOTHING_PAINTED)
    assert why(replace(missed, **known)) == {"hd95_mm": NOTHING_FOUND}


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least one case"):
        measure_segmentation([], [], structures=["cell"], unit="px")
    with pytest.raises(InvalidInput, match="needs a comparison"):
        measure_segmentation([[said(0.5)]], ["a"], structures=["cell", "nucleus"], unit="px")
