from core.datasets.records import list_snapshot_cases
from core.evaluation.records import (
    add_evaluation,
    count_test_uses,
    find_evaluation,
    find_evaluation_of_case,
    find_predictions,
    list_evaluations,
    list_predictions_of_case,
    store_predictions,
)
from core.labels.answers import value_text


def cases_of(connection):
    return [row["id"] for row in connection.execute("SELECT id FROM cases ORDER BY id")]


def test_predictions_come_back_as_they_were_stored(connection, project, model):
    first, second, third, *_ = cases_of(connection)
    store_predictions(connection, model, project.schema, {first: [0.25, 0.75], second: [1.0, 0.0]})
    assert find_predictions(connection, model.id, [first, second, third]) == {first: (0.25, 0.75), second: (1.0, 0.0)}
    assert list_predictions_of_case(connection, first) == {model.id: (0.25, 0.75)}


def test_a_prediction_is_never_overwritten(connection, project, model):
    case = cases_of(connection)[0]
    store_predictions(connection, model, project.schema, {case: [0.25, 0.75]})
    store_predictions(connection, model, project.schema, {case: [0.5, 0.5]})
    assert find_predictions(connection, model.id, [case]) == {case: (0.25, 0.75)}


def test_a_prediction_is_kept_with_its_decision_and_how_sure_it_is(connection, project, model):
    case = cases_of(connection)[0]
    store_predictions(connection, model, project.schema, {case: [0.25, 0.75]})
    row = connection.execute("SELECT predicted, confidence FROM predictions").fetchone()
    assert tuple(row) == (value_text({"classes": ["pneumonia"]}), 0.75)


def test_the_newest_evaluation_is_found_and_all_are_kept(connection, model, snapshot, actor):
    for number in (1, 2):
        add_evaluation(
            connection, model_id=model.id, snapshot_id=snapshot.id, split="test", result={"n": number}, actor=actor
        )
    assert find_evaluation(connection, model.id, snapshot.id).result == {"n": 2}
    assert find_evaluation(connection, model.id).result == {"n": 2}
    assert [e.result["n"] for e in list_evaluations(connection, model_id=model.id)] == [2, 1]
    assert find_evaluation(connection, model.id, snapshot.id, "validation") is None


def test_uses_of_the_test_split_are_counted_over_models_and_by_fold(
    connection, project, model, snapshot, actor, add_brightness_model
):
    other, of_fold = add_brightness_model(project, snapshot), add_brightness_model(project, snapshot, fold=1)
    for used, split in ((model, "test"), (other, "test"), (model, "validation"), (of_fold, "test")):
        add_evaluation(connection, model_id=used.id, snapshot_id=snapshot.id, split=split, result={}, actor=actor)
    assert count_test_uses(connection, snapshot.id) == 2
    assert count_test_uses(connection, snapshot.id, 1) == 1
    assert count_test_uses(connection, snapshot.id, 0) == 0


def test_an_evaluation_is_audited(connection, model, snapshot, actor):
    add_evaluation(connection, model_id=model.id, snapshot_id=snapshot.id, split="test", result={}, actor=actor)
    row = connection.execute("SELECT who, subject FROM audit WHERE what = 'evaluate'").fetchone()
    assert tuple(row) == ("anna", f"model {model.id}")


def test_a_case_is_led_to_the_evaluation_of_its_own_split(connection, model, snapshot, actor):
    tested, learnt = (list_snapshot_cases(connection, snapshot.id, split=split)[0] for split in ("test", "train"))
    assert find_evaluation_of_case(connection, model.id, tested.case_id) is None
    for split in ("test", "validation"):
        add_evaluation(connection, model_id=model.id, snapshot_id=snapshot.id, split=split, result={}, actor=actor)
    found = [find_evaluation_of_case(connection, model.id, case.case_id) for case in (tested, learnt)]
    assert [evaluation.split for evaluation in found] == ["test", "validation"]
