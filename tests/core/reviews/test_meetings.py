"""Preparing a review: criteria fixed beforehand, locked when the results are opened, every opening counted."""

import sqlite3

import pytest

from core.datasets.records import list_snapshot_cases
from core.errors import Conflict, InvalidInput
from core.evaluation.run import evaluate_model
from core.evaluation.subgroups import list_cuts, read_attributes
from core.jobs.bodies.evaluate import run as evaluate
from core.jobs.context import JobContext
from core.jobs.records import add_job, claim_job
from core.progress import Silent
from core.projects.records import add_project
from core.projects.schema import make_classification
from core.reviews.criteria import parse_criterion
from core.reviews.decisions import NewDecision, decide_review
from core.reviews.meetings import (
    Review,
    add_review,
    change_criteria,
    count_test_looks,
    get_evaluation_of,
    get_review,
    list_reviews,
    note_shown,
    open_results,
)
from core.store.audit import Actor, list_audit
from tests.core.reviews.conftest import PASSWORD, Room

SENSITIVE = parse_criterion("sensitivity of pneumonia at least 0.90, lower bound at least 0.85")
FAIR = parse_criterion("sensitivity of pneumonia by sex at least 0.80")
EASY = parse_criterion("accuracy at least 0.5")


@pytest.fixture
def review(connection: sqlite3.Connection, room: Room, actor: Actor) -> Review:
    return add_review(connection, room.project, room.model, criteria=[SENSITIVE, FAIR, EASY], actor=actor)


def test_criteria_may_change_until_the_results_are_opened(
    connection: sqlite3.Connection, review: Review, actor: Actor
) -> None:
    changed = change_criteria(connection, review, [SENSITIVE, EASY], actor=actor)
    assert changed.criteria == (SENSITIVE, EASY)
    assert list_audit(connection, what="change criteria")[0].detail["after"] == [SENSITIVE.sentence, EASY.sentence]
    opened = open_results(connection, review, actor=actor)
    assert opened.is_locked
    with pytest.raises(Conflict, match="the criteria are fixed"):
        change_criteria(connection, opened, [EASY], actor=actor)
    for column in ("criteria", "model", "outcomes", "locked_at", "name"):
        with pytest.raises(sqlite3.IntegrityError, match="locked"):
            connection.execute(f"UPDATE reviews SET {column} = {column} WHERE id = ?", (review.id,))
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("DELETE FROM reviews WHERE id = ?", (review.id,))


def test_opening_settles_each_criterion_by_its_number_and_by_its_subgroups(
    connection: sqlite3.Connection, review: Review, actor: Actor
) -> None:
    opened = open_results(connection, review, actor=actor)
    assert opened.outcomes is not None
    sensitive, fair, easy = opened.outcomes
    assert (sensitive.state, fair.state, easy.state) == ("not met", "not met", "met")
    numbers = get_evaluation_of(connection, opened).result
    assert sensitive.parts[0].value == numbers["per_class"]["pneumonia"]["recall"]["value"]
    women, men = fair.parts
    # of the 16 test images 9 show pneumonia: 5 of men, of which one is missed by its odd number and one by its even
    assert (women.group, women.n_of, women.value) == ("F", 4, 1.0)
    assert (men.group, men.n_of, men.value) == ("M", 5, pytest.approx(3 / 5))
    assert men.is_small
    assert (women.state, women.reason) == (
        "not met (undefined)", "too few to tell, 11 of at least 30 patients, 4 of at least 10 cases of pneumonia"
    )  # fmt: skip
    assert get_review(connection, opened.project, opened.id) == opened


def test_a_criterion_by_age_is_asked_of_the_ranges_that_the_tab_of_subgroups_shows(
    connection: sqlite3.Connection, room: Room, actor: Actor
) -> None:
    by_age = parse_criterion("sensitivity of pneumonia by age at least 0.80")
    review = add_review(connection, room.project, room.model, criteria=[by_age], actor=actor)
    (outcome,) = open_results(connection, review, actor=actor).outcomes or ()
    tested = [case.case_id for case in list_snapshot_cases(connection, room.snapshot.id, split="test")]
    shown = read_attributes(connection, tested)["age"]
    assert [part.group for part in outcome.parts] == sorted(set(shown))
    assert list_cuts(connection, room.snapshot, None, "age") == sorted(set(shown))
    assert [part.n_cases for part in outcome.parts] == [4, 4, 4, 4]
    # both mistakes are of the patients of 66 and 67 years
    assert [part.state for part in outcome.parts] == [*["not met (undefined)"] * 3, "not met"]
    assert outcome.state == "not met"


def test_every_opening_is_counted_for_ever_and_seen_from_the_next_review(
    connection: sqlite3.Connection, room: Room, review: Review, actor: Actor
) -> None:
    for _ in range(3):
        open_results(connection, review, actor=actor)
    looks = count_test_looks(connection, review)
    assert (looks.evaluations, looks.openings, looks.openings_here) == (1, 3, 3)
    again = add_review(connection, room.project, room.model, criteria=[EASY], actor=actor)
    looks = count_test_looks(connection, again)
    assert (looks.openings, looks.openings_here) == (3, 0)
    assert "measured once and opened in meetings 3 times, never in this one" in looks.sentence
    for statement in ("UPDATE test_openings SET by = 'ben'", "DELETE FROM test_openings"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)


