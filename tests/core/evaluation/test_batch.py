"""Many cases at once: which are new, what is said of them, and what is kept back."""

import csv
import io
from dataclasses import replace

import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import list_snapshot_cases
from core.errors import Conflict, CoreError, InvalidInput
from core.evaluation.abstention import find_rule, freeze_rule, try_limit, withheld_by_scores
from core.evaluation.batch import (
    WITHHELD,
    answers_csv,
    describe_answers,
    flat_row,
    list_new_cases,
    predict_new_cases,
)
from core.evaluation.records import find_predictions, store_predictions
from core.images.records import NewCase, insert_case
from core.progress import Silent
from core.projects.schema import Regression
from core.tasks.regression import describe_schema


@pytest.fixture
def snapshot(connection, files, project, actor, add_square):
    """20 patients with two squares each, half of them for validation."""
    for k in range(40):
        bright = (k // 2) % 2 == 1
        answer = ["pneumonia" if bright else "normal"]
        add_square(project, f"{k}.png", f"p{k // 2}", 190 if bright else 60, answer)
    return freeze_snapshot(
        connection, files, project, "first", ratios=(0.3, 0.5, 0.2), allow_leaks="squares look alike", actor=actor,
        progress=Silent(),
    )  # fmt: skip


@pytest.fixture
def new(project, snapshot, add_square):
    """Two clear squares and one in between, none of them in the snapshot."""
    return [add_square(project, f"new-{grey}.png", f"n{grey}", grey, ["normal"]).id for grey in (60, 190, 128)]


@pytest.fixture
def validated(connection, snapshot, model, project):
    """Sure and right on 10 validation cases or more, unsure and wrong on two: by hand, so that the limit is known."""
    cases = list_snapshot_cases(connection, snapshot.id, split="validation")
    scores = {}
    for at, case in enumerate(cases):
        right = case.value["classes"] == ["pneumonia"]
        p = (0.45 if right else 0.55) if at < 2 else (0.9 if right else 0.1)
        scores[case.case_id] = [1 - p, p]
    store_predictions(connection, model, project.schema, scores)
    return cases


def test_cases_outside_the_snapshot_are_answered_once_and_kept(connection, files, model, new):
    assert list_new_cases(connection, model) == new
    done = predict_new_cases(connection, files, model, new, Silent())
    assert (done["cases"], done["predicted"], done["failed"]) == (3, 3, 0)
    before = find_predictions(connection, model.id, new)
    assert predict_new_cases(connection, files, model, new, Silent())["predicted"] == 0
    assert find_predictions(connection, model.id, new) == before
    answers = [row["answer"] for row in describe_answers(connection, model, new)]
    assert answers[:2] == ["normal", "pneumonia"]


def test_a_case_that_does_not_fit_stops_no_other(connection, files, model, project, new):
    volume = insert_case(
        connection,
        NewCase(
            project=project.id, source="v.nii", patient="v", patient_from="table", pixel_hash="0" * 64,
            file_hash="0" * 64, perceptual_hash=None, rows=4, columns=4, channels=1, dtype="uint8", frames=3,
            photometric="MONOCHROME2", imported_by="anna",
        ),
    )  # fmt: skip
    assert volume.id not in list_new_cases(connection, model)
    done = predict_new_cases(connection, files, model, [volume.id, new[0]], Silent())
    assert done["predicted"] == 1
    assert "3 frames" in done["refused"][0]["reason"]


def test_a_case_of_another_project_is_refused(connection, files, model, new):
    with pytest.raises(InvalidInput, match="own project"):
        predict_new_cases(connection, files, replace(model, project=99), new, Silent())


def test_the_limit_is_chosen_on_validation_and_frozen_for_good(connection, files, model, actor, validated, new):
    n = len(validated)
    assert n >= 12
    tried = try_limit(connection, model, 0.95)
    assert tried["limit"] == pytest.approx(0.9)
    assert (tried["n"], tried["n_answered"]) == (n, n - 2)
    assert tried["coverage"]["low"] < tried["coverage"]["value"] == pytest.approx((n - 2) / n)
    assert find_rule(connection, model.id) is None
    freeze_rule(connection, model, aim=0.95, actor=actor)
    with pytest.raises(Conflict, match="has a rule"):
        freeze_rule(connection, model, aim=0.5, actor=actor)
    predict_new_cases(connection, files, model, new, Silent())
    scores = find_predictions(connection, model.id, new)
    rows = describe_answers(connection, model, new)
    for case_id, row in zip(new, rows, strict=True):
        assert (row["answer"] == WITHHELD) == (max(scores[case_id]) < tried["limit"])
    between = rows[2]
    assert "below 0.900" in between["withheld"]
    # the table and its file keep the probabilities of a withheld answer to themselves
    told = list(csv.DictReader(io.StringIO(answers_csv(model, rows))))
    assert told[2]["answer"] == WITHHELD
    assert told[2]["p(pneumonia)"] == "" != told[1]["p(pneumonia)"]


def test_an_aim_that_no_limit_keeps_is_refused(connection, model, snapshot, project):
    wrong = {
        case.case_id: [0.1, 0.9] if case.value["classes"] == ["normal"] else [0.9, 0.1]
        for case in list_snapshot_cases(connection, snapshot.id, split="validation")
    }
    store_predictions(connection, model, project.schema, wrong)
    with pytest.raises(InvalidInput, match=r"No limit keeps this aim .* of which 0 are right"):
        try_limit(connection, model, 0.95)
    with pytest.raises(InvalidInput, match=r"from 0\.5 to below 1"):
        try_limit(connection, model, 1.0)
    with pytest.raises(CoreError, match="Thresholds are of classifiers"):
        try_limit(connection, replace(model, facts=model.facts | {"task": "regression"}), 0.9)


def test_a_case_unlike_all_of_training_is_kept_back(connection, files, model, actor, project, add_square, snapshot):
    connection.execute("""UPDATE cases SET attributes = '{"scanner": "A"}'""")
    odd = add_square(project, "odd.png", "odd", 190, ["normal"]).id
    usual = add_square(project, "usual.png", "usual", 190, ["normal"]).id
    connection.execute("""UPDATE cases SET attributes = '{"scanner": "B"}' WHERE id = ?""", (odd,))
    connection.execute("""UPDATE cases SET attributes = '{"scanner": "A"}' WHERE id = ?""", (usual,))
    connection.commit()
    freeze_rule(connection, model, actor=actor)
    predict_new_cases(connection, files, model, [odd, usual], Silent())
    first, second = describe_answers(connection, model, [odd, usual])
    assert first["withheld"] == "scanner B, not in training"
    assert (second["withheld"], second["answer"]) == ("", "pneumonia")


def test_a_number_with_too_wide_an_interval_is_kept_back(model):
    facts = {"task": "regression", "calibration": {"interval": {"half_width": 4.0, "level": 0.9, "n": 30}}}
    number = replace(model, facts=model.facts | facts)
    assert withheld_by_scores(number, {"most_half_width": 5.0}, [3.0]) == ""
    assert withheld_by_scores(number, {"most_half_width": 3.0}, [3.0]) == "within ±4, wider than ±3"
    growing = {"half_width": 4.0, "level": 0.9, "n": 30, "middle": 10.0, "grows": 0.2}
    wide = replace(number, facts=number.facts | {"calibration": {"interval": growing}})
    assert withheld_by_scores(wide, {"most_half_width": 3.0}, [3.0]) == ""
    assert withheld_by_scores(wide, {"most_half_width": 3.0}, [10.0]) == "within ±4, wider than ±3"


def test_a_width_is_refused_where_there_is_no_interval_to_limit(connection, model, actor):
    told = describe_schema(Regression("age", "years", 0, 120))
    number = replace(model, facts={"task": "regression", **told, "calibration": {"interval": None}})
    with pytest.raises(InvalidInput, match=r"validation gave none of age: every answer would be kept back"):
        freeze_rule(connection, number, most_half_width=5.0, actor=actor)
    assert find_rule(connection, model.id) is None


def test_numbers_and_structures_have_a_column_each() -> None:
    row = {"case": 1, "source": "a", "patient": "p", "answer": "3 ml", "withheld": "", "value": 3.0, "unit": "ml"}
    interval = {"low": 1.0, "high": 5.0, "level": 0.9, "half_width": 2.0, "n": 30}
    assert flat_row(row | {"interval": interval})["high"] == 5.0
    painted = {"liver": {"pixels": 9, "volume_ml": 0.5, "probability": 0.9}}
    seen = {key: row[key] for key in ("case", "source", "patient", "answer", "withheld")} | {"structures": painted}
    assert flat_row(seen)["liver ml"] == 0.5
    assert flat_row(seen | {"withheld": "sure at 0.1"})["liver pixels"] is None
