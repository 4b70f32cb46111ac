"""Cases that deserve a second look, each with why."""

import numpy as np

from core.evaluation.doubtful import disagreed_with, find_twins, least_sure, suspect_references, unlike_training
from core.evaluation.operating import read_scored
from core.evaluation.run import evaluate_model
from core.labels.records import NewLabel, add_label
from core.people.accounts import ensure_user
from core.progress import Silent


def test_lists_of_an_evaluated_model_lead_to_its_cases(connection, files, settings, project, snapshot, model, actor):
    """Of every fifth patient the label contradicts the brightness, which is all that this model knows."""
    evaluate_model(connection, files, settings, model.id, snapshot.id, "train", actor, Silent())
    seen = read_scored(connection, model, snapshot, "train")
    swapped = {
        case_id for case_id, patient in zip(seen.case_ids, seen.patients, strict=True) if int(patient[1:]) % 5 == 0
    }
    found = suspect_references(snapshot.schema, seen)
    assert {one.case_id for one in found} == swapped
    assert "labelled" in found[0].why
    assert {one.case_id for one in disagreed_with(connection, project, model, snapshot.schema, seen)} == swapped

    ensure_user(connection, "ben")
    fine = next(case_id for case_id in seen.case_ids if case_id not in swapped)
    own = "pneumonia" if seen.targets[seen.case_ids.index(fine)][1] else "normal"
    other = "normal" if own == "pneumonia" else "pneumonia"
    add_label(connection, NewLabel("event-ben", fine, "ben", {"classes": [other]}), actor)
    told = {one.case_id: one.why for one in disagreed_with(connection, project, model, snapshot.schema, seen)}
    assert told[fine] == "against 1 of 2 readers, who disagree"

    sure = seen.scores.max(axis=1)
    assert least_sure(snapshot.schema, seen)[0].case_id == seen.case_ids[int(np.argmin(sure))]
    twins = find_twins(connection, files, seen, Silent())
    answer = dict(zip(seen.case_ids, seen.targets.tolist(), strict=True))
    apart = [answer[one.case_id] != answer[other.case_id] for one, other in twins]
    assert apart == sorted(apart, reverse=True)
    assert all(("another reference" in pair[0].why) == differs for pair, differs in zip(twins, apart, strict=True))


def test_what_no_training_case_has_is_named():
    known = {"scanner": ["A", "C", ""], "age": ["30", "50", "91"]}
    trained = {"scanner": ["A", "B"], "age": ["20", "80"]}
    told = {one.case_id: one.why for one in unlike_training([1, 2, 3], known, trained)}
    assert told == {2: "scanner C, not in training", 3: "age 91, trained on 20 to 80"}
