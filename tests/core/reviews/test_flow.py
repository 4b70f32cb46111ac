"""The flow of cases into a snapshot: its numbers add up, and what nobody recorded is not invented."""

import re
import sqlite3
from dataclasses import replace

import pytest

from core.datasets.exchange import export_snapshot, import_snapshot
from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot, get_snapshot
from core.erasing.erase import erase
from core.erasing.plan import plan_erasure
from core.images.records import record_import_file
from core.labels.records import NewLabel, add_label, new_event
from core.people.accounts import ensure_user
from core.progress import Silent
from core.reviews.flow import Flow, describe_box, describe_flow
from core.reviews.flow_picture import WIDTH, draw_on_paper, draw_svg, lay_out
from core.store.audit import Actor
from tests.core.reviews.conftest import Room, add_image


def flow_of(connection: sqlite3.Connection, room: Room, snapshot: Snapshot, fold: int | None = None) -> Flow:
    return describe_flow(connection, snapshot, room.model, fold)


@pytest.fixture
def full(connection: sqlite3.Connection, room: Room, actor: Actor) -> Snapshot:
    """A snapshot after an import of 47 files: of 45 cases 40 have an answer; two more came without an import."""
    ensure_user(connection, "ben")
    images = [add_image(connection, room.project, number, actor) for number in range(41, 46)]
    ben = Actor("ben", "command line")
    add_label(connection, NewLabel(new_event(), images[0].id, "ben", {"classes": ["normal"]}), ben)  # Anna: pneumonia
    add_label(connection, NewLabel(new_event(), images[2].id, "anna", None, unusable=True), actor)
    connection.execute("UPDATE cases SET held = 1 WHERE id = ?", (images[3].id,))
    job = add_import(connection, room, "import")
    every = [*room.cases, *images]
    for case in every[2:]:
        record_import_file(connection, job, case.source, "held" if case is images[3] else "imported", case.id, "")
    for name, status in (("a.txt", "failed"), ("b.png", "failed"), ("c.png", "skipped")):
        record_import_file(connection, job, name, status, None, "why")  # type: ignore[arg-type]
    record_import_file(connection, job, "masks: 1.png", "imported", every[0].id, "")
    return freeze_snapshot(
        connection, room.files, room.project, "full", allow_leaks="hashes are made up", folds=4, actor=actor,
        progress=Silent(),
    )  # fmt: skip


def add_import(connection: sqlite3.Connection, room: Room, kind: str) -> int:
    cursor = connection.execute(
        """INSERT INTO jobs (project, kind, lane, arguments, state, created_at, created_by)
           VALUES (?, ?, 'work', '{}', 'done', '2026-01-01T00:00:00.000Z', 'anna')""",
        (room.project.id, kind),
    )
    return int(cursor.lastrowid or 0)


def demand_sums(flow: Flow) -> None:
    """Every box less what leaves it is the next one."""
    for box in flow.boxes:
        if box.parts and box is not flow.files:
            assert box.n == sum(n for _, n in box.parts)
    if flow.files.n is not None and flow.not_taken.n is not None:
        assert flow.files.n == sum(n for _, n in flow.files.parts) + flow.not_taken.n
    if flow.cases.n is not None and flow.left_out.n is not None:
        assert flow.cases.n == flow.snapshot.n + flow.left_out.n
    assert flow.snapshot.n is not None
    assert flow.snapshot.n - flow.erased.n + flow.drawn.n == sum(one.n for one in flow.splits)
    assert flow.splits[2].n == flow.answered.n + flow.unanswered.n


def test_what_leaves_a_box_and_what_stays_add_up(connection: sqlite3.Connection, room: Room, full: Snapshot) -> None:
    flow = flow_of(connection, room, full)
    demand_sums(flow)
    assert (flow.files.n, flow.not_taken.n) == (46, 3)
    assert dict(flow.files.parts) == {"became a case": 42, "held for a pixel check": 1}
    assert dict(flow.not_taken.parts) == {"refused": 2, "passed over: known already, or no image": 1}
    assert (flow.cases.n, flow.cases.patients) == (45, 45)
    assert flow.cases.notes == ("2 came without a recorded import",)
    assert dict(flow.left_out.parts) == {"readers tied": 1, "unusable": 1, "held for a pixel check": 1}
    assert (flow.snapshot.n, flow.snapshot.patients) == (42, 42)


