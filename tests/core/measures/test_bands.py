"""Bands around curves, against a plain loop over scikit-learn's curves of each resample."""

import time

import numpy as np
import pytest
from sklearn import metrics as sk

from core.measures.bands import GRID, curve_bands
from core.measures.intervals import draw_weights
from core.measures.metrics import rank_scores


def drawn(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Truth, scores with ties, and patients of two cases each."""
    random = np.random.default_rng(seed)
    truth = np.arange(n) % 3 == 0
    scores = np.round(truth * 0.3 + random.random(n) * 0.7, 2)
    return truth, scores, [str(k // 2) for k in range(n)]


def test_the_bands_are_the_percentiles_of_scikit_learns_curves() -> None:
    truth, scores, patients = drawn(60)
    found = curve_bands({"ill": rank_scores(truth, scores)}, patients, resamples=200, seed=3)
    sensitivities, precisions = [], []
    for weights in draw_weights(patients, resamples=200, seed=3):
        x, y, _ = sk.roc_curve(truth, scores, sample_weight=weights, drop_intermediate=False)
        # At a step its upper end: the last point with so few false alarms, and the straight line from there.
        last = [np.flatnonzero(x <= at + 1e-12)[-1] for at in GRID]
        sensitivities.append([np.interp(at, x[k:], y[k:]) for at, k in zip(GRID, last, strict=True)])
        precision, recall, _ = sk.precision_recall_curve(truth, scores, sample_weight=weights)
        precision, recall = precision[:-1][::-1], recall[:-1][::-1]  # without the point that is a convention
        precisions.append([precision[np.argmax(recall >= max(at, 1e-9) - 1e-12)] for at in GRID])
    for kind, rows in (("roc", sensitivities), ("precision_recall", precisions)):
        low, high = np.quantile(rows, [0.025, 0.975], axis=0)
        assert found[kind]["ill"]["low"] == pytest.approx(low, abs=1e-5)  # as many digits are kept
        assert found[kind]["ill"]["high"] == pytest.approx(high, abs=1e-5)


def test_a_curve_lies_in_its_band_and_more_patients_make_it_narrower() -> None:
    widths = []
    for n in (60, 600):
        truth, scores, patients = drawn(n)
        found = curve_bands({"ill": rank_scores(truth, scores)}, patients, resamples=300)
        x, y, _ = sk.roc_curve(truth, scores)
        inside = np.interp(GRID[1:-1], x, y)
        low, high = np.array(found["roc"]["ill"]["low"]), np.array(found["roc"]["ill"]["high"])
        assert ((low[1:-1] - 0.02 <= inside) & (inside <= high[1:-1] + 0.02)).all()
        widths.append((high - low).mean())
    assert widths[1] < 0.5 * widths[0]


def test_images_of_one_patient_make_the_band_no_narrower() -> None:
    truth, scores, _ = drawn(80)
    keys = [f"{k:02}" for k in range(80)]
    once = curve_bands({"ill": rank_scores(truth, scores)}, keys, resamples=200)
    fivefold = rank_scores(np.repeat(truth, 5), np.repeat(scores, 5))
    five = curve_bands({"ill": fivefold}, np.repeat(keys, 5).tolist(), resamples=200)
    for end in ("low", "high"):
        assert five["roc"]["ill"][end] == pytest.approx(once["roc"]["ill"][end], abs=1e-5)


def test_there_is_no_band_where_there_is_no_curve_or_one_patient() -> None:
    truth, scores, patients = drawn(20)
    alone = curve_bands({"ill": rank_scores(truth, scores)}, ["one"] * 20, resamples=50)
    assert alone["roc"]["ill"] is alone["precision_recall"]["ill"] is None
    never = curve_bands({"ill": rank_scores(np.zeros(20, bool), scores)}, patients, resamples=50)
    assert never["roc"]["ill"] is never["precision_recall"]["ill"] is None


def test_the_bands_of_ten_thousand_cases_take_seconds() -> None:
    random = np.random.default_rng(0)
    truth = np.arange(10_000) % 2 == 0
    ranking = rank_scores(truth, truth * 0.3 + random.random(10_000))
    began = time.process_time()
    curve_bands({"a": ranking, "b": ranking}, [str(k) for k in range(10_000)])
    assert time.process_time() - began < 20  # of this processor; about two are usual
