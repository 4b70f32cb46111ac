"""What a meeting looks at beside the numbers: population, readers, failures and what is said of them."""

import sqlite3

import numpy as np
import pytest

from core.erasing.erase import erase
from core.erasing.plan import plan_erasure
from core.errors import InvalidInput, NotFound
from core.labels.case_lists import list_cases_of
from core.labels.records import NewLabel, add_label, new_event
from core.measures.intervals import wilson_interval
from core.people.accounts import ensure_user
from core.reviews.criteria import parse_criterion
from core.reviews.failures import count_causes, keep_to_read_again, list_failures, map_causes, tag_failure
from core.reviews.meetings import Review, add_review, get_evaluation_of, open_results
from core.reviews.population import describe_population, list_missing
from core.reviews.reference_standard import describe_reference
from core.reviews.reliability import measure_reliability, reliability_of
from core.reviews.remarks import add_remark, find_presented, list_remarks, present_step, thread
from core.store.audit import Actor
from tests.core.reviews.conftest import WRONG, Room, add_image

BEN = Actor("ben", "command line")


@pytest.fixture
def review(connection: sqlite3.Connection, room: Room, actor: Actor) -> Review:
    criteria = [parse_criterion("accuracy at least 0.5")]
    made = add_review(connection, room.project, room.model, criteria=criteria, actor=actor)
    return open_results(connection, made, actor=actor)


def test_the_population_is_told_for_each_split(connection: sqlite3.Connection, room: Room) -> None:
    told = {row.title: row.cells for row in describe_population(connection, room.snapshot, None)}
    assert told["cases"] == ("16", "8", "16")
    assert told["reference"][2] == "normal: 7 (44 %), pneumonia: 9 (56 %)"
    assert told["sex"][2] == "F: 11 (69 %), M: 5 (31 %)"
    assert told["age"][0] == "median 37.5 (30 to 45)"
    assert list(told)[:5] == ["cases", "patients", "reference", "sex", "age"]
    assert list_missing(connection, room.snapshot) == ["site"]


def test_readers_agreement_is_cohen_s_kappa(connection: sqlite3.Connection, room: Room) -> None:
    from sklearn.metrics import cohen_kappa_score

    ensure_user(connection, "ben")
    draws = np.random.default_rng(3)
    mine, his = [], []
    for number, case in enumerate(room.cases[:20]):
        said = "pneumonia" if draws.random() < 0.6 else "normal"
        add_label(connection, NewLabel(new_event(), case.id, "ben", {"classes": [said]}), BEN)
        his.append(said)
        mine.append("pneumonia" if number % 2 else "normal")
    tied = add_image(connection, room.project, 41, Actor("anna", "screen"))  # such a case is in no snapshot
    add_label(connection, NewLabel(new_event(), tied.id, "ben", {"classes": ["normal"]}), BEN)
    told = describe_reference(connection, room.snapshot)
    mine.append("pneumonia")
    his.append("normal")
    (pair,) = told.pairs
    assert (pair.one, pair.other, pair.n, told.read_by_several) == ("anna", "ben", 21, 21)
    assert pair.value == pytest.approx(cohen_kappa_score(mine, his), abs=1e-12)
    assert told.readers == (("anna", 41), ("ben", 21))
    assert told.rule == "what most readers say; ties stay out"


def test_the_surest_mistakes_come_first_and_keep_their_cause(
    connection: sqlite3.Connection, room: Room, review: Review, actor: Actor
) -> None:
    missed = list_failures(connection, room.project, review, "missed", "pneumonia")
    assert [row.id for row in missed] == [room.cases[number].id for number in reversed(WRONG)]
    alarms = list_failures(connection, room.project, review, "false alarm", "normal")
    assert [row.id for row in alarms] == [row.id for row in missed]
    assert list_failures(connection, room.project, review, "false alarm", "pneumonia") == []
    tag_failure(connection, review, missed[0].id, "shortcut", actor=actor)
    tag_failure(connection, review, missed[0].id, "label error", actor=actor)
    tag_failure(connection, review, missed[1].id, "other", actor=actor)
    tag_failure(connection, review, missed[1].id, "", actor=actor)
    assert map_causes(connection, review) == {missed[0].id: "label error"}
    assert count_causes(connection, review) == {"label error": 1}
    with pytest.raises(InvalidInput, match="A cause is one of"):
        tag_failure(connection, review, missed[0].id, "bad luck", actor=actor)  # type: ignore[arg-type]
    kept = keep_to_read_again(connection, room.project, review, [missed[0].id], actor=actor)
    assert list_cases_of(connection, room.project.id, kept.id) == [missed[0].id]
    with pytest.raises(InvalidInput, match="Name a class of the project"):
        list_failures(connection, room.project, review, "missed", "tuberculosis")


