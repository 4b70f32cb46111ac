"""Several models as one: the mean of what they say, and never measured on what one of them has learnt."""

import json
from dataclasses import replace

import numpy as np
import pytest

from core.datasets.records import list_snapshot_cases
from core.errors import Conflict, InvalidInput, NotAllowed
from core.evaluation.comparison import compare_models
from core.evaluation.operating import freeze_point, read_scored
from core.evaluation.predictor import open_predictor, predict_cases
from core.evaluation.records import find_evaluation, find_predictions, store_predictions
from core.evaluation.run import evaluate_model, list_measurable
from core.evaluation.subgroups import measure_by_value
from core.jobs.asking import ask_repetition
from core.jobs.asking_series import ask_series
from core.jobs.bodies import train
from core.jobs.context import JobContext
from core.jobs.records import add_job, claim_job, list_jobs
from core.measures.calibration import tell_rule
from core.people.accounts import ensure_user
from core.progress import Silent
from core.reviews.case_search import CaseFilter, search_case_ids
from core.reviews.failures import count_failures, list_failures
from core.reviews.meetings import add_review, open_results
from core.store.audit import Actor
from core.training.ensemble import combine_calibrations, join_ensemble, make_ensemble, plan_ensemble, with_views
from core.training.recipe import named_recipe
from core.training.records import get_model, get_run, set_model_fact


@pytest.fixture
def pair(project, snapshot, add_brightness_model, brightness_onnx):
    """Two models that agree on nothing: the second one says "normal" of bright squares."""
    return [
        add_brightness_model(project, snapshot),
        add_brightness_model(project, snapshot, onnx=brightness_onnx(sign=-0.5)),
    ]


@pytest.fixture
def join(connection, files, project, actor):
    def made(name, members, **options):
        return make_ensemble(connection, files, project.id, name, members, actor=actor, **options)

    return made


@pytest.fixture
def evaluate(connection, files, settings, actor):
    def run(model, snapshot, split="test"):
        return evaluate_model(connection, files, settings, model.id, snapshot.id, split, actor, Silent())

    return run


def test_an_ensemble_says_the_mean_and_knows_how_far_its_members_are_apart(
    connection, files, snapshot, pair, join, evaluate
) -> None:
    both = join("both", pair)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 1), np.uint8)
    said = [open_predictor(files, model).answer(images) for model in (*pair, both)]
    np.testing.assert_allclose(said[2], (said[0] + said[1]) / 2, atol=1e-6)
    result = evaluate(both, snapshot)
    cases = [case.case_id for case in list_snapshot_cases(connection, snapshot.id, split="test")]
    stored = [np.array(list(find_predictions(connection, model.id, cases).values())) for model in (*pair, both)]
    np.testing.assert_allclose(stored[2], (stored[0] + stored[1]) / 2, atol=1e-6)
    assert result["spread"] == {"value": pytest.approx(np.std(stored[:2], axis=0, ddof=1).mean()), "n": len(cases)}
    assert [member["name"] for member in result["members"]] == [model.name for model in pair]
    assert result["members"][0]["value"] != result["members"][1]["value"]
    assert result["seen_in_training"] == 0


