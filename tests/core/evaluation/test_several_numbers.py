"""Several quantities of one case: what is said, kept back, compared and watched of each, in its own unit."""

import csv
import io
import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from core.datasets.records import list_snapshot_cases
from core.errors import InvalidInput
from core.evaluation.abstention import freeze_rule, limit_widths, withheld_by_scores
from core.evaluation.batch import WITHHELD, answers_csv, describe_answers, number_columns
from core.evaluation.paired_errors import compare_errors
from core.evaluation.records import add_evaluation, find_evaluation, find_predictions, store_predictions
from core.evaluation.run import _describe_members
from core.evaluation.subgroups import measure_by_value
from core.progress import Silent
from core.reviews.drift import _scores
from core.reviews.model_card import _calibrated
from core.store.audit import Actor
from core.store.files import Files
from core.tasks.regression import encode_targets
from core.training.ensemble import combine_calibrations
from core.training.records import Model, add_model, add_run, get_run
from tests.core.reviews.other_tasks import BODY, Measured, measured_bodies

INTERVAL = {"half_width": 6.0, "level": 0.9, "n": 40}


@pytest.fixture
def bodies(connection: sqlite3.Connection, files: Files, actor: Actor) -> Measured:
    return measured_bodies(connection, files, actor)


def add_nearer(connection: sqlite3.Connection, found: Measured, actor: Actor) -> Model:
    """A model whose ages are a year nearer, and whose weights are three kilograms further off."""
    before = get_run(connection, found.model.run)
    recipe = replace(before.recipe, epochs=before.recipe.epochs + 1)  # of one recipe seeds alone could do this
    run = add_run(
        connection, project=before.project, snapshot=before.snapshot, recipe=recipe, name="nearer", actor=actor
    )
    made = add_model(
        connection, get_run(connection, run.id), keras_hash=found.model.keras_hash,
        onnx_left_out_because="it is a test", parameters=1, file_bytes=1, facts=found.model.facts, seconds=1.0,
        actor=actor,
    )  # fmt: skip
    cases = list_snapshot_cases(connection, found.snapshot.id, split="test")
    known = find_predictions(connection, found.model.id, [case.case_id for case in cases])
    scores = {number: [age - 1, weight + 3] for number, (age, weight) in known.items()}
    store_predictions(connection, made, BODY, scores)
    result = find_evaluation(connection, found.model.id, found.snapshot.id).result  # type: ignore[union-attr]
    add_evaluation(
        connection, model_id=made.id, snapshot_id=found.snapshot.id, split="test", result=result, actor=actor
    )
    return made


def test_two_models_are_compared_by_each_quantity_in_its_unit(
    connection: sqlite3.Connection, bodies: Measured, actor: Actor
) -> None:
    nearer = add_nearer(connection, bodies, actor)
    told = compare_errors(connection, bodies.model, nearer, bodies.snapshot, "test")
    assert {name: one.value for name, one in told.differences.items()} == {
        "MAE of age, years, difference": pytest.approx(-1),
        "MAE of body weight, kg, difference": pytest.approx(3),
    }
    better, worse = told.sentences
    assert better.startswith("nearer is better than quick by MAE of age, years: −1.000")
    assert worse.startswith("nearer is worse than quick by MAE of body weight, kg: +3.000")


def test_each_group_has_the_numbers_of_each_quantity(connection: sqlite3.Connection, bodies: Measured) -> None:
    evaluation = find_evaluation(connection, bodies.model.id, bodies.snapshot.id)
    assert evaluation is not None
    groups = measure_by_value(connection, bodies.model, bodies.snapshot, evaluation, "site")
    errors = {
        site: [one["metrics"]["mae"]["value"] for one in told["per_target"].values()] for site, told in groups.items()
    }
    assert errors == {"A": [pytest.approx(2), pytest.approx(4)], "B": [pytest.approx(8), pytest.approx(4)]}


