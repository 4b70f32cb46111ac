"""Evidence: good maps pass and bad ones fail, and what is kept says its n and its intervals."""

from typing import Any

import numpy as np
import pytest

from core.datasets.records import list_snapshot_cases
from core.errors import InvalidInput
from core.evaluation.predictor import predict_cases
from core.explain.asking import answer_of
from core.explain.body import outside_body
from core.explain.evidence import choose_cases, gather_evidence, judge_map, summarise
from core.explain.faithfulness import measure_faithfulness, move_map
from core.explain.maps import peak_of
from core.explain.marked import marked_mask
from core.explain.records import find_evidence
from core.explain.run import explain_case
from core.explain.verdict import judge
from core.labels.marks import NewMark, add_mark, list_marks
from core.labels.records import new_event
from core.progress import Silent
from core.projects.schema import make_classification
from core.tasks.classification import calibrate_network
from core.training.ensemble import make_ensemble
from core.training.recipe import named_recipe
from core.training.records import add_model
from core.training.request import request_training


def estimate(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high}


GOOD = {
    "randomisation": estimate(0.1, 0.0, 0.2),
    "faithfulness": estimate(0.3, 0.1, 0.5),
    "stability": estimate(0.9, 0.8, 1.0),
}


def test_a_method_that_passes_everything_on_enough_cases_is_reliable() -> None:
    assert judge(50, GOOD).verdict == "reliable"
    assert judge(50, GOOD).sentence == "Reliable for this model (n = 50)."
    assert judge(49, GOOD).verdict == "not checked"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"randomisation": estimate(0.7, 0.6, 0.8)}, "not what was learnt"),
        ({"faithfulness": estimate(0.1, -0.1, 0.3)}, "no more than random places"),
        ({"faithfulness": estimate(0.1)}, "no interval beyond them"),
        ({"stability": estimate(0.2, 0.1, 0.3)}, "noise that nobody sees"),
        ({"stability": estimate(None)}, "undefined alike"),
    ],
)
def test_a_method_that_fails_one_of_them_is_not(changed: dict[str, Any], said: str) -> None:
    standing = judge(60, GOOD | changed)
    assert standing.verdict == "not reliable"
    assert said in standing.sentence
    assert "n = 60" in standing.sentence


def test_a_true_map_is_faithful_and_the_same_map_elsewhere_is_not(finder, squares) -> None:
    answer, (images, masks) = answer_of(finder), squares
    draws = np.random.default_rng(0)
    true = [measure_faithfulness(answer, image, mask, 1).score for image, mask in zip(images, masks, strict=True)]
    moved = [
        measure_faithfulness(answer, image, move_map(mask, draws), 1).score
        for image, mask in zip(images, masks, strict=True)
    ]
    assert np.mean(true) > np.mean(moved) + 0.2


def test_a_map_is_judged_against_what_was_marked(finder, squares) -> None:
    answer, (images, masks) = answer_of(finder), squares
    found = judge_map(answer, images[0], masks[0].astype(np.float32), 1, masks[0], np.random.default_rng(0))
    assert (found["pointing"], found["overlap"]) == (1.0, 1.0)
    assert found["marked_by_chance"] == pytest.approx(25 / 576)
    assert found["faithfulness"] > 0
    empty = judge_map(answer, images[0], np.zeros((6, 6), np.float32), 1, masks[0], np.random.default_rng(0))
    assert empty["pointing"] == 0
    assert empty["overlap"] == pytest.approx(25 / 576)  # says nothing, so it is chance
    unmarked = judge_map(answer, images[0], masks[0].astype(np.float32), 1, None, np.random.default_rng(0))
    assert np.isnan(unmarked["pointing"])


def test_the_peak_of_a_plateau_is_its_middle() -> None:
    values = np.zeros((9, 9), np.float32)
    values[2:7, 3:6] = 0.8
    assert peak_of(values) == (4, 4)
    values[8, 0] = 1
    assert peak_of(values) == (8, 0)


def test_lungs_are_not_outside_the_body() -> None:
    image = np.zeros((32, 32, 1), np.uint8)
    image[6:, 4:28] = 120
    image[22:, 4:28] = image[6:, 14:18] = 240  # of the whole image, Otsu's threshold would part this from the rest
    image[12:20, 8:12] = 90
    outside = outside_body(image)
    assert outside[:6].all()
    assert outside[:, :4].all()
    assert not outside[6:, 4:28].any()
    assert not outside_body(np.full((32, 32, 1), 90, np.uint8)).any()