def test_a_case_that_a_member_has_learnt_is_never_measured(
    connection, project, snapshot, add_brightness_model, join, evaluate
) -> None:
    """The members of all folds have learnt every case; that of one fold and the own split leave what both have not."""
    folds = [add_brightness_model(project, snapshot, fold=fold) for fold in range(4)]
    with pytest.raises(InvalidInput, match="none of its members has learnt"):
        evaluate(join("all folds", folds), snapshot)
    cases = list_snapshot_cases(connection, snapshot.id)
    test = [case for case in cases if case.split == "test"]
    mixed = join("mixed", [folds[test[0].fold], add_brightness_model(project, snapshot)])
    with pytest.raises(InvalidInput, match="none of its members has learnt"):
        evaluate(mixed, snapshot, "validation")
    unseen = [case for case in test if case.fold == test[0].fold]
    assert 0 < len(unseen) < len(test)
    result = evaluate(mixed, snapshot)
    assert result["n_cases"] == len(unseen)
    assert f"{len(test) - len(unseen)} of {len(test)} cases are left out" in str(result["warnings"])
    learnt = [case.case_id for case in cases if case not in unseen]
    assert find_predictions(connection, mixed.id, learnt) == {}
    for model in (folds[1], folds[2]):
        found = {"thresholds": {"pneumonia": {"value": 0.4, "rule": "by a rule", "n": 8}}}
        set_model_fact(connection, model.id, "calibration", found)
    seeded = add_brightness_model(project, snapshot, fold=1)
    set_model_fact(connection, seeded.id, "calibration", found)
    one, of_other_fold, other = (get_model(connection, None, model.id) for model in (folds[1], folds[2], seeded))
    seeds = join("seeds of fold 1", [one, other])
    assert seeds.calibration["thresholds"]["pneumonia"]["n"] == 8, "the same validation cases"
    assert join("two folds", [one, of_other_fold]).calibration["thresholds"]["pneumonia"]["n"] == 16
    assert evaluate(seeds, snapshot)["n_cases"] == sum(case.fold == 1 for case in cases)


def test_what_stands_beside_the_numbers_is_of_the_same_cases_though_others_were_answered(
    connection, files, project, snapshot, add_brightness_model, join, evaluate, actor
) -> None:
    """Predict answers any case: those that a member has learnt come into no subgroup, threshold, comparison or list of
    failures."""
    cases = list_snapshot_cases(connection, snapshot.id)
    test = [case for case in cases if case.split == "test"]
    single = add_brightness_model(project, snapshot)
    mixed = join("mixed", [add_brightness_model(project, snapshot, fold=test[0].fold), single])
    unseen = [case.case_id for case in test if case.fold == test[0].fold]
    evaluate(single, snapshot)
    evaluate(mixed, snapshot)
    for answered_all in (False, True):
        if answered_all:
            ids = [case.case_id for case in test if case.case_id not in unseen]
            said = 1 - predict_cases(connection, files, mixed, ids, Silent())  # most of them wrong
            store_predictions(connection, mixed, project.schema, dict(zip(ids, said.tolist(), strict=True)))
        assert read_scored(connection, mixed, snapshot, "test").case_ids == unseen
        assert compare_models(connection, single, mixed, snapshot, "test")["n_cases"] == len(unseen)
    for case in test:
        attributes = json.dumps({"site": "A"})
        connection.execute("UPDATE cases SET attributes = ? WHERE id = ?", (attributes, case.case_id))
    evaluation = find_evaluation(connection, mixed.id, snapshot.id)
    assert evaluation is not None
    (group,) = measure_by_value(connection, mixed, snapshot, evaluation, "site").values()
    assert group["n_cases"] == len(unseen) == evaluation.result["n_cases"]
    review = open_results(connection, add_review(connection, project, mixed, criteria=[], actor=actor), actor=actor)
    for kind in ("missed", "false alarm"):
        rows = list_failures(connection, project, review, kind, "pneumonia", limit=99)
        assert {row.id for row in rows} <= set(unseen)
        assert len(rows) == count_failures(evaluation.result, kind, "pneumonia")
    everywhere = CaseFilter(model=mixed.id, snapshot=snapshot.id, split="test", outcome="wrong")
    assert not set(search_case_ids(connection, project, everywhere)) <= set(unseen), "else nothing is tested"
    assert list_measurable(connection, single, snapshot.id, "test", None) is None
    assert list_measurable(connection, mixed, snapshot.id, "train", None) == ()


def test_each_member_is_told_as_it_decides(connection, pair, snapshot, join, evaluate) -> None:
    chosen = {"thresholds": {"pneumonia": {"value": 0.97}}}
    set_model_fact(connection, pair[0].id, "calibration", chosen)
    members = [get_model(connection, None, one.id) for one in pair]
    alone = evaluate(members[0], snapshot)
    assert alone["metrics"]["balanced_accuracy"]["value"] == 0.5
    told = evaluate(join("both", members), snapshot)["members"][0]
    assert (told["metric"], told["value"]) == ("balanced_accuracy", 0.5)


