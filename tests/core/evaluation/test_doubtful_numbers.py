"""Numbers that deserve a second look, each with why."""

import sqlite3
from dataclasses import replace

import pytest

from core.datasets.records import list_snapshot_cases
from core.evaluation.doubtful import pair_twins
from core.evaluation.doubtful_numbers import apart_by_numbers, far_from_readers, read_said_numbers, suspect_readings
from core.evaluation.records import find_evaluation
from core.labels.records import NewLabel, add_label, new_event
from core.people.accounts import ensure_user
from core.progress import Silent
from core.store.audit import Actor
from core.store.files import Files
from core.training.records import Model
from tests.core.reviews.other_tasks import Measured, measured_bodies, measured_numbers

INTERVAL = {"half_width": 2.5, "level": 0.9, "n": 40}  # errors are 2 years or 8


@pytest.fixture
def found(connection: sqlite3.Connection, files: Files, actor: Actor) -> Measured:
    return measured_numbers(connection, files, actor)


def read(connection: sqlite3.Connection, found: Measured, calibration: object = None, split: str = "test", at: int = 0):
    facts = {**found.model.facts, "calibration": {"interval": INTERVAL} if calibration is None else calibration}
    model: Model = replace(found.model, facts=facts)
    evaluation = replace(find_evaluation(connection, model.id, found.snapshot.id, "test"), split=split)
    return read_said_numbers(connection, model, found.snapshot, evaluation, at)


def test_a_reading_far_outside_the_interval_is_listed_the_furthest_first(connection, found):
    said = read(connection, found)
    wanted = [pair for pair in said.pairs if pair.predicted - pair.reference > 7]
    listed = suspect_readings(said)
    assert [one.case_id for one in listed] == [pair.case_id for pair in wanted]
    assert 0 < len(wanted) < len(said.pairs)
    assert listed[0].why == f"read {wanted[0].reference:g}, model {wanted[0].predicted:.4g}"


def test_without_an_interval_nothing_is_called_improbable(connection, found):
    said = read(connection, found, calibration={})
    assert (suspect_readings(said), far_from_readers(connection, said)) == ([], [])


def test_cases_that_the_model_was_trained_on_are_not_looked_at(connection, found):
    said = read(connection, found, split="train")
    trained = {case.case_id for case in list_snapshot_cases(connection, found.snapshot.id, split="train")}
    assert trained
    assert said.new == []
    assert suspect_readings(said) == []
    assert far_from_readers(connection, said) == []


def test_readers_outside_the_interval_come_before_readers_who_are_far_from_each_other(connection, found, actor):
    said = read(connection, found)
    far = [pair.case_id for pair in said.pairs if pair.predicted - pair.reference > 7]
    near = [pair for pair in said.pairs if pair.predicted - pair.reference < 3]
    ensure_user(connection, "zoe")
    away = {near[0].case_id: 40.0, near[1].case_id: 0.0, far[0]: 30.0}
    for pair in said.pairs:
        if pair.case_id in away:
            value = {"value": pair.predicted + away[pair.case_id]}
            add_label(connection, NewLabel(new_event(), pair.case_id, "zoe", value), actor)
    listed = far_from_readers(connection, said)
    told = {one.case_id: one.why for one in listed}
    assert listed[0].case_id == far[0]  # far from both of its readers
    assert told[far[0]] == "far from 2 of 2 readers, who differ by 38 years"
    assert told[near[0].case_id] == "far from 1 of 2 readers, who differ by 42 years"
    assert near[1].case_id not in told


def test_twins_with_different_readings_come_first_and_say_both(connection, files, found):
    said = read(connection, found)
    one, other, third = (pair.case_id for pair in said.pairs[:3])
    same = connection.execute("SELECT pixel_hash FROM cases WHERE id = ?", (one,)).fetchone()[0]
    for twin in (other, third):
        connection.execute("UPDATE cases SET pixel_hash = ? WHERE id = ?", (same, twin))
    pairs = pair_twins(connection, files, [one, other, third], apart_by_numbers(said), Silent())
    values = {pair.case_id: pair.reference for pair in said.pairs}
    gaps = [abs(values[left.case_id] - values[right.case_id]) for left, right in pairs]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 0
    left, right = pairs[0]
    words = f"the same pixels with {right.case_id}, read {values[left.case_id]:g} and {values[right.case_id]:g}"
    assert left.why == words


def test_of_several_quantities_each_has_its_own_list(connection, files, actor):
    bodies = measured_bodies(connection, files, actor)
    narrow = {"intervals": {"age": {**INTERVAL, "half_width": 0.1}, "body weight": {**INTERVAL, "half_width": 500.0}}}
    ages, weights = (read(connection, bodies, narrow, at=at) for at in (0, 1))
    furthest = max(ages.pairs, key=lambda pair: abs(pair.predicted - pair.reference))
    assert suspect_readings(ages)[0].why == f"read {furthest.reference:g}, model {furthest.predicted:.4g}"
    assert suspect_readings(weights) == []
