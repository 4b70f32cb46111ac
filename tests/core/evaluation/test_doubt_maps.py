"""Whether a map of doubt marks where a model that paints is wrong: on masks that are known, and of whole models."""

import json
import sqlite3

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from core.cli.app import app
from core.datasets.freeze import freeze_snapshot
from core.datasets.splits import list_view
from core.errors import InvalidInput
from core.evaluation.doubt_maps import gather_doubt_maps, judge_doubt_map
from core.explain.doubt import explain_doubt
from core.explain.judged_cases import list_judged
from core.explain.records import find_doubt_maps, find_evidence
from core.explain.verdict import judge_doubt
from core.jobs.explaining import ask_evidence
from core.progress import Silent
from core.projects.schema import make_segmentation
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.training.ensemble import make_ensemble
from core.training.networks import build_network
from core.training.recipe import change_recipe, named_recipe
from core.training.records import Model, add_model, get_model, get_run, set_run_told
from core.training.request import request_training
from core.training.stored import network_bytes
from tests.core.conftest import PaintedSquares

SIZE = 16


def disc(side: int, radius: float) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - side / 2
    return (x**2 + y**2 < radius**2)[None]


def judged(doubt: np.ndarray, painted: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    return judge_doubt_map(doubt, painted, reference, np.random.default_rng(0))


def test_doubt_that_marks_what_is_wrong_finds_it_and_more_than_the_edge_does() -> None:
    painted, reference = disc(40, 12), disc(40, 12)
    reference[0, 18:22, 18:22] = False  # a hole in the middle, far from the edge
    wrong = painted != reference
    knows = judged(wrong + 0.1, painted, reference)
    assert knows["finds_errors"] == 1
    assert knows["beyond_edge"] > 0.5
    edge_only = judged(1.0 * (disc(40, 13) ^ disc(40, 11)), painted, reference)
    assert edge_only["finds_errors"] < 0.5
    flat = judged(np.full(painted.shape, 0.3), painted, reference)
    assert flat["finds_errors"] == 0.5
    assert judged(1.0 - wrong, painted, reference)["finds_errors"] == 0


def test_where_nothing_is_wrong_or_painted_nothing_is_measured() -> None:
    painted, nothing = disc(40, 12), np.zeros((1, 40, 40), bool)
    assert all(np.isnan(one) for one in judged(np.ones(painted.shape), painted, painted).values())
    missed = judged(np.where(painted, 1.0, 0.0), nothing, painted)
    assert missed["finds_errors"] == 1
    assert np.isnan(missed["beyond_edge"])


def test_large_cases_are_judged_on_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    painted, reference = disc(60, 20), disc(60, 17)
    doubt = np.random.default_rng(1).random(painted.shape) + 0.4 * (painted != reference)
    whole = judged(doubt, painted, reference)["finds_errors"]
    monkeypatch.setattr("core.evaluation.doubt_maps.MOST_PIXELS", 150)
    assert judged(doubt, painted, reference)["finds_errors"] == pytest.approx(whole, abs=0.1)


def test_the_verdict_says_what_is_lacking() -> None:
    def one(value: float | None, low: float | None = None) -> dict[str, float | None]:
        return {"value": value, "low": low, "high": value}

    good = {"finds_errors": one(0.8, 0.7), "beyond_edge": one(0.1, -0.1), "randomisation": one(0.1, 0),
            "stability": one(0.9, 0.8)}  # fmt: skip
    assert judge_doubt(50, good).verdict == "reliable"
    assert "but it tells no more than nearness to the painted edge" in judge_doubt(50, good).sentence
    assert judge_doubt(50, good | {"beyond_edge": one(0.1, 0.05)}).sentence == "Reliable for this model (n = 50)."
    assert "wrong on none of these cases" in judge_doubt(0, good | {"finds_errors": one(None)}).sentence
    assert "has no interval (area 0.80)" in judge_doubt(60, good | {"finds_errors": one(0.8)}).sentence
    assert judge_doubt(49, good).verdict == "not checked"
    found = judge_doubt(60, good | {"finds_errors": one(0.55, 0.48), "randomisation": one(0.8, 0.7)})
    assert found.verdict == "not reliable"
    assert "no higher where the model is wrong (area 0.55, 0.48 to 0.55, by chance 0.5)" in found.sentence
    assert "0.80, 0.70 to 0.80 alike with shuffled weights" in found.sentence


@pytest.fixture(scope="module")
def untrained() -> list[bytes]:
    """Two networks that have learnt nothing: they paint at random, and doubt nearly everything."""
    recipe = change_recipe(named_recipe("unet2d"), {"input_size": SIZE, "filters": "4,8"})
    made = []
    for seed in (0, 1):
        keras.utils.set_random_seed(seed)
        made.append(network_bytes(build_network(recipe, make_segmentation(["square", "ghost"]), np.ones((2, 2)))))
    return made


@pytest.fixture
def painters(
    connection: sqlite3.Connection,
    files: Files,
    painted_squares: PaintedSquares,
    untrained: list[bytes],
    actor: Actor,
) -> list[Model]:
    frozen = freeze_snapshot(
        connection, files, painted_squares.project, "first", ratios=(0.4, 0.2, 0.4), seed=1, actor=actor,
        progress=Silent(),
    )  # fmt: skip
    recipe = change_recipe(named_recipe("unet2d"), {"input_size": SIZE, "filters": "4,8"})
    schema, made = painted_squares.project.schema, []
    for content in untrained:
        run, _ = request_training(connection, painted_squares.project, frozen, recipe, actor=actor)
        facts = {
            "input": {"size": SIZE, "channels": 1, "resize": "pad"},
            "task": "segmentation",
            "structures": [{"name": one.name, "colour": one.colour} for one in schema.structures],
            "calibration": {"thresholds": {name: {"value": 0.5} for name in schema.names}},
        }
        made.append(add_model(
            connection, run, keras_hash=files.put_bytes("models", content), onnx_left_out_because="not asked for",
            parameters=2, file_bytes=9, facts=facts, seconds=1.0, actor=actor,
        ))  # fmt: skip
    return [get_model(connection, None, model.id) for model in made]


def test_evidence_is_gathered_of_each_structure_and_stands_beside_its_maps(
    connection: sqlite3.Connection, files: Files, painted_squares: PaintedSquares, painters: list[Model], actor: Actor
) -> None:
    model = painters[0]
    asked = {"model": model.id, "split": "train", "cases": 3}
    found = gather_doubt_maps(connection, files, asked, actor, Silent())
    assert list(found["structures"]) == ["square", "ghost"]
    square = found["structures"]["square"]
    assert square["n_wrong"] == square["n_cases"] == 3
    assert square["verdict"] == "not checked"
    assert 0 <= square["measures"]["finds_errors"]["value"] <= 1
    assert square["measures"]["stability"]["value"] > 0.9
    assert found == gather_doubt_maps(connection, files, asked, actor, Silent()), "the same a second time"
    kept = find_doubt_maps(connection, model.id)
    assert kept is not None
    assert kept.standing("square").sentence == square["sentence"]
    assert not find_evidence(connection, model.id), "doubt is not among the methods of other models"
    shown = explain_doubt(
        connection, files, {"model": model.id, "case": painted_squares.cases[0].id, "class": "square"},
        files.root, Silent(), {},
    )  # fmt: skip
    assert shown["check"] == kept.check("square")
    assert shown["check"]["n"] == 3
    assert shown["check"]["sentence"].startswith("Doubt: Not checked")


def test_an_ensemble_is_judged_as_a_whole(
    connection: sqlite3.Connection, files: Files, painters: list[Model], actor: Actor
) -> None:
    both = make_ensemble(connection, files, painters[0].project, "both", painters, actor=actor)
    found = gather_doubt_maps(connection, files, {"model": both.id, "split": "train", "cases": 2}, actor, Silent())
    assert found["structures"]["square"]["n_cases"] == 2
    assert found["structures"]["square"]["measures"]["randomisation"]["value"] < 0.9


def test_of_an_ensemble_no_case_counts_as_validation_that_a_member_has_learnt(
    connection: sqlite3.Connection, files: Files, painters: list[Model], actor: Actor
) -> None:
    both = make_ensemble(connection, files, painters[0].project, "both", painters, actor=actor)
    own = [case.case_id for case in list_judged(connection, both, "validation")]
    snapshot = get_run(connection, both.run).snapshot
    connection.execute("UPDATE snapshot_cases SET fold = position % 9")
    for fold, member in enumerate(painters):
        connection.execute("UPDATE runs SET fold = ? WHERE id = ?", (fold, member.run))
    views = [{case.case_id: case.split for case in list_view(connection, snapshot, fold)} for fold in (0, 1)]
    left = [case_id for case_id in own if all(view[case_id] != "train" for view in views)]
    assert 0 < len(left) < len(own)
    assert [case.case_id for case in list_judged(connection, both, "validation")] == left
    connection.execute("UPDATE snapshot_cases SET fold = 2 WHERE split = 'validation'")
    views = [{case.case_id: case.split for case in list_view(connection, snapshot, fold)} for fold in (0, 1)]
    assert all(any(view[case_id] == "train" for view in views) for case_id in own)
    with pytest.raises(InvalidInput, match="members of an ensemble, or a model that it began from"):
        list_judged(connection, both, "validation")


def test_what_a_model_began_from_has_learnt_does_not_count_as_validation_either(
    connection: sqlite3.Connection, files: Files, painters: list[Model], actor: Actor
) -> None:
    model, earlier = painters
    own = [case.case_id for case in list_judged(connection, model, "validation")]
    connection.execute("UPDATE snapshot_cases SET fold = position % 9")
    connection.execute("UPDATE runs SET fold = 0 WHERE id = ?", (earlier.run,))
    set_run_told(connection, model.run, "sources", {"start_from": {"hash": earlier.keras_hash}})
    view = list_view(connection, get_run(connection, model.run).snapshot, 0)
    left = [case.case_id for case in view if case.case_id in own and case.split != "train"]
    assert [case.case_id for case in list_judged(connection, model, "validation")] == left != own


def test_what_cannot_be_asked_is_refused(
    connection: sqlite3.Connection, files: Files, painters: list[Model], actor: Actor
) -> None:
    with pytest.raises(InvalidInput, match="test is for the review"):
        gather_doubt_maps(connection, files, {"model": painters[0].id, "split": "test"}, actor, Silent())
    with pytest.raises(InvalidInput, match=r"leave the method out\. Received: grad_cam"):
        ask_evidence(connection, painters[0], ["grad_cam"], actor=actor)
    assert ask_evidence(connection, painters[0], [], actor=actor).arguments["methods"] == ["doubt"]


def test_the_command_line_tells_what_was_gathered(
    connection: sqlite3.Connection, files: Files, settings: Settings, painters: list[Model], actor: Actor
) -> None:
    words = ["evidence", "Squares", painters[0].name, "--known", "--home", str(settings.home)]
    assert "Nothing was gathered yet" in CliRunner().invoke(app, words).output
    gather_doubt_maps(connection, files, {"model": painters[0].id, "split": "train", "cases": 2}, actor, Silent())
    connection.commit()
    said = CliRunner().invoke(app, words).output
    assert "Doubt about square: Not checked" in said
    assert "finds_errors" in said
    told = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert told["structures"]["square"]["n_wrong"] == 2
