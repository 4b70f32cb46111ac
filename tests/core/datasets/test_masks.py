"""Snapshots of painted structures: which masks are frozen, that they stay, travel, and go with their case."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.datasets.exchange import export_snapshot, import_snapshot
from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot, list_snapshot_cases, snapshot_counts
from core.erasing.erase import erase
from core.erasing.plan import describe_plan, plan_erasure
from core.errors import CoreError, InvalidInput
from core.images.records import Case
from core.labels.mask_store import read_kept_mask
from core.labels.masks import put_mask
from core.labels.records import NewLabel, add_label, new_event
from core.labels.reference import set_reference_rule
from core.people.accounts import ensure_user
from core.progress import Silent
from core.projects.records import ReferenceRule, add_project, get_project
from core.settings import Settings
from core.store.audit import Actor
from core.store.backup import make_backup
from core.store.files import Files
from core.store.stock import check_stored, list_stored
from tests.core.conftest import PaintedSquares

Freeze = Callable[..., Snapshot]


@pytest.fixture
def freeze(connection: sqlite3.Connection, files: Files, painted_squares: PaintedSquares, actor: Actor) -> Freeze:
    def freeze_it(name: str = "first", **options: object) -> Snapshot:
        project = get_project(connection, painted_squares.project.id)
        known = {"ratios": (0.6, 0.3, 0.1), "folds": 2, "actor": actor, "progress": Silent()}
        return freeze_snapshot(connection, files, project, name, **{**known, **options})

    return freeze_it


def test_each_case_is_frozen_with_the_mask_of_each_structure(
    connection: sqlite3.Connection, files: Files, painted_squares: PaintedSquares, freeze: Freeze
) -> None:
    snapshot = freeze()
    by_id = {case.id: case for case in painted_squares.cases}
    frozen = list_snapshot_cases(connection, snapshot.id)
    assert len(frozen) == 18, "images, volumes, and those on which nothing is painted"
    for one in frozen:
        square, ghost = one.masks
        mask = painted_squares.masks[one.case_id]
        assert (square.structure, ghost.structure, ghost.pixels) == ("square", "ghost", 0)
        assert np.array_equal(read_kept_mask(files, square.mask_hash, by_id[one.case_id]), mask)
        assert square.pixels == mask.sum()
        assert one.value == {"structures": ["square"] if mask.any() else []}
    assert "Nobody painted ghost: a model cannot learn it." in snapshot.notes
    assert any("8 cases nothing is painted" in note for note in snapshot.notes)
    counts = snapshot_counts(connection, snapshot)
    assert sum(part["structures"]["square"]["images"] for part in counts.values()) == 10
    pixels = {split: [one for one in frozen if one.split == split] for split in counts}
    for split, some in pixels.items():
        whole = sum(painted_squares.masks[one.case_id].size for one in some)
        share = sum(painted_squares.masks[one.case_id].sum() for one in some) / whole
        assert counts[split]["structures"]["square"]["share"] == pytest.approx(share)


def test_a_later_stroke_changes_the_next_snapshot_and_not_this_one(
    connection: sqlite3.Connection, files: Files, painted_squares: PaintedSquares, freeze: Freeze, actor: Actor
) -> None:
    first = freeze()
    before = list_snapshot_cases(connection, first.id)
    case = painted_squares.cases[0]
    put_mask(connection, case, "square", np.ones((1, 16, 16), np.uint8), actor, event=new_event())
    assert list_snapshot_cases(connection, first.id) == before
    later = freeze("later")
    assert later.hash != first.hash
    (now,) = [one for one in list_snapshot_cases(connection, later.id) if one.case_id == case.id]
    assert now.masks[0].pixels == 256
    assert now.value == {"structures": ["square"]}, "what is painted counts, though the answer came before it"
    put_mask(connection, case, "square", np.zeros((1, 16, 16), np.uint8), actor, event=new_event())
    assert freeze("back").hash == first.hash


def test_the_reference_names_whose_mask_is_frozen(
    connection: sqlite3.Connection, files: Files, painted_squares: PaintedSquares, freeze: Freeze, actor: Actor
) -> None:
    ensure_user(connection, "ben")
    ben, case = Actor("ben", "command line"), painted_squares.cases[1]
    put_mask(connection, case, "square", np.ones((1, 16, 16), np.uint8), ben, event=new_event())
    add_label(connection, NewLabel(new_event(), case.id, "ben", {"structures": ["square"]}), ben)
    assert freeze().split_rule["left_out"]["tied"] == 1, "two have painted it, and nobody chose"
    set_reference_rule(connection, painted_squares.project, ReferenceRule("reader", actor.name), actor)
    snapshot = freeze("chosen")
    (one,) = [one for one in list_snapshot_cases(connection, snapshot.id) if one.case_id == case.id]
    assert one.masks[0].pixels == painted_squares.masks[case.id].sum()


def test_an_export_holds_its_masks_and_comes_back_with_the_same_hash(
    connection: sqlite3.Connection, files: Files, painted_squares: PaintedSquares, freeze: Freeze, actor: Actor,
    make_case: Callable[..., Case], tmp_path: Path,
) -> None:  # fmt: skip
    snapshot = freeze()
    text = export_snapshot(connection, files, snapshot)
    schema = painted_squares.project.schema
    twin = add_project(connection, name="Twin", task="segmentation", schema=schema, actor=actor)
    for case in painted_squares.cases:
        pixels = files.read_array("pixels", case.pixel_hash)
        fields = {"frames": case.frames, "spacing_mm": case.spacing_mm, "slice_spacing_mm": case.slice_spacing_mm}
        make_case(case.source, pixels=pixels, into=twin, **(fields if case.frames > 1 else {}))
    elsewhere = Files(tmp_path / "elsewhere")
    back = import_snapshot(connection, elsewhere, twin, text, actor)
    assert back.hash == snapshot.hash
    ours, theirs = (list_snapshot_cases(connection, one.id) for one in (snapshot, back))
    assert [one.masks for one in ours] == [one.masks for one in theirs]
    for one in theirs:
        assert elsewhere.has("masks", one.masks[0].mask_hash)
    document = json.loads(text) | {"name": "altered"}
    at = next(at for at, row in enumerate(document["cases"]) if row["value"]["structures"])
    name = document["cases"][at]["masks"]["square"]
    for wrong in (
        document | {"masks": document["masks"] | {name: document["masks"][document["cases"][at]["masks"]["ghost"]]}},
        document | {"masks": document["masks"] | {name: "?"}},
        document | {"masks": {}},
    ):
        with pytest.raises(InvalidInput, match="damaged"):
            import_snapshot(connection, elsewhere, twin, json.dumps(wrong), actor)


def test_frozen_masks_are_looked_after_and_go_with_their_case(
    connection: sqlite3.Connection, files: Files, settings: Settings, painted_squares: PaintedSquares, freeze: Freeze,
    actor: Actor, tmp_path: Path,
) -> None:  # fmt: skip
    snapshot = freeze()
    case = painted_squares.cases[1]
    (one,) = [one for one in list_snapshot_cases(connection, snapshot.id) if one.case_id == case.id]
    square, empty = (mask.mask_hash for mask in one.masks)
    backup = make_backup(settings, tmp_path / "backup")
    assert backup.error is None
    assert square in {path.stem for path in (tmp_path / "backup" / "files").rglob("*")}
    files.path("masks", square).write_bytes(b"?")
    bad = check_stored(files, [item for item in list_stored(connection) if item.shelf == "masks"], Silent())
    assert [(item.content_hash, fault) for item, fault in bad] == [(square, "was altered")]
    with pytest.raises(CoreError, match="altered on disk"):
        read_kept_mask(files, square, case)
    plan = plan_erasure(connection, files, painted_squares.project, case_ids=[case.id])
    assert "1 mask kept in a snapshot or by a model" in describe_plan(plan)[0]
    assert erase(connection, files, plan, actor=actor, reason="")
    assert not files.has("masks", square)
    assert files.has("masks", empty), "other cases have the same empty mask"
    assert case.id not in {left.case_id for left in list_snapshot_cases(connection, snapshot.id)}
