import numpy as np
import pytest
from scipy.stats import spearmanr

from core.measures.following import follow, predict_from_facts


def collection(n=400):
    """Sites A and B; at B four of five are ill, at A one of five; what the image shows is beside it."""
    random = np.random.default_rng(0)
    site = random.integers(0, 2, n)
    positive = random.random(n) < np.where(site == 1, 0.8, 0.2)
    return site, positive, ["AB"[one] for one in site], np.arange(n) // 2, random


def test_a_site_that_gives_the_class_away_is_found_by_patients_that_were_not_seen():
    site, positive, words, patients, random = collection()
    predicted = predict_from_facts([words], positive, patients)
    assert np.mean(predicted[site == 1]) > 0.7
    assert np.mean(predicted[site == 0]) < 0.3
    noise = predict_from_facts([[str(k) for k in random.integers(0, 5, len(positive))]], positive, patients)
    assert abs(np.mean(noise[positive]) - np.mean(noise[~positive])) < 0.05


def test_too_few_patients_of_one_outcome_give_nothing():
    positive = np.arange(20) < 3
    assert predict_from_facts([["a"] * 20], positive, np.arange(20)) is None


def test_a_score_follows_facts_only_within_an_outcome():
    site, positive, words, patients, random = collection()
    names = [str(patient) for patient in patients]
    predicted = predict_from_facts([words], positive, patients) + 1e-6 * random.random(len(site))
    honest = positive + 0.5 * random.normal(size=len(site))  # right, and blind to the site
    cheating = positive + 0.8 * site + 0.5 * random.normal(size=len(site))
    blind, led = follow(honest, predicted, positive, names), follow(cheating, predicted, positive, names)
    assert blind.low < 0 < blind.high
    assert led.low > 0.2
    one = np.ones(len(site), bool)
    assert follow(cheating, predicted, one, names).value == pytest.approx(spearmanr(cheating, predicted)[0], abs=1e-9)
    assert follow(np.zeros(len(site)), predicted, positive, names).value is None