def test_remarks_are_threaded_kept_and_go_only_with_their_case(
    connection: sqlite3.Connection, room: Room, review: Review, actor: Actor
) -> None:
    case = room.cases[36].id
    first = add_remark(connection, review, "Why this one?", step="failures", case_id=case, actor=actor)
    other = add_remark(connection, review, "Few women.", step="population", actor=actor)
    reply = add_remark(connection, review, "It is rotated.", parent=first.id, actor=actor)
    assert (reply.step, reply.case_id) == ("failures", case)
    remarks = list_remarks(connection, review)
    assert [(depth, one.id) for depth, one in thread(remarks)] == [(0, first.id), (1, reply.id), (0, other.id)]
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("DELETE FROM remarks")
    with pytest.raises(NotFound, match="There is no remark 99"):
        add_remark(connection, review, "What?", parent=99, actor=actor)
    tag_failure(connection, review, case, "image quality", actor=actor)
    erase(
        connection, room.files, plan_erasure(connection, room.files, room.project, case_ids=[case]), actor=actor,
        reason="",
    )  # fmt: skip
    assert [one.id for one in list_remarks(connection, review)] == [other.id]
    assert map_causes(connection, review) == {}
    assert "1 of its cases was erased" in get_evaluation_of(connection, review).loss


def test_others_see_the_step_that_is_shown(connection: sqlite3.Connection, review: Review, actor: Actor) -> None:
    assert find_presented(connection, review) is None
    for step in ("card", "numbers"):
        present_step(connection, review, step, actor=actor)
    shown = find_presented(connection, review)
    assert shown is not None
    assert (shown.step, shown.by, shown.case_id) == ("numbers", "anna", None)


def test_others_see_the_case_that_is_open_until_it_is_erased(
    connection: sqlite3.Connection, room: Room, review: Review, actor: Actor
) -> None:
    case = room.cases[36].id
    present_step(connection, review, "failures", case_id=case, actor=actor)
    shown = find_presented(connection, review)
    assert shown is not None
    assert (shown.step, shown.case_id) == ("failures", case)
    with pytest.raises(NotFound, match="There is no case 999"):
        present_step(connection, review, "failures", case_id=999, actor=actor)
    plan = plan_erasure(connection, room.files, room.project, case_ids=[case])
    erase(connection, room.files, plan, actor=actor, reason="")
    shown = find_presented(connection, review)
    assert shown is not None
    assert (shown.step, shown.case_id) == ("failures", None)


def test_reliability_holds_scores_against_shares(connection: sqlite3.Connection, room: Room, review: Review) -> None:
    draws = np.random.default_rng(0)
    scores = draws.random(20_000)
    truth, alone = (draws.random(20_000) < scores).astype(float), np.arange(20_000)
    told = reliability_of("a", truth, scores, alone)
    assert all(one.low <= one.share <= one.high for one in told.bins)
    assert all(abs(one.share - one.mean_score) < 0.05 for one in told.bins)
    ones = reliability_of("a", np.ones(50), np.full(50, 0.2), alone[:50])
    assert [one.share for one in ones.bins] == [1.0] * 5
    plain = wilson_interval(int(truth[np.argsort(scores)[:2000]].sum()), 2000)
    assert (told.bins[0].low, told.bins[0].high) == (plain.low, plain.high)
    tenfold = reliability_of("a", np.repeat(truth, 10), np.repeat(scores, 10), np.repeat(alone, 10))
    for one, ten in zip(told.bins, tenfold.bins, strict=True):  # ten copies of an image say no more than one
        assert (ten.n, ten.low) == (10 * one.n, pytest.approx(one.low, abs=1e-4))
        assert ten.high == pytest.approx(one.high, abs=1e-4)
    of_review = measure_reliability(connection, room.snapshot, get_evaluation_of(connection, review), "pneumonia")
    assert (of_review.n, len(of_review.bins)) == (16, 1)