def test_what_is_no_ensemble_is_refused(
    connection, files, project, snapshot, pair, join, add_brightness_model, actor
) -> None:
    both = join("both", pair)
    other = add_brightness_model(project, snapshot)
    set_model_fact(connection, other.id, "input", {"size": 64, "channels": 1, "resize": "stretch"})
    for members, sentence in (
        (pair[:1], "2 to 50 different"),
        ([pair[0], pair[0]], "2 to 50 different"),
        ([both, pair[0]], "are single models"),
        ([pair[0], type(other)(**{**vars(other), "facts": {**other.facts, "multi_label": True}})], "differ in multi_"),
    ):
        with pytest.raises(InvalidInput, match=sentence):
            join("no", members)
    with pytest.raises(Conflict):
        join("both", pair)
    with pytest.raises(InvalidInput, match="repeat its members"):
        ask_repetition(connection, project, both, actor=actor)
    ensure_user(connection, "ben")
    with pytest.raises(NotAllowed):
        make_ensemble(connection, files, project.id, "ben's", pair, actor=Actor("ben", "screen"))


def test_thresholds_are_averaged_and_the_widest_interval_stands() -> None:
    parts = [
        {"thresholds": {"a": {"value": 0.2, "rule": "by a rule", "n": 10}}, "exclusive": True},
        {"thresholds": {"a": {"value": 0.6, "rule": "by a rule", "n": 20}}, "exclusive": False},
    ]
    assert combine_calibrations(parts) == {
        "thresholds": {"a": {"value": 0.4, "rule": "the mean of 2 members' thresholds, each by a rule", "n": 30}},
        "exclusive": False,
    }
    assert combine_calibrations(parts, same_cases=True)["thresholds"]["a"]["n"] == 20
    moved = [parts[0], {"thresholds": {"a": {"value": 0.6, "rule": "chosen by anna", "n": 20}}}]
    assert "each by a rule of its own" in combine_calibrations(moved)["thresholds"]["a"]["rule"]
    alone = combine_calibrations(parts[:1])["thresholds"]  # of one model with test-time augmentation
    assert alone == {
        "a": {"value": 0.2, "rule": "that of the model without test-time augmentation, by a rule", "n": 10}
    }
    (painted,) = combine_calibrations([{"thresholds": {"liver": {"value": 0.45, "dice": 0.9}}}] * 2)[
        "thresholds"
    ].values()
    rule = "the mean of 2 members' thresholds, each chosen on its own validation split"
    assert painted == {"value": 0.45, "rule": rule}, "on how many cases is not said of structures"
    assert tell_rule(painted) == tell_rule({**painted, "n": 0}) == rule
    assert tell_rule({**painted, "n": 1200}) == f"{rule}, n = 1,200"
    assert tell_rule({"value": 0.45}) == ""
    widths = [{"interval": {"half_width": width, "level": 0.9, "n": 9}} for width in (1.0, 3.0)]
    assert combine_calibrations(widths)["interval"]["half_width"] == 3
    assert combine_calibrations([*widths, {"interval": None}]) == {"interval": None}


def test_models_that_draw_become_no_ensemble(pair, join) -> None:
    with pytest.raises(InvalidInput, match="no answers to take the mean of"):
        join("drawn", [replace(model, facts={**model.facts, "task": "generation"}) for model in pair])


def test_runs_that_were_planned_together_become_one_model_when_the_last_has_ended(
    connection, files, project, snapshot, pair, actor
) -> None:
    runs = [get_run(connection, model.run) for model in pair]
    plan_ensemble(connection, "planned", [*runs[:1], get_run(connection, runs[1].id)])
    made = join_ensemble(connection, files, runs[0].id, actor)
    assert made is not None
    assert [member["id"] for member in made.facts["members"]] == [model.id for model in pair]
    assert join_ensemble(connection, files, runs[1].id, actor) == made  # not a second one
    assert get_run(connection, made.run).told == {"ensemble": [model.id for model in pair]}


