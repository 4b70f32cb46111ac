"""What is signed: by whom, on what, and that nobody can change it afterwards."""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from core.errors import Conflict, CoreError, InvalidInput, NotAllowed
from core.people.accounts import ensure_user
from core.people.members import set_member
from core.reviews.criteria import parse_criterion
from core.reviews.decisions import (
    FollowUp,
    NewDecision,
    decide_review,
    find_decision,
    find_decision_in_force,
    find_faults,
    get_decision,
    sign_decision,
)
from core.reviews.meetings import Review, add_review, open_results
from core.settings import Settings
from core.store.audit import Actor, list_audit
from core.store.database import opened as opened_home
from tests.core.reviews.conftest import PASSWORD, Room, give_password

GOOD = parse_criterion("accuracy at least 0.5")
MISSED = parse_criterion("sensitivity of pneumonia at least 0.99")
APPROVED = NewDecision(
    "approve", "It finds what readers find.", actions=(FollowUp("Watch drift", "ben", "2026-12-24"),)
)


@pytest.fixture
def review(connection: sqlite3.Connection, room: Room, signers: tuple[Actor, Actor]) -> Review:
    return opened(connection, room, signers[0])


def opened(connection: sqlite3.Connection, room: Room, actor: Actor, *criteria: Any) -> Review:
    made = add_review(connection, room.project, room.model, criteria=criteria or [GOOD], actor=actor)
    return open_results(connection, made, actor=actor)


def decide(connection: sqlite3.Connection, review: Review, new: NewDecision, who: Actor, **given: Any) -> Any:
    return decide_review(connection, review, new, signer=who.name, actor=who, **{"password": PASSWORD, **given})


def test_a_decision_is_signed_and_binds_what_it_stands_on(
    connection: sqlite3.Connection, room: Room, review: Review, signers: tuple[Actor, Actor]
) -> None:
    anna, ben = signers
    made = decide(connection, review, APPROVED, anna, dissent="the women were few")
    assert (made.bound.model_hash, made.bound.snapshot_hash) == (room.model.keras_hash, room.snapshot.hash)
    (first,) = made.signatures
    assert (first.name, first.meaning, first.dissent) == ("anna", "decided by", "the women were few")
    both = sign_decision(
        connection, review, read_hash=made.hash, signer="ben", password=PASSWORD, meaning="agreed by", actor=ben
    )
    assert [one.name for one in both.signatures] == ["anna", "ben"]
    assert both.actions == APPROVED.actions
    assert find_faults(connection, review) == []
    assert [row.what for row in list_audit(connection, subject=f"review {review.id}", limit=3)] == [
        "sign", "sign", "decide",
    ]  # fmt: skip


@pytest.mark.parametrize("table", ["decisions", "signatures", "reviews", "test_openings"])
def test_nothing_signed_can_be_changed_or_deleted(
    connection: sqlite3.Connection, review: Review, signers: tuple[Actor, Actor], table: str
) -> None:
    decide(connection, review, APPROVED, signers[0])
    for row in connection.execute(f"PRAGMA table_info({table})").fetchall():
        with pytest.raises(sqlite3.IntegrityError, match=r"append-only|locked"):
            connection.execute(f"UPDATE {table} SET {row['name']} = {row['name']}")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(f"DELETE FROM {table}")


def test_what_somebody_changed_around_the_database_s_refusal_is_found(
    connection: sqlite3.Connection, room: Room, review: Review, signers: tuple[Actor, Actor]
) -> None:
    decide(connection, review, APPROVED, signers[0])
    for table in ("decisions", "signatures"):
        connection.execute(f"DROP TRIGGER {table}_are_never_changed")
    connection.execute("UPDATE decisions SET rationale = 'never said'")
    connection.execute("UPDATE signatures SET name = 'carla'")
    connection.execute("UPDATE evaluations SET result = json_set(result, '$.metrics.accuracy.value', 1.0)")
    connection.execute("UPDATE models SET keras_hash = 'x'")
    words = " ".join(find_faults(connection, review))
    for said in ("model file", "numbers", "text of the decision", "signature of carla"):
        assert said in words


def test_two_people_who_decide_at_once_the_second_is_told_and_two_who_sign_are_both_kept(
    connection: sqlite3.Connection, review: Review, signers: tuple[Actor, Actor]
) -> None:
    anna, ben = signers
    made = decide(connection, review, APPROVED, anna)
    with pytest.raises(Conflict, match="anna has decided this review meanwhile: approve"):
        decide(connection, review, NewDecision("reject", "No."), ben)
    asked = {"signer": "ben", "password": PASSWORD, "actor": ben}
    with pytest.raises(Conflict, match="not the decision that you have read"):
        sign_decision(connection, review, read_hash="0" * 64, meaning="agreed by", **asked)
    with pytest.raises(InvalidInput, match="see otherwise"):
        sign_decision(connection, review, read_hash=made.hash, meaning="dissented by", **asked)
    dissent = {"meaning": "dissented by", "dissent": "too few women", "read_hash": made.hash}
    sign_decision(connection, review, **dissent, **asked)
    with pytest.raises(Conflict, match="signed this decision already"):
        sign_decision(connection, review, **dissent, **asked)
    assert [one.meaning for one in get_decision(connection, review).signatures] == ["decided by", "dissented by"]


def at_once(settings: Settings, acts: Sequence[Callable[[sqlite3.Connection], Any]]) -> list[Any]:
    """Each in a thread with a connection of its own, begun together; what it gave, or the refusal."""
    together = threading.Barrier(len(acts))

    def run(act: Callable[[sqlite3.Connection], Any]) -> Any:
        with opened_home(settings) as connection:
            together.wait(30)
            try:
                return act(connection)
            except CoreError as refusal:
                return refusal

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(run, acts))


