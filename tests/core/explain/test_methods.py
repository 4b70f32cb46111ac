"""Each method against its published formula, written down plainly, and on an object that was planted."""

from itertools import combinations
from math import factorial

import keras
import numpy as np
import pytest
import tensorflow as tf

from core.errors import InvalidInput
from core.explain.asking import answer_of
from core.explain.building import build_asking, build_slopes, layer_kind
from core.explain.checks import pointing_game
from core.explain.integrated_gradients import IntegratedGradients
from core.explain.kernel_shap import KernelShap, draw_coalitions, solve_shapley
from core.explain.lime import Lime, fit_near
from core.explain.maps import blurred, strength_of
from core.explain.methods import METHODS, method_named
from core.explain.occlusion import Occlusion, squares_over
from core.explain.rise import Rise, random_masks
from core.explain.superpixels import superpixels

LAYER = "stage_2"


@pytest.fixture(scope="module")
def answer(finder):
    return answer_of(finder)


def features_and_slopes(network, image: np.ndarray, class_index: int) -> tuple[np.ndarray, np.ndarray]:
    parts = keras.Model(network.input, [network.get_layer(LAYER).output, network.get_layer("logits").output])
    with tf.GradientTape() as tape:
        features, logits = parts(image[None])
        spoken = logits[0, class_index]
    return features[0].numpy(), tape.gradient(spoken, features)[0].numpy()