def test_means_count_cases_that_have_a_value_and_patients_are_drawn() -> None:
    values = {"pointing": np.array([1.0, np.nan, 0.0, 1.0]), "outside": np.full(4, np.nan)}
    told = summarise(values, ["a", "a", "b", "c"])
    assert told["pointing"]["value"] == pytest.approx(2 / 3)
    assert told["pointing"]["low"] <= 2 / 3 <= told["pointing"]["high"]  # type: ignore[operator]
    assert told["outside"]["value"] is None
    assert "background" in str(told["outside"]["reason"])


def test_evidence_is_gathered_kept_and_said_with_the_next_map(
    connection, files, planted, model, actor, tmp_path
) -> None:
    cases = [case for case in list_snapshot_cases(connection, planted.snapshot.id) if case.split == "validation"]
    with_square = [case.case_id for case in cases if planted.masks[case.case_id].any()]
    for case_id in with_square[:3]:
        (rows, columns) = np.nonzero(planted.masks[case_id])
        box = {"x": float(columns.min()), "y": float(rows.min()), "width": 5.0, "height": 5.0}
        add_mark(
            connection,
            NewMark(new_event(), case_id, actor.name, f"m{case_id}", "box", box, label="pneumonia"),
            actor,
        )
        np.testing.assert_array_equal(marked_mask(list_marks(connection, case_id), 16, 16), planted.masks[case_id])
    chosen = choose_cases(cases, set(with_square[:3]), 6)
    assert len(chosen) == 6
    assert {*with_square[:3]} <= {case.case_id for case in chosen}
    asked = {"model": model.id, "methods": ["grad_cam", "occlusion"], "split": "validation", "cases": 6}
    told = gather_evidence(connection, files, asked, actor, Silent())
    assert list(told["methods"]) == ["grad_cam", "occlusion"] == list(find_evidence(connection, model.id))
    for one in told["methods"].values():
        assert (one["n_cases"], one["n_marked"]) == (6, 3)
        assert one["verdict"] == "not checked"
        assert one["measures"]["faithfulness"]["low"] <= one["measures"]["faithfulness"]["value"]
        assert sum(mean["n"] for mean in one["means"].values()) == 6
    assert told["methods"]["occlusion"]["measures"]["pointing"]["value"] == 1
    result = explain_case(connection, files, {"model": model.id, "case": cases[0].case_id}, tmp_path, Silent(), {})
    assert result["check"]["passed"] is None
    assert "Grad-CAM: Not checked" in result["check"]["sentence"]
    for split in ("test", "all"):
        with pytest.raises(InvalidInput, match=f"test is for the review. Received: {split}"):
            gather_evidence(connection, files, asked | {"split": split}, actor, Silent())


def test_of_an_ensemble_the_mean_of_the_members_maps_is_judged(connection, files, planted, model, actor) -> None:
    run, _ = request_training(connection, planted.project, planted.snapshot, named_recipe("resnet"), actor=actor)
    like = add_model(
        connection, run, keras_hash=model.keras_hash, onnx_left_out_because="not asked for",
        parameters=model.parameters, file_bytes=model.file_bytes, facts=model.facts, seconds=1.0, actor=actor,
    )  # fmt: skip
    both = make_ensemble(connection, files, planted.project.id, "both", [model, like], actor=actor)
    asked = {"methods": ["grad_cam"], "split": "validation", "cases": 2}
    alone, together = (
        gather_evidence(connection, files, asked | {"model": one.id}, actor, Silent())["methods"]
        for one in (model, both)
    )
    assert together["grad_cam"]["layer"] == "each member's own"
    for name, one in together["grad_cam"]["measures"].items():  # two alike say what one says
        expected = alone["grad_cam"]["measures"][name]["value"]
        assert one["value"] == (expected if expected is None else pytest.approx(expected, abs=1e-4)), name


def test_of_a_model_with_views_the_score_beside_a_map_is_the_one_that_it_answers(
    connection, files, planted, keep_network, finder, actor, tmp_path
) -> None:
    calm = {"temperature": {"temperature": 9}}  # the finder is as sure of a moved square as of one that is not
    model = keep_network(calibrate_network(finder, make_classification(["normal", "pneumonia"]), calm))
    moved = {"right": 0.25, "down": 0.0, "turn": 0.0, "mirrored": 0.0, "inverted": 0.0}
    viewed = make_ensemble(connection, files, planted.project.id, "views", [model], views=[moved], actor=actor)
    case = list_snapshot_cases(connection, planted.snapshot.id)[0].case_id
    asked = {"model": viewed.id, "case": case, "method": "grad_cam"}
    told = explain_case(connection, files, asked, tmp_path, Silent(), {})["probabilities"]
    (said,), (plain,) = (predict_cases(connection, files, one, [case], Silent()) for one in (viewed, model))
    assert list(told.values()) == pytest.approx(said.tolist(), abs=1e-4)
    assert said.tolist() != pytest.approx(plain.tolist(), abs=1e-3)
