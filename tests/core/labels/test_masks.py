"""Masks, stroke by stroke: bit for bit, in any order of delivery."""

import sqlite3
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from core.errors import Conflict, InvalidInput, NotAllowed
from core.images.records import Case
from core.labels.masks import (
    NewMaskEdit,
    add_mask_edit,
    compose_mask,
    list_painted,
    list_painters,
    put_mask,
    read_mask,
    volume_ml,
)
from core.labels.records import NewLabel, add_label, new_event
from core.labels.runs import encode_runs
from core.labels.schema import SchemaChange, change_schema
from core.people.accounts import ensure_user
from core.people.members import set_member
from core.projects.records import Project
from core.store.audit import Actor


def stroke(case: Case, frames: dict[int, np.ndarray], **fields: object) -> NewMaskEdit:
    known = {
        "event": new_event(), "case_id": case.id, "reader": "anna", "structure": "liver",
        "frames": {frame: encode_runs(mask) for frame, mask in frames.items()},
    }  # fmt: skip
    return NewMaskEdit(**{**known, **fields})  # type: ignore[arg-type]


def noise(case: Case, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (case.rows, case.columns), np.uint8)


@given(st.data())
@hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mask_is_read_as_it_was_put_bit_for_bit(
    connection: sqlite3.Connection, volume: Case, actor: Actor, data: st.DataObject
) -> None:
    size = (volume.frames, volume.rows, volume.columns)
    mask = data.draw(arrays.arrays(np.uint8, size, elements=st.integers(0, 1)))
    edit = put_mask(connection, volume, "liver", mask, actor, event=new_event())
    assert compose_mask(connection, volume, "anna", "liver").tobytes() == mask.tobytes()
    stored = read_mask(connection, volume.id, "anna", "liver")
    assert stored.edit == edit.id
    assert stored.frames == {frame: encode_runs(mask[frame]) for frame in range(volume.frames)}


STROKES = st.lists(st.tuples(st.sampled_from(["liver", "lesion"]), st.integers(0, 2)), min_size=1, max_size=6)


@given(STROKES, st.data())
@hypothesis_settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_delivery_gives_the_same_mask(
    connection: sqlite3.Connection,
    make_case: object,
    painted: Project,
    actor: Actor,
    strokes: list[tuple[str, int]],
    data: st.DataObject,
) -> None:
    """Each stroke has its own time; delivered in another order, some twice, the same masks come of it."""
    order = data.draw(st.permutations(range(len(strokes))))
    ends = []
    for delivery in (list(range(len(strokes))), [*order, *order[:2]]):
        pixels = np.zeros((3, 16, 16), np.uint8)
        case: Case = make_case(new_event(), into=painted, pixels=pixels, frames=3)  # type: ignore[operator]
        sent = [
            stroke(case, {frame: noise(case, at)}, structure=structure, made_at=f"2026-01-01T00:00:{at:02}Z")
            for at, (structure, frame) in enumerate(strokes)
        ]
        for at in delivery:
            add_mask_edit(connection, sent[at], actor)
        ends.append([compose_mask(connection, case, "anna", name).tobytes() for name in ("liver", "lesion")])
    assert ends[0] == ends[1]


def test_a_stroke_changes_its_own_frames_of_its_own_structure_and_reader(
    connection: sqlite3.Connection, volume: Case, actor: Actor
) -> None:
    ensure_user(connection, "ben")
    first, second = noise(volume, 1), noise(volume, 2)
    add_mask_edit(connection, stroke(volume, {0: first, 2: first}), actor)
    add_mask_edit(connection, stroke(volume, {2: second}), actor)
    add_mask_edit(connection, stroke(volume, {1: second}, structure="lesion"), actor)
    add_mask_edit(connection, stroke(volume, {0: second}, reader="ben"), actor)
    whole = compose_mask(connection, volume, "anna", "liver")
    assert (whole[0] == first).all()
    assert (whole[2] == second).all()
    assert not whole[[1, 3, 4]].any()
    told = [(one.reader, one.structure, one.pixels) for one in list_painted(connection, volume.id)]
    assert told == [
        ("anna", "lesion", int(second.sum())),
        ("anna", "liver", int(first.sum() + second.sum())),
        ("ben", "liver", int(second.sum())),
    ]


