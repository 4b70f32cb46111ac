"""Maps of an ensemble."""

import numpy as np

from core.explain.grad_cam import GradCam
from core.explain.members import MeanTool, combine_facts


def test_the_map_of_an_ensemble_is_the_mean_of_its_members(finder, squares) -> None:
    images, _ = squares
    classes = np.ones(len(images), np.int32)
    fine, coarse = GradCam(finder, "stage_1", "logits"), GradCam(finder, "stage_2", "logits")
    both = MeanTool([fine, coarse])
    maps, scores = both.explain(images, classes)
    (one, said), (other, _) = fine.explain(images, classes), coarse.explain(images, classes)
    assert maps.shape == one.shape > other.shape
    np.testing.assert_allclose(scores, said, atol=1e-6)
    np.testing.assert_allclose(both.answer(images), said, atol=1e-6)
    assert np.corrcoef(maps.ravel(), one.ravel())[0, 1] > np.corrcoef(one.ravel(), np.roll(one, 1, 0).ravel())[0, 1]
    np.testing.assert_allclose(MeanTool([fine, fine]).explain(images, classes)[0], one, atol=1e-6)


def test_an_ensemble_s_maps_are_to_be_trusted_where_those_of_all_members_are() -> None:
    def facts(similarity: float, *, passed: bool) -> dict:
        check = {"similarity": similarity, "n": 8, "passed": passed, "sentence": ""}
        return {"check": check, "layer_choice": {"layer": "stage_2", "drops": {"stage_2": 1.0}, "n": 8}}

    good = combine_facts([facts(0.1, passed=True), facts(0.2, passed=True)])["check"]
    assert (good["passed"], good["n"], good["similarity"]) == (True, 16, 0.2)
    bad = combine_facts([facts(0.1, passed=True), facts(0.9, passed=False)])["check"]
    assert not bad["passed"]
    assert "do not trust the mean, 1 show the image" in bad["sentence"]