def by_hand(name: str, features: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """The formulas as the papers print them, place by place and channel by channel."""
    found = np.zeros(features.shape[:2])
    for channel in range(features.shape[-1]):
        values, slope = features[..., channel], slopes[..., channel]
        if name == "layer_cam":
            found += np.maximum(slope, 0) * values
            continue
        weight = 0.0
        for at in np.ndindex(slope.shape):
            below = 2 * slope[at] ** 2 + values.sum() * slope[at] ** 3
            weight += (slope[at] ** 2 / below if below else 0.0) * max(slope[at], 0)
        found += weight * values
    found = np.maximum(found, 0)
    return found / found.max()


@pytest.mark.parametrize("name", ["grad_cam_pp", "layer_cam"])
def test_the_compiled_map_is_the_published_formula(finder, squares, name: str) -> None:
    images = squares[0][:2]
    maps, _ = layer_kind(METHODS[name])(finder, LAYER, "logits").explain(images, np.ones(2, int))
    for image, values in zip(images, maps, strict=True):
        np.testing.assert_allclose(values, by_hand(name, *features_and_slopes(finder, image, 1)), atol=2e-3)


def test_the_parts_of_integrated_gradients_sum_to_the_difference(finder, squares) -> None:
    tool = IntegratedGradients(finder, "logits")
    raw = keras.Model(finder.input, finder.get_layer("logits").output)
    for image in squares[0][:3]:
        parts, gap = tool.attribute(image, 1)
        with_it, without = np.asarray(raw(np.stack([image, blurred(image)])))[:, 1]
        assert parts.sum() == pytest.approx(with_it - without, rel=0.01)
        assert gap <= 0.01


def test_occlusion_is_what_each_square_takes_away(finder, squares, answer) -> None:
    image = squares[0][0]
    hidden, size = blurred(image), len(image)
    whole = strength_of(np.asarray(finder(image[None])), np.array([1]), is_number=False)[0]
    total, times = np.zeros((size, size)), np.zeros((size, size))
    for place in squares_over(size, size):
        changed = image.copy()
        changed[place] = hidden[place]
        fall = whole - strength_of(answer(changed[None]), np.array([1]), is_number=False)[0]
        total[place] += fall
        times[place] += 1
    assert (times > 0).all()
    np.testing.assert_allclose(Occlusion(answer, is_number=False).attribute(image, 1), total / times, atol=1e-3)


def shapley_by_hand(worth: dict[frozenset, float], n: int) -> list[float]:
    values = []
    for player in range(n):
        others = [other for other in range(n) if other != player]
        values.append(
            sum(
                factorial(size) * factorial(n - size - 1) / factorial(n)
                * (worth[frozenset({*group, player})] - worth[frozenset(group)])
                for size in range(n)
                for group in combinations(others, size)
            )
        )  # fmt: skip
    return values


def test_kernel_shap_gives_the_exact_values_where_all_coalitions_are_asked() -> None:
    random = np.random.default_rng(3)
    worth = {frozenset(group): random.normal() for size in range(6) for group in combinations(range(5), size)}
    coalitions, weights = draw_coalitions(5, 100, 0)
    assert len(coalitions) == 30
    spoken = np.array([worth[frozenset(np.flatnonzero(row))] for row in coalitions])
    values = solve_shapley(coalitions, weights, spoken, worth[frozenset()], worth[frozenset(range(5))])
    np.testing.assert_allclose(values, shapley_by_hand(worth, 5), atol=1e-9)


def test_drawn_coalitions_come_near_the_exact_values_and_sum_exactly() -> None:
    random = np.random.default_rng(4)
    alone, pairs = random.normal(size=12), np.triu(random.normal(size=(12, 12)), 1) / 4

    def worth(rows: np.ndarray) -> np.ndarray:
        return rows @ alone + np.einsum("ni,ij,nj->n", rows, pairs, rows)

    coalitions, weights = draw_coalitions(12, 2000, 0)
    assert len(coalitions) == 2000
    whole = float(worth(np.ones((1, 12)))[0])
    values = solve_shapley(coalitions, weights, worth(coalitions), 0.0, whole)
    exact = alone + (pairs.sum(axis=0) + pairs.sum(axis=1)) / 2  # a pair's gain is shared by halves
    np.testing.assert_allclose(values, exact, atol=0.1)
    assert values.sum() == pytest.approx(whole)


def test_kernel_shap_on_an_image_sums_to_image_less_blur(squares, answer) -> None:
    image = squares[0][0]
    tool = KernelShap(answer, is_number=False)
    patches = superpixels(image, 3)
    values = tool.values_of(image, patches, 1)
    with_it, without = strength_of(answer(np.stack([image, blurred(image)])), np.ones(2, int), is_number=False)
    assert values.sum() == pytest.approx(with_it - without)


def test_lime_is_a_ridge_regression_on_what_was_seen() -> None:
    random = np.random.default_rng(5)
    seen = random.integers(0, 2, (4000, 6))
    true = np.array([3.0, 0, -2, 0, 0.5, 0])
    np.testing.assert_allclose(fit_near(seen, seen @ true + 1), true, atol=0.05)


def test_rise_marks_the_cell_that_alone_speaks() -> None:
    def answer(images: np.ndarray) -> np.ndarray:
        bright = images[:, 4:8, 16:20].mean(axis=(1, 2, 3)) / 255
        return np.stack([1 - bright, bright], axis=1)

    image = np.zeros((24, 24, 1), np.uint8)
    image[4:8, 16:20] = 255
    found = Rise(answer, is_number=True).attribute(image, 1)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert 3 <= row <= 8
    assert 15 <= column <= 20
    masks = random_masks((24, 24), 0)
    assert np.mean([next(masks).mean() for _ in range(200)]) == pytest.approx(0.5, abs=0.02)


def test_superpixels_follow_an_edge_and_are_counted_without_gaps() -> None:
    image = np.full((28, 28, 1), 30, np.uint8)
    image[:, 13:] = 220
    patches = superpixels(image, 4)
    assert set(np.unique(patches)) == set(range(patches.max() + 1))
    assert not set(np.unique(patches[:, :13])) & set(np.unique(patches[:, 13:]))


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("grad_cam", "lime", "kernel_shap")])
def test_every_method_finds_the_planted_square(finder, squares, answer, name: str) -> None:
    images, masks = (part[:2] for part in squares)
    method = METHODS[name]
    if method.way == "layer":
        tool = layer_kind(method)(finder, LAYER, "logits")
    elif method.way == "slopes":
        tool = build_slopes(method, finder, "logits")
    else:
        tool = build_asking(method, answer, is_number=False)
    maps, scores = tool.explain(images, np.ones(2, int))
    assert maps.min() >= 0
    np.testing.assert_allclose(maps.max(axis=(1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(scores, np.asarray(finder(images)), atol=1e-5)
    assert pointing_game(maps, masks) == 1


@pytest.mark.parametrize("kind", [Lime, KernelShap])
def test_methods_of_superpixels_find_it_and_repeat_themselves(squares, answer, kind) -> None:
    images, masks = (part[:1] for part in squares)
    told = []
    tool = kind(answer, is_number=False, report=told.append)
    maps, _ = tool.explain(images, np.ones(1, int))
    assert pointing_game(maps, masks) == 1
    assert told[-1] == 1
    np.testing.assert_array_equal(tool.explain(images, np.ones(1, int))[0], maps)


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"grad_cam, grad_cam_pp.*Received: tarot"):
        method_named("tarot")