def test_a_whole_mask_counts_also_after_the_clock_of_the_server_was_set_back(
    connection: sqlite3.Connection, image: Case, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as ahead:
        ahead.setattr("core.labels.masks.utc_now", lambda: "2999-01-01T12:00:00.000Z")
        add_mask_edit(connection, stroke(image, {0: noise(image, 1)}, made_at="2999-01-01T12:00:00Z"), actor)
    put_mask(connection, image, "liver", noise(image, 2), actor, event=new_event())
    np.testing.assert_array_equal(compose_mask(connection, image, "anna", "liver")[0], noise(image, 2))


def test_what_is_wiped_is_not_painted_and_the_history_stays(
    connection: sqlite3.Connection, image: Case, actor: Actor
) -> None:
    add_mask_edit(connection, stroke(image, {0: noise(image, 1)}), actor)
    add_mask_edit(connection, stroke(image, {0: np.zeros((16, 16))}), actor)
    assert list_painted(connection, image.id) == []
    assert not compose_mask(connection, image, "anna", "liver").any()
    assert connection.execute("SELECT count(*) FROM mask_edits").fetchone()[0] == 2


def test_the_same_event_twice_is_one_stroke_and_another_one_a_conflict(
    connection: sqlite3.Connection, volume: Case, actor: Actor
) -> None:
    sent = stroke(volume, {0: noise(volume, 1)})
    assert add_mask_edit(connection, sent, actor) == add_mask_edit(connection, sent, actor)
    other = stroke(volume, {0: noise(volume, 2)}).frames
    for change in ({"frames": other}, {"structure": "lesion"}, {"frames": {1: sent.frames[0]}}):
        with pytest.raises(Conflict, match="another stroke"):
            add_mask_edit(connection, replace(sent, **change), actor)
    assert connection.execute("SELECT count(*) FROM mask_frames").fetchone()[0] == 1


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"frames": {0: b"\x29"}}, "add up to rows x columns, 42. Received: 41"),
        ({"frames": {0: b"\x2a", 1: b"\x80"}}, "middle of a number"),
        ({"frames": {5: b"\x2a"}}, "has 5 frames"),
        ({"frames": {-1: b"\x2a"}}, "has 5 frames"),
        ({"frames": {}}, "at least one frame"),
        ({"structure": "spleen"}, "The structures are liver, lesion"),
        ({"structure": ""}, "The structures are"),
        ({"made_in": "elsewhere"}, "made in one of"),
        ({"active_seconds": 1e9}, "Active seconds"),
    ],
)
def test_a_stroke_that_cannot_be_kept_is_refused_and_leaves_nothing(
    connection: sqlite3.Connection, volume: Case, actor: Actor, wrong: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        add_mask_edit(connection, replace(stroke(volume, {0: noise(volume, 1)}), **wrong), actor)  # type: ignore[arg-type]
    for table in ("mask_edits", "mask_frames", "current_masks"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (np.zeros((5, 6, 8), np.uint8), r"has the size \(5, 6, 7\). Received: \(5, 6, 8\)"),
        (np.zeros((6, 7), np.uint8), "has the size"),
        (np.zeros((5, 6, 7), np.float32), "uint8 or bool. Received: float32"),
        (np.full((5, 6, 7), 2, np.uint8), "0 and 1, nothing else. Received: 2"),
    ],
)
def test_an_array_of_another_size_or_type_is_refused(
    connection: sqlite3.Connection, volume: Case, actor: Actor, mask: np.ndarray, sentence: str
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        put_mask(connection, volume, "liver", mask, actor, event=new_event())
    assert list_painted(connection, volume.id) == []


def test_a_project_without_structures_is_not_painted(
    connection: sqlite3.Connection, make_case: object, actor: Actor
) -> None:
    case: Case = make_case("film.png")  # type: ignore[operator]
    with pytest.raises(InvalidInput, match="no structures to paint"):
        add_mask_edit(connection, stroke(case, {0: noise(case, 1)}), actor)


def test_nobody_paints_in_another_s_name_without_being_allowed_to(
    connection: sqlite3.Connection, image: Case, painted: Project, actor: Actor
) -> None:
    ensure_user(connection, "ben")
    set_member(connection, painted.id, "ben", "reader", actor=actor)
    with pytest.raises(NotAllowed):
        add_mask_edit(connection, stroke(image, {0: noise(image, 1)}), Actor("ben", "screen"))


def test_a_renamed_structure_keeps_its_masks_and_a_stroke_of_an_older_page_finds_it(
    connection: sqlite3.Connection, image: Case, painted: Project, actor: Actor
) -> None:
    sent = stroke(image, {0: noise(image, 1)}, made_at="2026-01-01T00:00:01Z")
    add_mask_edit(connection, sent, actor)
    change_schema(connection, painted, SchemaChange("rename", "liver", "hepar"), actor)
    assert (compose_mask(connection, image, "anna", "hepar") == noise(image, 1)).all()
    late = stroke(image, {0: noise(image, 2)}, made_at="2026-01-01T00:00:02Z")
    add_mask_edit(connection, late, actor)
    assert (compose_mask(connection, image, "anna", "hepar") == noise(image, 2)).all()
    assert add_mask_edit(connection, sent, actor).event == sent.event  # sent again: the same stroke
    assert [one.structure for one in list_painted(connection, image.id)] == ["hepar"]


def test_a_retired_structure_keeps_its_masks_and_takes_no_more(
    connection: sqlite3.Connection, image: Case, painted: Project, actor: Actor
) -> None:
    add_mask_edit(connection, stroke(image, {0: noise(image, 1)}), actor)
    change_schema(connection, painted, SchemaChange("retire", "liver"), actor)
    with pytest.raises(InvalidInput, match="No longer offered"):
        add_mask_edit(connection, stroke(image, {0: noise(image, 2)}), actor)
    assert (compose_mask(connection, image, "anna", "liver") == noise(image, 1)).all()


def test_volumes_are_known_where_all_distances_are(volume: Case, image: Case) -> None:
    assert volume_ml(volume, 1000) == pytest.approx(0.8 * 0.7 * 2.5)
    assert volume_ml(image, 1000) is None
    assert volume_ml(replace(volume, slice_spacing_mm=None), 1000) is None
    assert volume_ml(replace(volume, spacing_mm=None), 1000) is None


def test_whoever_painted_or_found_nothing_is_a_painter(
    connection: sqlite3.Connection, image: Case, volume: Case, actor: Actor
) -> None:
    add_mask_edit(connection, stroke(image, {0: noise(image, 1)}), actor)
    add_label(connection, NewLabel(new_event(), volume.id, "anna", {"structures": []}), actor)
    assert list_painters(connection, image.project) == [(image.id, "anna"), (volume.id, "anna")]


def test_strokes_are_never_changed_or_deleted(connection: sqlite3.Connection, image: Case, actor: Actor) -> None:
    add_mask_edit(connection, stroke(image, {0: noise(image, 1)}), actor)
    for table in ("mask_frames", "mask_edits"):
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET case_id = case_id"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