def test_a_round_of_cross_validation_and_an_unanswered_test_case_add_up(
    connection: sqlite3.Connection, room: Room, full: Snapshot
) -> None:
    for fold in range(4):
        demand_sums(flow_of(connection, room, full, fold))
    rounds = [flow_of(connection, room, full, fold) for fold in range(4)]
    assert sum(one.splits[2].n or 0 for one in rounds) == 42
    # of the two cases that are new the model has said nothing
    assert sum(one.unanswered.n or 0 for one in rounds) == 2


def test_without_an_import_the_files_are_told_as_not_recorded(connection: sqlite3.Connection, room: Room) -> None:
    flow = flow_of(connection, room, room.snapshot)
    demand_sums(flow)
    assert flow.files.n is None
    assert flow.not_taken.n is None
    assert "files not recorded" in describe_box(flow.files)
    assert [one.n for one in flow.splits] == [16, 8, 16]


def test_an_import_after_the_snapshot_is_not_of_it(connection: sqlite3.Connection, room: Room) -> None:
    job = add_import(connection, room, "import")
    record_import_file(connection, job, "late.png", "imported", room.cases[0].id, "")
    connection.execute("UPDATE jobs SET created_at = '2999-01-01T00:00:00.000Z' WHERE id = ?", (job,))
    assert flow_of(connection, room, room.snapshot).files.n is None


def test_a_snapshot_of_another_home_does_not_count_the_files_of_this_one(
    connection: sqlite3.Connection, room: Room, full: Snapshot, actor: Actor
) -> None:
    text = export_snapshot(connection, room.files, full).replace('"name": "full"', '"name": "brought"', 1)
    brought = import_snapshot(connection, room.files, room.project, text, actor=actor)
    flow = flow_of(connection, room, brought)
    demand_sums(flow)
    assert (flow.files.n, flow.cases.n, flow.cases.patients) == (None, 45, None)


def test_an_erased_case_stays_in_the_count_of_what_was_frozen(
    connection: sqlite3.Connection, room: Room, full: Snapshot, actor: Actor
) -> None:
    plan = plan_erasure(connection, room.files, room.project, case_ids=[room.cases[7].id])
    erase(connection, room.files, plan, actor=actor, reason="")
    flow = flow_of(connection, room, get_snapshot(connection, room.project.id, full.id))
    demand_sums(flow)
    assert (flow.snapshot.n, flow.erased.n, flow.snapshot.patients, flow.cases.patients) == (42, 1, None, None)
    assert "patients not recorded" in describe_box(flow.snapshot)[1]


def test_every_number_is_in_the_picture_and_no_box_lies_over_another(
    connection: sqlite3.Connection, room: Room, full: Snapshot
) -> None:
    flow = flow_of(connection, room, replace(full, name="<b>of a long name that needs more than one line & more"))
    picture = draw_svg(flow, ink="#000000", line="#777777")
    words = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", picture))
    for box in flow.boxes:
        for line in describe_box(box)[1:]:
            assert line in words
    assert "&lt;b&gt;of a long name" in words
    boxes = lay_out(flow).boxes
    for at, one in enumerate(boxes):
        assert one.x >= 0
        assert one.x + one.width <= WIDTH
        for other in boxes[at + 1 :]:
            apart = (
                one.x + one.width <= other.x or other.x + other.width <= one.x
                or one.y + one.height <= other.y or other.y + other.height <= one.y
            )  # fmt: skip
            assert apart, (one, other)
    drawing = draw_on_paper(flow, 400, ink="#000000", line="#777777", font="Helvetica", bold="Helvetica-Bold")
    assert drawing.width == 400
    assert drawing.height == pytest.approx(lay_out(flow).height * 400 / WIDTH)
