"""Numbers against independent references, to 1e-9, on whatever cases hypothesis finds: scikit-learn, SciPy, or the
definition written out."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import linalg, ndimage
from sklearn import metrics as sk

from core.measures.classification import measure_classification
from core.measures.drawing import Seen, frechet_distance, measure_drawn
from core.measures.regression import LIMITS_OF_AGREEMENT, measure_regression
from core.measures.segmentation import compare_masks

EXACT = 1e-9
FEW = 5  # resamples: these tests are about the values

pairs_of_masks = array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=7).flatmap(
    lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape))
)


def surface_of(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(np.pad(mask, 1))[(slice(1, -1),) * mask.ndim]


@given(pairs_of_masks, st.floats(0.2, 4.0), st.lists(st.floats(0.3, 5.0), min_size=3, max_size=3))
@settings(max_examples=80, deadline=None)
def test_overlap_and_distances_of_masks_are_those_of_scikit_learn_and_of_distance_maps(masks, tolerance, steps):
    one, other = masks
    spacing = tuple(steps[: one.ndim])
    found = compare_masks(one, other, spacing, tolerance=tolerance)
    if not one.any():
        assert math.isnan(found.dice)
        assert math.isnan(found.hd95)
        return
    assert found.dice == pytest.approx(sk.f1_score(one.ravel(), other.ravel(), zero_division=0), abs=EXACT)
    assert found.iou == pytest.approx(sk.jaccard_score(one.ravel(), other.ravel(), zero_division=0), abs=EXACT)
    if not other.any():
        assert math.isnan(found.hd95)
        assert found.surface_dice == 0
        return
    edges = [surface_of(one), surface_of(other)]
    there, back = (
        ndimage.distance_transform_edt(~edges[1 - at], sampling=spacing)[edges[at]] for at in (0, 1)
    )  # fmt: skip
    assert found.hd95 == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), abs=EXACT)
    both = np.concatenate([there, back])
    if np.abs(both - tolerance).min() > EXACT:  # on the very tolerance the last digit decides
        assert found.surface_dice == pytest.approx((both <= tolerance).mean(), abs=EXACT)


@given(st.integers(0, 10**6), st.integers(2, 60), st.floats(0.1, 50), st.floats(0.0, 20))
@settings(max_examples=30, deadline=None)
def test_errors_of_numbers_are_those_of_scikit_learn_and_of_bland_and_altman(seed, n, noise, half_width):
    random = np.random.default_rng(seed)
    targets = random.normal(70, 15, n)
    said = targets + random.normal(1, noise, n)
    found = measure_regression(
        targets, said, [str(k // 2) for k in range(n)], half_width=half_width, resamples=FEW
    ).metrics
    apart = [b - a for a, b in zip(targets.tolist(), said.tolist(), strict=True)]
    mean = math.fsum(apart) / n
    spread = math.sqrt(math.fsum((one - mean) ** 2 for one in apart) / (n - 1))
    expected = {
        "mae": sk.mean_absolute_error(targets, said),
        "rmse": sk.root_mean_squared_error(targets, said),
        "r2": sk.r2_score(targets, said),
        "bias": mean,
        "limit_low": mean - LIMITS_OF_AGREEMENT * spread,
        "limit_high": mean + LIMITS_OF_AGREEMENT * spread,
        "coverage": sum(abs(one) <= half_width for one in apart) / n,
    }
    assert {name: one.value for name, one in found.items()} == pytest.approx(expected, abs=EXACT, rel=EXACT)


def classified(seed: int, n: int, classes: int, *, multi_label: bool) -> tuple[np.ndarray, np.ndarray]:
    """Targets in which each class occurs and is absent, and scores with ties."""
    random = np.random.default_rng(seed)
    each = np.eye(classes, dtype=int)
    if multi_label:
        targets = np.concatenate([each, random.integers(0, 2, (n, classes))])
        return targets, random.random(targets.shape).round(2)
    targets = each[np.r_[np.arange(classes), random.integers(0, classes, n)]]
    return targets, random.dirichlet(np.ones(classes), len(targets))


def expect(name: str, targets: np.ndarray, said: np.ndarray, scores: np.ndarray) -> list[float | None]:
    """One number of each class by scikit-learn; None where it is a number there that means nothing."""
    found: list[float | None] = []
    for truth, decided, score in zip(targets.T, said.T, scores.T, strict=True):
        if name == "npv":
            found.append(None if decided.all() else sk.precision_score(1 - truth, 1 - decided))
        elif name == "kappa":
            found.append(sk.cohen_kappa_score(truth, decided))
        elif name == "mcc":
            found.append(None if decided.all() or not decided.any() else sk.matthews_corrcoef(truth, decided))
        else:
            found.append(sk.brier_score_loss(truth, score))
    return found


@given(st.integers(0, 10**6), st.integers(4, 60), st.integers(2, 4), st.booleans())
@settings(max_examples=30, deadline=None)
def test_numbers_of_each_class_are_those_of_scikit_learn(seed, n, classes, multi_label):
    targets, scores = classified(seed, n, classes, multi_label=multi_label)
    found = measure_classification(
        targets, scores, [str(k) for k in range(len(targets))], classes=list("abcd")[:classes],
        multi_label=multi_label, resamples=FEW,
    )  # fmt: skip
    said = (scores >= 0.5).astype(int) if multi_label else np.eye(classes, dtype=int)[scores.argmax(axis=1)]
    for name in ("npv", "kappa", "mcc", "brier"):
        expected = expect(name, targets, said, scores)
        assert [found.per_class[one][name].value for one in found.classes] == pytest.approx(expected, abs=EXACT), name
        if multi_label and name in ("kappa", "mcc"):  # of several questions the mean over them, where each has one
            whole = None if None in expected else np.mean(expected)
            assert found.metrics[name].value == pytest.approx(whole, abs=EXACT)
    each = sk.recall_score(1 - targets, 1 - said, average=None, zero_division=0)
    assert found.metrics["specificity_macro"].value == pytest.approx(each.mean(), abs=EXACT)


@given(st.integers(0, 10**6), st.integers(4, 60), st.floats(0.05, 0.95))
@settings(max_examples=40, deadline=None)
def test_beside_a_chosen_threshold_stands_the_accuracy_at_one_half(seed, n, threshold):
    targets, scores = classified(seed, n, 2, multi_label=False)
    found = measure_classification(
        targets, scores, [str(k) for k in range(len(targets))], classes=["well", "ill"],
        thresholds=[1 - threshold, threshold], resamples=FEW,
    ).metrics  # fmt: skip
    truth = targets[:, 1]
    at_half = sk.accuracy_score(truth, scores.argmax(axis=1))
    assert found["accuracy_at_half"].value == pytest.approx(at_half, abs=EXACT)
    assert found["accuracy"].value == pytest.approx(sk.accuracy_score(truth, scores[:, 1] >= threshold), abs=EXACT)


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(20, 60), st.floats(0.5, 3.0))
@settings(max_examples=30, deadline=None)
def test_the_distance_of_drawn_images_is_that_by_the_root_of_a_matrix(seed, d, n, spread):
    """|m - n|^2 + tr(A + B - 2 (A B)^(1/2)), as it is published (doi:10.48550/arXiv.1706.08500)."""
    random = np.random.default_rng(seed)
    real = random.normal(size=(n, d)) @ (np.eye(d) + 0.3 * random.normal(size=(d, d)))
    drawn = random.normal(1, spread, (n + 7, d))
    a, b = (np.atleast_2d(np.cov(one.T)) for one in (real, drawn))
    root = np.atleast_2d(linalg.sqrtm(a @ b)).real
    expected = np.square(real.mean(0) - drawn.mean(0)).sum() + np.trace(a) + np.trace(b) - 2 * np.trace(root)
    assert frechet_distance(real, drawn) == pytest.approx(expected, abs=EXACT, rel=EXACT)


def test_the_distance_of_an_evaluation_is_that_distance() -> None:
    random = np.random.default_rng(0)
    real, drawn = random.normal(size=(30, 3)), random.normal(0.5, 2, (40, 3))
    seen = [Seen(one, *[np.zeros(len(one), bool)] * 3) for one in (real, drawn)]
    told = measure_drawn(*seen, [str(k) for k in range(30)], seed=0)["metrics"]["fid_like"]
    root = linalg.sqrtm(np.cov(real.T) @ np.cov(drawn.T)).real
    expected = np.square(real.mean(0) - drawn.mean(0)).sum() + np.trace(np.cov(real.T) + np.cov(drawn.T) - 2 * root)
    assert told["value"] == pytest.approx(expected, abs=EXACT)
