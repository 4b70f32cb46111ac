"""What is said of drawn images: distances between two sets, and closeness to what was shown."""

from dataclasses import replace

import numpy as np
import pytest

from core.measures.drawing import Seen, are_copies, close_limit, frechet_distance, measure_drawn, nearest_of


def seen(features: np.ndarray, *, right: float = 1.0, pixels: int = 0, near: int = 0) -> Seen:
    places = np.arange(len(features))
    return Seen(features, places < right * len(features), places < pixels, places < near)


def test_the_distance_of_two_normal_sets_is_that_of_their_means_and_spreads() -> None:
    random = np.random.default_rng(0)
    first = random.normal(0, 1, (20_000, 2))
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-6)
    # (3 - 0)^2 from the means, (2 - 1)^2 from the standard deviations, of the first of two features.
    second = random.normal([3, 0], [2, 1], (20_000, 2))
    assert frechet_distance(first, second) == pytest.approx(10, abs=0.3)
    assert np.isnan(frechet_distance(first[:1], second))


def test_the_nearest_is_found_among_other_patients() -> None:
    known = np.array([[0.0, 0], [0, 1], [0, 5]])
    distances, places = nearest_of(np.array([[0.0, 4.0]]), known)
    assert (distances.tolist(), places.tolist()) == ([1.0], [2])
    patients = np.array([0, 0, 1])
    distances, places = nearest_of(known, known, (patients, patients))
    assert (distances.tolist(), places.tolist()) == ([5.0, 4.0, 4.0], [2, 2, 1])
    assert close_limit(np.array([np.inf, np.inf])) == 0


def test_images_that_two_patients_share_do_not_make_every_copy_unsuspicious() -> None:
    distances = np.array([0.0, 0.01, *np.linspace(2, 3, 98)])
    copies = are_copies(distances, 32 * 32)
    assert copies.tolist() == [True, True] + [False] * 98
    assert close_limit(distances) < 0.1
    assert close_limit(distances, copies) > 2


def test_of_one_patient_it_is_not_told_that_nothing_is_memorised() -> None:
    one = replace(seen(np.random.default_rng(0).normal(size=(10, 3))), comparable=False)
    metrics = measure_drawn(one, one, ["p"] * 10, seed=0)["metrics"]
    for name in ("memorised", "memorised_pixels", "memorised_features", "real_close"):
        assert metrics[name]["value"] is None
        assert "of another patient" in metrics[name]["reason"]
    assert metrics["class_consistency"]["value"] == 1
    assert metrics["fid_like"]["low"] is None, "drawing the only patient again and again says nothing of others"
    assert "at least two patients" in metrics["fid_like"]["note"]


def test_an_image_learnt_by_heart_is_close_by_pixels_and_by_features() -> None:
    features = np.random.default_rng(0).normal(size=(40, 3))
    told = measure_drawn(
        seen(features), seen(features + 1, right=0.5, pixels=20, near=10), [str(at // 2) for at in range(40)], seed=0
    )
    metrics = told["metrics"]
    assert (told["n_cases"], told["n_patients"], told["n_samples"]) == (40, 20, 40)
    assert told["resamples"] == told["fid_like_resamples"] == 200  # the distance alone has a bootstrap
    assert metrics["memorised"]["value"] == 0.25
    assert metrics["memorised_pixels"]["value"] == 0.5
    assert metrics["class_consistency"]["value"] == 0.5
    assert metrics["real_close"]["value"] == 0
    for measure in (metrics["fid_like"], metrics["memorised"], metrics["class_consistency"]):
        assert measure["low"] < measure["value"] < measure["high"]
    assert metrics["fid_like"]["value"] == pytest.approx(3, abs=1e-6)
    assert "40 real and 40 drawn" in metrics["fid_like"]["note"]