def test_an_answer_tells_all_its_numbers_and_a_file_has_columns_for_each(
    connection: sqlite3.Connection, bodies: Measured, actor: Actor
) -> None:
    model = bodies.model
    case = list_snapshot_cases(connection, bodies.snapshot.id, split="test")[0]
    (row,) = describe_answers(connection, model, [case.case_id])
    age, weight = find_predictions(connection, model.id, [case.case_id])[case.case_id]
    assert row["answer"] == f"age {age:.4g} years, body weight {weight:.4g} kg"
    assert [(one["target"], one["unit"], one["value"]) for one in row["numbers"]] == [
        ("age", "years", age),
        ("body weight", "kg", weight),
    ]
    (told,) = csv.DictReader(io.StringIO(answers_csv(model, [row])))
    assert (float(told["age, years"]), float(told["age, years, low"])) == (age, age - 6)
    assert (float(told["body weight, kg"]), told["body weight, kg, low"]) == (weight, "")
    assert {"age, years", "age, years, high", "body weight, kg"} <= set(number_columns(row))

    freeze_rule(connection, model, most_half_widths={"age": 5.0}, unlike=False, actor=actor)
    (row,) = describe_answers(connection, model, [case.case_id])
    assert (row["answer"], row["withheld"]) == (WITHHELD, "age within ±6 years, wider than ±5 years")
    (told,) = csv.DictReader(io.StringIO(answers_csv(model, [row])))
    assert (told["age, years"], told["age, years, low"], told["body weight, kg"]) == ("", "", "")


def test_each_quantity_has_a_widest_interval_of_its_own(bodies: Measured) -> None:
    model = bodies.model
    known = {"age": INTERVAL, "body weight": INTERVAL}
    both = replace(model, facts={**model.facts, "calibration": {"intervals": known}})
    rule = limit_widths(both, None, {"body weight": 3.0, "age": 6.5})
    assert rule == {
        "most_half_widths": {"age": {"value": 6.5, "unit": "years"}, "body weight": {"value": 3.0, "unit": "kg"}}
    }
    assert withheld_by_scores(model, rule, [50.0, 70.0]) == "the interval of body weight is not known"
    with pytest.raises(InvalidInput, match=r"validation gave none of body weight: .* kept back\. Received: 3, 6\.5"):
        limit_widths(model, None, {"body weight": 3.0, "age": 6.5})
    with pytest.raises(InvalidInput, match=r"name the widest interval of each by itself\. Received: 5"):
        limit_widths(model, 5.0, {})
    with pytest.raises(InvalidInput, match=r"The quantities are age, body weight\. Received: height"):
        limit_widths(model, None, {"height": 5.0})
    with pytest.raises(InvalidInput, match="above 0"):
        limit_widths(model, None, {"age": 0.0})


def test_the_scores_of_each_quantity_are_watched(
    connection: sqlite3.Connection, files: Files, bodies: Measured
) -> None:
    cases = [case.case_id for case in list_snapshot_cases(connection, bodies.snapshot.id, split="test")]
    samples = _scores(connection, files, bodies.model, cases[:4], cases[4:], Silent())
    known = find_predictions(connection, bodies.model.id, cases)
    assert {name: now.tolist() for name, (_, now) in samples.items()} == {
        "score: age": [known[case][0] for case in cases[4:]],
        "score: body weight": [known[case][1] for case in cases[4:]],
    }


def test_the_members_of_an_ensemble_lend_each_quantity_their_widest_interval() -> None:
    narrow, wide = ({"half_width": width, "level": 0.9, "n": 20} for width in (2.0, 7.0))
    parts = [{"intervals": {"age": narrow, "body weight": narrow}}, {"intervals": {"age": wide, "body weight": None}}]
    assert combine_calibrations(parts) == {"intervals": {"age": wide, "body weight": None}}


def test_a_model_card_tells_the_interval_of_each_quantity(bodies: Measured) -> None:
    assert _calibrated(bodies.model) == "interval of age ± 6 years (n = 40); no interval of body weight"


def test_an_ensemble_is_measured_where_all_references_of_one_quantity_are_the_same(
    connection: sqlite3.Connection, bodies: Measured, actor: Actor
) -> None:
    """That quantity has no spread to measure by: how far members are apart is told of the others."""
    pair = (bodies.model, add_nearer(connection, bodies, actor))
    model = replace(bodies.model, facts={**bodies.model.facts, "members": [{"id": one.id} for one in pair]})
    cases = list_snapshot_cases(connection, bodies.snapshot.id, split="test")
    targets = encode_targets(BODY, [case.value for case in cases])
    age = targets[:, 0].astype(float).std()
    targets[:, 1] = 70
    told = _describe_members(connection, model, BODY, cases, targets)
    assert told["spread"]["value"] == pytest.approx(np.sqrt(0.5) / age)  # a year apart
    targets[:, 0] = 50
    assert _describe_members(connection, model, BODY, cases, targets)["spread"]["value"] is None
