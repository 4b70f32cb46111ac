"""Labels: stored once, never changed, and what counts of them."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.errors import Conflict, InvalidInput, NotFound
from core.images.records import Case
from core.labels.records import (
    Label,
    NewLabel,
    add_label,
    current_labels,
    find_current_label,
    find_last_saved,
    find_reference,
    get_label,
    list_labels,
    new_event,
)
from core.people.accounts import ensure_user, get_user
from core.projects.records import Project, add_project
from core.projects.schema import Regression
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import opened
from core.training.recipe import named_recipe
from core.training.records import add_model, add_run, get_run
from tests.core.conftest import Planted

MakeCase = Callable[..., Case]
Say = Callable[..., Label]
NORMAL, PNEUMONIA = {"classes": ["normal"]}, {"classes": ["pneumonia"]}


@pytest.fixture
def case(make_case: MakeCase, connection: sqlite3.Connection) -> Case:
    ensure_user(connection, "anna")
    return make_case("a.png")


def new(case: Case, value: dict[str, list[str]] | None = NORMAL, **fields: object) -> NewLabel:
    return NewLabel(**{"event": new_event(), "case_id": case.id, "reader": "anna", "value": value, **fields})


def test_a_label_is_kept_with_all_it_says(connection: sqlite3.Connection, case: Case, actor: Actor) -> None:
    given_label = new(case, unsure=True, note="faint", made_in="review", made_at="2020-01-02T03:04:05.678+01:00")
    label = add_label(connection, given_label, actor)
    assert (label.value, label.unsure, label.note, label.made_in) == (NORMAL, True, "faint", "review")
    assert label.made_at == "2020-01-02T02:04:05.678Z"
    assert (label.reader, label.entered_by, label.replaces) == ("anna", "anna", None)
    assert get_label(connection, label.id) == label
    assert current_labels(connection, case.id) == [label]


def test_the_same_event_twice_is_one_label(connection: sqlite3.Connection, case: Case, actor: Actor) -> None:
    sent = new(case)
    first = add_label(connection, sent, actor)
    assert add_label(connection, replace(sent, made_in="review"), actor) == first
    assert len(list_labels(connection, case.id)) == 1
    assert connection.execute("SELECT count(*) FROM audit WHERE what = 'add label'").fetchone()[0] == 1


@pytest.mark.parametrize("change", [{"value": PNEUMONIA}, {"unsure": True}, {"note": "x"}, {"reader": "ben"}])
def test_the_same_event_with_another_answer_is_a_conflict(
    connection: sqlite3.Connection, case: Case, actor: Actor, change: dict[str, object]
) -> None:
    ensure_user(connection, "ben")
    sent = new(case)
    add_label(connection, sent, actor)
    with pytest.raises(Conflict, match="another answer"):
        add_label(connection, replace(sent, **change), actor)


def test_a_correction_replaces_and_history_stays(connection: sqlite3.Connection, case: Case, answer: Say) -> None:
    first = answer(case, "normal", made_at="2026-01-01T00:00:00Z")
    second = answer(case, "pneumonia", made_at="2026-01-01T00:00:01Z")
    assert second.replaces == first.id
    assert list_labels(connection, case.id) == [second, first]
    assert current_labels(connection, case.id) == [second]


def test_a_late_delivery_does_not_undo_a_correction(connection: sqlite3.Connection, case: Case, answer: Say) -> None:
    corrected = answer(case, "pneumonia", made_at="2026-01-01T00:00:01Z")
    answer(case, "normal", made_at="2026-01-01T00:00:00Z")
    assert find_current_label(connection, case.id, "anna") == corrected


def test_a_clock_that_runs_ahead_does_not_outrank_later_answers(
    connection: sqlite3.Connection, case: Case, answer: Say
) -> None:
    ahead = answer(case, "normal", made_at="2999-01-01T00:00:00Z")
    assert ahead.made_at == ahead.stored_at
    later = answer(case, "pneumonia")
    assert find_current_label(connection, case.id, "anna") == later


def test_a_correction_counts_also_after_the_clock_of_the_server_was_set_back(
    connection: sqlite3.Connection, case: Case, answer: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as ahead:
        ahead.setattr("core.labels.records.utc_now", lambda: "2999-01-01T12:00:00.000Z")
        wrong = answer(case, "normal", made_at="2999-01-01T12:00:00Z")
    corrected = answer(case, "pneumonia")
    assert find_current_label(connection, case.id, "anna") == corrected
    assert corrected.replaces == wrong.id
    answer(case, "normal", made_at="2026-01-01T00:00:00Z")  # delivered late by a browser
    assert find_current_label(connection, case.id, "anna") == corrected


def test_withdrawing_leaves_no_answer_and_no_reference(connection: sqlite3.Connection, case: Case, answer: Say) -> None:
    answer(case, "normal")
    assert find_reference(connection, case.id) is not None
    assert answer(case).withdrawn
    assert current_labels(connection, case.id) == []
    assert find_reference(connection, case.id) is None
    assert len(list_labels(connection, case.id)) == 2


def test_two_readers_who_differ_are_tied_and_a_third_decides(
    connection: sqlite3.Connection, case: Case, answer: Say
) -> None:
    answer(case, "normal", reader="anna")
    answer(case, "pneumonia", reader="ben")
    tied = find_reference(connection, case.id)
    assert tied is not None
    assert (tied.state, tied.value) == ("tied", None)
    answer(case, "pneumonia", reader="cleo")
    decided = find_reference(connection, case.id)
    assert decided is not None
    assert (decided.state, decided.value) == ("labelled", PNEUMONIA)


def test_an_unusable_image_has_no_reference_value(connection: sqlite3.Connection, case: Case, answer: Say) -> None:
    answer(case, unusable=True)
    reference = find_reference(connection, case.id)
    assert reference is not None
    assert (reference.state, reference.value) == ("unusable", None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": {"classes": ["flu"]}},
        {"value": {"classes": ["normal", "pneumonia"]}},
        {"value": {"classes": []}},
        {"event": " "},
        {"event": "\ud800"},
        {"note": "x" * 10_001},
        {"note": "\ud800"},
        {"made_at": "yesterday"},
        {"made_at": "2026-01-01T00:00:00"},
        {"made_in": "elsewhere"},
        {"made_at": "0001-01-01T00:00:00+23:59"},
        {"confidence": 0},
        {"confidence": 6},
        {"unusable_reason": "blurred"},
        {"value": None, "unusable": True, "unusable_reason": "x" * 201},
        {"value": None, "unusable": True, "unusable_reason": "\0"},
        {"active_seconds": -0.1},
        {"active_seconds": float("inf")},
        {"draft": {"model": 1, "outcome": "kept", "value": None}},
        {"draft": {"model": "1", "outcome": "edited", "value": None}},
        {"draft": {"outcome": "edited"}},
        {"draft": {"model": 1, "outcome": "edited", "value": None, "more": 1}},
    ],
)
def test_what_cannot_be_kept_is_refused_and_leaves_nothing(
    connection: sqlite3.Connection, case: Case, actor: Actor, wrong: dict[str, object]
) -> None:
    with pytest.raises(InvalidInput, match="Received"):
        add_label(connection, replace(new(case), **wrong), actor)
    assert list_labels(connection, case.id) == []


def test_unknown_cases_and_readers_are_named(connection: sqlite3.Connection, case: Case, actor: Actor) -> None:
    with pytest.raises(NotFound, match="There is no case 99"):
        add_label(connection, replace(new(case), case_id=99), actor)
    with pytest.raises(NotFound, match="There is no user zoe"):
        add_label(connection, replace(new(case), reader="zoe"), actor)


def test_a_label_under_older_classes_is_a_conflict(connection: sqlite3.Connection, case: Case, actor: Actor) -> None:
    with pytest.raises(Conflict, match="reload"):
        add_label(connection, replace(new(case), schema_version=2), actor)


def test_labels_cannot_be_deleted(connection: sqlite3.Connection, case: Case, answer: Say) -> None:
    answer(case, "normal")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("DELETE FROM labels")


EVENTS = st.lists(
    st.tuples(st.sampled_from(["anna", "ben"]), st.sampled_from(["normal", "pneumonia", "unusable", "withdrawn"])),
    min_size=1,
    max_size=6,
)


@given(EVENTS, st.data())
@hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_delivery_gives_the_same_answers(
    connection: sqlite3.Connection, make_case: MakeCase, events: list[tuple[str, str]], data: st.DataObject
) -> None:
    """Each event has its own time; delivered in another order, some twice, the same labels count."""
    order = data.draw(st.permutations(range(len(events))))
    twice = data.draw(st.lists(st.sampled_from(order)))
    ends = []
    for delivery in (list(range(len(events))), [*order, *twice]):
        case = make_case(new_event())
        ids = [new_event() for _ in events]
        for at in delivery:
            reader, said = events[at]
            ensure_user(connection, reader)
            value = {"classes": [said]} if said in ("normal", "pneumonia") else None
            sent = NewLabel(ids[at], case.id, reader, value, unusable=said == "unusable",
                            made_at=f"2026-01-01T00:00:{at:02}Z")  # fmt: skip
            add_label(connection, sent, Actor(reader, "command line"))
        reference = find_reference(connection, case.id)
        ends.append(
            (
                [(label.reader, label.value, label.unusable) for label in current_labels(connection, case.id)],
                reference and (reference.state, reference.value),
            )
        )
    assert ends[0] == ends[1]


def test_eight_readers_at_once_lose_nothing(
    settings: Settings, connection: sqlite3.Connection, make_case: MakeCase, project: Project
) -> None:
    """Eight threads with a connection each send 30 labels, every one of them twice."""
    cases = [make_case(f"{at}.png") for at in range(30)]
    for number in range(8):
        ensure_user(connection, f"reader {number}")

    def work(number: int) -> list[str]:
        with opened(settings) as own:
            sent = [
                NewLabel(f"{number}-{case.id}", case.id, f"reader {number}", NORMAL if number % 2 else PNEUMONIA)
                for case in cases
            ]
            return [add_label(own, label, Actor(label.reader, "command line")).event for label in [*sent, *sent]]

    with ThreadPoolExecutor(8) as threads:
        acknowledged = {event for events in threads.map(work, range(8)) for event in events}
    stored = {row["event"] for row in connection.execute("SELECT event FROM labels")}
    assert stored == acknowledged
    assert len(stored) == 240
    assert connection.execute("SELECT count(*) FROM current_labels").fetchone()[0] == 240
    assert {row["state"] for row in connection.execute("SELECT state FROM reference_labels")} == {"tied"}


def test_the_status_line_tells_when_a_reader_was_last_saved(
    connection: sqlite3.Connection, case: Case, actor: Actor
) -> None:
    anna = get_user(connection, "anna").id
    assert find_last_saved(connection, anna) is None
    add_label(connection, new(case), actor)
    last = add_label(connection, new(case, PNEUMONIA), actor)
    assert find_last_saved(connection, anna) == last.stored_at
    assert find_last_saved(connection, ensure_user(connection, "ben").id) is None


def test_how_an_answer_came_about_is_kept_with_it(connection: sqlite3.Connection, planted: Planted) -> None:
    model = a_model(connection, planted)
    case_id = next(iter(planted.masks))
    draft = {"model": model, "outcome": "edited", "value": NORMAL}
    sent = NewLabel(new_event(), case_id, "anna", PNEUMONIA, confidence=2, active_seconds=12.5, draft=draft)
    stored = add_label(connection, sent, Actor("anna", "screen"))
    assert (stored.confidence, stored.active_seconds, stored.draft) == (2, 12.5, draft)
    assert add_label(connection, sent, Actor("anna", "screen")) == stored
    for change in ({"confidence": 3}, {"draft": {**draft, "outcome": "rejected"}}):
        with pytest.raises(Conflict, match="another answer"):
            add_label(connection, replace(sent, **change), Actor("anna", "screen"))
    with pytest.raises(NotFound, match="There is no model 99"):
        add_label(connection, replace(sent, event=new_event(), draft={**draft, "model": 99}), Actor("anna", "screen"))


def test_an_unusable_image_may_say_why(connection: sqlite3.Connection, case: Case, actor: Actor) -> None:
    stored = add_label(connection, new(case, None, unusable=True, unusable_reason=" cut off "), actor)
    assert stored.unusable_reason == "cut off"


def test_a_number_is_answered_with_its_mark_as_evidence(
    connection: sqlite3.Connection, make_case: MakeCase, actor: Actor
) -> None:
    schema = Regression("heart width", "mm", 0, 300, "length")
    widths = add_project(connection, name="Widths", task="regression", schema=schema, actor=actor)
    case = make_case("w.png", into=widths)
    assert add_label(connection, new(case, {"value": 131.5}), actor).value == {"value": 131.5}
    with pytest.raises(InvalidInput, match=r"lies between 0 and 300 mm\. Received: 301"):
        add_label(connection, new(case, {"value": 301}), actor)


def a_model(connection: sqlite3.Connection, planted: Planted) -> int:
    run = add_run(
        connection, project=planted.project.id, snapshot=planted.snapshot.id, recipe=named_recipe("cnn"),
        name="quick", actor=Actor("anna", "command line"),
    )  # fmt: skip
    return add_model(
        connection, get_run(connection, run.id), keras_hash="0" * 64, onnx_left_out_because="test", parameters=1,
        file_bytes=1, facts={"classes": ["normal", "pneumonia"], "multi_label": False}, seconds=1.0,
        actor=Actor("anna", "command line"),
    ).id  # fmt: skip