def test_a_name_that_was_taken_meanwhile_is_followed_by_a_number(
    connection, files, project, snapshot, pair, add_brightness_model, actor
) -> None:
    other = add_brightness_model(project, snapshot)
    plan_ensemble(connection, other.name, [get_run(connection, model.run) for model in pair])
    for model in (*pair, pair[0]):  # the last attempt was repeated
        made = join_ensemble(connection, files, model.run, actor)
        assert made.name == f"{other.name} 2"
        assert [member["id"] for member in made.facts["members"]] == [model.id for model in pair]
    assert get_model(connection, project.id, other.name) == other


def test_the_last_of_them_makes_it_also_where_somebody_stopped_it(
    connection, files, settings, project, pair, actor, tmp_path, monkeypatch
) -> None:
    class Stopped(Silent):
        def should_stop(self) -> bool:
            return True

    runs = [get_run(connection, model.run) for model in pair]
    plan_ensemble(connection, "planned", runs)
    left = {"model": pair[1].name, "model_id": pair[1].id, "run": runs[1].id, "stopped": True}
    monkeypatch.setattr("core.training.run.run_training", lambda *given: left)
    add_job(connection, "train", {"run": runs[1].id}, project=project.id, actor=actor)
    job = claim_job(connection, "train", "cpu")
    result = train.run(JobContext(connection, files, settings, job, tmp_path, "cpu", actor, Stopped()))
    assert result == left | {"ensemble": "planned"}
    assert len(get_model(connection, project.id, "planned").facts["members"]) == 2


def test_more_trainings_than_an_ensemble_has_members_are_refused_before_the_first(
    connection, files, project, snapshot, actor
) -> None:
    recipe = named_recipe("cnn")
    with pytest.raises(InvalidInput, match=r"2 to 50 models; ask for fewer seeds\. Received: 51 trainings"):
        ask_series(
            connection, files, project, snapshot, lambda _: (recipe, None), folds=[None], seeds=51, ensemble="all",
            actor=actor,
        )  # fmt: skip
    assert not list_jobs(connection, kinds=("train",))


def test_test_time_augmentation_is_a_model_of_its_own(connection, files, snapshot, pair, evaluate, actor) -> None:
    """Every view is within what the recipe did in training; the plain model's answers stay as they are."""
    moved = with_views(connection, files, pair[0], actor=actor)
    assert (
        with_views(connection, files, pair[0], actor=actor)
        == moved
        == with_views(connection, files, moved, actor=actor)
    )
    assert moved.facts["views"][0] == dict.fromkeys(("right", "down", "turn", "mirrored", "inverted"), 0.0)
    assert len(moved.facts["views"]) == 7
    plain, result = evaluate(pair[0], snapshot), evaluate(moved, snapshot)
    assert (result["model"], plain["n_cases"]) == (f"{pair[0].name} with test-time augmentation", result["n_cases"])
    cases = [case.case_id for case in list_snapshot_cases(connection, snapshot.id, split="test")]
    one, other = (find_predictions(connection, model.id, cases) for model in (pair[0], moved))
    assert one != other
    np.testing.assert_allclose(list(one.values()), list(other.values()), atol=0.1)
    # whether it helps, and from where on it decides, is found out on validation as of the plain model
    chosen = evaluate(moved, snapshot, "validation")
    assert chosen["n_cases"] == len(list_snapshot_cases(connection, snapshot.id, split="validation"))
    assert list_measurable(connection, moved, snapshot.id, "validation", None) is None
    point = freeze_point(connection, moved, "pneumonia", 0.3, actor=actor)
    assert point.facts["views"] == moved.facts["views"]
    assert with_views(connection, files, pair[0], actor=actor) == moved  # and not the other point of it