@pytest.mark.parametrize("attempt", range(3))
def test_of_two_threads_that_decide_at_the_same_time_one_decides(
    connection: sqlite3.Connection, settings: Settings, review: Review, signers: tuple[Actor, Actor], attempt: int
) -> None:
    rejection = NewDecision("reject", "No.")
    found = at_once(
        settings,
        [
            lambda own: decide(own, review, APPROVED, signers[0]),
            lambda own: decide(own, review, rejection, signers[1]),
        ],
    )
    (refusal,) = [one for one in found if isinstance(one, CoreError)]
    assert isinstance(refusal, Conflict)
    assert "has decided this review meanwhile" in str(refusal)
    made = get_decision(connection, review)
    assert made.hash == next(one.hash for one in found if not isinstance(one, CoreError))
    assert len(made.signatures) == 1
    assert find_faults(connection, review) == []


def test_of_threads_that_sign_at_the_same_time_every_person_is_kept_once(
    connection: sqlite3.Connection, settings: Settings, review: Review, signers: tuple[Actor, Actor]
) -> None:
    anna, ben = signers
    made = decide(connection, review, APPROVED, anna)
    ensure_user(connection, "carla")
    give_password(connection, "carla")
    set_member(connection, review.project, "carla", "reviewer", actor=anna)

    def sign(name: str) -> Callable[[sqlite3.Connection], Any]:
        return lambda own: sign_decision(
            own, review, read_hash=made.hash, signer=name, password=PASSWORD, meaning="agreed by",
            actor=Actor(name, "screen"),
        )  # fmt: skip

    found = at_once(settings, [sign("ben"), sign("carla"), sign("ben"), sign("carla")])
    refused = [one for one in found if isinstance(one, CoreError)]
    assert [type(one) for one in refused] == [Conflict, Conflict]
    assert all("signed this decision already" in str(one) for one in refused)
    names = [one.name for one in get_decision(connection, review).signatures]
    assert names[0] == "anna"
    assert sorted(names[1:]) == [ben.name, "carla"]
    assert find_faults(connection, review) == []


def test_who_has_no_password_or_types_another_signs_nothing(
    connection: sqlite3.Connection, room: Room, review: Review, signers: tuple[Actor, Actor]
) -> None:
    anna, _ = signers
    with pytest.raises(NotAllowed, match="The password is wrong; nothing was signed"):
        decide(connection, review, APPROVED, anna, password="guessed wrongly")
    assert list_audit(connection, what="signature refused")
    ensure_user(connection, "carla")
    set_member(connection, room.project.id, "carla", "reviewer", actor=anna)
    with pytest.raises(NotAllowed, match="Set a password first"):
        decide(connection, review, APPROVED, Actor("carla", "screen"))
    shell = Actor("root", "command line")
    ensure_user(connection, "dora")
    with pytest.raises(NotAllowed, match="another role"):  # whoever sits at the shell, the signer needs the role
        decide_review(connection, review, APPROVED, signer="dora", password=PASSWORD, actor=shell)
    with pytest.raises(InvalidInput, match="signs for themselves"):
        decide_review(connection, review, APPROVED, signer="ben", password=PASSWORD, actor=anna)
    assert find_decision(connection, review) is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"rationale": " "}, "Say why"),
        ({"verdict": "perhaps"}, "A decision is one of"),
        ({"conditions": "only by day"}, "Conditions belong to"),
        ({"verdict": "approve with conditions"}, "Conditions belong to"),
        ({"actions": (FollowUp("Watch", "ben", "soon"),)}, "due on a day"),
        ({"actions": (FollowUp("Watch", "", "2026-12-24"),)}, "by whom"),
    ],
)
def test_what_a_decision_must_say(
    connection: sqlite3.Connection, review: Review, signers: tuple[Actor, Actor], change: Any, sentence: str
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        decide(connection, review, replace(APPROVED, **change), signers[0])


def test_a_model_that_misses_a_criterion_is_approved_with_conditions_only(
    connection: sqlite3.Connection, room: Room, signers: tuple[Actor, Actor]
) -> None:
    missed = opened(connection, room, signers[0], MISSED)
    with pytest.raises(InvalidInput, match="sensitivity of pneumonia at least"):
        decide(connection, missed, APPROVED, signers[0])
    bounded = NewDecision("approve with conditions", "It helps.", conditions="Each negative is read by a person.")
    assert decide(connection, missed, bounded, signers[0]).is_approval


def test_nobody_decides_before_the_results_are_open_and_a_new_review_supersedes(
    connection: sqlite3.Connection, room: Room, review: Review, signers: tuple[Actor, Actor]
) -> None:
    anna, _ = signers
    first = decide(connection, review, APPROVED, anna)
    closed = add_review(connection, room.project, room.model, criteria=[GOOD], actor=anna)
    with pytest.raises(InvalidInput, match="Open the test results first"):
        decide(connection, closed, APPROVED, anna)
    assert find_decision_in_force(connection, room.project.id, room.model.id) == first
    second = decide(connection, opened(connection, room, anna), NewDecision("retrain", "More women."), anna)
    assert find_decision_in_force(connection, room.project.id, room.model.id) == second
    assert get_decision(connection, review) == first
    late = decide(
        connection, open_results(connection, closed, actor=anna), APPROVED, anna
    )  # prepared before, decided after
    assert find_decision_in_force(connection, room.project.id, room.model.id) == late