def test_criteria_written_after_the_results_were_there_are_said_to_be(
    connection: sqlite3.Connection, room: Room, review: Review, actor: Actor
) -> None:
    assert count_test_looks(connection, review).known_before
    blind = add_review(connection, room.project, room.other, criteria=[EASY], actor=actor)
    evaluate_model(connection, room.files, room.settings, room.other.id, room.snapshot.id, "test", actor, Silent())
    assert not count_test_looks(connection, blind).known_before


def test_results_that_are_shown_elsewhere_lock_the_criteria_and_are_counted(
    connection: sqlite3.Connection, room: Room, actor: Actor
) -> None:
    other = add_review(connection, room.project, room.model, criteria=[EASY], actor=actor)
    blind = add_review(connection, room.project, room.other, criteria=[EASY], actor=actor)
    of_other = (room.other.id, room.snapshot.id)
    assert note_shown(connection, *of_other, actor=actor) == [], "there is nothing to be seen yet"
    evaluate_model(connection, room.files, room.settings, room.other.id, room.snapshot.id, "test", actor, Silent())
    (locked,) = note_shown(connection, *of_other, actor=actor)
    assert (locked.id, locked.locked_by) == (blind.id, actor.name)
    assert locked.outcomes is not None
    assert locked.outcomes[0].state == "met"
    with pytest.raises(Conflict, match="the criteria are fixed"):
        change_criteria(connection, blind, [SENSITIVE], actor=actor)
    assert not get_review(connection, other.project, other.id).is_locked, "that is another model"
    assert note_shown(connection, *of_other, actor=actor) == [], "it was locked before, and the look is counted"
    looks = count_test_looks(connection, locked)
    assert (looks.openings, looks.openings_here, looks.elsewhere, looks.known_before) == (0, 0, 2, False)
    assert "never opened in a meeting" in looks.sentence
    assert "Outside of this meeting they were shown 2 times since it was prepared." in looks.sentence
    assert list_audit(connection, what="open test results")[0].detail["outside"] == "a meeting"
    open_results(connection, locked, actor=actor)
    looks = count_test_looks(connection, locked)
    assert (looks.openings_here, looks.elsewhere) == (1, 2)


def test_a_decided_review_is_not_counted_any_more(
    connection: sqlite3.Connection, room: Room, review: Review, signers: tuple[Actor, Actor]
) -> None:
    opened = open_results(connection, review, actor=signers[0])
    new = NewDecision("reject", "It misses too many.")
    decide_review(connection, opened, new, signer="anna", password=PASSWORD, actor=signers[0])
    assert note_shown(connection, room.model.id, room.snapshot.id, actor=signers[0]) == []
    assert count_test_looks(connection, opened).elsewhere == 0


def test_evaluating_on_test_locks_what_waits_for_it_and_on_validation_does_not(
    connection: sqlite3.Connection, room: Room, actor: Actor
) -> None:
    blind = add_review(connection, room.project, room.other, criteria=[EASY], actor=actor)
    states = []
    for split in ("validation", "test"):
        asked = {"model": room.other.id, "snapshot": room.snapshot.id, "split": split}
        add_job(connection, "evaluate", asked, project=room.project.id, actor=actor)
        job = claim_job(connection, "work", "cpu")
        assert job is not None
        evaluate(JobContext(connection, room.files, room.settings, job, room.settings.home, "cpu", actor, Silent()))
        states.append(get_review(connection, blind.project, blind.id).is_locked)
    assert states == [False, True]
    looks = count_test_looks(connection, blind)
    assert (looks.evaluations, looks.elsewhere) == (2, 0)  # of both models one


def test_a_model_without_predictions_has_no_results_to_open(
    connection: sqlite3.Connection, room: Room, actor: Actor
) -> None:
    blind = add_review(connection, room.project, room.other, criteria=[EASY], actor=actor)
    with pytest.raises(InvalidInput, match="Evaluate the model on the test split"):
        open_results(connection, blind, actor=actor)
    assert not get_review(connection, blind.project, blind.id).is_locked
    assert count_test_looks(connection, blind).openings == 0


def test_a_review_keeps_the_numbers_that_were_opened(
    connection: sqlite3.Connection, room: Room, review: Review, actor: Actor
) -> None:
    first = open_results(connection, review, actor=actor)
    evaluate_model(connection, room.files, room.settings, room.model.id, room.snapshot.id, "test", actor, Silent())
    assert open_results(connection, review, actor=actor).evaluation == first.evaluation


def test_what_does_not_belong_together_is_refused(connection: sqlite3.Connection, room: Room, actor: Actor) -> None:
    wanted = [parse_criterion("accuracy by ward at least 0.5")]
    with pytest.raises(InvalidInput, match="here age, sex"):
        add_review(connection, room.project, room.model, criteria=wanted, actor=actor)
    with pytest.raises(InvalidInput, match="Compare a model with another one"):
        add_review(connection, room.project, room.model, criteria=[], production=room.model, actor=actor)
    elsewhere = add_project(
        connection, name="Else", task="classification", schema=make_classification(["a", "b"]), actor=actor
    )
    with pytest.raises(InvalidInput, match="belong to one project"):
        add_review(connection, elsewhere, room.model, criteria=[], snapshot=room.snapshot, actor=actor)
    assert list_reviews(connection, room.project.id) == []
